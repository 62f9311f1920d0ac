"""Extraction of all layers: peak memory and time for the clips of an experiment.

python -P benchmarks/extract.py [--clips 540 --seconds 15 --bin-seconds 1.5 --threads 2]

Generated music and noise, written as wav files, go through every area at every recurrent step of
each model, in a process of its own. ``peak_rss_gb`` is the larger one of the two processes, from
reading the clips to the finished store; ``forward_share`` the time in the network over all time.
"""

import argparse
import itertools
import json
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

MODELS = ("cortexnet_s", "cnn2d_4l")
RATE = 22050
TRACKS = 20  # pieces of music that are rendered; the other clips are noise and mixtures


def write_clips(folder: Path, n: int, seconds: float) -> None:
    from stimuli.audio import write_audio
    from stimuli.music import render_track

    genres = ("blues", "classical", "disco", "jazz", "rock")
    rng = np.random.default_rng(0)
    n_samples = round(seconds * RATE)
    music = [
        render_track(genre, i, seconds, RATE)
        for i, genre in zip(range(min(TRACKS, n)), itertools.cycle(genres), strict=False)
    ]
    (folder / "sounds").mkdir()
    for i in range(n):
        x = 0.02 * rng.standard_normal(n_samples) + music[i % len(music)] * (i % 3 > 0)
        x = np.clip(x, -1, 1).astype(np.float32)
        write_audio(folder / "sounds" / f"{i:04d}.wav", x, RATE)


def measure(name: str, folder: Path, bin_seconds: float | str, threads: int) -> dict:
    """Extract in this process, which does nothing else."""
    import torch

    from cortexnet.activations import extract
    from cortexnet.memory import keep_freed_memory
    from cortexnet.registry import create_model
    from stimuli.clips import load_clips

    keep_freed_memory()  # as the command does
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = create_model(name, 2).eval()
    inside = 0.0
    forward = model.forward_areas

    def timed(*given, **options):
        nonlocal inside
        start = time.perf_counter()
        result = forward(*given, **options)
        inside += time.perf_counter() - start
        return result

    model.forward_areas = timed
    start, cpu = time.perf_counter(), time.process_time()
    store = extract(
        model, load_clips(folder), folder / f"{name}.zarr", name,
        bin_seconds=bin_seconds, steps=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_rss_gb": round(peak, 2),
        "forward_share": round(inside / seconds, 2),
        "store_gb": round(size / 2**30, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=540)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--bin-seconds", default="1.5", help="or frames, or clip")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    width = given.bin_seconds if given.bin_seconds.isalpha() else float(given.bin_seconds)
    context = multiprocessing.get_context("spawn")
    models = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_clips(folder, given.clips, given.seconds)
        for name in MODELS:
            with ProcessPoolExecutor(1, mp_context=context) as process:
                models[name] = process.submit(measure, name, folder, width, given.threads).result()
    line = {
        "bench": f"extract all layers, {given.seconds:g} s clips, bins {given.bin_seconds}",
        "ours_seconds": round(sum(row["seconds"] for row in models.values()), 1),
        "peak_rss_gb": max(row["peak_rss_gb"] for row in models.values()),
        "n": given.clips,
        "threads": given.threads,
        "models": models,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()

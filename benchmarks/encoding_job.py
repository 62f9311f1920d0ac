"""The full job: every layer of a model onto every target of a subject, from a file of responses.

python -P benchmarks/encoding_job.py [--targets 60000 --layers 8 --threads 2 --folder DIR]

Rows are those of ds003720 without dummies: training runs of 400 volumes, and six test runs of 100
volumes heard four times. Each target follows one layer, or none, through a planted linear
response. Data are written once to DIR and read as a memory map; finished work is kept there too,
so that the same command goes on after a kill (--fresh begins anew). Prints a forecast on the error
stream and one JSON line; `ours_seconds` is `fit_layers` alone, peak_rss_gb that of the process with
the pages of the file that were mapped at the time.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from encoding import fit_layers
from encoding.design import delay
from encoding.ridge.forecast import forecast
from encoding.ridge.kfold import MEMORY

RUN = 400  # volumes
TEST_RUNS, REPEATS = 6, 4
CLIP = 10  # volumes
COMPONENTS = 32  # of a layer that drive its targets
NOISE_SHARE = 0.2  # of targets that follow no layer
SNR = 0.3


def main() -> None:
    given = read_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with threadpool_limits(given.threads):
            run(given, folder)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=60_000)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--units", type=int, default=1024)
    parser.add_argument("--delays", type=int, default=4)
    parser.add_argument("--alphas", type=int, default=20)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="default: temporary")
    parser.add_argument("--fresh", action="store_true", help="forget finished work")
    return parser.parse_args()


def run(given, folder) -> None:
    delays = tuple(range(2, 2 + given.delays))
    samples = volumes(given.runs)
    features = activations(samples, given.layers, given.units)
    shape = f"{given.runs}x{given.layers}x{given.units}x{given.delays}x{given.targets}"
    path = folder / f"responses-{shape}.npy"
    planted = plant(given.layers, given.targets)
    if not path.exists():
        write_responses(path, features, samples, delays, planted)
    Y = np.load(path, mmap_mode="r")
    work = folder / f"work-{shape}x{given.alphas}"
    if given.fresh:
        shutil.rmtree(work, ignore_errors=True)

    n = given.runs * RUN
    size = (n, given.units * given.delays, given.targets, given.alphas, given.runs, given.layers)
    expected = forecast(*size, given.threads, n_new=TEST_RUNS * RUN // REPEATS)
    say(f"forecast: {expected.seconds / 60:.1f} min, {expected.bytes / 2**30:.1f} GB")
    start = time.perf_counter()
    scores = fit_layers(
        features, Y, samples, delays, np.logspace(-3, 5, given.alphas), folder=work, report=say
    )
    seconds = time.perf_counter() - start
    best = scores.dataset["r"].to_numpy().argmax(0)
    line = {
        "bench": f"encoding full job, {given.delays} delays, {given.alphas} alphas, "
        f"{given.runs} folds",
        "ours_seconds": round(seconds, 1),
        "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "forecast_seconds": round(expected.seconds, 1),
        "forecast_gb": round(expected.bytes / 2**30, 2),
        "recovered": round(float(np.mean(best[planted >= 0] == planted[planted >= 0])), 4),
        "n": n,
        "units": given.units,
        "threads": given.threads,
        "targets": given.targets,
        "layers": given.layers,
        "memory_gb": round(MEMORY / 2**30, 2),
    }
    print(json.dumps(line), flush=True)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def volumes(n_runs: int) -> pd.DataFrame:
    """Table of all volumes, training runs first."""
    time_of = np.arange(RUN) % CLIP * 1.5
    tables = []
    for k in range(n_runs):
        clips = [f"t{k}-{i // CLIP}" for i in range(RUN)]
        tables.append({"run": f"Training-{k}", "clip_id": clips, "repeat": 1, "split": "train"})
    once = RUN // REPEATS
    for k in range(TEST_RUNS):
        clips = [f"v{k}-{i % once // CLIP}" for i in range(RUN)]
        repeat = np.arange(RUN) // once + 1
        tables.append({"run": f"Test-{k}", "clip_id": clips, "repeat": repeat, "split": "test"})
    return pd.concat([pd.DataFrame(t | {"time": time_of}) for t in tables], ignore_index=True)


def activations(samples, n_layers: int, units: int) -> dict[str, np.ndarray]:
    """Smooth in time, of a long spectrum, the same in all repeats of a clip."""
    heard = samples.groupby(["clip_id", "time"], sort=False).ngroup().to_numpy()
    features = {}
    for layer in range(n_layers):
        rng = np.random.default_rng(layer)
        X = rng.standard_normal((heard.max() + 1, units), np.float32)
        X[1:] += 0.7 * X[:-1]
        decay = np.arange(1, units + 1, dtype=np.float32) ** -0.7
        X = X @ (rng.standard_normal((units, units), np.float32) * decay)
        features[f"layer {layer}"] = (X / X.std())[heard]
    return features


def plant(n_layers: int, n_targets: int) -> np.ndarray:
    """(n_targets,) number of the layer that each target follows, -1 for none."""
    rng = np.random.default_rng(1)
    planted = rng.integers(n_layers, size=n_targets)
    return np.where(rng.random(n_targets) < NOISE_SHARE, -1, planted)


def write_responses(path, features, samples, delays, planted) -> None:
    """Run by run, so that memory holds one run of all targets."""
    rng = np.random.default_rng(2)
    runs = samples["run"].to_numpy()
    drives, weights = [], []
    for layer, X in enumerate(features.values()):
        mixing = rng.standard_normal((X.shape[1], COMPONENTS), np.float32)
        design = delay(X @ mixing, runs, delays)
        drives.append(design / design.std(0))
        count = int((planted == layer).sum())
        w = rng.standard_normal((design.shape[1], count), np.float32)
        weights.append(w * np.float32(np.sqrt(SNR / design.shape[1])))
    partial = path.with_suffix(".unfinished")
    shape = (len(samples), len(planted))
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with partial.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(samples), RUN):
            rows = slice(start, start + RUN)
            values = rng.standard_normal((RUN, len(planted)), np.float32)
            for layer, (drive, weight) in enumerate(zip(drives, weights, strict=True)):
                values[:, planted == layer] += drive[rows] @ weight
            values.tofile(file)
    os.replace(partial, path)


if __name__ == "__main__":
    main()

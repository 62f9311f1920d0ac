"""Audit of many tracks, sound included: how long, and whether it finds what was planted.

Tracks are melodies of decaying harmonics over coloured noise, quick to make, each its own. Among
them are replicas: shifted, 6 dB softer, some re-encoded as ogg. Prints one line of JSON, and pairs
found that were not planted to the standard error.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from stimuli.audit import audit

RATE = 22050


def make_track(seed: int, seconds: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.sqrt(np.arange(len(spectrum)) + 100)
    x = np.fft.irfft(spectrum, n)
    x *= 0.02 / np.sqrt(np.mean(np.square(x)))
    onset = 0.0
    while onset < seconds - 0.1:
        first = round(onset * RATE)
        length = min(round(rng.uniform(0.2, 0.8) * RATE), n - first)
        t = np.arange(length) / RATE
        hz = 110 * 2 ** (rng.integers(0, 36) / 12)
        tone = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 6))
        x[first : first + length] += 0.1 * tone * np.exp(-5 * t)
        onset += rng.choice([0.125, 0.25, 0.375])
    return x.astype(np.float32)


def write_tracks(folder: Path, n: int, planted: int, seconds: float) -> pd.DataFrame:
    """Tracks 0 ... n - planted - 1, then replicas of the first tracks of the training side."""
    shift = round(1.0 * RATE)

    def write(i):
        source = i if i < n - planted else i - (n - planted)
        x = make_track(source, seconds)
        suffix = "wav"
        if source != i:
            x = 0.5 * np.concatenate([x[shift:], make_track(n + i, 1.0)])
            suffix = "ogg" if i % 2 else "wav"
        path = folder / f"{i:05d}.{suffix}"
        soundfile.write(path, x, RATE)
        return str(path)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = list(pool.map(write, range(n)))
    side = ["train"] * (n - planted) + ["test"] * planted
    label = [f"label{i % 10}" for i in range(n)]
    return pd.DataFrame({"path": paths, "label": label, "split": side})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000, help="tracks")
    parser.add_argument("--planted", type=int, default=20, help="replicas among them")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a track")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = write_tracks(Path(folder), options.n, options.planted, options.seconds)
        start, cpu = time.perf_counter(), time.process_time()
        report = audit(clips, workers=options.workers)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    first = options.n - options.planted
    expected = {(f"{i:05d}", f"{first + i:05d}") for i in range(options.planted)}
    right = report.leaks[(report.leaks["lag_seconds"] + 1).abs() < 0.05]
    found = set(zip(right["a"], right["b"], strict=True)) & expected
    for pairs in (report.leaks, report.related):
        for a, b, lag, overlap, similarity in pairs[
            ["a", "b", "lag_seconds", "overlap_seconds", "similarity"]
        ].itertuples(index=False):
            if (a, b) not in found:
                message = f"{a} {b}: lag {lag:.3f} s, {overlap:.2f} s, similarity {similarity:.2f}"
                print(message, file=sys.stderr)
    row = {
        "bench": f"audit of {options.n} tracks of {options.seconds:g} s",
        "ours_seconds": round(seconds, 1),
        "n": options.n,
        "threads": options.workers,
        "cpu_seconds": round(cpu, 1),
        "planted": options.planted,
        "found": len(found),
        "false": len(report.leaks) + len(report.related) - len(found),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()

"""Block permutation and bootstrap of all targets against a plain loop over resamples.

python -P benchmarks/resampling.py [--targets 20000] [--resamples 10000] [--threads 2]

Six runs of ten clips of ten volumes. Clips within runs are permuted with the maximum over targets,
or drawn with replacement, 180 regions in both. The loop, which indexes rows and correlates
columns, does a few resamples; its time is extrapolated to all of them and the line says so.
Ours is timed whole, the drawing of seeds included. ``max_error``: of the null maximum's p against
the loop's, and of interval ends against the loop's, for the few resamples.
"""

import argparse
import json
import time

import numpy as np
from threadpoolctl import threadpool_limits

from encoding import block_bootstrap, permutation_test

RUNS = np.repeat(np.arange(6), 100)
BLOCKS = np.repeat(np.arange(60), 10)


def correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))


def draws(seed: int, permute: bool):
    """Rows of resample 0, 1, ..."""
    for i in range(10**9):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,)))
        chosen = [10 * r + (rng.permutation(10) if permute else rng.integers(10, size=10))
                  for r in range(6)]  # fmt: skip
        yield (np.concatenate(chosen)[:, None] * 10 + np.arange(10)).ravel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=20_000)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--few", type=int, default=10, help="resamples of the plain loop")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((600, given.targets), dtype=np.float32)
    P = 0.05 * Y + rng.standard_normal((600, given.targets), dtype=np.float32)
    regions = rng.integers(180, size=given.targets).astype(str)
    common = {"regions": regions, "n_jobs": given.threads}
    tests = {
        "permutation": (permutation_test, "n_permutations"),
        "bootstrap": (block_bootstrap, "n_resamples"),
    }
    for name, (function, count) in tests.items():
        few = function(
            P, Y, RUNS, BLOCKS, **{count: given.few}, **common
        )  # compiled code is loaded
        start = time.perf_counter()
        function(P, Y, RUNS, BLOCKS, **{count: given.resamples}, **common)
        ours = time.perf_counter() - start

        with threadpool_limits(given.threads):
            start = time.perf_counter()
            rows = draws(0, name == "permutation")
            if name == "permutation":
                loop = np.array([correlate(P[next(rows)], Y) for _ in range(given.few)])
            else:
                taken = (next(rows) for _ in range(given.few))
                loop = np.array([correlate(P[r], Y[r]) for r in taken])
            peer = (time.perf_counter() - start) * given.resamples / given.few
        if name == "permutation":
            reached = (loop.max(1)[:, None] >= correlate(P, Y)).sum(0)
            error = np.abs(few.p_max - (reached + 1) / (given.few + 1)).max()
        else:
            error = np.abs(few.interval - np.percentile(loop, [2.5, 97.5], axis=0).T).max()
        line = {
            "bench": f"block {name} v{given.targets} resamples{given.resamples}",
            "ours_seconds": round(ours, 2),
            "peer": "plain numpy loop",
            "peer_seconds": round(peer, 1),
            "peer_extrapolated": True,
            "ratio": round(peer / ours, 1),
            "max_error": float(f"{error:.2e}"),
            "n": given.resamples,
            "threads": given.threads,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

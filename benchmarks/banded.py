"""A candidate's cost in banded ridge: ours against himalaya's random search, same data and folds.

python -P benchmarks/banded.py [--targets 2000] [--features 100] [--bands 4] [--threads 1]

The peer is himalaya's solver with less work at the given shape: group ridge (primal) or multiple
kernels (dual). It compares every candidate by cross-validation and refits; ours screens all by
GCV and compares a few, all of which is in its time. Seconds are per candidate, peer and ours in
turn. ``max_error``: by how much mean held-out R2 falls short of the peer's for as many
candidates as the peer was given (negative: ours is higher).
"""

import argparse
import json
import time

import numpy as np
from himalaya.kernel_ridge import MultipleKernelRidgeCV
from himalaya.ridge import GroupRidgeCV
from himalaya.scoring import r2_score
from sklearn.model_selection import LeaveOneGroupOut
from threadpoolctl import threadpool_limits

from encoding.banded import BandedRidgeCV


def make_data(given, rng):
    """Training and test rows; each target follows two bands at a strength of its own."""
    p, v, n = given.features * given.bands, given.targets, given.samples
    bands = np.repeat(np.arange(given.bands), given.features)
    X = rng.standard_normal((2 * n, p)).astype(np.float32)
    weights = rng.standard_normal((p, v)).astype(np.float32)
    share = rng.dirichlet(np.full(given.bands, 0.5), v).T  # (n_bands, n_targets)
    signal = X @ (weights * np.sqrt(share)[bands]) / np.sqrt(given.features)
    Y = signal * np.linspace(0, 2, v) + rng.standard_normal((2 * n, v))
    Y = Y.astype(np.float32)
    return X[:n], Y[:n], X[n:], Y[n:], bands


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=900)
    parser.add_argument("--features", type=int, default=100, help="of a band")
    parser.add_argument("--bands", type=int, default=4)
    parser.add_argument("--targets", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=100, help="ours")
    parser.add_argument("--peer-candidates", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    X, Y, X_test, Y_test, bands = make_data(given, np.random.default_rng(0))
    runs = np.arange(given.samples) * given.runs // given.samples
    splits = list(LeaveOneGroupOut().split(X, groups=runs))
    alphas = np.logspace(-3, 5, 10)
    solver = {
        "n_iter": given.peer_candidates,
        "alphas": alphas,
        "progress_bar": False,
        "n_targets_batch": 1000,
        "score_func": r2_score,
    }
    centred = X - X.mean(0)
    scaled, scaled_test = (a / np.sqrt(given.features) for a in (centred, X_test - X.mean(0)))
    mean = Y.mean(0)
    with threadpool_limits(given.threads):
        model = BandedRidgeCV(bands, alphas, n_candidates=given.candidates)
        start = time.perf_counter()
        model.fit(X, Y, groups=runs)
        ours = (time.perf_counter() - start) / given.candidates

        start = time.perf_counter()
        if X.shape[1] < len(X):
            peer = GroupRidgeCV(
                groups=bands,
                cv=splits,
                solver_params={**solver, "warn": False},
                fit_intercept=False,
                random_state=0,
            ).fit(scaled, Y - mean)
            predicted = peer.predict(scaled_test)
        else:
            columns = [bands == b for b in range(given.bands)]
            kernels = np.stack([scaled[:, c] @ scaled[:, c].T for c in columns])
            peer = MultipleKernelRidgeCV(
                kernels="precomputed",
                solver="random_search",
                cv=splits,
                solver_params={**solver, "n_alphas_batch": 5},
                random_state=0,
            ).fit(kernels, Y - mean)
            new = np.stack([scaled_test[:, c] @ scaled[:, c].T for c in columns])
            predicted = peer.predict(new)
        theirs = (time.perf_counter() - start) / given.peer_candidates

        few = BandedRidgeCV(bands, alphas, n_candidates=given.peer_candidates)
        few.fit(X, Y, groups=runs)
    shortfall = np.mean(r2_score(Y_test, predicted + mean)) - few.score(X_test, Y_test)
    line = {
        "bench": f"banded n{given.samples} p{X.shape[1]} bands{given.bands} v{given.targets}, "
        "seconds a candidate",
        "ours_seconds": round(ours, 4),
        "peer": f"himalaya {type(peer).__name__}",
        "peer_seconds": round(theirs, 4),
        "ratio": round(theirs / ours, 1),
        "max_error": round(float(shortfall), 5),
        "n": given.candidates,
        "threads": given.threads,
        "peer_n": given.peer_candidates,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()

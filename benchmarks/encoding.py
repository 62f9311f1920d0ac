"""Ridge with run-wise cross-validation against himalaya: same folds, alphas and threads.

python -P benchmarks/encoding.py [--targets 5000] [--features 400] [--threads 1]
"""

import argparse
import json
import time

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from himalaya.scoring import r2_score
from sklearn.model_selection import LeaveOneGroupOut
from threadpoolctl import threadpool_limits

from encoding.ridge import kfold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1800)
    parser.add_argument("--features", type=int, default=400)
    parser.add_argument("--targets", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    n, p, v = given.samples, given.features, given.targets
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)).astype(np.float32)
    X = (X - X.mean(0)) / np.sqrt(p)
    weights = rng.standard_normal((p, v)).astype(np.float32)
    # From nothing to a strong signal, so that targets choose different alphas.
    Y = X @ weights * np.linspace(0, 2, v, dtype=np.float32)
    Y += rng.standard_normal((n, v)).astype(np.float32)
    Y -= Y.mean(0)
    alphas = np.logspace(-3, 5, 10)
    runs = np.repeat(np.arange(given.runs), -(-n // given.runs))[:n]
    splits = list(LeaveOneGroupOut().split(X, groups=runs))

    with threadpool_limits(given.threads):
        start = time.perf_counter()
        scores = kfold.cv_scores(X, Y, alphas, splits)
        best = alphas[np.argmax(scores, 0)]
        kfold.fit(X, Y, best)
        ours = time.perf_counter() - start

        settings = {"score_func": r2_score, "warn": False}
        if p < n:
            peer = RidgeCV(alphas=alphas, fit_intercept=True, cv=splits, solver_params=settings)
        else:
            peer = KernelRidgeCV(alphas=alphas, cv=splits, solver_params=settings)
        start = time.perf_counter()
        peer.fit(X, Y)
        theirs = time.perf_counter() - start

    print(
        json.dumps(
            {
                "bench": f"ridge n{n} p{p} v{v} runs{given.runs}",
                "ours_seconds": round(ours, 2),
                "peer": f"himalaya {type(peer).__name__}",
                "peer_seconds": round(theirs, 2),
                "ratio": round(theirs / ours, 2),
                "max_error": float(np.abs(scores.max(0) - np.ravel(peer.cv_scores_)).max()),
                "same_alpha": float(np.mean(np.isclose(best, peer.best_alphas_))),
                "n": n,
                "threads": given.threads,
            }
        )
    )


if __name__ == "__main__":
    main()

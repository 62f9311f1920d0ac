"""Ridge with run-wise cross-validation against himalaya and scikit-learn: same folds and threads.

python -P benchmarks/encoding.py [dual primal long nested sklearn] [--threads 1] [--targets 5000]

Prints one JSON line a case. Ours and the peer's runs alternate and the fastest of each counts
(--repeats); max_error (of scores) and same_alpha are against the peer in float64 ("nested": as it
runs), peer_same_alpha is how often the peer in float32 agrees with itself in float64. "nested"
times the peer on --outer of its outer folds and scales up. "sklearn" is the loop that scikit-learn
leaves to its users where every target has an alpha of its own by run: GridSearchCV over Ridge, a
fit a target, alpha and run, at a size that it finishes.
The full job has a script of its own, `encoding_job.py`.
"""

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from himalaya.scoring import r2_score
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from threadpoolctl import threadpool_limits

from encoding.ridge.kfold import cv_fit
from encoding.ridge.nested import nested_cv


@dataclass(frozen=True)
class Case:
    n: int
    p: int
    targets: int
    runs: int
    n_alphas: int


CASES = {
    "dual": Case(1800, 2000, 20_000, 5, 10),
    "primal": Case(1800, 400, 20_000, 5, 10),
    "long": Case(4800, 1024, 2_000, 12, 20),
    "nested": Case(1800, 2000, 2_000, 18, 10),
    "sklearn": Case(600, 200, 50, 5, 10),
}
_JUDGED = 2000  # targets whose alphas and scores are compared with the peer's in float64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--targets", type=int, help="instead of the case's own number")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--outer", type=int, default=2)
    given = parser.parse_args()
    for name in given.cases:
        case = CASES[name]
        v = given.targets or case.targets
        with threadpool_limits(given.threads):
            if name == "nested":
                result = nested(case, v, given.outer)
            elif name == "sklearn":
                result = loop(case, v)
            else:
                result = kfold(case, v, given.repeats)
        label = f"ridge {name} n{case.n} p{case.p} v{v} runs{case.runs} alphas{case.n_alphas}"
        line = {"bench": label, **result, "n": case.n, "threads": given.threads}
        print(json.dumps(line), flush=True)


def data(case: Case, v: int) -> tuple[np.ndarray, ...]:
    """Features, targets from no signal to a strong one, run labels, alphas."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((case.n, case.p), np.float32)
    X = (X - X.mean(0)) / np.float32(np.sqrt(case.p))
    Y = X @ rng.standard_normal((case.p, v), np.float32) * np.linspace(0, 2, v, dtype=np.float32)
    Y += rng.standard_normal((case.n, v), np.float32)
    Y -= Y.mean(0)
    runs = np.arange(case.n) * case.runs // case.n
    return X, Y, runs, np.logspace(-3, 5, case.n_alphas)


def leave_one_out(X, runs) -> list:
    return list(LeaveOneGroupOut().split(X, groups=runs))


def peer_for(X, alphas, splits):
    if X.shape[1] < len(X):
        settings = {"score_func": r2_score, "warn": False}
        return RidgeCV(alphas=alphas, fit_intercept=True, cv=splits, solver_params=settings)
    settings = {"score_func": r2_score}
    return KernelRidgeCV(alphas=alphas, fit_intercept=True, cv=splits, solver_params=settings)


def timed(work) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def compared(ours, theirs, peer, max_error, same_alpha) -> dict:
    return {
        "ours_seconds": round(ours, 4 if ours < 1 else 2),
        "peer": peer if isinstance(peer, str) else f"himalaya {type(peer).__name__}",
        "peer_seconds": round(theirs, 2),
        "ratio": round(theirs / ours, 2),
        "max_error": float(max_error),
        "same_alpha": float(same_alpha),
    }


def kfold(case: Case, v: int, repeats: int) -> dict:
    """Scores, alphas and weights on all rows."""
    X, Y, runs, alphas = data(case, v)
    splits = leave_one_out(X, runs)
    peer = peer_for(X, alphas, splits)
    ours = theirs = np.inf
    for _ in range(repeats):
        seconds, (scores, best, _, _) = timed(lambda: cv_fit(X, Y, alphas, splits))
        ours = min(ours, seconds)
        theirs = min(theirs, timed(lambda: peer.fit(X, Y))[0])
    # Accuracy against the peer in float64: in float32 its own rounding decides near ties.
    some = np.unique(np.linspace(0, v - 1, _JUDGED).astype(int))
    exact = peer_for(X, alphas, splits).fit(X.astype(float), Y[:, some].astype(float))
    error = np.abs(scores.max(0)[some] - np.ravel(exact.cv_scores_)).max()
    same = np.mean(np.isclose(best[some], exact.best_alphas_))
    return compared(ours, theirs, peer, error, same) | {
        "peer_same_alpha": float(np.mean(np.isclose(peer.best_alphas_[some], exact.best_alphas_)))
    }


def loop(case: Case, v: int) -> dict:
    """Scores, alphas and weights, a grid search for each target."""
    X, Y, runs, alphas = data(case, v)
    splits = leave_one_out(X, runs)
    ours, (scores, best, _, _) = timed(lambda: cv_fit(X, Y, alphas, splits))

    def search(X, Y):
        grid = GridSearchCV(Ridge(), {"alpha": alphas}, cv=splits, scoring="r2")
        found = [grid.fit(X, y) and (grid.best_score_, grid.best_params_["alpha"]) for y in Y.T]
        return np.array(found).T

    theirs, _ = timed(lambda: search(X, Y))
    exact, chosen = search(X.astype(float), Y.astype(float))
    error = np.abs(scores.max(0) - exact).max()
    return compared(ours, theirs, "sklearn GridSearchCV", error, np.isclose(best, chosen).mean())


def nested(case: Case, v: int, n_outer: int) -> dict:
    """Held-out predictions of every run, alphas chosen inside."""
    X, Y, runs, alphas = data(case, v)
    ours, result = timed(lambda: nested_cv(X, Y, runs, alphas))
    outer = leave_one_out(X, runs)
    theirs, errors, same = 0.0, [], []
    for run, (train, test) in enumerate(outer[:n_outer]):
        peer = peer_for(X[train], alphas, leave_one_out(train, runs[train]))
        seconds, predicted = timed(lambda: peer.fit(X[train], Y[train]).predict(X[test]))  # noqa: B023
        theirs += seconds * len(outer) / n_outer
        agree = np.isclose(result.best_alphas[run], peer.best_alphas_)
        same.append(agree.mean())
        scores = [r2_score(Y[test], p) for p in (predicted, result.predictions[test])]
        errors.append(np.abs(scores[0] - scores[1])[agree].max())
    return compared(ours, theirs, peer, max(errors), np.mean(same)) | {"outer_timed": n_outer}


if __name__ == "__main__":
    main()

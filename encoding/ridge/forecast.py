"""Time and memory of a run, before it is begun."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from .gram import eigh
from .kfold import MEMORY
from .plan import METHODS, flops

_GEMM = 1200
_EIGH = 600
_READ = 1e9  # bytes a second, from a warm disk
_SLACK = 1.3  # for what is not counted: reading, scoring, copies


@dataclass(frozen=True)
class Forecast:
    """What fitting all layers will take, within a factor of two or so."""

    seconds: float
    bytes: float


def forecast(
    n: int,
    p: int,
    v: int,
    n_alphas: int,
    n_folds: int,
    n_layers: int,
    threads: int | None = None,
    memory: int = MEMORY,
    *,
    n_new: int = 0,
) -> Forecast:
    """Forecast of cross-validation and fit of `n_layers`, from half a second of timing.

    Parameters
    ----------
    n, p, v : rows, features of a layer (after delays), targets
    n_alphas, n_folds, n_layers : int
    threads : int, optional
        Default: all.
    memory : bytes for targets at work, as given to the fit
    n_new : int
        Rows predicted, kept in float32 for every layer and for the responses.
    """
    with threadpool_limits(threads):
        rate, cubic = _speed()
    held = np.diff(np.linspace(0, n, n_folds + 1).astype(int))
    folds = [(n - m, m) for m in held]
    work = min(flops(m, (n, p), v, n_alphas, folds, refit=True, eigh=cubic * rate) for m in METHODS)
    work += 2.0 * n_new * min(n, p) * v
    seconds = n_layers * (_SLACK * work / rate + 4 * n * v / _READ)
    rank = min(n - 1, p)
    # Kernel or features, vectors twice, small systems or maps of all folds.
    basis = 8 * (2 * min(n, p) ** 2 + 2 * n * p * (p < n)) + 12 * n * rank
    systems = 12 * n_alphas * float(np.sum(held**2)) + 4 * n_alphas * v
    total = basis + systems + memory + 4.0 * n_new * v * (n_layers + 1)
    return Forecast(float(seconds), float(total))


def _speed() -> tuple[float, float]:
    """Flops a second of a float32 product, and seconds of an eigendecomposition over n^3."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((_GEMM, _GEMM), np.float32)
    a @ a  # wakes the threads
    gemm = _fastest(lambda: a @ a)
    gram = a[:_EIGH, :_EIGH].astype(np.float64)
    gram = gram @ gram.T
    return 2 * _GEMM**3 / gemm, _fastest(lambda: eigh(gram), 2) / _EIGH**3


def _fastest(work, times: int = 3) -> float:
    best = np.inf
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best

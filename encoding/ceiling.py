"""Noise ceilings from repeated presentations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .errors import InputError

_BATCH = 1024


@dataclass(frozen=True)
class NoiseCeiling:
    """How much of each target's response the stimulus can explain; arrays are (n_targets,).

    See `noise_ceiling` for the formulas. Nothing is clipped: on noise the powers and the
    explainable variance scatter about zero, and CC_max is NaN where signal power is not positive.
    """

    signal_power: np.ndarray
    noise_power: np.ndarray
    explainable_variance: np.ndarray
    cc_max_single: np.ndarray
    cc_max_mean: np.ndarray
    n_repeats: int


def noise_ceiling(Y, repeats=None, *, samples=None) -> NoiseCeiling:
    r"""Signal power, explainable variance and the highest correlation a model can reach.

    With N repeats r_n, their mean m and the variance Var over samples (ddof 1):

    - total power         TP = mean_n Var(r_n)
    - signal power        SP = (N Var(m) - TP) / (N - 1)          Sahani & Linden 2003, eq. 1
    - noise power         NP = TP - SP
    - explainable variance of one presentation  EV = SP / TP. It equals the usual
      EV_0 = Var(m) / TP = 1 - Var(r_n - m) / TP after the bias correction
      EV = EV_0 - (1 - EV_0) / (N - 1)                            Hsu et al. 2004, Schoppe 2016
    - CC_max of a single presentation  sqrt(SP / TP) = sqrt(EV)
    - CC_max of the mean of N          sqrt(SP / Var(m))          Schoppe et al. 2016, eq. 8

    Repeats that lie within one run share its slow noise, which passes for signal: high-pass
    first, resample by run for intervals, and say so. On pure noise expect EV of a few percent.

    Parameters
    ----------
    Y : (n_repeats, n_samples, n_targets), or (n_rows, n_targets) with the labels below
    repeats : (n_rows,) labels of the presentation, for 2-D Y
    samples : (n_rows,) labels of the stimulus sample, for 2-D Y
        Default: rows of each repeat are taken in the order given.

    Raises
    ------
    InputError
        Fewer than two repeats or two samples, or samples that lack a repeat.
    """
    Y = np.asanyarray(Y)
    if Y.ndim == 3:
        index = np.arange(Y.shape[0] * Y.shape[1]).reshape(Y.shape[:2])
        Y = Y.reshape(-1, Y.shape[2])
    elif Y.ndim == 2 and repeats is not None:
        index = repeat_grid(len(Y), repeats, samples)
    else:
        raise InputError(
            f"Y has shape {Y.shape}; give (n_repeats, n_samples, n_targets), or 2-D with repeats"
        )
    N, n = index.shape
    if N < 2 or n < 2:
        raise InputError(f"{N} repeats of {n} samples; a noise ceiling needs two of each")
    total, of_mean = np.empty(Y.shape[1]), np.empty(Y.shape[1])
    for start in range(0, Y.shape[1], _BATCH):
        columns = slice(start, start + _BATCH)
        block = np.asarray(Y[:, columns], np.float64)[index]  # (N, n, batch)
        total[columns] = block.var(1, ddof=1).mean(0)
        of_mean[columns] = block.mean(0).var(0, ddof=1)
    signal = (N * of_mean - total) / (N - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        explainable = np.where(total > 0, signal / total, np.nan)
        positive = np.where(signal > 0, signal, np.nan)
        return NoiseCeiling(
            signal_power=signal,
            noise_power=total - signal,
            explainable_variance=explainable,
            cc_max_single=np.sqrt(positive / total),
            cc_max_mean=np.sqrt(positive / of_mean),
            n_repeats=N,
        )


def repeat_grid(n_rows, repeats, samples) -> np.ndarray:
    """Row numbers (n_repeats, n_samples) of the presentations of every sample, samples sorted.

    Parameters
    ----------
    n_rows : int
    repeats, samples : (n_rows,) labels; samples None: rows of each repeat in the order given

    Raises
    ------
    InputError
        A sample lacks a repeat or has it twice.
    """
    repeats = pd.Series(np.asarray(repeats))
    if samples is None:
        samples = repeats.groupby(repeats).cumcount()
    samples = pd.Series(np.asarray(samples))
    if len(repeats) != n_rows or len(samples) != n_rows:
        raise InputError(
            f"{len(repeats)} repeats and {len(samples)} samples are labelled, Y has {n_rows} rows"
        )
    table = pd.DataFrame({"sample": samples, "repeat": repeats, "row": np.arange(n_rows)})
    if table.duplicated(["sample", "repeat"]).any():
        raise InputError("a sample occurs twice within a repeat; label samples uniquely")
    grid = table.pivot(index="repeat", columns="sample", values="row")
    if grid.isna().any(axis=None):
        lacking = int(grid.isna().any(axis=0).sum())
        raise InputError(
            f"{lacking} of {grid.shape[1]} samples lack one of {grid.shape[0]} repeats; "
            "keep the samples that have all"
        )
    return grid.to_numpy(int)

"""Recordings heard in several runs: whoever is held out must not have been taught by a copy.

Two clips cut from one recording drive nearly the same responses. Where they lie in different
runs, leaving a run out leaves its sound in, and scores rise with the capacity to memorise. So
rows that share a recording with the held-out rows are left out of training too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .design import delay
from .errors import InputError


def heard(recordings, runs, delays: Sequence[int] = (0,)) -> np.ndarray:
    """Recordings that each row of a delayed design draws on.

    Parameters
    ----------
    recordings : (n_rows,) labels, NaN or "" for none; or None
    runs : (n_rows,) labels
    delays : volumes

    Returns
    -------
    (n_rows, n_delays) int
        Numbers of recordings, -1 for none; (n_rows, 0) where recordings is None.

    Raises
    ------
    InputError
        Recordings are not one label a row.
    """
    if recordings is None:
        return np.empty((len(runs), 0), int)
    labels = pd.Series(np.asarray(recordings))
    if labels.shape != (len(runs),):
        raise InputError(f"recordings have shape {labels.shape}, expected ({len(runs)},)")
    codes = pd.factorize(labels.where(labels != ""))[0]
    # Zero means before the run's start, or none.
    return delay(codes[:, None] + 1, runs, delays) - 1


def companions(heard: np.ndarray, rows: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Which of `rows` share a recording with the rows held out: (len(rows),) bool."""
    known = np.unique(heard[held])
    return np.isin(heard[rows], known[known >= 0]).any(1)


def keep_apart(
    splits: Sequence[tuple[np.ndarray, np.ndarray]], heard: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Splits (train, held out) without the training rows that share a recording with held rows.

    Raises
    ------
    InputError
        No training row is left.
    """
    if not heard.shape[1]:
        return list(splits)
    apart = [(train[~companions(heard, train, held)], held) for train, held in splits]
    for (train, _), (left, _) in zip(splits, apart, strict=True):
        if len(train) and not len(left):
            raise InputError(
                "all training rows share recordings with the rows held out; leave out groups that "
                "share none, or give no recordings"
            )
    return apart

"""From events to a table with one row a volume."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..errors import InputError

# Times are rounded to a microsecond so that repeats of a clip carry equal times.
_DECIMALS = 6


def samples_from_events(
    events: pd.DataFrame, n_volumes: int | Mapping[str, int], tr: float
) -> pd.DataFrame:
    """Table of volumes from a table of events.

    Volume i starts at i * tr and belongs to the event with onset <= i * tr < next onset.

    Parameters
    ----------
    events : DataFrame
        Columns run, onset (s in the run), duration (s), clip_id; dummy (default False), split
        (default "train") and repeat (default: how often the clip has been heard in its run,
        dummies apart); others are kept.
    n_volumes : int or {run: int}
        Runs may differ in length.
    tr : float
        Repetition time in seconds.

    Returns
    -------
    DataFrame
        One row a volume, run after run in the order in which runs first appear. Volumes before
        a run's first onset have no clip (clip_id NaN) and are marked dummy.

    Raises
    ------
    InputError
        A column is missing, the volumes do not end within one TR of a run's last event, or
        dummies are there but not marked (`check_dummies`).
    """
    missing = {"run", "onset", "duration", "clip_id"} - set(events.columns)
    if missing:
        raise InputError(f"events lack the columns {sorted(missing)}; found {list(events.columns)}")
    if not tr > 0:
        raise InputError(f"tr is {tr}; give the repetition time in seconds")
    if "dummy" not in events:
        check_dummies(events)
    defaults = {"dummy": False, "split": "train"}
    events = events.assign(**{k: v for k, v in defaults.items() if k not in events})
    if "repeat" not in events:
        heard = events.sort_values("onset", kind="stable").groupby(["run", "clip_id", "dummy"])
        events["repeat"] = heard.cumcount() + 1
    tables = []
    for run, table in events.groupby("run", sort=False):
        table = table.sort_values("onset", kind="stable")
        if isinstance(n_volumes, Mapping):
            if run not in n_volumes:
                raise InputError(f"run {run}: number of volumes not given; add it to n_volumes")
            count = n_volumes[run]
        else:
            count = n_volumes
        onset = table["onset"].to_numpy(float)
        end = float((onset + table["duration"].to_numpy(float)).max())
        if abs(count * tr - end) > tr * (1 + 1e-6):
            raise InputError(
                f"run {run}: found {count} volumes of {tr:g} s, expected {math.ceil(end / tr)} for "
                f"events that end at {end:g} s; check tr, the run's events or its images"
            )
        start = np.arange(count) * tr
        event = np.searchsorted(onset, start + 1e-6 * tr, side="right") - 1
        rows = table.iloc[np.maximum(event, 0)].reset_index(drop=True)
        rows["time"] = np.round(np.maximum(start - onset[np.maximum(event, 0)], 0), _DECIMALS)
        before = event < 0
        if before.any():
            rows["clip_id"] = rows["clip_id"].astype(object)
            rows.loc[before, "clip_id"] = np.nan
            rows["dummy"] = rows["dummy"].to_numpy(bool) | before
        tables.append(rows)
    samples = pd.concat(tables, ignore_index=True)
    first = ["run", "clip_id", "repeat", "time", "dummy", "split"]
    others = [c for c in samples.columns if c not in (*first, "onset", "duration")]
    samples = samples[first + others]
    return samples.astype({"repeat": int, "dummy": bool})


def check_dummies(events: pd.DataFrame) -> None:
    """Refuse events whose runs open with a dummy that is not marked as one.

    The sign: in each of several runs the first clip is heard exactly once more in the whole
    experiment than every clip of the run that opens none. Unmarked, such a clip lies in
    two runs, so that leaving a run out leaves its sound in.

    Parameters
    ----------
    events : DataFrame with columns run, onset and clip_id

    Raises
    ------
    InputError
    """
    table = events.sort_values("onset", kind="stable")
    opening = table.groupby("run", sort=False)["clip_id"].first()
    heard = table["clip_id"].value_counts()
    if len(opening) < 2 or opening.isna().any():
        return
    for run, clips in table.groupby("run", sort=False)["clip_id"]:
        others = heard[clips[~clips.isin(opening)].unique()]
        if not len(others) or not (others + 1 == heard[opening[run]]).all():
            return
    raise InputError(
        f"events: the first clip of every run (as {opening.iloc[0]} of {opening.index[0]}) is "
        "heard once more than the other clips, like a dummy, but none is marked; add a column "
        "dummy (true for these events, or false if they count)"
    )


def repetition_time(samples: pd.DataFrame) -> float:
    """Seconds between consecutive volumes, read from `time` within presentations."""
    step = samples["time"].diff().to_numpy()
    same = samples["run"].eq(samples["run"].shift()) & samples["clip_id"].eq(
        samples["clip_id"].shift()
    )
    step = step[same.to_numpy() & (step > 0)]
    if not len(step):
        raise InputError("samples have no two consecutive volumes of a clip: the TR is unknown")
    return float(np.median(step))

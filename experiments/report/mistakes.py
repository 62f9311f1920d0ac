"""Clips that a classifier got wrong though it was sure, to be listened to."""

import re
from pathlib import Path

import pandas as pd

from experiments.report.records import Sound
from experiments.report.wording import percent
from stimuli import load_clips

N = 4


def confident_mistakes(folder: Path, n: int = N) -> list[Sound]:
    """The `n` wrong clips with the highest probability of the class that was given, highest first.

    Parameters
    ----------
    folder : Path
        With ``predictions.csv``, whose columns ``p(CLASS)`` are probabilities, and ``clips.csv``,
        there or, of a cross-validation, in the folder of a fold.
    n : int

    Returns
    -------
    list of Sound, empty where either is missing; clips that are not in the table are left out

    Raises
    ------
    InputError
        If ``clips.csv`` is damaged.
    """
    table = next(iter([*folder.glob("clips.csv"), *sorted(folder.glob("*/clips.csv"))]), None)
    if table is None or not (folder / "predictions.csv").exists():
        return []
    rows = pd.read_csv(
        folder / "predictions.csv", dtype=dict.fromkeys(("clip_id", "label", "predicted"), str),
        keep_default_na=False,
    )  # fmt: skip
    classes = [name for name in rows if re.fullmatch(r"p\(.*\)", name)]
    if not classes or not {"clip_id", "label", "predicted"} <= set(rows):
        return []
    wrong = rows[rows["label"] != rows["predicted"]]
    sure = wrong[classes].apply(pd.to_numeric, errors="coerce").max(axis=1)
    wrong = wrong.assign(sure=sure).dropna(subset="sure")
    wrong = wrong.sort_values(["sure", "clip_id"], ascending=[False, True])
    wrong = wrong.drop_duplicates("clip_id")
    clips = load_clips(table, files=False).drop_duplicates("clip_id").set_index("clip_id")
    return [
        Sound(
            path=clip["path"],
            clip_id=row.clip_id,
            start=_known(clip["start"]),
            end=_known(clip["end"]),
            role=f"{row.label}, taken for {row.predicted} ({percent(row.sure)})",
        )
        for row in wrong[wrong["clip_id"].isin(clips.index)].head(n).itertuples()
        for clip in [clips.loc[row.clip_id]]
    ]


def _known(seconds) -> float | None:
    return None if pd.isna(seconds) else float(seconds)

"""Clip tables from whatever a person names: a table, a folder, a copy of GTZAN, the experiment."""

from pathlib import Path

import pandas as pd

from stimuli import InputError, ds003720, gtzan, load_clips
from stimuli.orders import ORDER_FILES
from stimuli.splits import grouped_holdout


def is_bids(folder: Path) -> bool:
    """Whether a folder is the root of a BIDS data set."""
    return (Path(folder) / "dataset_description.json").is_file()


def is_gtzan(folder: Path) -> bool:
    """Whether a folder holds tracks named as GTZAN's, in folders of its genres."""
    try:
        tracks = gtzan.track_files(folder)
    except InputError:
        return False
    return any(gtzan.is_track(track) for track in tracks)


def read_presentations(bids: Path | None, orders: Path | None, tracks: Path | None) -> pd.DataFrame:
    """Presentation table from one of its sources; neither means ds003720 as published.

    Raises
    ------
    InputError
        If both are given, or as `stimuli.ds003720`.
    """
    if bids is not None and orders is not None:
        raise InputError("--bids and --orders name two sources of one order; give one of them")
    if bids is not None:
        return ds003720.load(bids, tracks)
    return ds003720.load_orders(orders, tracks)


def read_clips(
    source: Path, tracks: Path | None = None, index: Path | None = None, files: bool = True
) -> pd.DataFrame:
    """Clip table of a path.

    Parameters
    ----------
    source : Path
        A CSV; a folder of `cortexnet stimuli prepare`; a BIDS root of ds003720 or a folder with its
        MATLAB lists (their distinct clips); a copy of GTZAN; any folder of folders.
    tracks : Path, optional
        GTZAN, for the clips of an experiment; their paths are "" without it.
    index : Path, optional
        Artists and titles of GTZAN.
    files : bool
        Whether the files of a CSV must exist.

    Returns
    -------
    DataFrame of clips
    """
    source = Path(source)
    if is_bids(source):
        return ds003720.unique_clips(ds003720.load(source, tracks))
    if any((source / file).is_file() for file, _ in ORDER_FILES.values()):
        return ds003720.unique_clips(ds003720.load_orders(source, tracks))
    if (source / "manifest.csv").is_file():
        return load_clips(source / "manifest.csv", files)
    if source.is_dir() and is_gtzan(source):
        return gtzan.load(source, index)
    return load_clips(source, files)


def with_test(clips: pd.DataFrame, fraction: float, seed: int) -> pd.DataFrame:
    """The table's own test clips, or where it has none a share of the groups of every label."""
    split = clips["split"].fillna("").astype(str).to_numpy(object, copy=True)
    if not (split == "test").any():
        # What is marked as a leak holds the recording of a test clip of the table's own.
        split[grouped_holdout(clips, fraction, seed)[1]] = "test"
    return clips.assign(split=split)

"""Splits that never put one group (track, recording), or one artist, on both sides."""

from itertools import combinations

import numpy as np
import pandas as pd

from stimuli.errors import InputError
from stimuli.recordings import connected


def split_units(clips, by=("group",)) -> np.ndarray:
    """What a split must keep whole: clips that share a value, directly or through other clips.

    Parameters
    ----------
    clips : DataFrame
        With group and the columns of `by`.
    by : str or sequence of str
        Columns to keep whole beside group, for instance "artist", in which an empty cell is unknown
        and shares nothing.

    Returns
    -------
    (n_clips,) object array
        Group of the first clip of the unit.

    Raises
    ------
    InputError
        If a column is absent or empty throughout.
    """
    columns = ["group", *([by] if isinstance(by, str) else by)]
    pairs = []
    for column in dict.fromkeys(columns):
        values = clips[column] if column in clips else pd.Series("", clips.index)
        known = values.notna() & ((values != "") | (column == "group"))
        if not known.any():
            remedy = "; load GTZAN with its index of artists" if column == "artist" else ""
            raise InputError(
                f"no clip has a value in column '{column}', so a split cannot keep it whole; fill "
                f"it in or split by another column{remedy}"
            )
        row = np.flatnonzero(known)
        code, first = pd.factorize(values.to_numpy()[row])[0], {}
        pairs += [(first.setdefault(c, r), r) for c, r in zip(code, row, strict=True)]
    return clips["group"].to_numpy(object)[connected(pairs, len(clips))]


def _check_labels(clips, n_groups, purpose):
    by_label = clips.groupby("label")["group"]
    single = by_label.size().loc[lambda n: n == 1]
    if len(single):
        raise InputError(
            f"label '{single.index[0]}' has a single clip, so {purpose} is impossible; "
            "add clips of it or leave it out"
        )
    few = by_label.nunique().loc[lambda n: n < n_groups]
    if len(few):
        raise InputError(
            f"label '{few.index[0]}' has {few.iloc[0]} group(s), fewer than the {n_groups} needed "
            f"for {purpose}; use fewer folds, add tracks of it or leave it out"
        )


def grouped_folds(clips, n_folds, seed=0, by=("group",)) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds for cross-validation, stratified by label, with groups kept whole.

    Parameters
    ----------
    clips : DataFrame
        With label and group.
    n_folds : int
    seed : int
    by : str or sequence of str
        More to keep whole beside the groups, as in `split_units`: "artist" makes artist-aware
        folds.

    Returns
    -------
    list of (train, test)
        Positions of rows, ascending; each clip is tested once.

    Raises
    ------
    InputError
        If a label has a single clip or fewer groups than there are folds, or a column of `by` is
        absent or empty.
    """
    # Imported here: scikit-learn takes longer to import than most uses of this package take to run.
    from sklearn.model_selection import StratifiedGroupKFold

    if n_folds < 2:
        raise InputError(f"{n_folds} fold(s) asked for; cross-validation needs at least 2")
    clips = clips.assign(group=split_units(clips, by))
    _check_labels(clips, n_folds, f"{n_folds} folds")
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    label, group = clips["label"].to_numpy(), clips["group"].to_numpy()
    folds = list(splitter.split(label, label, group))
    check_disjoint(clips, *(test for _, test in folds))
    return folds


def grouped_holdout(clips, fraction, seed=0, by=("group",)) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share of every label, with groups kept whole.

    A group with several labels counts for the one it has most of. A label with one group stays in
    the training part; any other is on both sides.

    Parameters
    ----------
    clips : DataFrame
        With label and group.
    fraction : float
        Share of the clips of each label to hold out, between 0 and 1; the nearest that whole
        groups allow.
    seed : int
    by : str or sequence of str
        As for `grouped_folds`.

    Returns
    -------
    train, held_out : int arrays
        Positions of rows, ascending.

    Raises
    ------
    InputError
        If `fraction` is not between 0 and 1, a label has a single clip, no label has two groups, or
        a column of `by` is absent or empty.
    """
    if not 0 < fraction < 1:
        raise InputError(f"held-out fraction is {fraction}; it must lie between 0 and 1")
    clips = clips.assign(group=split_units(clips, by))
    _check_labels(clips, 1, "a held-out part")
    rng = np.random.default_rng(seed)
    sizes = clips.groupby(["group", "label"]).size().unstack(fill_value=0)
    main_label = sizes.idxmax(axis=1)
    held_out = []
    for label in sizes.columns:
        groups = sizes.index[main_label == label]
        if len(groups) < 2:
            continue
        groups = groups[rng.permutation(len(groups))]
        count = sizes.loc[groups].sum(axis=1).cumsum().to_numpy()
        wanted = fraction * count[-1]
        nearest = int(np.argmin(np.abs(count[:-1] - wanted)))
        held_out.extend(groups[: nearest + 1])
    if not held_out:
        raise InputError("every label has a single group, so nothing can be held out; add tracks")
    out = clips["group"].isin(held_out).to_numpy()
    return np.flatnonzero(~out), np.flatnonzero(out)


def check_disjoint(clips, *index_sets) -> None:
    """Refuse sets of rows that share a group.

    Parameters
    ----------
    clips : DataFrame
        With group.
    *index_sets : int arrays
        Positions of rows.

    Raises
    ------
    InputError
        Naming a group that is in two of the sets.
    """
    group = clips["group"].to_numpy()
    for a, b in combinations(index_sets, 2):
        shared = set(group[np.asarray(a, int)]) & set(group[np.asarray(b, int)])
        if shared:
            raise InputError(
                f"group '{min(shared)}' is on two sides of a split ({len(shared)} such)"
            )

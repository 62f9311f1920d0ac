"""No split puts a group on both sides, whatever the groups look like."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stimuli import InputError, grouped_folds, grouped_holdout
from stimuli.splits import check_disjoint, split_units


@st.composite
def tables(draw, min_groups=2):
    sizes = draw(
        st.lists(
            st.lists(st.integers(1, 5), min_size=min_groups, max_size=8), min_size=1, max_size=4
        )
    )
    rows = [
        (f"label{label}", f"{label}.{group}")
        for label, groups in enumerate(sizes)
        for group, size in enumerate(groups)
        for _ in range(size)
    ]
    order = draw(st.permutations(range(len(rows))))
    return pd.DataFrame([rows[i] for i in order], columns=["label", "group"])


@settings(max_examples=40, deadline=None)
@given(tables(min_groups=3), st.integers(2, 3), st.integers(0, 5))
def test_folds_keep_groups_whole_and_test_every_clip_once(clips, n_folds, seed):
    folds = grouped_folds(clips, n_folds, seed)
    assert len(folds) == n_folds
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(len(clips)))
    for train, test in folds:
        assert len(test) and not set(clips["group"].iloc[train]) & set(clips["group"].iloc[test])
        assert set(clips["label"].iloc[train]) == set(clips["label"])
        assert sorted([*train, *test]) == list(range(len(clips)))


@settings(max_examples=40, deadline=None)
@given(tables(), st.floats(0.05, 0.95), st.integers(0, 5))
def test_holdout_keeps_groups_whole_and_every_label_on_both_sides(clips, fraction, seed):
    train, held = grouped_holdout(clips, fraction, seed)
    check_disjoint(clips, train, held)
    assert sorted([*train, *held]) == list(range(len(clips)))
    for side in (train, held):
        assert set(clips["label"].iloc[side]) == set(clips["label"])


@st.composite
def tables_with_artists(draw):
    n = draw(st.integers(6, 30))
    group = [f"g{draw(st.integers(0, n))}" for _ in range(n)]
    artist = [draw(st.sampled_from(["", "", *(f"a{i}" for i in range(n))])) for _ in range(n)]
    label = [draw(st.sampled_from("ab")) for _ in range(n)]
    return pd.DataFrame({"label": label, "group": group, "artist": [*artist[1:], "known"]})


@settings(max_examples=30, deadline=None)
@given(tables_with_artists(), st.integers(2, 3), st.integers(0, 5))
def test_artist_aware_folds_share_neither_group_nor_artist(clips, n_folds, seed):
    try:
        folds = grouped_folds(clips, n_folds, seed, by="artist")
    except InputError as error:
        assert "single clip" in str(error) or "fewer than" in str(error)
        return
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(clips)))
    for train, test in folds:
        for column in ("group", "artist"):
            sides = (set(clips[column].iloc[rows]) - {""} for rows in (train, test))
            assert not set.intersection(*sides)


@settings(max_examples=30, deadline=None)
@given(tables_with_artists())
def test_units_are_those_found_by_walking_from_clip_to_clip(clips):
    rows = list(clips[["group", "artist"]].itertuples(index=False, name=None))

    def walk(start):
        reached, waiting = set(), [start]
        while waiting:
            i = waiting.pop()
            reached.add(i)
            waiting += [
                j
                for j, (group, artist) in enumerate(rows)
                if j not in reached
                and (group == rows[i][0] or (artist != "" and artist == rows[i][1]))
            ]
        return reached

    units = split_units(clips, ["artist"])
    for i in range(len(clips)):
        assert set(np.flatnonzero(units == units[i])) == walk(i)


def test_an_artist_in_two_recordings_joins_them_and_an_unknown_one_does_not():
    clips = pd.DataFrame(
        {"label": "x", "group": ["g1", "g1", "g2", "g3", "g4"], "artist": ["", "A", "A", "", ""]}
    )
    assert split_units(clips).tolist() == ["g1", "g1", "g2", "g3", "g4"]
    assert split_units(clips, "artist").tolist() == ["g1", "g1", "g1", "g3", "g4"]
    train, held = grouped_holdout(clips, 0.4, by="artist")
    assert len(set(train) & {0, 1, 2}) in (0, 3) and len(held)


def test_artist_aware_splits_need_artists():
    for clips in (_table(a=["x", "y"]), _table(a=["x", "y"]).assign(artist="")):
        with pytest.raises(InputError, match=r"no clip has a value in column 'artist'.*index"):
            grouped_folds(clips, 2, by="artist")
        with pytest.raises(InputError, match="no clip has a value in column 'artist'"):
            grouped_holdout(clips, 0.5, by=["artist"])


def _table(**groups):
    rows = [(label, g) for label, names in groups.items() for g in names]
    return pd.DataFrame(rows, columns=["label", "group"])


def test_folds_are_stratified_and_repeat_for_a_seed():
    clips = _table(**{label: [f"{label}{i}" for i in range(20)] for label in "abcde"})
    first, again, other = (grouped_folds(clips, 5, seed) for seed in (3, 3, 4))
    for (_, a), (_, b) in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
        assert clips["label"].iloc[a].value_counts().tolist() == [4] * 5
    assert any(not np.array_equal(a, b) for (_, a), (_, b) in zip(first, other, strict=True))


def test_holdout_takes_the_share_of_each_label_and_repeats_for_a_seed():
    clips = _table(**{label: [f"{label}{i}" for i in range(10)] for label in "abc"})
    _, held = grouped_holdout(clips, 0.2, 1)
    assert clips["label"].iloc[held].value_counts().tolist() == [2, 2, 2]
    np.testing.assert_array_equal(held, grouped_holdout(clips, 0.2, 1)[1])
    assert not np.array_equal(held, grouped_holdout(clips, 0.2, 2)[1])


def test_a_label_with_one_group_stays_in_training():
    clips = _table(a=["a0", "a1", "a2"], b=["b0", "b0"])
    _, held = grouped_holdout(clips, 0.5)
    assert set(clips["label"].iloc[held]) == {"a"}


def test_impossible_splits_say_which_label_and_why():
    with pytest.raises(InputError, match=r"label 'b' has 2 group.*fewer than the 3"):
        grouped_folds(_table(a=["a0", "a1", "a2"], b=["b0", "b1", "b1"]), 3)
    for split in (lambda c: grouped_folds(c, 2), lambda c: grouped_holdout(c, 0.5)):
        with pytest.raises(InputError, match="label 'b' has a single clip"):
            split(_table(a=["a0", "a1", "a2"], b=["b0"]))
    with pytest.raises(InputError, match="at least 2"):
        grouped_folds(_table(a=["a0", "a1"]), 1)
    with pytest.raises(InputError, match="between 0 and 1"):
        grouped_holdout(_table(a=["a0", "a1"]), 1.0)
    with pytest.raises(InputError, match="single group"):
        grouped_holdout(_table(a=["a0", "a0"]), 0.5)


def test_a_shared_group_is_named():
    clips = _table(a=["x", "y", "x"])
    check_disjoint(clips, [0, 2], [1])
    with pytest.raises(InputError, match="group 'x'"):
        check_disjoint(clips, [0], [1], [2])

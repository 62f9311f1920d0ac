"""Known pairs of GTZAN tracks are those of the published facts, and groups follow from them."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stimuli.excerpts import experiment_excerpts, is_experiment_excerpt, read_excerpts
from stimuli.recordings import connected, known_pairs, recording_groups


def test_there_are_fourteen_replicas_and_eighteen_other_pairs():
    pairs = known_pairs()
    assert list(pairs.columns) == ["a", "b", "kind"]
    assert pairs["kind"].value_counts().to_dict() == {"same recording": 18, "replica": 14}
    assert (pairs["a"] < pairs["b"]).all() and not pairs.duplicated(["a", "b"]).any()


def test_groups_connect_tracks_through_others_and_leave_absent_ones_out():
    crazy = ["pop.00037", "pop.00015", "pop.00021", "pop.00022"]
    assert set(recording_groups(crazy).values()) == {"pop.00015"}
    assert recording_groups(["jazz.00067"]) == {"jazz.00067": "jazz.00067"}
    # 54 and 60 are replicas, 52 is the same song.
    assert recording_groups(["pop.00054", "pop.00060", "rock.00001"]) == {
        "pop.00054": "pop.00054",
        "pop.00060": "pop.00054",
        "rock.00001": "rock.00001",
    }


def test_more_pairs_join_groups():
    groups = recording_groups(
        ["a", "jazz.00040", "jazz.00067", "z"], [("jazz.00067", "a"), ("z", "?")]
    )
    assert groups == {"a": "a", "jazz.00040": "a", "jazz.00067": "a", "z": "z"}


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=15),
        )
    )
)
def test_components_are_those_found_by_merging_sets(case):
    n, pairs = case
    sets = [{i} for i in range(n)]
    for a, b in pairs:
        merged = sets[a] | sets[b]
        for member in merged:
            sets[member] = merged
    assert connected(pairs, n).tolist() == [min(s) for s in sets]


def test_the_experiments_excerpts_have_its_sizes():
    table = experiment_excerpts()
    assert len(table) == table["track"].nunique() == 540
    genre = table["track"].str.split(".").str[0]
    assert genre[:480].value_counts().eq(48).all() and genre[480:].value_counts().eq(6).all()
    length = (table["end"] - table["start"]).round(2)
    assert length[length != 15].tolist() == [14.99]
    assert table["end"].max() == 30
    assert is_experiment_excerpt(table).all()
    assert not is_experiment_excerpt(table.assign(start=table["start"] + 0.01)).any()


def test_a_callers_change_of_the_excerpts_stays_his_own():
    table = experiment_excerpts()
    table["start"] = 0.0
    assert experiment_excerpts()["start"].max() > 14


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the header track, start, end; found nothing"),
        ("track,start,end\n", "line 1: expected the header"),
        ("track\tstart\tend\na\t1\n", "line 2: .* is no track, start and end"),
        ("track\tstart\tend\na\t1\tx\n", "line 2: .* is no track, start and end"),
        ("track\tstart\tend\na\t1\t2\n\na\t1\t2\n", "line 4: .* repeats a track"),
        ("track\tstart\tend\na\t2\t1\n", "line 2: .* 0 <= start < end"),
        ("track\tstart\tend\na\t0\tnan\n", "line 2: .* 0 <= start < end"),
    ],
)
def test_malformed_excerpts_are_refused_by_line(tmp_path, text, message):
    path = tmp_path / "excerpts.tsv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"excerpts\.tsv, {message}"):
        read_excerpts(path)


@pytest.mark.data
def test_the_pairs_are_those_of_the_published_list(data_dir):
    listed = pd.read_csv(data_dir / "gtzan" / "ds003720_shared_recordings.csv")
    kind = listed["kind"].map(
        {"exact replica": "replica", "same recording/title": "same recording"}
    )
    expected = listed.assign(kind=kind)[["a", "b", "kind"]].sort_values(["a", "b"])
    assert known_pairs().values.tolist() == expected.values.tolist()


@pytest.mark.data
def test_what_two_excerpts_of_a_replica_share_follows_from_their_times(data_dir):
    listed = pd.read_csv(data_dir / "gtzan" / "ds003720_shared_recordings.csv")
    listed = listed[listed["kind"] == "exact replica"]
    times = experiment_excerpts().set_index("track")
    a, b = (times.loc[listed[side]].reset_index(drop=True) for side in "ab")
    shared = a["end"].clip(upper=b["end"]) - a["start"].clip(lower=b["start"])
    assert (shared - listed["overlap_s"].reset_index(drop=True)).abs().max() < 0.02
    assert len(listed) == 14 and shared.min() > 4

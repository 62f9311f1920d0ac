"""The events of ds003720 become a presentation table, oddities and leaks included."""

import pandas as pd
import pytest

from stimuli import InputError, ds003720, write_audio
from stimuli.schema import COLUMNS

HEADER = "onset\tduration\tgenre\ttrack\tstart\tend"


def _bids(folder, runs, subjects=("001",)):
    """Events files from {"Training_run-01": [(genre, track, start, end), ...]}, 15 s apart."""
    for subject in subjects:
        func = folder / f"sub-{subject}" / "func"
        func.mkdir(parents=True)
        for run, rows in runs.items():
            lines = [HEADER] + [
                f"{15 * i}\t15\t'{genre}'\t{track}\t{start}\t{end}"
                for i, (genre, track, start, end) in enumerate(rows)
            ]
            (func / f"sub-{subject}_task-{run}_events.tsv").write_text("\r\n".join(lines))
    return folder


POP, JAZZ, ROCK = ("pop", 49, 9.59, 24.58), ("jazz", 67, 3.64, 18.64), ("rock", 1, 0, 15)
LEAK_PARTNER = ("jazz", 40, 14.3, 29.3)
RUNS = {
    "Training_run-01": [ROCK, POP],
    "Training_run-02": [POP, JAZZ, ROCK],
    "Test_run-01": [LEAK_PARTNER, LEAK_PARTNER, LEAK_PARTNER],
}
FIRST = "sub-001/func/sub-001_task-Training_run-01_events.tsv"


def test_a_table_has_one_row_an_event_in_the_named_columns(tmp_path):
    table = ds003720.load(_bids(tmp_path, RUNS, ["001", "002"]))
    added = ["onset", "duration", "dummy", "session", "leak", "fade"]
    assert list(table.columns) == [*COLUMNS, *added]
    assert table["fade"].eq(2.0).all()
    assert table["run"].tolist() == ["Training-01"] * 2 + ["Training-02"] * 3 + ["Test-01"] * 3
    assert table["clip_id"].tolist()[:2] == ["rock.00001_15s", "pop.00049_15s"]
    assert table["dummy"].tolist() == [True, False, True, False, False, True, False, False]
    assert table["position"].tolist() == [0, 1, 0, 1, 2, 0, 1, 2]
    assert table["repeat"].tolist() == [0, 1, 0, 1, 1, 0, 1, 2]
    assert table["split"].tolist() == ["train"] * 5 + ["test"] * 3
    assert table["track"].iloc[0] == table["group"].iloc[0] == "rock.00001"
    assert set(table["path"]) == {""} and set(table["artist"]) == {""}


def test_a_training_clip_leaks_only_if_its_partner_is_presented_as_test(tmp_path):
    table = ds003720.load(_bids(tmp_path / "a", RUNS))
    assert table.loc[table["leak"], "clip_id"].tolist() == ["jazz.00067_15s"]
    other = ("jazz", 41, 14.3, 29.3)
    table = ds003720.load(_bids(tmp_path / "b", RUNS | {"Test_run-01": [other, other]}))
    assert not table["leak"].any()
    shifted = ("jazz", 40, 1.0, 16.0)
    table = ds003720.load(_bids(tmp_path / "c", RUNS | {"Test_run-01": [shifted, shifted]}))
    assert not table["leak"].any()


def test_sessions_are_four_training_and_two_test_runs(tmp_path):
    runs = {f"Training_run-{r:02d}": [ROCK, ROCK] for r in range(1, 13)}
    runs |= {f"Test_run-{r:02d}": [LEAK_PARTNER] for r in range(1, 7)}
    table = ds003720.load(_bids(tmp_path, runs)).drop_duplicates("run")
    assert table["session"].tolist() == [1] * 4 + [2] * 4 + [3] * 4 + [1, 1, 2, 2, 3, 3]


def test_unique_clips_have_one_row_each_and_no_dummies(tmp_path):
    clips = ds003720.unique_clips(ds003720.load(_bids(tmp_path, RUNS)))
    assert clips["clip_id"].tolist() == [
        "pop.00049_15s",
        "jazz.00067_15s",
        "rock.00001_15s",
        "jazz.00040_15s",
    ]
    assert clips["position"].min() == 1 and clips["repeat"].eq(1).all()
    assert list(clips.columns) == [*COLUMNS, "session", "leak", "fade"]


@pytest.mark.parametrize("parent", ["genres", "genres_original", "."])
@pytest.mark.parametrize("suffix", [".wav", ".au"])
def test_tracks_are_found_in_the_usual_copies_of_gtzan(tmp_path, parent, suffix):
    bids = _bids(tmp_path / "bids", {"Training_run-01": [ROCK, ROCK]})
    folder = tmp_path / "gtzan" / parent / "rock"
    folder.mkdir(parents=True)
    with pytest.raises(InputError, match=r"no rock/rock\.00001"):
        ds003720.load(bids, tmp_path / "gtzan")
    write_audio(folder / f"rock.00001{suffix}", [0.0] * 100, 22050)
    table = ds003720.load(bids, tmp_path / "gtzan")
    assert set(table["path"]) == {str((folder / f"rock.00001{suffix}").resolve())}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no column 'onset'"),
        ("onset\tduration\tgenre\n0\t15\t'pop'", "line 1: no column 'track'"),
        (HEADER, "no events"),
        (f"{HEADER}\n0\t15\t'pop'\t1\t2", "line 2: 5 cells, expected 6"),
        (f"{HEADER}\n0\t15\t'pop'\t1\t2\t17\n15\t15\t'pop'\tone\t2\t17", "line 3: .*'one'"),
        (f"{HEADER}\n0\t15\t'pop'\t1\t17\t2", "line 2: .*start not before end"),
        (f"{HEADER}\n0\t15\t''\t1\t2\t17", "line 2: no genre"),
    ],
)
def test_malformed_events_are_refused_by_file_and_line(tmp_path, text, message):
    bids = _bids(tmp_path, {"Training_run-01": [ROCK, ROCK]})
    (bids / FIRST).write_text(text)
    with pytest.raises(InputError, match=rf"Training_run-01_events\.tsv.*{message}"):
        ds003720.load(bids)


def test_a_folder_without_events_is_refused(tmp_path):
    with pytest.raises(InputError, match="name the BIDS folder"):
        ds003720.load(tmp_path)


def test_subjects_that_disagree_are_refused(tmp_path):
    bids = _bids(tmp_path, RUNS, ["001", "002"])
    second = bids / FIRST.replace("001", "002")
    text = second.read_text()
    second.write_text(text.replace("9.59", "9.60"))
    with pytest.raises(InputError, match=r"sub-002.*differs from"):
        ds003720.load(bids)
    second.unlink()
    with pytest.raises(InputError, match="sub-002: no events of Training run 1"):
        ds003720.load(bids)


def test_other_experiments_are_refused_by_their_first_event(tmp_path):
    runs = RUNS | {"Training_run-02": [JAZZ, POP, ROCK]}
    with pytest.raises(InputError, match=r"run-02.*not the last clip of Training run 1"):
        ds003720.load(_bids(tmp_path, runs))


def test_one_clip_cannot_be_two_excerpts(tmp_path):
    runs = {"Training_run-01": [ROCK, ("rock", 1, 3, 18), ROCK]}
    with pytest.raises(InputError, match=r"rock\.00001_15s is presented with different"):
        ds003720.load(_bids(tmp_path, runs))


@pytest.fixture
def real(data_dir):
    return ds003720.load(data_dir / "ds003720")


@pytest.mark.data
def test_the_experiment_has_its_published_sizes(real):
    assert real.groupby("run").size().tolist() == [41] * 18
    heard = real[~real["dummy"]]
    clips = heard.drop_duplicates("clip_id")
    assert clips["split"].value_counts().to_dict() == {"train": 480, "test": 60}
    assert heard["track"].nunique() == 540
    counts = pd.crosstab(clips["label"], clips["split"])
    assert counts["train"].eq(48).all() and counts["test"].eq(6).all()
    assert (real["onset"] == 15 * real["position"]).all() and real["duration"].eq(15).all()
    # Ten volumes of 1.5 s a clip: the rows of the published training and test arrays.
    assert 10 * heard["split"].value_counts().to_dict()["train"] == 4800
    assert 10 * heard["split"].value_counts().to_dict()["test"] == 2400


@pytest.mark.data
def test_six_training_clips_leak_into_the_test(real):
    leaking = real[real["leak"] & ~real["dummy"]]
    assert sorted(leaking["track"]) == [
        "disco.00074",
        "hiphop.00069",
        "jazz.00043",
        "jazz.00067",
        "jazz.00070",
        "reggae.00044",
    ]
    assert set(leaking["split"]) == {"train"}


@pytest.mark.data
def test_the_leaking_clips_are_those_of_the_list_of_shared_recordings(real, data_dir):
    pairs = pd.read_csv(data_dir / "gtzan" / "ds003720_shared_recordings.csv")
    across = pairs[pairs["a_split"] != pairs["b_split"]]
    training = [row.b if row.b_split == "tr" else row.a for row in across.itertuples()]
    assert sorted(training) == sorted(real[real["leak"]]["track"].unique())


@pytest.mark.data
def test_rows_without_an_opening_quote_are_read_like_the_others(real):
    assert real["label"].nunique() == 10
    tail = real[real["run"] == "Training-04"].tail(3)
    assert tail["clip_id"].tolist() == ["classical.00037_15s", "jazz.00058_15s", "metal.00097_15s"]

"""The events of ds003720 become a presentation table, oddities and leaks included."""

from itertools import pairwise

import pandas as pd
import pytest

from stimuli import InputError, ds003720, grouped_folds, write_audio
from stimuli.excerpts import experiment_excerpts
from stimuli.recordings import known_pairs
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
    times = ["onset", "duration", "first_volume", "n_volumes"]
    added = ["dummy", "session", "leak", "fade", "file"]
    assert list(table.columns) == [*COLUMNS, *times, *added]
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


def test_recordings_are_known_only_for_the_excerpts_of_the_experiment(tmp_path):
    table = ds003720.load(_bids(tmp_path / "own", RUNS))
    assert set(table.loc[table["label"] == "jazz", "group"]) == {"jazz.00040"}
    # The same names, but cut elsewhere: this is other music, such as the miniature's.
    shifted = ("jazz", 40, 1.0, 16.0)
    table = ds003720.load(_bids(tmp_path / "other", RUNS | {"Test_run-01": [shifted, shifted]}))
    assert not table["leak"].any() and table["group"].equals(table["track"].rename("group"))


def test_rows_tell_the_volumes_and_the_clip_file(tmp_path):
    table = ds003720.load(_bids(tmp_path, RUNS))
    assert table["first_volume"].tolist() == [0, 10, 0, 10, 20, 0, 10, 20]
    assert table["n_volumes"].eq(10).all()
    assert table["file"].tolist() == [
        "",
        "Training_run-01-01_pop.00049_15s.wav",
        "",
        "Training_run-02-01_jazz.00067_15s.wav",
        "Training_run-02-02_rock.00001_15s.wav",
        "",
        "Test_run-01-01_jazz.00040_15s.wav",
        "Test_run-01-02_jazz.00040_15s.wav",
    ]


def _sidecar(bids, name, text):
    path = bids / "sub-001" / "func" / f"sub-001_task-{name}_bold.json"
    path.write_text(text)


def test_the_repetition_time_is_that_of_the_sidecars(tmp_path):
    bids = _bids(tmp_path, RUNS)
    assert ds003720.read_repetition_time(bids) == 1.5
    (bids / "task-Test_bold.json").write_text('{"TaskName": "Test"}')
    _sidecar(bids, "Training_run-01", '{"RepetitionTime": 3.0}')
    assert ds003720.load(bids)["first_volume"].tolist() == [0, 5, 0, 5, 10, 0, 5, 10]
    _sidecar(bids, "Training_run-02", '{"RepetitionTime": 1.5}')
    with pytest.raises(InputError, match=r"run-02_bold\.json: .* 1\.5 s, but .*run-01.* has 3 s"):
        ds003720.load(bids)
    for text, message in (
        ("{", "no readable scan parameters"),
        ("[1.5]", "no readable scan parameters"),
        ('{"RepetitionTime": [1]}', "no readable scan parameters"),
        ('{"RepetitionTime": -1}', "RepetitionTime is -1"),
    ):
        _sidecar(bids, "Training_run-02", text)
        with pytest.raises(InputError, match=rf"run-02_bold\.json: {message}"):
            ds003720.load(bids)


def test_events_off_the_grid_of_volumes_are_refused(tmp_path):
    bids = _bids(tmp_path, RUNS)
    _sidecar(bids, "Training_run-01", '{"RepetitionTime": 2}')
    with pytest.raises(InputError, match="15 s is no whole number of volumes of 2 s"):
        ds003720.load(bids)


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
    assert list(clips.columns) == [*COLUMNS, "session", "leak", "fade", "file"]
    assert clips["file"].iloc[3] == "Test_run-01-01_jazz.00040_15s.wav"


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
        (f"{HEADER}\n0\t15\t'../up'\t1\t2\t17", "line 2: no genre"),
        (f"{HEADER}\n0\t15\t'pop'\t-1\t2\t17", "line 2: .*no track number"),
        (f"{HEADER}\n0\tinf\t'pop'\t1\t2\t17", "line 2: .*duration"),
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
def test_all_event_files_give_the_shipped_excerpts_and_one_table(data_dir):
    files = sorted((data_dir / "ds003720").glob("sub-*/func/*_events.tsv"))
    assert len(files) == 90
    times = experiment_excerpts().set_index("track")[["start", "end"]]
    heard = set()
    for path in files:
        raw = path.read_bytes().decode()
        assert "\r\n" in raw and not raw.endswith("\n")
        events = pd.read_csv(path, sep="\t", float_precision="round_trip")
        assert len(events) == 41
        track = events["genre"].str.strip("'") + "." + events["track"].map("{:05d}".format)
        assert events[["start", "end"]].values.tolist() == times.loc[track].values.tolist()
        heard |= set(track)
    assert heard == set(times.index)


@pytest.mark.data
def test_blocks_of_ten_hold_all_genres_and_none_follows_itself(real):
    for run, table in real.groupby("run"):
        labels = table["label"].tolist()
        assert all(a != b for a, b in pairwise(labels))
        for first in range(1, 41, 10):
            assert len(set(labels[first : first + 10])) == 10
        if run.startswith("Test"):
            clips = table["clip_id"].tolist()
            assert clips[1:] == clips[1:11] * 4 and clips[0] == clips[-1]


@pytest.mark.data
def test_excerpts_at_the_end_of_a_track_and_the_short_one_are_kept(real):
    clips = ds003720.unique_clips(real).set_index("track")
    assert clips["end"].max() == 30 and clips["end"].idxmax() == "country.00079"
    length = (clips["end"] - clips["start"]).round(2)
    assert length[length != 15].to_dict() == {"pop.00049": 14.99}
    assert clips.at["pop.00049", "run"] == "Training-12"
    assert (real["first_volume"] == 10 * real["position"]).all() and real["n_volumes"].eq(10).all()
    sessions = real.groupby(["session", "split"])["run"].nunique().unstack()
    assert sessions["train"].tolist() == [4, 4, 4] and sessions["test"].tolist() == [2, 2, 2]


@pytest.mark.data
def test_training_clips_of_one_recording_share_a_group(real):
    clips = ds003720.unique_clips(real).set_index("track")
    side, group = clips["split"], clips["group"]
    pairs = known_pairs()
    within = pairs[(side[pairs["a"]] == "train").to_numpy() & (side[pairs["b"]] == "train").values]
    assert within["kind"].value_counts().to_dict() == {"same recording": 16, "replica": 10}
    assert group[pairs["a"]].tolist() == group[pairs["b"]].tolist()
    training = clips[side == "train"].reset_index()
    for train, test in grouped_folds(training, 5):
        assert not set(training["group"][train]) & set(training["group"][test])


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

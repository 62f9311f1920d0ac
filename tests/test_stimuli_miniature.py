"""The miniature has the layout, the structure and the oddities of the real files."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from pandas.testing import assert_frame_equal
from scipy.io import loadmat

from stimuli import InputError, ds003720, gtzan, load_clips
from stimuli.genres import GENRES
from stimuli.miniature import LAYOUTS, Layout, write_events, write_sounds_and_events

TINY = Layout(2, 4, 1, 2, clip_seconds=3, track_seconds=4, tracks_per_genre=7)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("tiny") / "data"
    write_sounds_and_events(out, seed=5, layout=TINY, workers=1)
    return out


def _bytes(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _facts(table, layout):
    """What science says of the presentation table, for any sizes."""
    n_training = layout.training_runs * layout.training_blocks
    heard = table[~table["dummy"]]
    assert table.loc[table["dummy"], "position"].eq(0).all()
    assert heard["clip_id"].nunique() == heard["track"].nunique()
    assert heard["track"].nunique() == 10 * (n_training + layout.test_runs)
    for split, per_genre in (("train", n_training), ("test", layout.test_runs)):
        clips = heard[heard["split"] == split].drop_duplicates("clip_id")
        assert clips["label"].value_counts().to_dict() == dict.fromkeys(GENRES, per_genre)
    assert not set(heard[heard["split"] == "train"]["track"]) & set(
        heard[heard["split"] == "test"]["track"]
    )
    runs = dict(list(table.groupby("run")))
    assert len(runs) == layout.training_runs + layout.test_runs
    for name, run in runs.items():
        kind, number = name.split("-")
        n_clips = 40 if kind == "Test" else 10 * layout.training_blocks
        assert run["position"].tolist() == list(range(n_clips + 1))
        assert run["onset"].tolist() == [i * layout.clip_seconds for i in range(n_clips + 1)]
        # Dummies.
        before = int(number) - 1 or layout.training_runs
        origin = run if kind == "Test" else runs[f"Training-{before:02d}"]
        assert run["clip_id"].iloc[0] == origin["clip_id"].iloc[-1]
        # Blocks of ten genres, never one twice in a row, the dummy included.
        labels = run["label"].tolist()
        assert all(a != b for a, b in pairwise(labels))
        for first in range(1, n_clips, 10):
            assert sorted(labels[first : first + 10]) == sorted(GENRES)
        clips = run["clip_id"].iloc[1:].tolist()
        if kind == "Test":
            assert clips == clips[:10] * 4
            assert run["repeat"].tolist() == [0] + [r for r in (1, 2, 3, 4) for _ in range(10)]
        else:
            assert len(set(clips)) == n_clips
            assert run["repeat"].tolist() == [0] + [1] * n_clips
    lasts = (heard["end"] - heard["start"]).round(2)
    short = heard[lasts != layout.clip_seconds]
    assert lasts[short.index].tolist() == [layout.clip_seconds - 0.01]
    assert short[["label", "run"]].values.tolist() == [
        ["pop", f"Training-{layout.training_runs:02d}"]
    ]
    assert (heard["end"] == layout.track_seconds).any() and heard["start"].min() >= 0


@pytest.mark.parametrize("name", ["small", "full"])
def test_the_miniature_has_the_structure_of_the_experiment(tmp_path, name):
    write_events(tmp_path, seed=1, layout=LAYOUTS[name])
    table = ds003720.load(tmp_path / "bids")
    _facts(table, LAYOUTS[name])
    assert not table["leak"].any()
    assert (table["end"] == LAYOUTS[name].track_seconds).sum() >= 3


@pytest.mark.data
def test_the_experiment_has_the_structure_that_the_miniature_copies(data_dir):
    table = ds003720.load(data_dir / "ds003720")
    _facts(table, LAYOUTS["full"])


def test_the_event_files_have_the_oddities_of_the_real_ones(tiny):
    files = sorted((tiny / "bids").glob("sub-*/func/*_events.tsv"))
    assert len(files) == TINY.subjects * 6
    for path in files:
        text = path.read_bytes().decode()
        assert not text.endswith("\n") and text.count("\r\n") == text.count("\n")
        lines = text.split("\r\n")
        assert lines[0] == "onset\tduration\tgenre\ttrack\tstart\tend"
        odd = [i for i, line in enumerate(lines[1:], 1) if not line.split("\t")[2].startswith("'")]
        expected = list(range(len(lines) - 3, len(lines))) if "Training_run-04" in path.name else []
        assert odd == expected
        assert all(line.split("\t")[2].endswith("'") for line in lines[1:])
        assert all(re.fullmatch(r"\d+(\.\d{1,2})?", line.split("\t")[4]) for line in lines[1:])
    first, second = (tiny / "bids" / s / "func" for s in ("sub-001", "sub-002"))
    assert {p.name[8:]: p.read_bytes() for p in first.iterdir()} == {
        p.name[8:]: p.read_bytes() for p in second.iterdir()
    }
    scan = json.loads((first / "sub-001_task-Test_run-02_bold.json").read_text())
    assert scan == {"RepetitionTime": 1.5, "TaskName": "Test"}
    description = json.loads((tiny / "bids" / "dataset_description.json").read_text())
    assert {"Name", "BIDSVersion"} <= set(description)


@pytest.mark.parametrize("name", LAYOUTS)
def test_clips_last_whole_volumes(name):
    assert LAYOUTS[name].clip_seconds % 1.5 == 0


def test_both_routes_give_the_same_clips_in_the_same_order(tiny):
    table = ds003720.load(tiny / "bids")
    for file, variable, task, split in (
        ("ExpTrnOrder.mat", "TrnOrd", "Training", "train"),
        ("ExpValOrder.mat", "ValOrd", "Test", "test"),
    ):
        names = loadmat(tiny / "orders" / file)[variable]
        heard = table[(table["split"] == split) & ~table["dummy"]]
        assert names.shape == (heard["position"].max(), heard["run"].nunique())
        for row in heard.itertuples():
            number = int(row.run.split("-")[1])
            expected = f"{task}_run-{number:02d}-{row.position:02d}_{row.clip_id}.wav"
            assert str(names[row.position - 1, number - 1][0]) == expected


def test_the_lists_alone_give_the_table_of_the_events(tiny):
    assert_frame_equal(
        ds003720.load_orders(tiny / "orders", tiny), ds003720.load(tiny / "bids", tiny)
    )


def test_generated_tracks_are_not_taken_for_gtzans(tiny):
    clips = gtzan.load(tiny)
    assert len(clips) == 70 and clips.attrs["missing"] == []
    assert clips["group"].tolist() == clips["track"].tolist()


def test_the_sounds_are_a_gtzan_folder_that_holds_every_excerpt(tiny):
    clips = load_clips(tiny / "genres")
    assert clips["label"].value_counts().to_dict() == dict.fromkeys(GENRES, 7)
    assert clips["clip_id"].iloc[0] == "blues.00000"
    info = soundfile.info(clips["path"].iloc[0])
    assert (info.samplerate, info.channels, info.subtype) == (22050, 1, "PCM_16")
    assert info.duration == TINY.track_seconds
    presented = ds003720.load(tiny / "bids", gtzan_root=tiny)
    assert set(presented["path"]) < set(clips["path"])
    assert (presented["end"] <= TINY.track_seconds).all()
    outside = set(clips["track"]) - set(presented["track"])
    assert len(outside) == 10


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(tiny, tmp_path):
    seen = []
    write_sounds_and_events(
        tmp_path / "again",
        5,
        TINY,
        workers=2,
        on_track=lambda done, total: seen.append((done, total)),
    )
    assert _bytes(tmp_path / "again") == _bytes(tiny)
    assert seen == [(i, 70) for i in range(1, 71)]


def test_another_seed_gives_other_music_and_another_order(tiny, tmp_path):
    write_events(tmp_path, seed=6, layout=TINY)
    other, same = _bytes(tmp_path / "bids"), _bytes(tiny / "bids")
    assert set(other) == set(same) and other != same


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_sounds_and_events(tmp_path, layout=TINY)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sounds_and_events(tmp_path / "out", 0, TINY, workers=1, on_track=interrupt)
    assert not list(tmp_path.iterdir())


def test_unknown_and_impossible_layouts_are_refused(tmp_path):
    with pytest.raises(InputError, match="no layout 'huge'"):
        write_sounds_and_events(tmp_path / "out", layout="huge")
    with pytest.raises(InputError, match="6 tracks a genre"):
        Layout(1, 4, 1, 2, clip_seconds=1, track_seconds=2, tracks_per_genre=5)


def test_excerpts_start_anywhere_in_the_track(tmp_path):
    write_events(tmp_path, seed=0, layout=LAYOUTS["full"])
    starts = ds003720.unique_clips(ds003720.load(tmp_path / "bids"))["start"].to_numpy()
    quarters = np.histogram(starts, bins=4, range=(0, 15))[0]
    assert quarters.min() > 0.15 * len(starts)

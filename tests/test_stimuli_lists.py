"""Lists hold each clip with its genre, and never a test clip where it would be trained on."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stimuli import InputError, grouped_folds
from stimuli.augment import Augmenter
from stimuli.clip_names import ClipName, format_clip_name
from stimuli.lists import (
    copy_name,
    copy_names,
    parse_copy_name,
    read_list,
    read_lists,
    write_lists,
)

TRAIN = [f"Training_run-01-{i:02d}_{g}.0000{i}_15s.wav" for i, g in ((1, "pop"), (2, "jazz"))]
TEST = [f"Test_run-02-{i:02d}_rock.00009_15s.wav" for i in (1, 2, 3, 4)]
ORIGINAL = st.builds(
    ClipName,
    st.sampled_from(["Training", "Test"]),
    st.integers(1, 130),
    st.integers(1, 130),
    st.builds("{}.{:05d}".format, st.text("abz", min_size=1), st.integers(0, 99_999)),
    st.integers(0, 99),
)


def _presentations():
    files = ["", *TRAIN, "", *TEST]
    split = ["train"] * 3 + ["test"] * 5
    files = [f"clips/{file}" if file else "" for file in files]
    return pd.DataFrame({"file": files, "split": split, "dummy": [f == "" for f in files]})


def _folder(folder, copies=()):
    for sub in ("clips", "augmented"):
        (folder / sub).mkdir(parents=True)
    for name in [*TRAIN, *TEST]:
        (folder / "clips" / name).touch()
        for copy in copies:
            (folder / "augmented" / copy_name(name, copy)).touch()
    write_lists(_presentations(), folder, copies)
    return folder


def _list(folder, *lines, name="train_list.txt"):
    for line in lines:
        file = folder / line.split("\t")[0]
        if file.suffix == ".wav":
            file.touch()
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return folder / name


def test_a_line_is_the_file_a_tab_and_the_label(tmp_path):
    _folder(tmp_path, ["pitch"])
    lines = (tmp_path / "train_list.txt").read_bytes().decode().split("\n")
    assert lines[:2] == [
        f"clips/{TRAIN[0]}\tpop",
        "augmented/Training_run-01-01_pop.00001_15s__pitch.wav\tpop",
    ]
    assert len(lines) == 5 and lines[-1] == ""
    test = (tmp_path / "test_list.txt").read_text().splitlines()
    assert test == [f"clips/{name}\trock" for name in TEST]


def test_what_is_written_is_read(tmp_path):
    copies = ["noise", "pitch_speed", "noise-2"]
    train = read_list(_folder(tmp_path, copies) / "train_list.txt")
    assert train["label"].tolist() == ["pop"] * 4 + ["jazz"] * 4
    assert train["group"].tolist() == ["pop.00001"] * 4 + ["jazz.00002"] * 4
    assert train["augmentation"].tolist() == ["", *copies] * 2
    assert train["copy"].tolist() == [0, 1, 2, 3] * 2
    assert train["source"].unique().tolist() == [name[:-4] for name in TRAIN]
    assert train["clip_id"].is_unique and train["repeat"].eq(1).all()
    assert train["run"].eq("Training-01").all()
    assert train["position"].tolist() == [1] * 4 + [2] * 4
    test = read_list(tmp_path / "test_list.txt")
    assert test["split"].eq("test").all() and test["repeat"].tolist() == [1, 2, 3, 4]
    assert test["path"].tolist() == [str((tmp_path / "clips" / n).resolve()) for n in TEST]
    both = read_lists(tmp_path)
    assert both["split"].value_counts().to_dict() == {"train": 8, "test": 4}


def test_copies_are_never_on_the_other_side_of_a_split_than_their_original(tmp_path):
    names = [f"Training_run-01-{i:02d}_{g}.{i:05d}_15s.wav" for i in range(1, 9) for g in "ab"]
    lines = [n for name in names for n in (name, copy_name(name, "gain"), copy_name(name, "shift"))]
    clips = read_list(_list(tmp_path, *lines))
    for train, test in grouped_folds(clips, 4):
        assert not set(clips["source"].iloc[train]) & set(clips["source"].iloc[test])


def test_recordings_of_several_tracks_can_be_one_group(tmp_path):
    clips = read_list(_list(tmp_path, *TRAIN), groups={"jazz.00002": "pop.00001"})
    assert clips["group"].tolist() == ["pop.00001"] * 2


@settings(max_examples=50, deadline=None)
@given(ORIGINAL, st.lists(st.text("az09", min_size=1), min_size=1, max_size=3).map("-".join))
def test_names_of_copies_go_both_ways(name, copy):
    original = format_clip_name(name)
    assert parse_copy_name(original) == (name, "")
    assert parse_copy_name(copy_name(original, copy)) == (name, copy)


def test_copies_are_named_after_their_kinds():
    assert copy_names(Augmenter(kinds=("noise", "pitch"), copies=5)) == [
        "noise",
        "pitch",
        "noise-2",
        "pitch-2",
        "noise-3",
    ]
    assert len(set(copy_names(Augmenter(copies=20)))) == 20


@pytest.mark.parametrize("copy", ["", "a/b", "..", "A", "a b", "a__b", "a\n"])
def test_names_of_copies_cannot_hold_paths(copy):
    with pytest.raises(InputError):
        copy_name(TRAIN[0], copy)
    if copy:
        with pytest.raises(InputError):
            parse_copy_name(f"{TRAIN[0][:-4]}__{copy}.wav")


@pytest.mark.parametrize("gap", ["\t", " ", "   "])
def test_labels_may_follow_a_tab_or_spaces_or_be_left_out(tmp_path, gap):
    (tmp_path / "my clips").mkdir()
    files = [f"my clips/{name}" for name in TRAIN]
    for file in files:
        (tmp_path / file).touch()
    expected = ["pop", "jazz"]
    for lines in (
        [f"{file}{gap}{label}" for file, label in zip(files, expected, strict=True)],
        [f"{file}{gap}{label}" for file, label in zip(files, ("7", "5"), strict=True)],
        ["", f"{files[0]}", f"{files[1]}  ", ""],
    ):
        path = tmp_path / "train_list.txt"
        path.write_text("\r\n".join(lines))
        clips = read_list(path)
        assert clips["label"].tolist() == expected
        assert clips["path"].tolist() == [str(tmp_path.resolve() / file) for file in files]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "lists no clips"),
        ([f"{TRAIN[0]}\tpop\tx"], "line 1: expected file<TAB>label"),
        ([f"{TRAIN[0]} {TRAIN[1]}"], "line 1: .*several ways"),
        ([TRAIN[0], f"{TRAIN[1]} very jazz"], "line 2: .*no .wav file"),
        ([TRAIN[0], "song.wav\tpop"], "line 2: 'song.wav' is no clip name"),
        ([f"{TRAIN[0]}\trock"], "'rock' .clip 1. is not the genre of pop.00001"),
        ([f"{TRAIN[0]}\t3", f"{TRAIN[1]}\t3"], "'3' .clip 2. is not the genre of jazz"),
        ([TRAIN[0], TRAIN[0]], "already on line"),
        ([TRAIN[0], TEST[0]], "a test clip .rock.00009, run 2. in a train list"),
    ],
)
def test_malformed_lists_are_refused_by_line(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        read_list(_list(tmp_path, *lines))


def test_a_test_list_holds_neither_copies_nor_training_clips(tmp_path):
    copy = copy_name(TEST[0], "noise")
    for lines, message in (
        ([TEST[1], copy], "augmented clip .rock.00009, noise. in a test list"),
        ([TEST[0], TRAIN[0]], "a train clip"),
    ):
        for name in ("test_list.txt", "Test.txt", "other.txt"):
            with pytest.raises(InputError, match=message):
                read_list(_list(tmp_path, *lines, name=name))
    for bad in (f"clips/{copy}", f"clips/{TRAIN[0]}"):
        table = _presentations()
        table.loc[4, "file"] = bad
        with pytest.raises(InputError, match="cannot be in test_list"):
            write_lists(table, tmp_path)


def test_one_track_in_both_lists_is_refused(tmp_path):
    _list(tmp_path, *TRAIN, TRAIN[0].replace("pop.00001", "rock.00009"))
    _list(tmp_path, *TEST, name="test_list.txt")
    with pytest.raises(InputError, match=r"rock\.00009 is in both lists"):
        read_lists(tmp_path)


def test_missing_lists_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"train_list\.txt"):
        read_list(tmp_path / "train_list.txt")
    (tmp_path / "train_list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"train_list\.txt: cannot be read"):
        read_list(tmp_path / "train_list.txt")
    (tmp_path / "train_list.txt").write_text(TRAIN[0])
    with pytest.raises(InputError, match=rf"file not found: .*{TRAIN[0]}"):
        read_list(tmp_path / "train_list.txt")

"""No leak goes unnoticed, no clean split is accused, and one bad file stops nothing."""

import json
import os
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from stimuli import ds003720
from stimuli.audit import audit, merge_groups
from stimuli.errors import InputError
from stimuli.folder import scan_folder
from stimuli.genres import GENRES
from stimuli.miniature import LAYOUTS, write_events
from stimuli.music import render_track
from stimuli.recordings import known_pairs
from stimuli.relations import overlap_seconds, pairs_sharing

RATE = 22050


def table(rows):
    """Clips without files: dicts with at least clip_id."""
    clips = pd.DataFrame(rows).assign(path="")
    for column, default in {"label": "rock", "split": "train"}.items():
        clips[column] = clips.get(column, pd.Series(default, index=clips.index))
        clips[column] = clips[column].fillna(default)
    return clips


def kinds(pairs):
    return {(a, b): kind for a, b, kind in pairs[["a", "b", "kind"]].itertuples(index=False)}


def in_test(**row):
    return {"split": "test", **row}


# --- from the table alone


@pytest.mark.parametrize(
    "first, second, kind, seconds",
    [
        ({"track": "t"}, {"track": "t"}, "same track", None),
        ({"group": "g"}, {"group": "g"}, "same group", None),
        ({"recording": "r"}, {"recording": "r"}, "same recording", None),
        (
            {"track": "t", "start": 0, "end": 5},
            {"track": "t", "start": 3, "end": 9},
            "overlapping excerpt",
            2.0,
        ),
        (
            {"track": "t", "start": 0, "end": 5},
            {"track": "t", "start": 5, "end": 9},
            "same track",
            0.0,
        ),
    ],
)
def test_what_two_sides_share_is_named(first, second, kind, seconds):
    rows = [{"clip_id": "a", **first}, in_test(clip_id="b", **second), {"clip_id": "c"}]
    report = audit(table([{"track": "", **row} for row in rows]))
    assert kinds(report.leaks) == {("a", "b"): kind}
    assert not report.ok
    (leak,) = report.to_json()["leaks"]
    assert leak["overlap_seconds"] == seconds
    # On one side it is no leak; what is in one group already is not worth a word.
    one_side = audit(table([{"track": "", **row, "split": "train"} for row in rows]))
    assert one_side.ok and one_side.leaks.empty


def test_the_same_clip_on_two_sides_is_a_leak():
    report = audit(table([{"clip_id": "a"}, in_test(clip_id="a"), in_test(clip_id="b")]))
    assert kinds(report.leaks) == {("a", "a"): "same clip"}
    assert report.n_clips == 2


def test_unknown_names_are_shared_by_nobody():
    rows = [{"clip_id": i, "artist": "", "recording": ""} for i in "abc"]
    assert audit(table([*rows, in_test(clip_id="d")])).ok


def test_rows_without_a_split_are_on_no_side_where_others_have_one():
    rows = [{"clip_id": "a", "track": "t"}, {"clip_id": "b", "track": "t", "split": ""}]
    assert audit(table([*rows, in_test(clip_id="c")])).leaks.empty


def test_artists_on_two_sides_are_counted_and_leak_only_on_demand():
    clips = table(
        [
            {"clip_id": "a", "artist": "Bach"},
            {"clip_id": "b", "artist": "Bach"},
            in_test(clip_id="c", artist="Bach"),
            in_test(clip_id="d", artist="Holst"),
        ]
    )
    report = audit(clips)
    assert report.ok
    assert report.to_json()["artists"] == [
        {"artist": "Bach", "split_a": "train", "split_b": "test", "n_a": 2, "n_b": 1}
    ]
    strict = audit(clips, strict_artists=True)
    assert kinds(strict.leaks) == {("a", "c"): "same artist", ("b", "c"): "same artist"}


def test_related_clips_of_one_side_are_told_and_merged():
    clips = table(
        [
            {"clip_id": "a", "recording": "r"},
            {"clip_id": "b", "recording": "r"},
            {"clip_id": "c", "recording": "s"},
        ]
    )
    report = audit(clips)
    assert report.ok and kinds(report.related) == {("a", "b"): "same recording"}
    assert not report.related["kept_together"].any()
    merged = merge_groups(clips.assign(group=["x", "y", "z"]), report)
    assert merged["group"].tolist() == ["x", "x", "z"]
    assert audit(merged).related["kept_together"].all()


def test_the_table_as_a_whole():
    rows = [{"clip_id": f"j{i}", "label": "jazz"} for i in range(5)]
    rows += [{"clip_id": "r", "label": "rock"}, in_test(clip_id="p", label="pop")]
    rows += [in_test(clip_id="q", label="jazz", repeat=r) for r in (1, 2, 3, 4)]
    report = audit(table(rows))
    told = "\n".join(report.problems["what"])
    assert "split train: labels are unbalanced, jazz has 5 clips and rock 1" in told
    assert "label 'pop' is in test but not in train" in told
    assert "split test: 5 rows are 2 distinct clips" in told
    assert "label 'jazz'" not in told
    assert report.splits["test"]["rows"] == 5 and report.splits["test"]["clips"] == 2


def test_nothing_to_audit_is_refused():
    with pytest.raises(InputError, match="no clips"):
        audit(pd.DataFrame({"path": [], "label": []}))
    with pytest.raises(InputError, match="no column 'label'"):
        audit(pd.DataFrame({"path": ["a.wav"]}))


times = st.floats(0, 100)


@settings(max_examples=50, deadline=None)
@given(times, times, times, times)
def test_overlap_is_that_of_two_intervals(s1, d1, s2, d2):
    seconds = overlap_seconds(s1, s1 + d1, s2, s2 + d2)
    both = np.array([s1, s1 + d1, s2, s2 + d2])
    middles = (np.sort(both)[:-1] + np.sort(both)[1:]) / 2
    inside = (middles > s1) & (middles < s1 + d1) & (middles > s2) & (middles < s2 + d2)
    assert np.isclose(seconds, np.diff(np.sort(both))[inside].sum(), atol=1e-9)
    assert seconds == overlap_seconds(s2, s2 + d2, s1, s1 + d1)
    assert overlap_seconds(s1, s1 + d1, s1 + d1, s1 + d1 + d2) == 0


def test_an_unknown_end_gives_unknown_seconds_unless_they_are_none():
    assert np.isnan(overlap_seconds(0, np.nan, 5, 10))
    assert overlap_seconds(7, np.nan, 2, 5) == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=12))
def test_pairs_are_all_pairs_of_equal_values(values):
    pairs = pairs_sharing(values, [""] * len(values))
    wanted = [(i, j) for i in range(len(values)) for j in range(i) if values[i] == values[j] != ""]
    assert sorted(map(tuple, pairs)) == sorted((j, i) for i, j in wanted)


def test_of_a_value_that_all_have_each_clip_is_still_named():
    sides = ["train"] * 400 + ["test"] * 5
    pairs = pairs_sharing(["x"] * 405, sides)
    assert set(pairs.ravel()) == set(range(405)) and len(pairs) < 1000


def test_generated_music_with_names_of_gtzan_is_not_accused(tmp_path):
    write_events(tmp_path, 0, LAYOUTS["full"])
    presentations = ds003720.load(tmp_path / "bids")
    tracks = set(presentations["track"])
    assert sum({a, b} <= tracks for a, b, _ in known_pairs().itertuples(index=False)) > 3
    report = audit(presentations)
    assert report.ok and report.related.empty
    assert "named like GTZAN tracks that share a recording" in "\n".join(report.notes)


@pytest.mark.data
def test_finds_the_leaks_of_ds003720_from_its_events(data_dir):
    shared = pd.read_csv(data_dir / "gtzan" / "ds003720_shared_recordings.csv")
    report = audit(ds003720.load(data_dir / "ds003720"))
    assert report.n_clips == 540 and len(report.leaks) == 6 and len(report.related) == 26
    assert report.related["kept_together"].all() and not report.ok
    found = pd.concat([report.leaks, report.related])
    found = {
        frozenset((a[:-4], b[:-4])): (kind, seconds)
        for a, b, kind, seconds in zip(
            found["a"], found["b"], found["kind"], found["overlap_seconds"], strict=True
        )
    }
    assert len(found) == len(shared) == 32
    for pair in shared.itertuples():
        kind, seconds = found[frozenset((pair.a, pair.b))]
        replica = pair.kind == "exact replica"
        assert kind == ("replica" if replica else "same recording")
        np.testing.assert_allclose(seconds, pair.overlap_s, atol=0.0051)
    told = "\n".join(report.problems["what"])
    assert "split test: 240 rows are 60 distinct clips" in told and "unbalanced" not in told
    assert "disco.00074_15s [train] - disco.00071_15s [test]: replica, 12.53 s" in report.text()


# --- from the sound


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """genres/<genre>/<genre>.NNNNN.wav, two of four genres, with three planted replicas."""
    root = tmp_path_factory.mktemp("music")
    for genre in GENRES[:4]:
        (root / genre).mkdir()
        for number in (0, 1):
            x = render_track(genre, number, 8)
            soundfile.write(root / genre / f"{genre}.{number:05d}.wav", x, RATE)
            if number or genre == GENRES[3]:
                continue
            suffix = "ogg" if genre == GENRES[0] else "wav"
            soundfile.write(root / genre / f"{genre}.00009.{suffix}", 0.5 * x[RATE:], RATE)
    return root


def test_replicas_are_found_in_the_sound_across_sides_and_within(music):
    clips = scan_folder(music)
    replica = clips["clip_id"].str.endswith("00009")
    wanted = {(f"{g}.00000", f"{g}.00009"): "replica in sound" for g in GENRES[:3]}
    done = []
    report = audit(
        clips.assign(split=np.where(replica, "test", "train")),
        progress=lambda *counts: done.append(counts),
        workers=2,
    )
    assert done[-1] == (11, 11)
    assert kinds(report.leaks) == wanted and report.related.empty
    np.testing.assert_allclose(report.leaks["lag_seconds"], -1, atol=0.05)
    np.testing.assert_allclose(report.leaks["overlap_seconds"], 7, atol=0.5)
    assert "replica in sound, 7.00 s in common, lag -1.00 s" in report.text()
    within = audit(clips, workers=1)
    assert within.ok and kinds(within.related) == wanted
    merged = merge_groups(clips, within)
    assert merged["group"].nunique() == clips["group"].nunique() - 3
    assert not audit(clips, sound=False).to_json()["related"]
    # A replica with another label is a mistake of the labels.
    other = clips.assign(label=np.where(replica, "other", clips["label"]))
    assert audit(other).problems["what"].str.contains("same sound but are labelled").sum() == 3


def test_excerpts_of_one_file_overlap_by_their_times(music):
    path = str(music / "jazz" / "jazz.00000.wav") if (music / "jazz").exists() else None
    path = path or str(next(music.glob("*/*.wav")))
    clips = pd.DataFrame(
        {
            "path": path,
            "label": "x",
            "clip_id": ["a", "b", "c"],
            "split": ["train", "test", "valid"],
            "start": [0.0, 3.0, np.nan],
            "end": [4.0, 8.0, np.nan],
        }
    )
    report = audit(clips)
    assert kinds(report.leaks) == dict.fromkeys(
        [("a", "b"), ("a", "c"), ("b", "c")], "overlapping excerpt"
    )
    assert report.leaks["overlap_seconds"].tolist() == [1.0, 4.0, 5.0]


def test_short_copies_are_found_by_their_samples(tmp_path):
    x = 0.1 * np.random.default_rng(0).standard_normal(int(1.5 * RATE))
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", x, RATE)
    soundfile.write(tmp_path / "c.wav", x[::-1], RATE)
    clips = pd.DataFrame({"path": [str(tmp_path / f"{n}.wav") for n in "abc"], "label": "x"})
    report = audit(clips.assign(split=["train", "test", "test"]))
    assert kinds(report.leaks) == {("a", "b"): "replica in sound"}


def test_names_of_gtzan_are_judged_by_sound_where_the_groups_do_not_tell(tmp_path):
    (tmp_path / "jazz").mkdir()
    for number in (40, 67, 44, 70):
        source = {67: 40, 70: 44}.get(number, number)
        x = render_track("jazz", source, 8)
        soundfile.write(tmp_path / "jazz" / f"jazz.{number:05d}.wav", x, RATE)
    clips = scan_folder(tmp_path).assign(split=["train", "train", "test", "test"])
    report = audit(clips)
    pairs = {("jazz.00040", "jazz.00067"), ("jazz.00044", "jazz.00070")}
    assert kinds(report.leaks) == dict.fromkeys(pairs, "replica")
    for number in (67, 70):
        x = render_track("jazz", number, 8)
        soundfile.write(tmp_path / "jazz" / f"jazz.{number:05d}.wav", x, RATE)
    report = audit(clips)
    assert report.ok and "none sounds alike, so this is other music" in report.notes[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="paths are bytes on Linux only")
def test_one_bad_file_stops_nothing(tmp_path):
    x = 0.1 * np.random.default_rng(0).standard_normal((8, 4 * RATE))
    folder = tmp_path / "x"
    folder.mkdir()
    for i in range(6):
        soundfile.write(folder / f"good{i}.wav", x[i], RATE)
    soundfile.write(folder / "other_rate.wav", np.r_[x[6], x[6]], 2 * RATE)
    soundfile.write(folder / "half.wav", x[7][: 2 * RATE], RATE)
    soundfile.write(folder / "blink.wav", x[7][:900], RATE)
    (folder / "text.wav").write_text("no sound")
    cut = folder / "cut.wav"
    cut.write_bytes((folder / "good0.wav").read_bytes()[:90000])
    clips = scan_folder(tmp_path)
    gone = str(folder / "gone.wav")
    odd = os.fsdecode(os.fsencode(folder) + b"/\xff.wav")
    more = pd.DataFrame({"path": [gone, odd], "label": "x", "clip_id": ["gone", "odd"]})
    shutil.copy(folder / "good1.wav", odd)
    report = audit(pd.concat([clips, more], ignore_index=True))
    assert not report.ok
    by_name = report.problems.groupby(report.problems["path"].map(os.path.basename))
    told = {name: " | ".join(part["severity"] + ": " + part["what"]) for name, part in by_name}
    for name, what in {
        "other_rate.wav": "warning: sample rate is 44100 Hz, that of most files 22050 Hz",
        "half.wav": "warning: clip x/half lasts 2.00 s, most last 4.00 s",
        "blink.wav": "error: the file lasts 0.0408 s, less than 1 s",
        "text.wav": "error: not readable as audio",
        "cut.wav": "error: truncated",
        "gone.wav": "error: no such file",
        "\\udcff.wav": "error: the path is not UTF-8",
    }.items():
        assert what in told[name], name
    assert not any(name.startswith("good") for name in told)
    # Copies are copies all the same, cut off or under a name that few programs can open.
    assert kinds(report.related)["x/good1", "odd"] == "replica in sound"
    assert kinds(report.related)["x/cut", "x/good0"] == "replica in sound"
    assert json.loads(json.dumps(report.to_json())) == report.to_json()
    report.text().encode("utf-8")


def test_the_report_does_not_depend_on_workers(music):
    clips = scan_folder(music)
    assert audit(clips, workers=1).to_json() == audit(clips, workers=3).to_json()


@pytest.mark.data
@pytest.mark.slow
def test_game_music_has_no_replicas_beyond_its_versions(data_dir):
    clips = pd.read_csv(data_dir / "soundtracks" / "manifest.csv")
    clips["path"] = [str(data_dir / "soundtracks" / path) for path in clips["path"]]
    # Titles such as "menu" occur in several games; the group is the track.
    clips["track"] = clips["group"]
    report = audit(clips)
    heard = report.related[report.related["kind"] == "replica in sound"]
    stems = {frozenset((a[:-3], b[:-3])) for a, b in zip(heard["a"], heard["b"], strict=True)}
    # A title and its enhanced version (twice), and two pieces on one accompaniment.
    assert stems == {
        frozenset(("warzone.00000", "warzone.00029")),
        frozenset(("warzone.00012", "warzone.00028")),
        frozenset(("colobot.00013", "colobot.00015")),
    }

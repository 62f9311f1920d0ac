"""The clips are those the subjects heard, whatever interrupts the work or is wrong with a track."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from stimuli import InputError, ds003720, load_clips, write_audio
from stimuli.augment import Augmenter
from stimuli.clip_names import parse_clip_name
from stimuli.lists import read_list
from stimuli.miniature import Layout, write_events, write_sounds_and_events
from stimuli.prepare import cut_clip, prepare

RATE = 22050
TINY = Layout(1, 4, 1, 2, clip_seconds=3, track_seconds=4, tracks_per_genre=7)


def _noise(seed, seconds):
    """Noise without quiet moments: fades and levels can be read off it."""
    return np.random.default_rng(seed).choice([-0.2, 0.2], round(seconds * RATE))


def _data(folder, layout=TINY):
    """Real events in miniature, and tracks of noise."""
    folder.mkdir()
    write_events(folder, seed=3, layout=layout)
    for i, track in enumerate(sorted(set(ds003720.load(folder / "bids")["track"]))):
        genre = folder / "genres" / track.split(".")[0]
        genre.mkdir(parents=True, exist_ok=True)
        write_audio(genre / f"{track}.wav", _noise(i, layout.track_seconds), RATE)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return _data(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture
def table(data):
    return ds003720.load(data / "bids", data)


@pytest.fixture(scope="module")
def prepared(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "out"
    return out, prepare(ds003720.load(data / "bids", data), out, fade_seconds=0.5, workers=1)


def _bytes(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def _own_track(table, tmp_path, row, samples, rate=RATE, **write):
    """The table with one clip's track replaced."""
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, rate, **write)
    chosen = table["clip_id"] == table["clip_id"][row]
    return table.assign(path=table["path"].mask(chosen, str(path))), path


def test_every_presentation_has_the_experiments_file_and_every_clip_one_row(prepared, table):
    out, result = prepared
    heard = table[~table["dummy"]]
    assert {p.name for p in (out / "clips").iterdir()} == set(heard["file"])
    assert (result.written, result.kept, result.problems) == (60, 0, [])
    counts = {"clips": 60, "train": 40, "test": 20, "presentations": 120, "dummies": 6}
    assert result.summary["counts"].items() >= counts.items()
    assert json.loads((out / "prepare.json").read_text()) == result.summary
    assert result.summary["complete"]
    clips = load_clips(out / "manifest.csv")
    assert clips["clip_id"].is_unique and len(clips) == 60
    assert clips["split"].value_counts().to_dict() == {"train": 40, "test": 20}
    first = heard.drop_duplicates("clip_id").set_index("clip_id").loc[clips["clip_id"]]
    assert clips["path"].tolist() == [str((out / "clips" / f).resolve()) for f in first["file"]]
    for column in ("label", "track", "group", "run", "position", "session", "leak"):
        assert clips[column].tolist() == first[column].tolist(), column
    # The wav is the clip: cutting or fading it again would be wrong.
    assert clips[["start", "end"]].isna().all(axis=None) and "fade" not in clips
    np.testing.assert_allclose(clips[["track_start", "track_end"]], first[["start", "end"]])


def test_files_are_the_faded_excerpt_at_one_level(prepared, table):
    out, _ = prepared
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(RATE // 2) + 0.5) / (RATE // 2))
    for row in table[~table["dummy"]].iloc[[0, 17, 45, 90]].to_dict("records"):
        info = soundfile.info(out / "clips" / row["file"])
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        x = soundfile.read(out / "clips" / row["file"])[0]
        assert np.sqrt(np.mean(x**2)) == pytest.approx(0.05, rel=1e-3)
        track = soundfile.read(row["path"])[0]
        first = round(row["start"] * RATE)
        assert len(x) == round(row["end"] * RATE) - first
        gain = x / track[first : first + len(x)]
        middle = gain[len(ramp) : -len(ramp)]
        np.testing.assert_allclose(middle, middle.mean(), rtol=1e-3)
        np.testing.assert_allclose(gain[: len(ramp)] / middle.mean(), ramp, atol=1e-3)
        np.testing.assert_allclose(gain[::-1][: len(ramp)] / middle.mean(), ramp, atol=1e-3)


def test_the_presentations_of_a_test_clip_are_one_sound_on_disk(prepared):
    out, _ = prepared
    events = pd.read_csv(out / "presentations.csv")
    assert len(events) == 126 and "path" not in events
    for _, files in events[events["split"] == "test"].groupby("clip_id")["file"]:
        assert files.nunique() == 4
        assert len({(out / file).stat().st_ino for file in files}) == 1
    dummies = events[events["dummy"]]
    names = [parse_clip_name(file.removeprefix("clips/")) for file in dummies["file"]]
    assert [name.track for name in names] == dummies["track"].tolist()


def test_lists_are_the_training_clips_and_the_test_presentations(prepared):
    out, _ = prepared
    train, test = (read_list(out / f"{side}_list.txt") for side in ("train", "test"))
    assert (len(train), len(test)) == (40, 80)
    assert test.groupby("track").size().eq(4).all()
    manifest = load_clips(out / "manifest.csv")
    assert set(train["path"]) == set(manifest.loc[manifest["split"] == "train", "path"])


def test_bytes_are_the_same_for_any_number_of_workers(prepared, table, tmp_path):
    prepare(table, tmp_path / "two", fade_seconds=0.5, workers=2)
    assert _bytes(tmp_path / "two") == _bytes(prepared[0])


def test_another_sample_rate_is_resampled_once_from_the_track(table, tmp_path):
    row = table.iloc[1]
    x = cut_clip(row, 16000, fade_seconds=0)
    assert len(x) == 48000
    assert np.sqrt(np.mean(x**2)) == pytest.approx(0.05, rel=1e-4)


def test_finished_files_are_kept_unless_settings_or_content_changed(table, tmp_path):
    table = table[table["run"].isin(["Training-02", "Test-01"])]
    out = tmp_path / "out"
    assert prepare(table, out).written == 20  # the dummy is no clip of these runs
    before = _bytes(out)
    seen = []
    again = prepare(table, out, progress=lambda *at: seen.append(at))
    assert (again.written, again.kept, seen) == (0, 20, [(20, 20)])
    assert _bytes(out) == before

    name = table["file"].iloc[3]
    (out / "clips" / name).write_bytes(before[f"clips/{name}"][:-2] + b"\0\1")
    (out / "clips" / table["file"].iloc[5]).unlink()
    repaired = prepare(table, out, progress=lambda *at: seen.append(at))
    assert (repaired.written, repaired.kept) == (2, 18)
    assert seen[1:] == [(18, 20), (19, 20), (20, 20)]
    assert _bytes(out) == before

    assert prepare(table, out, rms=0.04).written == 20
    assert _bytes(out)[f"clips/{name}"] != before[f"clips/{name}"]


def test_a_track_that_changed_is_cut_again_and_its_repeats_follow(table, tmp_path):
    table = table[table["run"] == "Test-01"]
    table, path = _own_track(table.reset_index(drop=True), tmp_path, 1, _noise(90, 4))
    out = tmp_path / "out"
    prepare(table, out)
    files = table.loc[(table["path"] == str(path)) & ~table["dummy"], "file"]
    before = [(out / "clips" / file).read_bytes() for file in files]
    soundfile.write(path, _noise(91, 4), RATE)
    assert prepare(table, out).written == 1
    after = [(out / "clips" / file).read_bytes() for file in files]
    assert len(files) == 4 and len(set(after)) == 1 and after[0] != before[0]


def test_where_links_are_impossible_repeats_are_copies(table, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links")

    monkeypatch.setattr(os, "link", refuse)
    table = table[table["run"] == "Test-01"]
    out = tmp_path / "out"
    prepare(table, out)
    files = table.loc[table["clip_id"] == table["clip_id"].iloc[1], "file"]
    assert len({(out / "clips" / file).read_bytes() for file in files if file}) == 1
    assert len({(out / "clips" / file).stat().st_ino for file in files if file}) == 4


def test_a_killed_run_is_completed_by_the_next(prepared, data, table, tmp_path):
    out = tmp_path / "out"
    code = (
        "import sys, time\n"
        "from stimuli import ds003720\n"
        "from stimuli.prepare import prepare\n"
        "table = ds003720.load(sys.argv[1] + '/bids', sys.argv[1])\n"
        "prepare(table, sys.argv[2], fade_seconds=0.5, workers=1,\n"
        "        progress=lambda done, total: (print(done, flush=True), time.sleep(0.02)))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(data), str(out)], stdout=subprocess.PIPE, text=True
    )
    for line in child.stdout:
        if int(line) >= 5:
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not (out / "manifest.csv").exists()
    # As if killed in the middle of a file and of a record.
    (out / "clips" / ".Test_run-01-01_pop.00001_3s.wav.1.part").write_bytes(b"RIFF")
    with open(out / ".ledger.jsonl", "a") as ledger:
        ledger.write('\n["clips/Tr')
    result = prepare(table, out, fade_seconds=0.5)
    assert result.kept >= 5 and result.written + result.kept == 60
    assert _bytes(out) == _bytes(prepared[0])
    assert not list(out.rglob(".*.part"))


def _nan():
    x = _noise(0, 4)
    x[RATE * 2] = np.nan
    return x


CLICK = np.zeros(4 * RATE)
CLICK[2 * RATE] = 1


@pytest.mark.parametrize(
    ("samples", "options", "what"),
    [
        (_noise(0, 2), {}, "after the end of the file"),
        (np.zeros(0), {}, "holds no samples"),
        (_nan(), {"subtype": "FLOAT"}, "not finite"),
        (np.zeros(4 * RATE), {}, "silent"),
        (_noise(0, 4)[: 4 * 8000], {"rate": 8000}, "8000 Hz.*prepare all at 8000 Hz"),
        (CLICK, {}, "exceeds full scale at RMS 0.05; prepare all at RMS 0.003"),
    ],
)
def test_a_bad_track_is_named_and_the_rest_goes_on(table, tmp_path, samples, options, what):
    table = table[table["run"] == "Training-02"].reset_index(drop=True)
    table, path = _own_track(table, tmp_path, 4, samples, **options)
    out = tmp_path / "out"
    result = prepare(table, out)
    assert not result.summary["complete"] and len(result.problems) == 1
    assert result.problems[0]["path"] == str(path)
    assert result.problems[0]["what"].startswith(f"{table['clip_id'][4]}: ")
    with pytest.raises(InputError, match=what):
        cut_clip(table.iloc[4])
    clips = load_clips(out / "manifest.csv")
    assert len(clips) == 9 and table["clip_id"][4] not in set(clips["clip_id"])
    assert len(read_list(out / "train_list.txt")) == 9
    events = pd.read_csv(out / "presentations.csv", keep_default_na=False)
    assert events["file"].eq("").tolist() == [i in (0, 4) for i in range(11)]
    # With the track replaced the same call completes the folder.
    soundfile.write(path, _noise(1, 4), RATE)
    repaired = prepare(table, out)
    assert repaired.summary["complete"] and (repaired.written, repaired.kept) == (1, 9)
    assert len(load_clips(out / "manifest.csv")) == 10


def test_missing_unreadable_and_unnameable_tracks_are_named_with_the_rest(table, tmp_path):
    table = table[table["run"] == "Training-02"].reset_index(drop=True)
    (tmp_path / "text.wav").write_text("not audio")
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    os.link(table["path"][5], strange)
    paths = {2: str(tmp_path / "missing.wav"), 3: "", 4: str(tmp_path / "text.wav"), 5: strange}
    table["path"] = [paths.get(i, path) for i, path in table["path"].items()]
    result = prepare(table, tmp_path / "out")
    what = [problem["what"].partition(": ")[2] for problem in result.problems]
    for found, expected in zip(
        what, ("cannot be read", "complete the copy", "not readable", "not UTF-8"), strict=True
    ):
        assert expected in found
    assert json.loads((tmp_path / "out" / "prepare.json").read_text())["counts"]["clips"] == 6


def test_stereo_24_bit_and_other_suffixes_are_clips_like_the_others(table, tmp_path):
    table = table[table["run"] == "Training-02"].reset_index(drop=True)
    stereo = np.stack([_noise(0, 4), _noise(1, 4)], 1)
    table, path = _own_track(table, tmp_path, 4, stereo, subtype="PCM_24")
    path.rename(path.with_suffix(".au"))
    table["path"] = table["path"].str.replace("bad.wav", "bad.au")
    assert not prepare(table, tmp_path / "out").problems


def test_names_from_a_table_never_lead_out_of_the_folder(table, tmp_path):
    table = table[table["run"] == "Training-02"].reset_index(drop=True)
    table.loc[2, "file"] = "../../Training_run-01-02_pop.00021_3s.wav"
    table.loc[3, "file"] = "Training_run-02-03_Hip Hop.00001_3s.wav"
    result = prepare(table, tmp_path / "a" / "out")
    assert [p["what"].partition(": ")[2][:4] for p in result.problems] == ["'../", "'Tra"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["out"]
    (tmp_path / "b" / "out").mkdir(parents=True)
    (tmp_path / "b" / "out" / ".ledger.jsonl").touch()
    (tmp_path / "b" / "out" / "clips").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out of the folder"):
        prepare(table, tmp_path / "b" / "out")


def test_unusable_tables_settings_and_folders_are_refused(table, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        prepare(table, tmp_path / "full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["notes.txt"]
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no column 'file'"):
        prepare(table.drop(columns="file"), out)
    for setting in ({"rms": 0}, {"fade_seconds": -1}, {"sample_rate": 0}):
        with pytest.raises(InputError, match="out of range"):
            prepare(table, out, **setting)
    both = table["split"].mask(table.index == table.index[-1], "train")
    with pytest.raises(InputError, match="more than one split"):
        prepare(table.assign(split=both), out)
    assert not out.exists()


def test_clips_of_another_table_do_not_stay_between_those_of_this_one(table, tmp_path):
    out = tmp_path / "out"
    prepare(table[table["run"] == "Training-02"], out)
    (out / "clips" / "notes.wav").write_bytes(b"mine")
    prepare(table[table["run"] == "Training-03"], out)
    names = {path.name for path in (out / "clips").iterdir()} - {"notes.wav"}
    assert len(names) == 10 and all("run-03" in name for name in names)
    assert (out / "clips" / "notes.wav").exists()


def test_augmented_copies_are_of_training_clips_alone_and_are_kept(table, tmp_path):
    table = table[table["run"].isin(["Training-02", "Test-01"])]
    out = tmp_path / "out"
    augmenter = Augmenter(kinds=("gain", "noise"), seed=4, copies=3)
    result = prepare(table, out, augmenter=augmenter)
    assert result.summary["counts"]["augmented"] == 30 and result.written == 50
    names = {path.name for path in (out / "augmented").iterdir()}
    originals = table.loc[(table["split"] == "train") & ~table["dummy"], "file"]
    assert names == {
        f"{file[:-4]}__{kind}.wav" for file in originals for kind in ("gain", "noise", "gain-2")
    }
    listed = read_list(out / "train_list.txt")
    assert len(listed) == 40 and listed["copy"].value_counts().eq(10).all()
    row = table.iloc[1]
    expected = augmenter(cut_clip(row), RATE, row["clip_id"], 3)
    x = soundfile.read(out / "augmented" / f"{row['file'][:-4]}__gain-2.wav")[0]
    np.testing.assert_allclose(x, expected, atol=1 / 32768)
    assert not read_list(out / "test_list.txt")["augmentation"].any()
    # One copy more, and no other file is made again.
    more = prepare(table, out, augmenter=Augmenter(kinds=("gain", "noise"), seed=4, copies=4))
    assert (more.written, more.kept) == (10, 50)
    assert len(list((out / "augmented").iterdir())) == 40
    # Without an augmenter the lists are of originals, and the copies stay.
    assert prepare(table, out).written == 0
    assert len(read_list(out / "train_list.txt")) == 10
    assert len(list((out / "augmented").iterdir())) == 40


def test_the_miniature_and_its_two_ways_in_are_prepared_alike(tmp_path):
    layout = Layout(1, 2, 1, 1, clip_seconds=3, track_seconds=4, tracks_per_genre=3)
    write_sounds_and_events(tmp_path / "data", 0, layout, workers=1)
    bids = ds003720.load(tmp_path / "data" / "bids", tmp_path / "data")
    orders = ds003720.load_orders(tmp_path / "data" / "orders", tmp_path / "data")
    assert not prepare(bids, tmp_path / "bids").problems
    assert not prepare(orders, tmp_path / "orders").problems
    assert _bytes(tmp_path / "bids") == _bytes(tmp_path / "orders")


@pytest.mark.data
def test_the_experiment_has_its_720_names(data_dir, tmp_path):
    table = ds003720.load(data_dir / "ds003720")
    # Three of the eighteen runs, their tracks as noise at the lowest rate that is not refused.
    table = table[table["run"].isin(["Training-04", "Training-12", "Test-06"])]
    for i, track in enumerate(sorted(set(table["track"]))):
        write_audio(tmp_path / f"{track}.wav", np.tile(_noise(i, 1), 30), RATE)
    table["path"] = [str(tmp_path / f"{track}.wav") for track in table["track"]]
    result = prepare(table, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out" / "clips").iterdir())
    heard = table.loc[~table["dummy"], "file"]
    assert names == sorted(heard) and len(names) == 120
    assert result.summary["counts"]["clips"] == 90
    x = soundfile.info(
        next((tmp_path / "out" / "clips").glob("Training_run-12-*_pop.00049_15s.wav"))
    )
    assert x.duration == pytest.approx(14.99, abs=1e-4)
    assert "Test_run-06-40_reggae.00013_15s.wav" in names
    every = ds003720.load(data_dir / "ds003720")
    assert every.loc[~every["dummy"], "file"].nunique() == 720


def test_a_copy_of_gtzan_that_lacks_a_track_gives_the_other_clips(data, table, tmp_path):
    lacking = tmp_path / "lacking"
    lost = table["track"][1]
    for path in sorted(data.glob("genres/*/*.wav")):
        if path.stem != lost:
            (lacking / path.parent.name).mkdir(parents=True, exist_ok=True)
            os.link(path, lacking / path.parent.name / path.name)
    with pytest.warns(UserWarning, match=rf"no .*{lost}\.wav.*these clips have no sound"):
        presentations = ds003720.load(data / "bids", lacking)
    result = prepare(presentations, tmp_path / "out", fade_seconds=0.5)
    assert [lost in problem["what"] for problem in result.problems] == [True]
    assert result.summary["counts"]["clips"] == 59
    with pytest.raises(InputError, match="is this GTZAN"):
        ds003720.load(data / "bids", _other_music(tmp_path / "other"))


def _other_music(folder):
    (folder / "blues").mkdir(parents=True)
    write_audio(folder / "blues" / "blues.99999.wav", _noise(0, 1), RATE)
    return folder

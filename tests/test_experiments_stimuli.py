"""`cortexnet stimuli`: both ways in, prepared clips, the audit, and what happens to bad input."""

import io
import json
import tarfile

import numpy as np
import pandas as pd
import pytest
import soundfile
from test_experiments_cli import cortexnet, refused

from experiments.clips import with_test
from stimuli import ds003720, load_clips, write_audio
from stimuli.miniature import Layout, write_events

RATE = 22050
TINY = Layout(1, 4, 1, 2, clip_seconds=3, track_seconds=4, tracks_per_genre=7)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Events and MATLAB lists in miniature, tracks of noise."""
    folder = tmp_path_factory.mktemp("stimuli")
    write_events(folder, seed=1, layout=TINY)
    for i, track in enumerate(sorted(set(ds003720.load(folder / "bids")["track"]))):
        genre = folder / "genres" / track.split(".")[0]
        genre.mkdir(parents=True, exist_ok=True)
        x = np.random.default_rng(i).choice([-0.2, 0.2], 4 * RATE)
        write_audio(genre / f"{track}.wav", x, RATE)
    (folder / "genres" / "GENERATED.txt").write_text("noise\n")
    return folder


@pytest.fixture(scope="module")
def prepared(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "clips"
    done = cortexnet("stimuli", "prepare", "--gtzan", data, "--bids", data / "bids",
                     "--fade", "0.5", "--out", out, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_prepared_clips_are_the_same_from_events_and_from_lists(data, prepared, tmp_path):
    out, summary = prepared
    done = cortexnet("stimuli", "prepare", "--gtzan", data, "--orders", data / "orders",
                     "--fade", "0.5", "--out", tmp_path / "clips", "--json")  # fmt: skip
    assert json.loads(done.stdout) == summary
    assert summary["counts"]["clips"] == 60 and summary["complete"]
    manifest = (out / "manifest.csv").read_text()
    assert (tmp_path / "clips" / "manifest.csv").read_text() == manifest


def test_the_second_call_makes_nothing(data, prepared):
    out, _ = prepared
    done = cortexnet("stimuli", "prepare", "--gtzan", data, "--bids", data / "bids",
                     "--fade", "0.5", "--out", out)  # fmt: skip
    assert "0 files written, 60 kept" in done.stdout


def test_one_order_has_one_source(data, tmp_path):
    line = refused("stimuli", "prepare", "--gtzan", data, "--bids", data / "bids",
                   "--orders", data / "orders", "--out", tmp_path / "clips")  # fmt: skip
    assert "--bids and --orders" in line and not (tmp_path / "clips").exists()


def test_bad_tracks_are_named_the_rest_is_made_and_the_exit_code_is_1(data, tmp_path):
    copy = tmp_path / "gtzan"
    for path in data.glob("genres/*/*.wav"):
        (copy / path.parent.name).mkdir(parents=True, exist_ok=True)
        (copy / path.parent.name / path.name).write_bytes(path.read_bytes())
    bad = sorted(copy.glob("*/*.wav"))[:2]
    bad[0].write_bytes(bad[0].read_bytes()[:30_000])
    bad[1].write_bytes(b"")
    done = cortexnet("stimuli", "prepare", "--gtzan", copy, "--bids", data / "bids",
                     "--out", tmp_path / "clips")  # fmt: skip
    assert done.returncode == 1
    for path in bad:
        assert str(path) in done.stdout
    assert len(load_clips(tmp_path / "clips" / "manifest.csv")) == 58


def test_prepared_clips_pass_the_audit(prepared):
    out, _ = prepared
    done = cortexnet("stimuli", "audit", out, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["ok"] and report["leaks"] == []
    assert report["n_clips"] == 60
    assert {side: numbers["clips"] for side, numbers in report["splits"].items()} == {
        "train": 40,
        "test": 20,
    }


def test_a_planted_replica_fails_the_audit_by_name_with_its_seconds(prepared, tmp_path):
    out, _ = prepared
    clips = load_clips(out / "manifest.csv")
    train, test = (clips[clips["split"] == side].iloc[0] for side in ("train", "test"))
    copy = tmp_path / "softer.wav"
    write_audio(copy, soundfile.read(train["path"])[0] / 2, RATE)
    clips.loc[clips["clip_id"] == test["clip_id"], "path"] = str(copy)
    clips.to_csv(tmp_path / "leaky.csv", index=False)
    done = cortexnet("stimuli", "audit", tmp_path / "leaky.csv", "--json")
    leaks = json.loads(done.stdout)["leaks"]
    assert done.returncode == 1
    assert {leaks[0]["a"], leaks[0]["b"]} == {train["clip_id"], test["clip_id"]}
    assert leaks[0]["kind"] == "replica in sound"
    assert leaks[0]["overlap_seconds"] == pytest.approx(3, abs=0.3)


def test_a_missing_file_is_a_problem_of_the_audit_not_its_end(prepared, tmp_path):
    clips = load_clips(prepared[0] / "manifest.csv").head(4)
    clips.loc[1, "path"] = str(tmp_path / "lost.wav")
    clips.to_csv(tmp_path / "table.csv", index=False)
    done = cortexnet("stimuli", "audit", tmp_path / "table.csv", "--json")
    assert done.returncode == 1
    problems = {p["path"]: p["what"] for p in json.loads(done.stdout)["problems"]}
    assert "no such file" in problems[str(tmp_path / "lost.wav")]


@pytest.mark.data
def test_the_experiments_leaks_are_found_without_sound(data_dir):
    done = cortexnet("stimuli", "audit", data_dir / "ds003720", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    pairs = {frozenset((leak["a"][:-4], leak["b"][:-4])) for leak in report["leaks"]}
    assert pairs == {
        frozenset(pair.split())
        for pair in (
            "disco.00071 disco.00074",
            "jazz.00040 jazz.00067",
            "jazz.00069 jazz.00043",
            "jazz.00044 jazz.00070",
            "reggae.00033 reggae.00044",
            "hiphop.00049 hiphop.00069",
        )
    }
    assert any(note.startswith("6 of 6 leaks are of clips that") for note in report["notes"])
    kinds = [pair["kind"] for pair in report["related"]]
    assert (kinds.count("replica"), kinds.count("same recording")) == (10, 16)


def test_manifest_of_gtzan_keeps_to_tracks_outside_the_experiment(data, tmp_path):
    heard = set(ds003720.load(data / "bids")["track"])
    extra = data / "genres" / "blues" / "blues.00099.wav"
    write_audio(extra, np.random.default_rng(99).choice([-0.2, 0.2], RATE), RATE)
    try:
        done = cortexnet("stimuli", "manifest", data, "--outside", data / "bids",
                         "--out", tmp_path / "outside.csv")  # fmt: skip
    finally:
        extra.unlink()
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(tmp_path / "outside.csv")["track"]) == {"blues.00099"} - heard


def test_options_about_gtzan_need_gtzan(tmp_path):
    (tmp_path / "sounds" / "a").mkdir(parents=True)
    write_audio(tmp_path / "sounds" / "a" / "x.wav", np.full(RATE, 0.1), RATE)
    line = refused("stimuli", "manifest", tmp_path / "sounds", "--fault-filtered",
                   "--out", tmp_path / "m.csv")  # fmt: skip
    assert "no tracks of GTZAN" in line


def test_an_archive_with_a_member_outside_is_refused(tmp_path):
    archive = tmp_path / "genres.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("../escaped.wav")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"data"))
    line = refused("stimuli", "unpack", archive, "--out", tmp_path / "out")
    assert "../escaped.wav" in line
    assert not (tmp_path / "escaped.wav").exists() and not (tmp_path / "out").exists()


def test_a_share_of_the_groups_becomes_the_test_and_the_table_stays_as_it_was(tiny_clips):
    before = tiny_clips.copy()
    split = with_test(tiny_clips, 0.25, seed=0)
    pd.testing.assert_frame_equal(tiny_clips, before)
    held = split[split["split"] == "test"]
    assert held.groupby("label").size().to_dict() == {"a": 2, "b": 2, "c": 2}
    assert with_test(split, 0.5, seed=1).equals(split)

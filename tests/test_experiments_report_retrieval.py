"""The report's similar sounds: what was found, with a player for each, within a limit."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile
from test_experiments_report import GENRES, Page, edit, shown, write_classifier

from experiments.report import build_report
from experiments.report.players import RATE, Players
from experiments.report.records import Sound
from stimuli import InputError, write_audio


def clip(folder, name, seconds=1.5, frequency=440.0, **more):
    """A tone on disk, as a search tells of it."""
    t = np.arange(int(seconds * 22050)) / 22050
    write_audio(folder / f"{name}.wav", 0.5 * np.sin(2 * np.pi * frequency * t), 22050)
    known = {"clip_id": name, "path": str(folder / f"{name}.wav"), "label": "tone", "group": name}
    return known | {"start": None, "end": None, "fade": None, "side": None} | more


def found(folder, results, asked=None, kind="search"):
    value = {
        "kind": kind,
        "model": "cortexnet_z",
        "n_clips": 540,
        "approximate": False,
        "labels": [],
        "same_group": False,
        "asked": asked or [clip(folder, "query", role="query")],
        "results": [
            {"rank": i, "similarity": 0.9 - 0.3 * i, "same_label": row["label"] == "tone"} | row
            for i, row in enumerate(results, 1)
        ],
    }
    (folder / f"{kind}.json").write_text(json.dumps(value), encoding="utf-8")
    return value


def page(folder):
    text = build_report(folder).read_text(encoding="utf-8")
    return text, Page(text)


def players(parsed):
    return [attributes for tag, attributes in parsed.tags if tag == "audio"]


def heard(address):
    assert address.startswith("data:audio/mpeg;base64,")
    return soundfile.read(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_every_sound_has_a_player_with_its_first_seconds(tmp_path):
    results = [
        clip(tmp_path, "high", frequency=1000.0),
        clip(tmp_path, "long", seconds=17, label="other", side="train"),
        clip(tmp_path, "part", seconds=4, start=1.0, end=3.0),
    ]
    found(tmp_path, results)
    text, parsed = page(tmp_path)
    sounds = players(parsed)
    assert [a["aria-label"] for a in sounds] == [
        "query, tone", "high, tone", "long, other", "part, tone",
    ]  # fmt: skip
    assert all("controls" in a for a in sounds)
    for attributes, seconds, frequency in zip(
        sounds, (1.5, 1.5, 15, 2), (440, 1000, 440, 440), strict=True
    ):
        x, rate = heard(attributes["src"])
        assert rate == RATE and x.ndim == 1
        assert len(x) / rate == pytest.approx(seconds, abs=0.15)  # whole frames of MP3
        peak = np.abs(np.fft.rfft(x)).argmax() * rate / len(x)
        assert peak == pytest.approx(frequency, abs=2)
        assert np.sqrt(np.mean(x**2)) == pytest.approx(0.05, rel=0.1)
    words = shown(text)
    assert "2 of 3 have the label asked for" in words and "4 sounds on this page" in words
    assert "tone (same label) · similarity 0.60" in words
    assert "other (another label) · similarity 0.30 · trained on" in words
    rows = parsed.tables["neighbours0.csv"]
    assert [float(r["similarity"]) for r in rows] == [0.9 - 0.3 * i for i in (1, 2, 3)]


def test_the_page_still_asks_nothing_of_the_network(tmp_path):
    found(tmp_path, [clip(tmp_path, "a")])
    text, parsed = page(tmp_path)
    assert "http://" not in text and "https://" not in text
    policy = next(a["content"] for t, a in parsed.tags if t == "meta" and "http-equiv" in a)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["media-src"] == "data:"
    assert set(rules) == {"default-src", "style-src", "script-src", "media-src", "img-src"}
    assert rules["img-src"] == "data:"
    assert all(a.startswith(("data:text/csv", "data:audio/mpeg")) for a in parsed.addresses)


def test_the_same_folder_gives_the_same_bytes(tmp_path):
    found(tmp_path, [clip(tmp_path, "a")])
    assert build_report(tmp_path).read_bytes() == build_report(tmp_path).read_bytes()


def test_sounds_beyond_the_limit_are_counted_and_have_no_player(tmp_path):
    sounds = [Sound(clip(tmp_path, name)["path"]) for name in "abc"]
    size = len(Players().address(sounds[0]))
    full = Players(limit_bytes=2 * size)
    assert [full.address(s) is not None for s in sounds] == [True, True, False]
    assert (full.n, full.n_beyond) == (2, 1) and full.n_bytes <= full.limit_bytes


def test_a_file_that_is_gone_is_named_and_the_rest_shown(tmp_path):
    found(tmp_path, [clip(tmp_path, "a"), clip(tmp_path, "gone")])
    (tmp_path / "gone.wav").unlink()
    text, parsed = page(tmp_path)
    assert len(players(parsed)) == 2
    assert re.search(r"1 file could not be read, first \S*gone\.wav", shown(text))


def test_names_are_escaped_and_liked_clips_named(tmp_path):
    asked = [
        clip(tmp_path, "one", role="liked") | {"clip_id": "<b>one</b>"},
        clip(tmp_path, "two", role="disliked"),
    ]
    found(tmp_path, [clip(tmp_path, "a", label='"><script>')], asked, "recommend")
    text, parsed = page(tmp_path)
    assert "b" not in {tag for tag, _ in parsed.tags}
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    words = shown(text)
    assert "Recommended from 2 clips, cortexnet_z" in words
    assert "liked · tone" in words and "disliked · tone" in words


def test_scores_are_tabled_exactly_and_summed_up(tmp_path):
    row = {
        "mean_average_precision": 0.34912, "interval": [0.318, 0.381], "chance": 0.1544,
        "hit_rate": {"1": {"rate": 0.58, "interval": [0.5, 0.6], "chance": 0.144}},
        "n_queries": 90,
    }  # fmt: skip
    value = {"kind": "retrieval", "model": "m", "queries": "all clips", "n_candidates": 100}
    value |= row | {"n_without_relevant": 10, "per_label": {"rock": row | {"interval": None}}}
    (tmp_path / "retrieval.json").write_text(json.dumps(value), encoding="utf-8")
    _, parsed = page(tmp_path)
    table = parsed.tables["retrieval.csv"][0]
    assert float(table["mean average precision"]) == 0.34912
    assert (float(table["mAP, low"]), float(table["chance"])) == (0.318, 0.1544)
    assert (float(table["hit rate@1"]), float(table["hit rate@1, chance"])) == (0.58, 0.144)
    assert parsed.tables["retrieval-m.csv"][0]["label"] == "rock"
    assert "0.349" in parsed.sentences[0] and "chance 0.154" in parsed.sentences[0]
    assert "90 (all clips), among 100 clips" in parsed.sentences[0]


def test_a_damaged_search_is_named(tmp_path):
    found(tmp_path, [clip(tmp_path, "a")])
    edit(tmp_path / "search.json", lambda v: v.pop("results"))
    with pytest.raises(InputError, match=r"search\.json: the key 'results' is missing"):
        build_report(tmp_path)


def test_confident_mistakes_can_be_heard(tmp_path):
    rng = np.random.default_rng(0)
    write_classifier(tmp_path, "scattering_svm", 57, rng, GENRES)
    rows = ["clip_id,label,predicted,p(rock),p(pop)", "a,rock,pop,.1,.9", "b,rock,rock,.99,.01",
            "c,pop,rock,.6,.4", "elsewhere,pop,rock,.97,.03", "a,rock,pop,.2,.8"]  # fmt: skip
    (tmp_path / "predictions.csv").write_text("\n".join(rows))
    sounds = [clip(tmp_path, name) for name in "abc"]
    table = ["clip_id,path,label,start,end"]
    table += [f"{s['clip_id']},{s['path']},x,0.0,0.5" for s in sounds]
    (tmp_path / "fold-1").mkdir()  # as a cross-validation keeps it
    (tmp_path / "fold-1" / "clips.csv").write_text("\n".join(table))
    text, parsed = page(tmp_path)
    assert [p["aria-label"] for p in players(parsed)] == ["a", "c"]  # surest first, each once
    assert "rock, taken for pop (90.0 %)" in shown(text)
    x, rate = heard(players(parsed)[0]["src"])
    assert 0.5 <= len(x) / rate < 0.7

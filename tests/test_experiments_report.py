"""The report shows what the files say, and nothing else."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from scipy.stats import binomtest

from experiments.report import build_report
from experiments.report.classification_tables import classifiers
from experiments.report.collect import collect
from experiments.report.paired import paired
from experiments.report.recovery import recoveries
from experiments.report.text import by_test, summary
from stimuli import InputError

MODELS = {
    "cortexnet_z": ["A1", "belt", "parabelt", "T2/T3"],
    "cnn2d_4l": ["conv1", "conv2", "conv3", "conv4"],
    "scattering_svm": ["S1", "S2"],
}
GENRES = [
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
]
PLANTED = {"core": "A1", "belt": "belt", "parabelt": "parabelt", "T2T3": "T2/T3", "control": None}
PARAMETERS = {"cortexnet_z": 412330, "cnn2d_4l": 1204874, "scattering_svm": 7210}
COMPONENTS = ["lowfreq", "highfreq", "envsounds", "pitch", "speech", "music", "mean"]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_classifier(folder, model, n_right, rng, labels):
    """60 clips, 6 a class, of which n_right are right."""
    truth = np.repeat(np.arange(10), 6)
    guess = truth.copy()
    wrong = rng.choice(60, 60 - n_right, replace=False)
    guess[wrong] = (truth[wrong] + rng.integers(1, 10, len(wrong))) % 10
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (truth, guess), 1)
    interval = binomtest(n_right, 60).proportion_ci(method="wilson")
    result = {
        "model": model,
        "segment_accuracy": n_right / 60 - 0.0612,
        "clip_accuracy": n_right / 60,
        "clip_interval": [interval.low, interval.high],
        "n_clips": 60,
        "n_segments": 300,
        "chance": 0.1,
        "per_class": {label: matrix[i, i] / 6 for i, label in enumerate(labels)},
        "confusion": {"labels": labels, "matrix": matrix.tolist()},
        "seconds": 4.25,
        "side": "test",
    }
    write(folder / "evaluation.json", result)
    rows = [
        f"c{i},{labels[t]},{labels[g]}" for i, (t, g) in enumerate(zip(truth, guess, strict=True))
    ]
    text = "\n".join(["clip_id,label,predicted", *rows])
    (folder / "predictions.csv").write_text(text, encoding="utf-8")
    card = {"model": model, "parameters": PARAMETERS[model], "seconds": 93.4}
    if model != "scattering_svm":
        card |= {"recipe": {"epochs": 14, "learning_rate": 2e-3, "seed": 7}, "epochs": 14}
        card |= {"best_epoch": 11, "valid_loss": 0.81}
        lines = ["epoch,step,train_loss,valid_accuracy,valid_loss"]
        for epoch in range(14):
            lines.append(f"{epoch},{epoch * 9},,{0.9 - 0.8**epoch / 2},{0.7 + 1.6 * 0.8**epoch}")
            lines.append(f"{epoch},{epoch * 9},{0.5 + 1.8 * 0.75**epoch},,")
        (folder / "log").mkdir()
        (folder / "log" / "metrics.csv").write_text("\n".join(lines), encoding="utf-8")
    write(folder / "card.json", card)
    return result


def write_subject(folder, subject, rng, folder_name=None):
    layers = {}
    snr = dict(zip(PLANTED, [0.5, 0.42, 0.31, 0.24, 0.0], strict=True))
    for model, stages in MODELS.items():
        for i, stage in enumerate(stages):
            rows = {}
            for k, (region, planted) in enumerate(PLANTED.items()):
                near = 1 - 0.15 * abs(i - k) if model == "cortexnet_z" else 0.7 - 0.05 * abs(i - k)
                r = snr[region] * near + rng.normal(0, 0.006)
                ceiling = None if planted is None else snr[region] * 1.25
                rows[region] = {
                    "mean_r": r,
                    "mean_r2": r**2,
                    "interval": [r - 0.035, r + 0.035],
                    "n_targets": 40,
                    "ceiling": ceiling,
                    "r_normalised": r / ceiling if ceiling else None,
                    "n_normalised": 40 if ceiling else 0,
                    "p": 0.0005 if planted else 0.31,
                }
            layers[f"{model}:{stage}"] = rows

    def best(region, names):
        top = max(names, key=lambda name: layers[name][region]["mean_r"])
        shares = {name: 0.87 if name == top else 0.13 / (len(names) - 1) for name in names}
        return {"layer": top, "share": 0.87, "shares": shares}

    own = {model: [f"{model}:{s}" for s in stages] for model, stages in MODELS.items()}
    result = {
        "kind": "encode",
        "subject": subject,
        "layers": layers,
        "best_stage": {region: best(region, list(layers)) for region in PLANTED},
        "best_stage_by_model": {
            model: {region: best(region, names) for region in PLANTED}
            for model, names in own.items()
        },
        "delays": [2, 3, 4, 5],
        "scheme": "test runs",
        "n_samples": 600,
        "n_repeats": 4,
        "n_permutations": 2000,
        "n_resamples": 1000,
        "floor": 0.05,
        "seconds": 41.7,
    }
    write(folder / "encode" / (folder_name or subject) / "results.json", result)
    return result


def natural_sounds():
    """What `cortexnet nh2015` writes of a network and its random counterpart."""
    stages = {
        stage: {c: 0.3 + 0.1 * i + 0.01 * j for j, c in enumerate(COMPONENTS)}
        for i, stage in enumerate(MODELS["cortexnet_z"])
    }
    return {
        "models": {
            "cortexnet_z": {
                "stages": MODELS["cortexnet_z"],
                "r2": stages["parabelt"],
                "by_stage": stages,
                "best_stage": dict.fromkeys(COMPONENTS[:-1], "parabelt"),
                "all_stages": dict.fromkeys(COMPONENTS, 0.7),
                "banded": dict.fromkeys(COMPONENTS, 0.72),
                "intervals": {"r2": [0.4, 0.6], "all_stages": [0.61, 0.79], "banded": [0.6, 0.8]},
            },
            "cortexnet_z, random": {
                "r2": dict.fromkeys(COMPONENTS, 0.25),
                "by_stage": {stage: dict.fromkeys(COMPONENTS, 0.2) for stage in stages},
                "all_stages": dict.fromkeys(COMPONENTS, 0.5),
                "banded": dict.fromkeys(COMPONENTS, 0.53),
                "control": {"of": "cortexnet_z", "kind": "random", "seeds": [0, 1]},
                "trained_minus": {
                    "banded": {"mean": {"difference": 0.19, "low": 0.1523, "high": 0.2389}},
                    "by_stage": {
                        "belt": {"mean": {"difference": 0.23, "low": -0.01, "high": 0.47}}
                    },
                },
            },
        },
        "published": {"CochResNet50-MultiTask": dict.fromkeys(COMPONENTS, 0.7654)},
        "protocol": {"splits": 10, "train_sounds": 83, "alpha": {"rule": "leave-one-out"}},
    }


def write_example(folder, labels=GENRES):
    """A folder as the whole pipeline leaves it."""
    rng = np.random.default_rng(3)
    made = {}
    for model, n_right in zip(MODELS, (44, 41, 47), strict=True):
        made[model] = write_classifier(folder / "runs" / model, model, n_right, rng, labels)
    cross = dict(made["cortexnet_z"])
    folds = [
        {"fold": k, "clip_accuracy": a, "n_clips": 20, "seconds": 31.2}
        for k, a in ((1, 0.65), (2, 0.8), (3, 0.75))
    ]
    cross |= {"folds": folds, "parameters": PARAMETERS["cortexnet_z"], "seconds": 93.6}
    del cross["side"]
    write(folder / "crossval" / "crossval.json", cross)
    costs = [
        {"name": m, "parameters": PARAMETERS[m], "macs_per_second": macs, "areas": MODELS[m]}
        for m, macs in zip(MODELS, (48_300_000, 240_100_000, 12_700_000), strict=True)
    ]
    write(folder / "models.json", costs)
    for subject in ("sub-001", "sub-002"):
        made[subject] = write_subject(folder, subject, rng)
    regions = {
        region: {
            "model": "cortexnet_z (reference)",
            "stage": stage,
            "snr": 0.3 if stage else 0.0,
        }
        for region, stage in PLANTED.items()
    }
    write(folder / "truth.json", {"regions": regions, "note": "Noise is autoregressive."})
    write(folder / "nh2015.json", natural_sounds())
    provenance = {
        "command": "cortexnet demo --out example",
        "versions": {"torch": "2.9.0", "numpy": "2.3.4"},
        "seed": 7,
        "git_commit": "0123abc",
        "machine": "x86_64, 2 cores",
        "seconds": 412.5,
    }
    write(folder / "provenance.json", provenance)
    write(folder / "encode" / "provenance.json", provenance | {"command": "cortexnet encode"})
    write(folder / "timings.json", [{"step": "extract activations", "seconds": 12.3}])
    return made


class Page(HTMLParser):
    """What a reader and a browser find on the page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.ids, self.headings, self.captions = [], [], [], []
        self.tables, self.sentences, self.drawn, self.tags = {}, [], [], []
        self._open, self._text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        self.addresses += [v for k, v in attributes.items() if k in ("src", "href", "xlink:href")]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "a" and "download" in attributes:
            text = unquote(attributes["href"].partition(",")[2])
            self.tables[attributes["download"]] = list(csv.DictReader(io.StringIO(text)))
        self._text = ""

    def handle_data(self, data):
        self._text += data

    def handle_endtag(self, tag):
        kinds = {"h2": self.headings, "li": self.sentences, "text": self.drawn}
        if tag in kinds:
            kinds[tag].append(self._text.strip())
        self._text = ""


def report(folder):
    text = build_report(folder).read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    made = write_example(folder)
    return folder, made, *report(folder)


def shown(text):
    """The page's text without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)).replace("\u00a0", " ")


def test_page_asks_nothing_of_the_network(example):
    _, _, text, page = example
    assert "http://" not in text and "https://" not in text and "@import" not in text
    assert page.addresses and all(a.startswith(("data:text/csv", "#")) for a in page.addresses)
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert scripts == [{}]
    assert "default-src 'none'" in text


def test_sections_are_those_of_the_data(example):
    assert example[3].headings == [
        "Summary",
        "Classification",
        "Brain",
        "Natural sounds benchmark",
        "What it cost",
        "How to read this",
        "Methods",
        "How it was made",
    ]


def test_tables_hold_the_exact_numbers(example):
    _, made, _, page = example
    rows = {(r["model"], r["tested on"]): r for r in page.tables["classification.csv"]}
    for model in MODELS:
        row = rows[model, "held-out test clips"]
        assert float(row["clips correct"]) == made[model]["clip_accuracy"]
        assert float(row["clips correct, low"]) == made[model]["clip_interval"][0]
        assert float(row["segments correct"]) == made[model]["segment_accuracy"]
        assert int(row["parameters"]) == PARAMETERS[model]
    assert ("cortexnet_z", "3-fold cross-validation") in rows
    for row in page.tables["layers.csv"]:
        fit = made[row["subject"]]["layers"][row["layer"]][row["region"]]
        assert float(row["mean r"]) == fit["mean_r"]
        assert [float(row[f"mean r, {end}"]) for end in ("low", "high")] == fit["interval"]
        assert row["ceiling of r"] == ("" if fit["ceiling"] is None else str(fit["ceiling"]))
    assert len(page.tables["layers.csv"]) == 2 * 5 * 10


def test_trained_and_untrained_networks_stand_side_by_side(example):
    _, _, text, page = example
    rows = {(r["model"], r["features"]): r for r in page.tables["natural-sounds-controls.csv"]}
    assert [features for _, features in rows] == [
        *MODELS["cortexnet_z"], "best stage", "all stages", "all stages, banded"
    ]  # fmt: skip
    banded = rows["cortexnet_z", "all stages, banded"]
    assert [banded["itself"], banded["random"], banded["itself − random"]] == [
        "0.72",
        "0.53",
        "0.19",
    ]
    assert rows["cortexnet_z", "belt"]["itself − random, low"] == "-0.01"
    assert rows["cortexnet_z", "best stage"]["itself − random"] == ""  # not in the file
    assert "0.152 to 0.239" in shown(text)
    scores = {(r["model"], r["features"]): r for r in page.tables["natural-sounds.csv"]}
    assert scores["cortexnet_z", "all stages"]["mean, low"] == "0.61"
    assert scores["CochResNet50-MultiTask", "best stage"]["mean, low"] == ""


def test_shown_numbers_are_rounded_from_the_files(example):
    _, made, text, page = example
    words = shown(text)
    assert f"{100 * 47 / 60:.1f} %" in words
    low, high = made["scattering_svm"]["clip_interval"]
    assert f"{100 * low:.1f}–{100 * high:.1f} %" in words
    assert "1 204 874" in words and "240.1" in words and "0.765" in words
    for layer in ("cortexnet_z:A1", "scattering_svm:S2"):
        fit = made["sub-002"]["layers"][layer]["core"]
        assert f"{fit['mean_r']:.3f}" in page.drawn
        assert f"{fit['ceiling']:.3f}" in page.drawn
    assert "delayed by 2, 3, 4 and 5 volumes" in words
    assert "cortexnet demo --out example" in words


def test_summary_follows_the_numbers(tmp_path):
    write_example(tmp_path)
    before = summary(collect(tmp_path))
    assert "scattering_svm classifies most clips correctly, 78.3" in before[0]
    assert "their intervals overlap" in before[0] and "chance is 10.0" in before[0]
    planted = next(s for s in before if "planted stage" in s)
    assert "4 of 4 regions" in planted and "8 of 8 cases" in planted
    assert "in 0 of 2 cases of noise alone" in planted

    def raise_accuracy(value):
        value["clip_accuracy"], value["clip_interval"] = 0.95, [0.863, 0.983]

    def take_layer(value):
        value["best_stage_by_model"]["cortexnet_z"]["belt"]["layer"] = "cortexnet_z:A1"

    edit(tmp_path / "runs/cnn2d_4l/evaluation.json", raise_accuracy)
    edit(tmp_path / "encode/sub-001/results.json", take_layer)
    after = summary(collect(tmp_path))
    assert "cnn2d_4l classifies most clips correctly, 95.0" in after[0]
    assert "next is scattering_svm" in after[0]
    planted = next(s for s in after if "planted stage" in s)
    assert "3 of 4 regions" in planted and "7 of 8 cases" in planted


def test_intervals_apart_are_said_to_be(tmp_path):
    write_example(tmp_path)

    def lower(value):
        value["clip_accuracy"], value["clip_interval"] = 0.2, [0.1, 0.3]

    for model in ("cnn2d_4l", "cortexnet_z"):
        edit(tmp_path / "runs" / model / "evaluation.json", lower)
    sentence = summary(collect(tmp_path))[0]
    assert "their intervals do not overlap" in sentence
    assert "1 of 3 intervals lie above it" in sentence


def test_paired_comparison_counts_clips_that_one_model_alone_has_right(tmp_path):
    write_example(tmp_path)
    clips = [f"c{i}" for i in range(60)]
    for model, right in (("scattering_svm", range(12, 60)), ("cortexnet_z", range(50))):
        rows = [f"{c},rock,{'rock' if i in right else 'pop'}" for i, c in enumerate(clips)]
        text = "\n".join(["clip_id,label,predicted", *rows])
        (tmp_path / "runs" / model / "predictions.csv").write_text(text)
    found = {c.label: c for c in by_test(collect(tmp_path).classifiers)["held-out test clips"]}
    pair = paired(found["scattering_svm"], found["cortexnet_z"])
    assert (pair.only_first, pair.only_second) == (10, 12)
    assert pair.p == pytest.approx(binomtest(10, 22).pvalue)
    assert paired(found["scattering_svm"], collect(tmp_path).classifiers[-1]) is None


def test_noise_region_agrees_only_while_no_layer_predicts_it(tmp_path):
    write_example(tmp_path)

    def control():
        rows = recoveries(collect(tmp_path))
        return next(r.agrees for r in rows if (r.subject, r.region) == ("sub-001", "control"))

    assert control() is True

    def find(value):
        value["layers"]["cnn2d_4l:conv2"]["control"]["p"] = 0.0005

    edit(tmp_path / "encode/sub-001/results.json", find)
    assert control() is False
    # Ten layers and 100 permutations: corrected p cannot fall below .099.
    edit(tmp_path / "encode/sub-001/results.json", lambda v: v.update(n_permutations=100))
    assert control() is None


def test_names_from_files_are_escaped(tmp_path):
    labels = ["<b>rock</b>", "$\\alpha_1$ & co", "</script><script>alert(1)", *GENRES[3:]]
    rng = np.random.default_rng(0)
    write_classifier(tmp_path / "run", "scattering_svm", 40, rng, labels)
    write_subject(tmp_path, '<i>"sub"</i>', rng, folder_name="sub-001")
    text, page = report(tmp_path)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"b", "i"} and sum(tag == "script" for tag, _ in page.tags) == 1
    assert {row["class"] for row in page.tables["classes.csv"]} == set(labels)
    assert labels[0] in page.drawn  # the confusion matrix's own axis
    assert "&lt;i&gt;&#34;sub&#34;" in text


def test_tables_can_be_read_and_sorted_by_keyboard(example):
    _, _, text, page = example
    assert text.count("<caption>") == text.count("<table>") == len(page.tables)
    heads = re.findall(r"<thead>.*?</thead>", text, re.DOTALL)
    for head in heads:
        assert head.count('<th scope="col"') == head.count('<button type="button">')
    assert "aria-sort" in text
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    # Two ways of testing, four confusions, two curves, four of brains, one of sounds.
    assert len(pictures) == 2 + 4 + 2 + 4 + 1
    assert all(len(attributes["aria-label"]) > 40 for attributes in pictures)
    assert len(page.ids) == len(set(page.ids))


def test_same_folder_gives_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    write_classifier(tmp_path / "run", "cnn2d_4l", 40, rng, GENRES)
    write_subject(tmp_path, "sub-001", rng)
    once, again = (build_report(tmp_path).read_bytes() for _ in range(2))
    assert once == again
    assert not list(tmp_path.glob(".report*"))


def test_missing_parts_are_left_out(tmp_path):
    write_example(tmp_path / "all")
    classes = tmp_path / "only-classes"
    (tmp_path / "all/runs/cnn2d_4l").rename(classes)
    text, page = report(classes)
    assert page.headings == [
        "Summary", "Classification", "What it cost", "How to read this", "Methods",
        "How it was made",
    ]  # fmt: skip
    assert "Ceilings" not in text and "cnn2d_4l classifies" in page.sentences[0]

    brain = tmp_path / "only-brain"
    (tmp_path / "all/encode/sub-001").rename(brain)
    text, page = report(brain)
    assert "Classification" not in page.headings and "Brain" in page.headings
    assert "truth.csv" not in page.tables and "simulated" not in text

    cost = tmp_path / "only-models"
    cost.mkdir()
    (tmp_path / "all/models.json").rename(cost / "models.json")
    assert report(cost)[1].headings == ["What it cost"]


def test_without_repeats_there_is_no_ceiling(tmp_path):
    write_subject(tmp_path, "sub-001", np.random.default_rng(0))

    def forget(value):
        for rows in value["layers"].values():
            for row in rows.values():
                row.update(ceiling=None, r_normalised=None, n_normalised=0)

    edit(tmp_path / "encode/sub-001/results.json", forget)
    text, page = report(tmp_path)
    assert "No ceiling is known" in text and "of the ceiling" not in text
    assert "ceiling of r" not in page.tables["layers.csv"][0]


def test_validation_clips_are_named_as_such(tmp_path):
    write_example(tmp_path)
    edit(tmp_path / "runs/cnn2d_4l/evaluation.json", lambda v: v.update(side="valid"))
    sentences = summary(collect(tmp_path))
    assert any("which also chose the weights" in s and "cnn2d_4l" in s for s in sentences)
    assert "Of 2 models (held-out test clips" in sentences[0]


def test_folds_are_not_counted_as_models(tmp_path):
    write_example(tmp_path)
    write_classifier(
        tmp_path / "crossval/fold-1", "cortexnet_z", 30, np.random.default_rng(0), GENRES
    )
    assert len(collect(tmp_path).classifiers) == 4


def test_two_runs_of_a_model_are_told_apart(tmp_path):
    write_example(tmp_path)
    write_classifier(tmp_path / "runs/again", "cnn2d_4l", 39, np.random.default_rng(0), GENRES)
    labels = {row[0].text for row in classifiers(collect(tmp_path).classifiers).rows}
    assert {"cnn2d_4l (cnn2d_4l)", "cnn2d_4l (again)"} <= labels


def test_errors_name_the_file(tmp_path):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}: nothing to report")):
        build_report(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        build_report(tmp_path / "nowhere")
    write_example(tmp_path)
    path = tmp_path / "runs/cnn2d_4l/evaluation.json"
    edit(path, lambda v: v.pop("chance"))
    with pytest.raises(InputError, match=re.escape(f"{path}: the key 'chance' is missing")):
        build_report(tmp_path)
    path.write_text("{")
    with pytest.raises(InputError, match=re.escape(f"{path}: not JSON")):
        build_report(tmp_path)


def test_two_truths_are_refused(tmp_path):
    write_example(tmp_path)
    write(tmp_path / "deeper/truth.json", {"regions": {}})
    with pytest.raises(InputError, match=r"deeper/truth\.json: differs from"):
        build_report(tmp_path)

"""Methods follow the settings, and sources are cited where they were used."""

import re
import tomllib
from importlib.resources import files

import numpy as np
from rsa_results import write_rsa
from test_experiments_report import GENRES, edit, write, write_classifier, write_subject

from experiments.report.citations import cite
from experiments.report.collect import collect
from experiments.report.methods import methods


def told(folder):
    return cite(methods(collect(folder)))


def test_settings_turn_up_in_the_sentences(tmp_path):
    rng = np.random.default_rng(0)
    write_classifier(tmp_path / "run", "scattering_svm", 40, rng, GENRES)
    write_classifier(tmp_path / "net", "cnn2d_4l", 41, rng, GENRES)
    write_subject(tmp_path, "sub-001", rng)
    versions = {"versions": {"numpy": "2.3.4", "kymatio": None}, "config": {"seed": 11}}
    write(tmp_path / "encode" / "provenance.json", versions)
    texts, references = told(tmp_path)
    assert list(texts) == ["Models", "Classification", "Encoding", "Software"]
    assert "cnn2d_4l was trained for at most 14 epochs" in texts["Models"]
    assert "seed 7" in texts["Models"] and "(Andén & Mallat 2014)" in texts["Models"]
    assert "60 clips of 10 classes (held-out test clips)" in texts["Classification"]
    for words in ("delayed by 2, 3, 4 and 5 volumes", "2\u202f000 permutations",
                  "1\u202f000 bootstrap", "Ceilings of r", "Hoerl & Kennard 1970"):  # fmt: skip
        assert words in texts["Encoding"]
    assert texts["Software"] == ("Computed with numpy 2.3.4. Random numbers start from seed 11.")
    assert any(source.startswith("Sahani") for source in references)
    assert not any(source.startswith("Walther") for source in references)

    def forget(value):
        value["delays"] = [3]
        for rows in value["layers"].values():
            for row in rows.values():
                row["ceiling"] = None

    edit(tmp_path / "encode/sub-001/results.json", forget)
    texts, references = told(tmp_path)
    assert "delayed by 3 volumes" in texts["Encoding"] and "Ceilings" not in texts["Encoding"]
    assert not any(source.startswith("Sahani") for source in references)


def test_only_the_distances_and_measures_that_were_used_are_cited(tmp_path):
    write_rsa(tmp_path)
    texts, references = told(tmp_path)
    said = texts["Dissimilarities"]
    assert "12 clips were crossnobis distances (Walther et al. 2016)" in said
    assert "shrunk to its diagonal (Schäfer & Strimmer 2005)" in said
    assert "whitened cosine (Diedrichsen et al. 2021)" in said and "Nili et al. 2014" in said
    assert "Pairs of clips of one run were left out." in said

    def change(value):
        value.update(distance="correlation", noise="none", measures={}, within_runs="keep")

    edit(tmp_path / "results.json", change)
    texts, references = told(tmp_path)
    names = " ".join(references)
    assert "correlation distances of response patterns" in texts["Dissimilarities"]
    assert not re.search("Walther A|Schäfer J|whitened", names.replace("Nili H, Wingfield C, "
                         "Walther A", ""))  # fmt: skip


def test_every_source_of_the_bibliography_can_be_cited():
    here = files("experiments.report")
    sources = tomllib.loads((here / "bibliography.toml").read_text(encoding="utf-8"))
    code = (here / "methods.py").read_text(encoding="utf-8")
    assert all(re.search(rf"[\[ ]{key}[\];]", code) for key in sources)
    for key, source in sources.items():
        year = re.search(r"\d{4}", key)[0]
        assert year in source["short"] and f"({year})" in source["full"]

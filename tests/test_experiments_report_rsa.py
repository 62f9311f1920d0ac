"""The report on dissimilarities: numbers, significance in words, pictures, damaged files."""

import json
import pickle

import numpy as np
import pytest
from rsa_results import LAYERS, REGIONS, write_rsa
from scipy.spatial.distance import pdist
from test_experiments_report import edit, report, shown

from experiments.report import build_report
from experiments.report.scaling import plane
from stimuli import InputError


def test_rsa_alone_makes_a_page(tmp_path):
    value = write_rsa(tmp_path / "rsa")
    text, page = report(tmp_path)
    assert "Dissimilarities of clips" in page.headings and "Brain" not in page.headings
    rows = {(r["layer"], r["region"]): r for r in page.tables["rsa0-layers.csv"]}
    assert len(rows) == (len(LAYERS) + 1) * len(REGIONS)
    fit = value["layers"]["net:belt"]["core"]
    assert float(rows["net:belt", "core"]["rho-a"]) == fit["mean"]
    assert float(rows["net:belt", "core"]["rho-a, sub-002"]) == fit["subjects"]["sub-002"]
    best = {(r["region"], r["model"]): r["best stage"] for r in page.tables["rsa0-best.csv"]}
    assert best["core", "net"] == "A1" and best["belt", "net"] == "belt"  # never the mixture
    assert page.drawn.count("0.620*") == 2 and "0.110" in page.drawn
    words = shown(text)
    assert "beyond chance (p, best of all ≤ .05) in 2 of 2 regions" in words
    assert "Region lost: not in all subjects; left out." in words
    assert text.count("cortexnet rsa --features net.zarr --responses bids --out rsa") >= 6
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(pictures) == 2 + 4 + 2


def test_one_subject_has_no_ceiling_and_damage_is_named(tmp_path):
    write_rsa(tmp_path, subjects=("sub-001",))
    _, page = report(tmp_path)
    assert "ceiling, lower" not in page.tables["rsa0-best.csv"][0]
    with (tmp_path / "rdms.npz").open("wb") as file:
        np.savez(file, clips=np.array([print], object))
    with pytest.raises(InputError, match=r"rdms\.npz: not the RDMs"):
        report(tmp_path)
    (tmp_path / "rdms.npz").write_bytes(pickle.dumps({"clips": []}))
    with pytest.raises(InputError, match=r"rdms\.npz: not the RDMs"):
        report(tmp_path)
    (tmp_path / "rdms.npz").unlink()
    assert "Clips in a plane" not in report(tmp_path)[0]
    edit(tmp_path / "results.json", lambda v: v.pop("method"))
    with pytest.raises(InputError, match=r"results\.json: the key 'method' is missing"):
        report(tmp_path)


def test_plane_finds_points_again_without_the_missing_pairs():
    points = np.random.default_rng(1).standard_normal((15, 2)) * [2, 1]
    squared = pdist(points) ** 2
    squared[::7] = np.nan
    found, stress = plane(squared)
    assert stress < 1e-2
    np.testing.assert_allclose(pdist(found), pdist(points), atol=0.1)
    assert json.dumps(found.tolist()) == json.dumps(plane(squared)[0].tolist())


def test_pictures_are_written_beside_the_page(tmp_path):
    write_rsa(tmp_path)
    build_report(tmp_path, figures=True)
    found = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    names = {name.partition(".")[0] for name in found}
    assert names == {"rsa0-matrix", "rsa0-subjects", "rsa0-plane0", "rsa0-plane1"} | {
        f"rsa0-rdm-{what}{i}" for what in ("region", "layer") for i in (0, 1)
    }
    assert all(found[f"{name}.pdf"].startswith(b"%PDF") for name in names)
    assert all(found[f"{name}.png"].startswith(b"\x89PNG") for name in names)

"""Stages of the 165 sounds on the surface: weights of the components, best stage, maps, picture."""

import json

import nibabel as nib
import numpy as np
import pytest
from test_experiments_report import natural_sounds

from experiments.nh2015_maps import (
    FOLDER,
    FSAVERAGE,
    best_stages,
    component_weights,
    write_stage_maps,
)
from experiments.nh2015_scores import COMPONENTS
from experiments.report import build_report
from stimuli import InputError


@pytest.fixture
def root(tmp_path):
    """Component k lies at ten vertices from 10 k on; most others were not measured."""
    folder = tmp_path / "nh2015" / FOLDER
    folder.mkdir(parents=True)
    for side in "lr":
        for k in range(len(COMPONENTS)):
            values = np.full(FSAVERAGE, np.nan, np.float32)
            values[:70] = 0.5
            values[10 * k : 10 * k + 10] = 20
            image = nib.MGHImage(values[:, None, None], np.eye(4))
            nib.save(image, folder / f"{side}h.comp{k + 1}.mgz")
    return tmp_path / "nh2015"


def test_a_vertex_weighs_the_components_that_are_significant_there(root):
    weights = component_weights(root)
    assert len(weights) == 2 * 60  # .5 is not significant
    for k, name in enumerate(COMPONENTS):
        there = weights[weights[name] > 0]
        assert (there[name] == 20).all()
        assert sorted(set(there["vertex"])) == list(range(10 * k, 10 * k + 10))
    assert component_weights(root / "wav") is None


def test_the_best_stage_is_that_of_the_components_at_the_vertex(root):
    weights = component_weights(root)
    low = dict.fromkeys(COMPONENTS, 0.1)
    by_stage = {"A1": low | {"lowfreq": 0.9}, "belt": low | {"speech": 0.8, "music": 0.5},
                "T2/T3": low | {"music": 0.6}}  # fmt: skip
    best = best_stages(weights, by_stage)
    for name, stage in (("lowfreq", 1), ("speech", 2), ("music", 3), ("pitch", 1)):
        assert (best[(weights[name] > 0).to_numpy()] == stage).all()
    shared = weights.assign(speech=20.0)  # with speech everywhere, .8 against .1 and .6 against .5
    assert (best_stages(shared, by_stage)[(weights["music"] > 0).to_numpy()] == 2).all()


def test_maps_are_written_and_drawn_for_models_with_stages(root, tmp_path):
    bench = natural_sounds()
    out = tmp_path / "out"
    write_stage_maps(component_weights(root), bench["models"], out)
    kept = {name: row["maps"] for name, row in bench["models"].items() if "maps" in row}
    assert kept and all((out / place).is_dir() for place in kept.values())
    assert set(kept) == {n for n, row in bench["models"].items() if len(row["by_stage"]) > 1}
    (out / "nh2015.json").write_text(json.dumps(bench))
    page = build_report(out).read_text()
    for name in kept:
        assert f"{name}: the stage that predicts best" in page
    write_stage_maps(component_weights(root / "wav"), {}, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_damaged_maps_are_named(root):
    path = root / FOLDER / "rh.comp4.mgz"
    nib.save(nib.MGHImage(np.ones((5, 1, 1), np.float32), np.eye(4)), path)
    with pytest.raises(InputError, match=r"rh\.comp4\.mgz: 5 vertices, fsaverage has 163842"):
        component_weights(root)
    path.write_bytes(b"no map")
    with pytest.raises(InputError, match=r"rh\.comp4\.mgz: not a readable map"):
        component_weights(root)

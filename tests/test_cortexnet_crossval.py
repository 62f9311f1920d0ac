"""Cross-validation over seeds: the folds stay, training varies, clips are not counted twice."""

import json

import numpy as np
import pandas as pd
import pytest
from tiny_networks import RATE

from cortexnet.crossval import compare_crossvals, crossval
from cortexnet.evaluation import wilson_interval
from cortexnet.recipe import Recipe
from stimuli import InputError

RECIPE = Recipe(epochs=1, batch_size=8, segment=RATE)


def test_seeds_share_folds_and_average_over_clips(tiny, tiny_clips, tmp_path):
    result = crossval("tiny_fixed", tiny_clips, 3, tmp_path / "many", RECIPE, RATE, seeds=(0, 1))
    table = pd.read_csv(tmp_path / "many" / "predictions.csv")
    folds = table.groupby("clip_id")["fold"].nunique()
    assert (folds == 1).all() and (table.groupby("clip_id")["seed"].nunique() == 2).all()
    p = table.filter(like="p(").to_numpy()
    assert not np.array_equal(p[table["seed"] == 0], p[table["seed"] == 1])
    right = table["label"] == table["predicted"]
    assert result["clip_accuracy"] == pytest.approx(right.mean())
    n = len(tiny_clips)
    assert result["n_clips"] == n and len(result["folds"]) == 6
    assert result["clip_interval"] == pytest.approx(wilson_interval(right.sum() / 2, n))
    assert np.sum(result["confusion"]["matrix"]) == 2 * n
    assert [row["seed"] for row in result["seeds"]] == [0, 1] and result["seed_sd"] >= 0
    assert json.loads((tmp_path / "many" / "crossval.json").read_text()) == result
    # A seed alone on the same folds is what it is among others.
    one = crossval("tiny_fixed", tiny_clips, 3, tmp_path / "one", RECIPE, RATE)
    assert one["clip_accuracy"] == result["seeds"][0]["clip_accuracy"]
    paired = compare_crossvals(tmp_path / "many", tmp_path / "one")
    assert paired["difference"] == pytest.approx(result["clip_accuracy"] - one["clip_accuracy"])
    assert paired["seeds"] == [2, 1]
    assert compare_crossvals(tmp_path / "one", tmp_path / "one")["p"] == 1
    with pytest.raises(InputError, match="not a finished cross-validation"):
        compare_crossvals(tmp_path / "one", tmp_path)

"""Which rows are fitted, which are held out, and how repeats become samples."""

import numpy as np
import pandas as pd
import pytest

from encoding import InputError
from encoding.heldout import leave_one_out, plan_folds


def table():
    """Two training runs that open with a dummy, a leaking clip, one test run heard twice."""
    rows = [("a", "x", 0.0, 1, True, "train", False)]
    rows += [("a", c, t, 1, False, "train", c == "y") for c in ("x", "y") for t in (0.0, 1.5)]
    rows += [("b", c, t, 1, False, "train", False) for c in ("z", "w") for t in (0.0, 1.5)]
    rows += [("v", "q", t, k, False, "test", False) for k in (1, 2) for t in (0.0, 1.5)]
    columns = ["run", "clip_id", "time", "repeat", "dummy", "split", "leak"]
    return pd.DataFrame(rows, columns=columns)


def test_test_rows_are_predicted_from_the_others_without_dummies_and_leaks():
    plan = plan_folds(table())
    assert not plan.crossed
    ((train, held),) = plan.folds
    assert train.tolist() == [1, 2, 5, 6, 7, 8] and held.tolist() == [9, 10, 11, 12]
    assert plan.sample.tolist() == [0, 1, 0, 1] and plan.repeat.tolist() == [1, 1, 2, 2]
    assert plan.samples[["run", "clip_id", "time", "block"]].to_numpy().tolist() == [
        ["v", "q", 0.0, 0], ["v", "q", 1.5, 0]
    ]  # fmt: skip
    Y = np.arange(26.0).reshape(13, 2)
    np.testing.assert_array_equal(plan.responses(Y), [[20, 21], [22, 23]])


def test_without_test_rows_runs_or_groups_are_left_out_in_turn_and_centred():
    runs = np.repeat(["a", "b", "c", "d"], 3)
    plan = plan_folds(runs)
    assert plan.crossed and [held.tolist() for _, held in plan.folds][1] == [3, 4, 5]
    assert all(len(np.intersect1d(*fold)) == 0 for fold in plan.folds)
    Y = np.random.default_rng(0).standard_normal((12, 4)) + 5
    centred = Y - pd.DataFrame(Y).groupby(runs).transform("mean").to_numpy()
    np.testing.assert_allclose(plan.responses(Y), centred, atol=1e-6)
    sessions = np.repeat(["s", "t", "u"], [3, 3, 6])
    plan = plan_folds(runs, sessions)
    assert [len(held) for _, held in plan.folds] == [3, 3, 6]
    assert plan.runs.tolist() == runs.tolist()  # delays and centring still go by run


def test_blocks_are_clips_of_one_run_or_ten_volumes():
    plan = plan_folds(np.repeat(["a", "b", "c"], 25))
    assert plan.samples.groupby("block").size().tolist() == [10, 10, 5] * 3
    own = table()[table()["split"] == "train"].assign(leak=False)
    own = pd.concat([own, own.assign(run="c")], ignore_index=True)
    samples = plan_folds(own).samples
    assert samples.groupby("block")["run"].nunique().eq(1).all()
    assert samples["block"].nunique() == samples.groupby(["run", "clip_id"]).ngroups


def test_every_row_of_a_fold_is_either_known_or_held_out():
    labels = np.array(["b", "a", "b", "c"])
    folds = leave_one_out(labels)
    assert [held.tolist() for _, held in folds] == [[0, 2], [1], [3]]
    assert [known.tolist() for known, _ in folds] == [[1, 3], [0, 2, 3], [0, 1, 2]]


def test_tables_that_cannot_be_planned_are_refused():
    with pytest.raises(InputError, match="column run"):
        plan_folds(pd.DataFrame({"session": [1, 2]}))
    with pytest.raises(InputError, match="clip_id and time"):
        plan_folds(table().drop(columns="time"))
    with pytest.raises(InputError, match="fewer than two runs"):
        plan_folds(np.repeat(["a", "b"], 5))
    with pytest.raises(InputError, match="fewer than two runs"):
        plan_folds(table().assign(dummy=True))
    with pytest.raises(InputError, match="groups"):
        plan_folds(np.repeat(["a", "b", "c"], 5), np.ones(3))

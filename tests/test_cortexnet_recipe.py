"""Recipes: every optimiser, schedule and weight does what its source says."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cortexnet.evaluation import balanced_log_loss
from cortexnet.recipe import OPTIMIZERS, SCHEDULES, Recipe
from cortexnet.training.optimizers import EarlyStop, Lion, make_optimizer, make_schedule
from cortexnet.training.task import class_weights
from experiments.commands.recipes import parse_option
from stimuli import InputError


def test_lion_moves_by_the_sign_of_an_interpolated_momentum():
    """Two steps computed by hand: beta 0.9, 0.99, rate 0.1, decay 0.5."""
    w = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    lion = Lion([w], lr=0.1, weight_decay=0.5)
    w.grad = torch.tensor([0.5, -0.25])
    lion.step()
    # 1 * .95 - .1; -2 * .95 + .1
    torch.testing.assert_close(w.data, torch.tensor([0.85, -1.8]))
    momentum = lion.state[w]["momentum"]
    torch.testing.assert_close(momentum, torch.tensor([0.005, -0.0025]))
    # .9 * .005 + .1 * -.01 > 0: the momentum outweighs a small gradient of the other sign.
    w.grad = torch.tensor([-0.01, 0.5])
    lion.step()
    torch.testing.assert_close(w.data, torch.tensor([0.85 * 0.95 - 0.1, -1.8 * 0.95 - 0.1]))
    torch.testing.assert_close(momentum, torch.tensor([0.00485, 0.002525]))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_finds_the_least_of_a_bowl_and_saves_its_state(name):
    w = torch.nn.Parameter(torch.tensor([0.3, -0.2]))
    recipe = Recipe(optimizer=name, weight_decay=0, learning_rate=0.01)
    optimizer = make_optimizer([w], recipe)
    for _ in range(700):
        optimizer.zero_grad()
        w.square().sum().backward()
        optimizer.step()
    assert w.abs().max() < 0.02
    make_optimizer([w], recipe).load_state_dict(optimizer.state_dict())
    assert name != "sgd" or (optimizer.defaults["nesterov"], optimizer.defaults["momentum"]) == (
        True, 0.9,
    )  # fmt: skip


def _rates(schedule, losses=(1.0,) * 10, optimizer="adamw"):
    recipe = Recipe(schedule=schedule, epochs=len(losses), optimizer=optimizer)
    optimizer = make_optimizer([torch.nn.Parameter(torch.zeros(1))], recipe)
    stepper, rates = make_schedule(optimizer, recipe, 4), []
    for loss in losses:
        for _ in range(4):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if stepper is not None and schedule != "plateau":
                stepper.step()
        if schedule == "plateau":
            stepper.step(loss)
    return np.array(rates) / recipe.learning_rate


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_schedule_exceeds_the_rate_and_each_reaches_it(schedule, optimizer):
    rates = _rates(schedule, optimizer=optimizer)
    assert rates.max() <= 1 + 1e-9 and rates.max() > 0.95


def test_schedules_have_their_shapes():
    one_cycle = _rates("one_cycle")
    assert one_cycle[0] == pytest.approx(1 / 25) and np.argmax(one_cycle) in (5, 6)
    np.testing.assert_allclose(
        _rates("cosine"), (1 + np.cos(np.pi * np.arange(40) / 40)) / 2, atol=1e-9
    )
    assert (_rates("constant") == 1).all()
    # Better until epoch 2, then five epochs of patience; the sixth divides by five.
    plateau = _rates("plateau", (3.0, 2.0, 1.0, *[1.0] * 7))[::4]
    np.testing.assert_allclose(plateau, [1] * 9 + [0.2])


def test_early_stop_waits_for_better_than_min_delta():
    stop = EarlyStop(patience=2, min_delta=0.1)
    assert [stop.update(loss) for loss in (1.0, 0.95, 0.8, 0.75, 0.71)] == [False] * 4 + [True]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_class_weights_give_every_class_the_same_share(labels):
    labels = np.array(labels)
    weights = class_weights(labels, 5).numpy()
    shares = [weights[labels][labels == k].sum() for k in np.unique(labels)]
    np.testing.assert_allclose(shares, shares[0], rtol=1e-5)
    assert weights[labels].mean() == pytest.approx(1, rel=1e-5)


def test_balanced_loss_counts_a_rare_class_as_much_as_a_common_one():
    means = np.array([[0.8, 0.2]] * 9 + [[0.9, 0.1]])
    truth = np.array([0] * 9 + [1])
    expected = (-np.log(0.8) - np.log(0.1)) / 2
    assert balanced_log_loss(means, truth) == pytest.approx(expected)


def test_a_models_own_rate_is_meant_for_its_own_optimiser():
    assert Recipe.of("cnn2d_4l").learning_rate == 1e-3
    sgd = Recipe.of("cnn2d_4l", optimizer="sgd")
    assert (sgd.learning_rate, sgd.weight_decay) == OPTIMIZERS["sgd"]
    assert sgd.batch_size == Recipe.of("cnn2d_4l").batch_size == 16
    assert Recipe.of("cnn2d_4l", optimizer="sgd", learning_rate=0.5).learning_rate == 0.5
    # A card holds numbers, and gives the same recipe again.
    assert Recipe(**dataclasses.asdict(sgd)) == sgd


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"optimizer": "adagrad"}, "optimizer is 'adagrad'; choose one of adamw"),
        ({"schedule": "linear"}, "schedule is 'linear'; choose"),
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"learning_rate": float("nan")}, "learning-rate is nan; it must be at least 0"),
        ({"label_smoothing": 1.5}, "label-smoothing is 1.5; it must be at most 1"),
    ],
)
def test_bad_recipes_are_refused_by_name(bad, message):
    with pytest.raises(InputError, match=message):
        Recipe(**bad)


def test_options_of_models_are_words_numbers_and_truth_values():
    given = ["norm=group", "width=32", "dropout=0.5", "recurrence=false", "x=null", "path=a=b"]
    assert dict(map(parse_option, given)) == {
        "norm": "group", "width": 32, "dropout": 0.5, "recurrence": False, "x": None, "path": "a=b",
    }  # fmt: skip
    for bad in ("norm", "=3", "x=[1]", "a b=1"):
        with pytest.raises(InputError, match="--option"):
            parse_option(bad)

"""Controls keep what they say they keep: values of tensors, fixed stages, the seed alone."""

import numpy as np
import pytest
import torch
from torch import nn

from cortexnet.controls import (
    Control,
    apply_control,
    fit_statistics,
    middle_batch,
    parse_control,
    permute_weights,
    random_weights,
)
from cortexnet.networks.norm import FittedNorm
from cortexnet.registry import create_model
from stimuli import InputError


def build():
    return create_model("cortexnet_z", 2)


@pytest.fixture(scope="module")
def sounds():
    rng = np.random.default_rng(0)
    return [0.07 * rng.standard_normal(n).astype(np.float32) for n in (22050, 24000, 30000)]


@pytest.fixture(scope="module")
def trained(sounds):
    """Stands for a trained network: weights, gains and statistics unlike those at the start."""
    model = random_weights(build, 5)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(parameter + 0.1 * (i + 1) * torch.linspace(0, 1, parameter.numel())
                            .view_as(parameter))  # fmt: skip
    return fit_statistics(model, sounds)


def state(model):
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def test_permuting_keeps_every_tensors_values_and_moves_them(trained):
    before, after = state(trained), state(permute_weights(trained, 0))
    moved = 0
    for name, value in before.items():
        if isinstance(value, nn.Parameter) and value.ndim > 1:
            a, b = value.detach().flatten(), after[name].detach().flatten()
            assert torch.equal(a.sort().values, b.sort().values)
            assert (a == b).float().mean() < 0.1
            moved += 1
        else:  # biases, gains, fixed filters and statistics
            assert torch.equal(value, after[name]), name
    assert moved == 5


def test_permuted_all_moves_fixed_filters_but_not_the_ear_nor_statistics(trained):
    before = state(trained)
    after = state(permute_weights(trained, 0, fixed=True))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    weights = {n for n, p in trained.named_parameters() if p.ndim > 1}
    banks = ("a1.fast", "a1.slow", "fields.bank")
    assert changed == weights | {f"{b}.{part}" for b in banks for part in ("temporal", "spectral")}
    for name in ("a1.fast.temporal", "fields.bank.spectral"):
        a, b = before[name].flatten(), after[name].flatten()
        assert torch.equal(a.sort().values, b.sort().values)


@pytest.mark.parametrize("kind", ["random", "permuted", "permuted-all"])
def test_a_control_is_decided_by_its_seed_alone(kind, trained, sounds):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (
        apply_control(Control(kind, seed), trained, build, sounds) for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), before)
    a, b, c = state(one), state(same), state(other)
    assert all(torch.equal(a[name], b[name]) for name in a)
    for name in ("belt.drive.weight", "parabelt.drive.weight", "t23.drive.weight"):
        assert not torch.equal(a[name], c[name])
    assert not one.training


@pytest.mark.parametrize("kind", ["random", "permuted"])
def test_fixed_stages_are_those_of_the_trained_network(kind, trained, sounds):
    model = apply_control(Control(kind), trained, build, sounds)
    x = torch.from_numpy(sounds[0])[None]
    with torch.inference_mode():
        mine, theirs = model.stages(x), trained.stages(x)
    for stage in ("A1", "fields"):
        torch.testing.assert_close(mine[stage][-1], theirs[stage][-1])
    for stage in ("belt", "parabelt", "T2/T3"):
        assert not torch.allclose(mine[stage][-1], theirs[stage][-1], atol=0.1)


def test_the_trained_network_is_left_as_it_was(trained, sounds):
    before = {name: value.clone() for name, value in state(trained).items()}
    for kind in ("random", "permuted-all"):
        apply_control(Control(kind), trained, build, sounds)
    after = state(trained)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_statistics_are_those_of_the_sounds(sounds):
    class Two(nn.Module):
        sample_rate = 100

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.BatchNorm1d(1), nn.BatchNorm1d(1)

        def forward(self, x):
            return self.second(torch.relu(self.first(x[:, None])))

    rng = np.random.default_rng(0)
    waves = [rng.normal(2, 3, 400).astype(np.float32) for _ in range(5)]
    model = fit_statistics(Two(), waves).eval()
    assert model.first.momentum == 0.1
    batch = middle_batch(waves, 300)
    with torch.no_grad():
        y = model(batch)
    # The second layer saw what the first, already normalised, hands on.
    assert abs(y.mean()) < 1e-2 and abs(y.std() - 1) < 1e-2


def test_sounds_of_the_batch_are_cut_from_the_middle_and_spread_over_the_list():
    waves = [np.arange(10.0) + 100 * k for k in range(64)]
    waves[0] = np.arange(6.0)
    batch = middle_batch(waves, 4)
    assert batch.shape == (32, 4)
    np.testing.assert_array_equal(batch[0], [1, 2, 3, 4])
    np.testing.assert_array_equal(batch[-1], 6303 + np.arange(4))
    assert middle_batch(waves, 100).shape == (32, 6)


def test_fixed_statistics_begin_anew(trained, sounds):
    model = permute_weights(trained, 0, fixed=True)
    fit_statistics(model, sounds)
    again = fit_statistics(permute_weights(trained, 0, fixed=True), sounds)
    norms = [m for m in model.modules() if isinstance(m, FittedNorm)]
    twice = [m for m in fit_statistics(again, sounds).modules() if isinstance(m, FittedNorm)]
    for a, b in zip(norms, twice, strict=True):
        assert torch.equal(a.count, b.count)
        torch.testing.assert_close(a.mean, b.mean)


def test_what_is_no_control_is_refused(sounds):
    assert parse_control("permuted:7") == Control("permuted", 7)
    assert str(parse_control("random")) == "random:0"
    for text in ("shuffled", "random:x", "random:-1"):
        with pytest.raises(InputError, match="control is"):
            parse_control(text)
    svm = create_model("modulation_svm", 2)
    with pytest.raises(InputError, match="fixed features only"):
        apply_control(Control("random"), svm, lambda: svm, sounds)

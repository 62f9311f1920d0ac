"""The contract of the registry, and facts about the networks in it."""

import numpy as np
import pytest
import torch

import cortexnet
from cortexnet.cost import list_costs
from cortexnet.networks.norm import FittedNorm
from stimuli import InputError

# Eight classes; the classic classifiers have no trained parameters but a fitted read-out.
PARAMETERS = {"cnn2d_4l": 3_914_376, "cortexnet_z": 303_880, "scattering_svm": 0,
              "modulation_svm": 0}  # fmt: skip
NETWORKS = ("cnn2d_4l", "cortexnet_z")


def sound(seconds, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, int(seconds * 22050), generator=generator) * 0.05


def test_registry_names_and_counts():
    assert cortexnet.list_models() == sorted(PARAMETERS)
    assert cortexnet.list_models("cnn*") == ["cnn2d_4l"]
    for name, expected in PARAMETERS.items():
        model = cortexnet.create_model(name, 8)
        assert sum(p.numel() for p in model.parameters()) == expected


def test_an_unknown_model_is_refused_with_the_names_there_are():
    with pytest.raises(InputError, match="cortexnet_z"):
        cortexnet.create_model("resnet99", 8)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_areas_over_time_for_any_duration(name):
    model = cortexnet.create_model(name, 3).eval()
    for seconds in (1.0, 2.5):
        with torch.no_grad():
            areas, axis = model.forward_areas(sound(seconds))
        assert tuple(areas) == tuple(model.areas)
        for area, activity in areas.items():
            assert activity.ndim == 3 and activity.shape[:2] == (2, len(axis[area]))
            assert torch.isfinite(activity).all()
            step = axis[area][0]
            np.testing.assert_allclose(axis[area], step * np.arange(1, len(axis[area]) + 1))
            # The axis ends with the sound, but for a frame (pooling may round up).
            assert abs(axis[area][-1] - seconds) <= step


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_give_logits_for_a_second_and_more_and_do_not_mix_the_batch(name):
    model = cortexnet.create_model(name, 5).eval()
    with torch.no_grad():
        assert model(sound(1.0)).shape == (2, 5)
        x = sound(2.97, batch=3)
        together = model(x)
        alone = torch.cat([model(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_area_depends_on_the_sound(name):
    model = cortexnet.create_model(name, 5).eval()
    with torch.no_grad():
        a, b = (model.forward_areas(sound(2.0, seed=seed))[0] for seed in (0, 1))
    for area in model.areas:
        assert (a[area] - b[area]).abs().max() > 1e-3


def test_cortexnet_z_is_causal_in_every_area():
    model = cortexnet.create_model("cortexnet_z", 5).eval()
    x = sound(3.0, batch=1)
    changed = x.clone()
    changed[:, 2 * 22050 :] = 0
    with torch.no_grad():
        before, seconds = model.forward_areas(x)
        after, _ = model.forward_areas(changed)
    for area in model.areas:
        early = seconds[area] <= 2.0
        torch.testing.assert_close(before[area][:, early], after[area][:, early])
        assert not torch.allclose(before[area][:, ~early], after[area][:, ~early])


def test_cortexnet_z_stays_within_its_budget_and_the_cnn_costs_what_it_did():
    cost = {row["name"]: row["macs_per_second"] for row in list_costs(PARAMETERS)}
    assert min(cost.values()) > 10e6  # the Fourier transforms of fixed features count too
    assert cost["cortexnet_z"] <= 100e6
    assert cost["cnn2d_4l"] == pytest.approx(240e6, rel=0.05)


def test_no_path_from_a1_to_parabelt_but_through_the_belt():
    model = cortexnet.create_model("cortexnet_z", 5).eval()
    x = sound(2.0)
    with torch.no_grad():
        whole = model.stages(x)
        model.belt_norm.register_forward_hook(lambda *args: torch.zeros_like(args[-1]))
        silent = model.stages(x)
    assert torch.equal(whole["A1"], silent["A1"])
    assert silent["parabelt"].flatten(1).std(1).max() < 1e-6 < whole["parabelt"].std()


def test_fitted_norm_equals_the_moments_of_all_batches():
    rng = torch.Generator().manual_seed(0)
    batches = [torch.randn(n, 4, 3, t, generator=rng) * 3 + 5 for n, t in ((2, 7), (5, 9), (1, 20))]
    norm = FittedNorm(4, 3)
    norm.collecting = True
    for x in batches:
        norm(x)
    norm.collecting = False
    joined = torch.cat([x.permute(1, 2, 0, 3).flatten(2) for x in batches], 2).double()
    np.testing.assert_allclose(norm.mean, joined.mean(2), rtol=1e-9)
    np.testing.assert_allclose(norm.m2 / norm.count, joined.var(2, correction=0), rtol=1e-9)
    everything = torch.cat([norm(x).permute(1, 2, 0, 3).flatten(2) for x in batches], 2)
    torch.testing.assert_close(everything.mean(2), torch.zeros(4, 3), atol=1e-5, rtol=0)

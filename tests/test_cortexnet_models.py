"""The contract of the registry, and facts about the networks in it."""

import numpy as np
import pytest
import torch

import cortexnet
from cortexnet.cost import list_costs
from stimuli import InputError

# Eight classes; the classic classifiers have no trained parameters but a fitted read-out. The
# baselines are in test_cortexnet_zoo.py, the recurrent networks in test_cortexnet_cortex.py.
PARAMETERS = {"cortexnet_z": 620_488, "scattering_lstm": 192_406, "scattering_svm": 0,
              "scattering_lda": 0, "scattering_logreg": 0, "joint_scattering_svm": 0,
              "modulation_svm": 0}  # fmt: skip
NETWORKS = ("cortexnet_z", "scattering_lstm")


def sound(seconds, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, int(seconds * 22050), generator=generator) * 0.05


def test_registry_names_and_counts():
    assert set(PARAMETERS) <= set(cortexnet.list_models())
    assert cortexnet.list_models("cnn1d*") == ["cnn1d_5l", "cnn1d_base"]
    for name, expected in PARAMETERS.items():
        model = cortexnet.create_model(name, 8)
        assert sum(p.numel() for p in model.parameters()) == expected


def test_an_unknown_model_is_refused_with_the_nearest_names():
    with pytest.raises(InputError, match="did you mean resnet"):
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


def test_cortexnet_z_stays_within_its_budget_and_the_cnn_costs_what_it_did():
    names = [*PARAMETERS, "cnn2d_4l"]
    cost = {row["name"]: row["macs_per_second"] for row in list_costs(names)}
    assert min(cost.values()) > 10e6  # the Fourier transforms of fixed features count too
    assert cost["cortexnet_z"] <= 100e6
    assert cost["cnn2d_4l"] == pytest.approx(240e6, rel=0.05)

"""Joint time-frequency scattering: ripples, levels, averages, gradients."""

import numpy as np
import pytest
import torch

from cortexnet.frontends.joint import JointScattering
from cortexnet.scattering import Scattering1D
from stimuli.errors import InputError
from stimuli.synthesis import am_noise, harmonic_complex, ripple

RATE = 22050


@pytest.fixture(scope="module")
def model():
    return JointScattering(RATE, rates=(2, 4, 8, 16), scales=(0.5, 1, 2))


def as_batch(x):
    return torch.from_numpy(np.asarray(x, np.float32))[None]


def strength(model, x):
    """Mean second-order coefficient of every filter, before the logarithm."""
    return model(as_batch(x))["S2"].exp().reshape(len(model.tuning), -1).mean(1)


@pytest.mark.parametrize(
    ("rate", "scale", "direction"),
    [(4, 1, 1), (4, 0.5, -1), (8, 1, -1), (8, 2, 1), (6, 0.7, 1), (16, 1, -1)],
)
def test_a_ripple_peaks_at_its_own_rate_scale_and_direction(model, rate, scale, direction):
    energy = strength(model, ripple(2.0, rate, scale, direction, sample_rate=RATE))
    found = model.tuning[int(energy.argmax())]
    assert abs(np.log2(found[0] / rate)) <= 0.55
    assert abs(np.log2(found[1] / scale)) <= 0.55
    assert found[2] == direction
    other = model.tuning.index((*found[:2], -direction))
    assert energy.max() > 4 * energy[other]


def test_second_order_in_time_alone_does_not_tell_the_direction(model):
    # What the extension is for: both ripples modulate every band alike.
    down, up = (ripple(2.0, 8, 1, d, sample_rate=RATE) for d in (1, -1))
    transform = Scattering1D(12, len(down))
    time_alone = [transform(x).mean(1) for x in (down, up)]
    difference = np.linalg.norm(time_alone[0] - time_alone[1]) / np.linalg.norm(time_alone[0])
    joint = [strength(model, x) for x in (down, up)]
    assert difference < 0.3
    assert (joint[0] - joint[1]).norm() > 0.8 * joint[0].norm()


def test_amplitude_modulation_has_a_rate_and_no_scale(model):
    tuning = np.array(model.tuning)
    energy = strength(model, am_noise(2.0, 8, sample_rate=RATE)).numpy()
    moving = tuning[:, 0] > 0
    rate, scale, direction = tuning[moving][energy[moving].argmax()]
    assert (rate, scale, direction) == (8, 0, 0)


def test_a_steady_complex_has_scales_and_no_rate(model):
    tuning = np.array(model.tuning)
    energy = strength(model, harmonic_complex(2.0, 1000, 9, sample_rate=RATE)).numpy()
    assert tuning[energy.argmax(), 0] == 0
    assert energy[tuning[:, 0] == 0].min() > 3 * energy[tuning[:, 0] > 0].max()


def test_level_moves_the_logarithm_by_a_constant(model):
    x = 100 * as_batch(ripple(1.0, 8, 1, sample_rate=RATE))  # far above the floor
    quiet, loud = model(x), model(10 * x)
    for name in ("S1", "S2"):
        strong = quiet[name] > quiet[name].median()  # weak corners hold the floor
        shift = (loud[name] - quiet[name])[strong]
        assert (shift - np.log(10)).abs().max() < 0.01


def test_shapes_and_frames(model):
    n_bands, n_filters = len(model.centres), len(model.tuning)
    assert n_filters == 4 * (2 * 3 + 1) + 3
    np.testing.assert_allclose(np.diff(np.log2(model.centres)), 1 / model.Q)
    result = model(torch.randn(3, RATE))
    frames = Scattering1D(13, RATE).n_frames
    assert result["S1"].shape == (3, n_bands, frames)
    assert result["S2"].shape == (3, n_filters * model.n_regions, frames)


def test_a_tone_peaks_in_the_band_of_its_frequency(model):
    for hertz in (150, 1000, 5000):
        profile = model(as_batch(harmonic_complex(1.0, hertz, 1, sample_rate=RATE)))["S1"].mean(2)
        peak = model.centres[int(profile.argmax())]
        assert abs(np.log2(peak / hertz)) < 0.6 / model.Q


def test_result_does_not_depend_on_the_batch(model):
    x = torch.randn(3, RATE, generator=torch.Generator().manual_seed(0))
    together = model(x)
    for name, values in together.items():
        torch.testing.assert_close(model(x[1:2])[name], values[1:2], rtol=0, atol=1e-3)


def test_gradients_reach_the_waveform(model):
    x = torch.randn(1, 12000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model(x)["S2"].sum().backward()
    assert torch.isfinite(x.grad).all()
    assert (x.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rates": (0, 4)}, r"rates = \(0, 4\)"),
        ({"rates": ()}, "rates"),
        ({"rates": (1000,)}, "up to 735"),
        ({"scales": (4,)}, r"scales = \(4,\): .* up to 2.8"),
        ({"T": -1}, "T = -1"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(InputError, match=words):
        JointScattering(RATE, **options)


def test_a_sound_shorter_than_the_window_is_named(model):
    with pytest.raises(InputError, match=r"8192: choose T <= 0\.227 s"):
        model(torch.ones(1, 5000))

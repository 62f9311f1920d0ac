"""Front-ends: what they are tuned to, what they agree with, what they must not look at."""

import librosa
import numpy as np
import pytest
import torch

from cortexnet.frontends import Cochleagram, LogMel, ModulationEnergy, strf_bank
from cortexnet.frontends.modulation import kernels_from, strf_energy
from stimuli.synthesis import am_noise, am_tone, pure_tone, ripple

RATE = 22050


def as_batch(x):
    return torch.from_numpy(np.asarray(x, np.float32))[None]


def test_mel_equals_librosa():
    x = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    expected = librosa.feature.melspectrogram(
        y=x, sr=RATE, n_fft=1024, hop_length=512, power=1.0, pad_mode="reflect"
    )
    ours = LogMel(RATE)(as_batch(x))[0].numpy()
    np.testing.assert_allclose(ours, np.log10(1 + 10 * expected), atol=2e-4)


@pytest.mark.parametrize("frequency", [100, 300, 1000, 3000, 7000])
def test_a_tone_peaks_at_its_own_band(frequency):
    frontend = Cochleagram(RATE)
    profile = frontend(as_batch(pure_tone(1.0, frequency, sample_rate=RATE)))[0, :, 50:].mean(1)
    peak = frontend.centres[int(profile.argmax())]
    assert abs(np.log2(peak / frequency)) < 0.15  # octaves; bands are 0.1 apart


def test_cochleagram_is_causal_and_has_one_frame_every_hop():
    frontend = Cochleagram(RATE)
    x = torch.randn(1, RATE, generator=torch.manual_seed(0)) * 0.05
    changed = x.clone()
    changed[:, RATE // 2 :] = 0
    before, after = frontend(x), frontend(changed)
    assert before.shape == (1, frontend.n_bands, RATE // frontend.hop)
    unaffected = RATE // 2 // frontend.hop  # frames that end before the change
    torch.testing.assert_close(before[..., :unaffected], after[..., :unaffected])
    assert not torch.allclose(before[..., unaffected + 20 :], after[..., unaffected + 20 :])


def test_level_moves_a_compressed_cochleagram_by_a_factor():
    x = as_batch(am_noise(1.0, 4.0, depth=0.5, sample_rate=RATE))
    frontend = Cochleagram(RATE)
    ratio = (frontend(x * 10) / frontend(x))[..., 30:] / 10**0.3
    # The floor shows only in the deepest valleys between partials.
    assert ratio.median().item() == pytest.approx(1, abs=1e-3)
    assert (ratio - 1).abs().quantile(0.95) < 0.01


@pytest.mark.parametrize("rate", [4, 16])
@pytest.mark.parametrize("scale", [0.5, 2])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_ripple_peaks_at_its_own_rate_scale_and_direction(rate, scale, direction):
    model = ModulationEnergy(RATE)
    x = as_batch(ripple(2.0, rate, scale, direction, sample_rate=RATE))
    energy = model(x)[0].mean((1, 2))
    found = model.tuning[int(energy.argmax())]
    assert abs(np.log2(found[0] / rate)) <= 0.5
    assert abs(np.log2(found[1] / scale)) <= 0.5
    assert found[2] == direction


@pytest.mark.parametrize("rate", [8, 16, 32])
def test_an_amplitude_modulated_tone_peaks_at_its_rate(rate):
    model = ModulationEnergy(RATE)
    x = am_tone(1.5, rate, depth=1.0, carrier_hz=4000, sample_rate=RATE)
    energy = model(as_batch(x))[0].mean((1, 2)).reshape(len(model.rates), -1).sum(1)
    assert model.rates[int(energy.argmax())] == rate


def test_level_moves_log_modulation_energy_by_a_constant():
    x = as_batch(ripple(1.0, 8, 1, sample_rate=RATE))
    model = ModulationEnergy(RATE)
    quiet, loud = model(x), model(10 * x)
    shift = torch.log(loud / quiet)[quiet > quiet.mean()]  # weak corners hold the floor
    assert shift.median().item() == pytest.approx(0.6 * np.log(10), abs=0.02)
    assert (shift - shift.median()).abs().quantile(0.9) < 0.1


def test_strfs_have_no_mean_unit_norm_and_prefer_their_own_ripple():
    frame_rate, per_octave = 200.0, 10
    bank, tuning = strf_bank((8, 16, 32), (0.5, 1, 2), 0.25, 2.1, frame_rate, per_octave)
    np.testing.assert_allclose(np.abs(bank.sum((1, 2))), 0, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(bank, axis=(1, 2)), 1, rtol=1e-5)
    t, x = np.arange(400) / frame_rate, np.arange(70) / per_octave
    for rate, scale, direction in tuning:
        image = np.cos(2 * np.pi * (rate * t + direction * scale * x[:, None]))
        image = torch.from_numpy(image.astype(np.float32))[None, None]
        energy = strf_energy(image, kernels_from(bank), (1, 1))[0, :, 20:50, 100:].mean((1, 2))
        assert tuning[int(energy.argmax())] == (rate, scale, direction)


def test_gradients_reach_the_waveform():
    x = torch.randn(1, RATE, generator=torch.manual_seed(0)).mul_(0.05).requires_grad_()
    ModulationEnergy(RATE)(x).sum().backward()
    assert torch.isfinite(x.grad).all() and (x.grad != 0).float().mean() > 0.9

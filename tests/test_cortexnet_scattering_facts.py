"""Scattering: non-expansive, stable to shifts, energy and modulation where theory has them."""

import pickle

import numpy as np
import pytest
import torch

from cortexnet.frontends.scattering import DEPTH, LogScattering
from cortexnet.scattering import Scattering1D
from cortexnet.scattering.filters import wavelet_family, wavelet_response
from stimuli.errors import InputError
from stimuli.synthesis import am_tone

RATE = 22050


def energies(coefficients, transform):
    """Squared norm of coefficients by order, kymatio's scaling undone."""
    meta = transform.meta()
    exponent = np.nansum(np.minimum(meta["j"], np.log2(transform.hop)), axis=1)
    total = (coefficients.astype(float) ** 2).sum(-1) * 4.0**exponent * transform.hop
    return np.array([total[meta["order"] == order].sum() for order in range(3)])


def gains(transform):
    """Energy a pair of wavelet families passes at each frequency: (3, n), order 0 passes all."""
    grid = np.linspace(-0.5, 0.5, 4001)
    passed = [np.ones(len(grid))]
    for Q in transform.Q:
        squares = sum(
            wavelet_response(grid, wavelet) ** 2 for wavelet in wavelet_family(transform.J, Q)
        )
        passed.append((squares + squares[::-1]) / 2)  # a real signal has each frequency twice
    return np.stack(passed)


@pytest.mark.parametrize("T", [2**8, 100, 2**10])
def test_transform_is_non_expansive(T):
    transform = Scattering1D(8, 2**13, T=T)
    bounds = np.cumprod(gains(transform).max(1))
    rng = np.random.default_rng(2)
    for distance in (1e-2, 1.0):
        x = rng.standard_normal(2**13)
        y = x + distance * rng.standard_normal(2**13)
        change = energies(transform(x) - transform(y), transform)
        assert (change < bounds * ((x - y) ** 2).sum()).all()


def test_shifts_far_below_the_window_change_little():
    x = np.random.default_rng(3).standard_normal((2, 2**15 + 600)).astype("float32")
    x[1] = am_tone(2, 20)[: x.shape[1]]
    changes = {}
    for J in (9, 12):
        transform = Scattering1D(J, 2**15, 4)
        before = transform(x[:, 300:-300])[:, 1:]
        for shift in (4, 32, 256):
            after = transform(x[:, 300 - shift : -300 - shift])[:, 1:]
            change = np.linalg.norm(after - before, axis=(1, 2))
            changes[J, shift] = (change / np.linalg.norm(before, axis=(1, 2))).max()
            # the signal itself is another one after 4 samples
            assert changes[J, shift] < 2 * shift / 2**J
    assert changes[12, 32] < changes[9, 32] / 2.5


@pytest.mark.parametrize("rate", [6, 13, 27, 50])
def test_amplitude_modulation_is_found_in_the_band_of_its_rate(rate):
    x = am_tone(2, rate, carrier_hz=2000.0)
    transform = Scattering1D(12, len(x))
    meta = transform.meta()
    second = meta["order"] == 2
    n1 = np.abs(np.log2(meta["xi"][second, 0] * RATE / 2000)).argmin()
    rows = second & (meta["n"][:, 0] == meta["n"][second, 0][n1])
    edge = transform.n_frames // 4
    # the scale of the coefficients, which depends on the band, undone
    strength = transform(x)[rows, edge:-edge].mean(1) * 2.0 ** meta["j"][rows, 1]
    found = meta["xi"][rows, 1][strength.argmax()] * RATE
    assert abs(np.log2(found / rate)) < 0.5


def speech_like(seconds, rate, seed=0):
    """Glottal pulses through three moving formants, and hiss, in syllables of 3 to 8 a second."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    time = np.arange(n) / rate

    def moving(per_second, low, high):
        knots = rng.uniform(low, high, int(seconds * per_second) + 3)
        return np.interp(time * per_second, np.arange(len(knots)), knots)

    pitch = moving(3, 90, 160)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = [moving(5, *edges) for edges in ((300, 800), (900, 2200), (2300, 3200))]
    voice = np.zeros(n)
    for harmonic in range(1, 30):
        frequency = harmonic * pitch
        gain = sum(
            2.0**-k / (1 + ((frequency - centre) / (80 * (k + 1))) ** 2)
            for k, centre in enumerate(formants)
        )
        voice += gain * np.cos(harmonic * phase)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.fft.rfftfreq(n, 1 / rate)
    hiss = np.fft.irfft(spectrum * np.exp(-0.5 * ((frequency - 4500) / 1500) ** 2), n)
    syllables = np.clip(moving(8, -1, 1.2), 0, 1)
    return (
        syllables * voice / voice.std() + 0.3 * np.clip(moving(8, -1, 1), 0, 1) * hiss / hiss.std()
    )


def test_energy_moves_to_the_second_order_as_the_window_grows():
    # Anden & Mallat (2014), table I, on speech at 16 kHz: order 2 over order 1 is .05, .43, 1.53
    # and 2.03 at 2^9, 2^11, 2^13 and 2^15. The window here is 1.6 T wide (SD), so that short ones
    # leave less to the first order.
    x = speech_like(5, 16000)
    first, second = {}, {}
    for J in (9, 11, 13, 15):
        transform = Scattering1D(J, len(x))
        # families divided by the energy they pass over most of the band
        mean = np.cumprod(gains(transform)[:, 2200:3200].mean(1))
        _, first[J], second[J] = energies(transform(x), transform) / mean / (x**2).sum()
        assert first[J] + second[J] < 1
    assert first[9] > 0.5
    assert second[9] < 0.2
    assert first[9] > first[11] > first[13]
    assert second[9] < second[11] < second[13] < second[15]
    for J, ratio in ((13, 1.53), (15, 2.03)):
        assert ratio / 1.5 < second[J] / first[J] < ratio * 1.5


@pytest.mark.parametrize(("T", "J"), [(0.37, 13), (0.74, 14), (1.5, 15)])
def test_windows_in_seconds_are_those_of_the_literature(T, J):
    front_end = LogScattering(T=T)
    assert front_end.J == J
    assert front_end.window == 2**J
    assert front_end.frame_rate == RATE / 2**J


def test_other_windows_are_kept_to_the_sample():
    front_end = LogScattering(16000, Q=1, T=0.37)
    assert (front_end.window, front_end.J) == (5920, 13)
    assert front_end.frame_rate == 16000 / 4096
    seconds = 2
    frames = front_end(torch.ones(1, 16000 * seconds))["S1"].shape[2]
    assert abs(frames - seconds * front_end.frame_rate) <= 1


def test_second_order_is_the_depth_of_the_modulation_unless_told_otherwise():
    x = 10 * torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))  # floor far below
    transform = Scattering1D(6, 3000, 4)
    n, order, j = (transform.meta()[key] for key in ("n", "order", "j"))
    level = transform(x) * 2.0 ** np.nansum(np.minimum(j, 6), axis=1)[:, None]
    parent = level[:, 1 + n[order == 2, 0].astype(int)]
    result = LogScattering(J=6, Q=4)(x)
    close = {"rtol": 0, "atol": 1e-3}
    torch.testing.assert_close(result["S1"], torch.log(level[:, order == 1]).float(), **close)
    depth = level[:, order == 2] / parent
    torch.testing.assert_close(result["S2"], torch.log(depth + DEPTH).float(), **close)
    plain = LogScattering(J=6, Q=4, renormalise=False)(x)["S2"]
    torch.testing.assert_close(plain, torch.log(level[:, order == 2]).float(), **close)


def test_with_its_scale_undone_a_tone_has_the_same_level_in_every_octave():
    # Half its amplitude lies at positive frequency, where a wavelet's gain is nearly one.
    transform = Scattering1D(9, 2**12, max_order=1)
    centres = transform.meta()["xi"][1:, 0]
    rows = range(9, 50, 8)
    tones = np.cos(2 * np.pi * centres[rows, None] * np.arange(2**12))
    levels = [
        (transform(x)[1 + row] / transform.scale[1 + row]).mean()
        for row, x in zip(rows, tones, strict=True)
    ]
    np.testing.assert_allclose(levels, 0.5, rtol=0.02)
    assert transform.scale[1 + rows[0]] > 16 * transform.scale[1 + rows[-1]]


def test_renormalised_second_order_does_not_know_the_level():
    x = torch.randn(1, 3000, generator=torch.Generator().manual_seed(0))
    front_end = LogScattering(J=6, Q=4)
    quiet, loud = front_end(x), front_end(10 * x)
    torch.testing.assert_close(loud["S2"], quiet["S2"], rtol=0, atol=5e-3)
    assert (loud["S1"] - quiet["S1"] - np.log(10)).abs().max() < 5e-3


@pytest.mark.parametrize("T", [0, -1.0, float("nan"), "long"])
def test_a_window_that_is_no_time_is_named(T):
    with pytest.raises(InputError, match=r"T = .* 0\.37, 0\.74 or 1\.5"):
        LogScattering(T=T)


def test_a_sound_shorter_than_the_filters_is_named():
    with pytest.raises(InputError, match="choose J <= 12"):
        LogScattering()(torch.ones(1, 8191))


def test_transforms_travel_without_their_filters():
    transform = Scattering1D(6, 1000, (4, 2), 100, "kymatio", "float64", workers=2)
    x = np.random.default_rng(0).standard_normal(1000)
    expected = transform(x)
    letter = pickle.dumps(transform)
    assert len(letter) < 500
    np.testing.assert_array_equal(pickle.loads(letter)(x), expected)

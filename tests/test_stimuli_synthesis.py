"""Controlled stimuli carry exactly the modulation that was asked for."""

import numpy as np
import pytest
from scipy.signal import butter, hilbert, sosfiltfilt

from stimuli import InputError
from stimuli.audio import RMS
from stimuli.synthesis import am_noise, am_tone, fm_tone, harmonic_complex, pure_tone, ripple

RATE = 22050


def _spectrum_peak(x):
    """Frequency of the strongest component above 0 Hz."""
    magnitude = np.abs(np.fft.rfft(x - x.mean()))
    return np.argmax(magnitude) * RATE / len(x)


def _band_envelope(x, hz):
    band = sosfiltfilt(butter(2, [hz / 1.03, hz * 1.03], "bandpass", fs=RATE, output="sos"), x)
    return np.abs(hilbert(band))


@pytest.mark.parametrize(
    "x",
    [
        pure_tone(0.5, 440),
        harmonic_complex(0.5, 200, 10),
        am_tone(0.5, 8),
        am_noise(0.5, 8),
        fm_tone(0.5, 5, 100),
        ripple(0.5, 8, 1),
    ],
)
def test_all_stimuli_have_one_format_and_level(x):
    assert x.dtype == np.float32 and x.shape == (11025,)
    assert np.sqrt(np.mean(x**2)) == pytest.approx(RMS, rel=1e-4)
    assert np.abs(x).max() < 1


@pytest.mark.parametrize("hz", [100, 1000, 9000])
def test_a_pure_tone_has_one_component(hz):
    power = np.abs(np.fft.rfft(pure_tone(1, hz))) ** 2
    assert power[hz] / power.sum() > 1 - 1e-6


def test_a_complex_has_its_harmonics_at_equal_level_and_nothing_else():
    magnitude = np.abs(np.fft.rfft(harmonic_complex(1, 220, 12)))
    assert np.flatnonzero(magnitude > 1e-3 * magnitude.max()).tolist() == [
        220 * h for h in range(1, 13)
    ]
    assert np.ptp(magnitude[220 : 220 * 13 : 220]) < 1e-3 * magnitude.max()


@pytest.mark.parametrize("rate", [2, 8, 64])
@pytest.mark.parametrize("depth", [0.3, 1.0])
def test_an_am_tone_has_sidebands_of_half_the_depth(rate, depth):
    magnitude = np.abs(np.fft.rfft(am_tone(1, rate, depth, 2000)))
    for side in (2000 - rate, 2000 + rate):
        assert magnitude[side] / magnitude[2000] == pytest.approx(depth / 2, rel=1e-3)


@pytest.mark.parametrize("rate", [4, 64])
def test_the_envelope_of_am_noise_peaks_at_its_rate(rate):
    assert _spectrum_peak(np.abs(am_noise(4, rate, seed=3))) == pytest.approx(rate)


def test_an_fm_tone_sweeps_the_asked_for_range_at_the_asked_for_rate():
    x = fm_tone(2, 5, 200, 1000)
    frequency = np.diff(np.unwrap(np.angle(hilbert(x)))) * RATE / (2 * np.pi)
    frequency = frequency[1000:-1000]
    assert frequency.max() == pytest.approx(1200, abs=3)
    assert frequency.min() == pytest.approx(800, abs=3)
    assert _spectrum_peak(frequency) == pytest.approx(5, abs=0.3)


@pytest.mark.parametrize("rate", [2, 8, 64])
def test_the_envelope_of_a_ripple_peaks_at_its_rate_in_each_band(rate):
    x = ripple(4, rate, 1, seed=1)
    for hz in (2000, 4000):
        assert _spectrum_peak(_band_envelope(x, hz)) == pytest.approx(rate, abs=0.26)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(("rate", "scale", "depth"), [(8, 0.5, 0.9), (4, 2, 0.5), (0.5, 8, 1.0)])
def test_every_tone_of_a_ripple_carries_the_envelope_of_the_docstring(
    rate, scale, direction, depth
):
    # sin(wt + p)(1 + d sin(Wt + q)) holds, relative to its carrier, d/2 exp(i(q - pi/2)) at w + W.
    x = ripple(8, rate, scale, direction, depth, f_low=1000, octaves=2, seed=2)
    t = np.arange(len(x)) / RATE
    windowed = x * np.hanning(len(x))

    def component(hz):
        return np.sum(windowed * np.exp(-2j * np.pi * hz * t))

    for octave in (0, 0.25, 1, 1.95):
        hz = 1000 * 2**octave
        expected = depth / 2 * np.exp(1j * (2 * np.pi * direction * scale * octave - np.pi / 2))
        assert abs(component(hz + rate) / component(hz) - expected) < 0.01


def test_direction_plus_one_sweeps_downward():
    # One cycle of the envelope over two octaves and a second: the crest of a band an eighth of a
    # second later lies a quarter octave lower.
    x = ripple(4, 1, 0.5, 1, f_low=500, octaves=4, seed=0)
    crest = {}
    for hz in (2000, 2000 / 2**0.25):
        envelope = _band_envelope(x, hz)[RATE // 2 : -RATE // 2]
        t = np.arange(len(envelope)) / RATE
        crest[hz] = -np.angle(np.sum(envelope * np.exp(-2j * np.pi * t))) / (2 * np.pi)
    later = (crest[2000 / 2**0.25] - crest[2000]) % 1
    assert later == pytest.approx(0.125, abs=0.05)


def test_noise_and_ripples_repeat_for_a_seed():
    for make in (lambda s: am_noise(0.2, 8, seed=s), lambda s: ripple(0.2, 8, 1, seed=s)):
        np.testing.assert_array_equal(make(1), make(1))
        assert not np.array_equal(make(1), make(2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: pure_tone(1, 12000),
        lambda: pure_tone(0, 100),
        lambda: harmonic_complex(1, 1000, 12),
        lambda: am_tone(1, 8, depth=1.5),
        lambda: am_tone(1, 100, carrier_hz=11000),
        lambda: fm_tone(1, 5, 1200, 1000),
        lambda: ripple(1, 8, 11),
        lambda: ripple(1, 8, 1, direction=0),
        lambda: ripple(1, 8, 1, octaves=6),
    ],
)
def test_what_the_sample_rate_cannot_carry_is_refused(make):
    with pytest.raises(InputError):
        make()

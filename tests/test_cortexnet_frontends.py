"""Front-ends: what they are tuned to, what they agree with, what they must not look at."""

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st

from cortexnet.frontends import (
    Cochleagram,
    ERBCochleagram,
    LogMel,
    LogScattering,
    ModulationEnergy,
    strf_bank,
)
from cortexnet.frontends.gammatone import erb, erb_number, erb_to_hz
from cortexnet.frontends.strf import (
    strf_energy,
    strf_energy_by_factors,
    strf_factors,
)
from cortexnet.networks.areas import mean_of_pairs
from stimuli import InputError
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
        image = torch.from_numpy(image.astype(np.float32))[None]
        fields = torch.from_numpy(np.stack([bank.real, bank.imag]))
        energy = strf_energy(image, fields)[0, :, 20:50, 100:].mean((1, 2))
        assert tuning[int(energy.argmax())] == (rate, scale, direction)


@given(
    st.integers(1, 3), st.integers(1, 9), st.integers(3, 60),
    st.sampled_from([(1, 1), (3, 4), (2, 2), (3, 2)]), st.sampled_from([0.1, 0.5]),
)  # fmt: skip
def test_energy_by_factors_is_energy_by_whole_fields(batch, n_bands, n_frames, stride, seconds):
    settings = (4, 8), (0.5, 1), seconds, 1.1, 50.0, 10
    bank, tuning = strf_bank(*settings)
    temporal, spectral, same = strf_factors(*settings)
    x = torch.randn(batch, n_bands, n_frames, generator=torch.manual_seed(n_frames)).double()
    whole = torch.from_numpy(np.stack([bank.real, bank.imag])).double()
    slow = strf_energy(x, whole, stride)
    exact = strf_energy_by_factors(x, *map(torch.from_numpy, (temporal, spectral)), stride)
    parts = (torch.from_numpy(part).float() for part in (temporal, spectral))
    fast = strf_energy_by_factors(x.float(), *parts, stride)
    assert tuning == same
    torch.testing.assert_close(exact, slow, rtol=1e-6, atol=1e-6)  # the bank is of complex64
    torch.testing.assert_close(fast.double(), exact, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 9), st.integers(-2, 1))
def test_means_of_pairs_leave_the_last_of_an_odd_number_alone(n, axis):
    x = torch.randn(n, n, generator=torch.manual_seed(n))
    expected = [x.select(axis, i) if i + 1 == n else (x.select(axis, i) + x.select(axis, i + 1)) / 2
                for i in range(0, n, 2)]  # fmt: skip
    torch.testing.assert_close(mean_of_pairs(x, axis), torch.stack(expected, axis))


def test_gradients_reach_the_waveform():
    x = torch.randn(1, RATE, generator=torch.manual_seed(0)).mul_(0.05).requires_grad_()
    ModulationEnergy(RATE)(x).sum().backward()
    assert torch.isfinite(x.grad).all() and (x.grad != 0).float().mean() > 0.9


# ---- gammatone filters on the ERB scale


def slow_gammatone(frontend, x, band):
    """Frames of one band in double precision, by the recursion of a sampled gammatone.

    The z-transform of n^3 pole^n is (pole/z + 4 pole^2/z^2 + pole^3/z^3) / (1 - pole/z)^4.
    """
    f, b, rate, hop = (frontend.centres[band], frontend.decays[band], frontend.sample_rate,
                       frontend.hop)  # fmt: skip
    pole = np.exp((-2 * np.pi * b + 2j * np.pi * f) / rate)
    b_z, a_z = np.array([0, pole, 4 * pole**2, pole**3]), np.poly([pole] * 4)
    gain = 2 / np.abs(scipy.signal.freqz(b_z, a_z, [2 * np.pi * f / rate])[1][0])
    delayed = np.r_[np.zeros(frontend.delays[band]), x][: len(x)]
    power = np.abs(scipy.signal.lfilter(gain * b_z, a_z, delayed)) ** 2
    power = np.r_[np.zeros(hop), power]
    window = np.hanning(2 * hop + 1)[:-1] / hop
    frames = [window @ power[t * hop : (t + 2) * hop] for t in range(len(x) // hop)]
    return (np.array(frames) + 1e-10) ** (frontend.exponent / 2)


def test_erb_scale_is_that_of_glasberg_and_moore():
    assert erb(1000) == pytest.approx(132.6, abs=0.1)
    assert erb_number(1000) == pytest.approx(15.6, abs=0.05)
    hz = np.geomspace(50, 10000, 30)
    np.testing.assert_allclose(erb_to_hz(erb_number(hz)), hz)
    slope = (erb_number(hz + 0.5) - erb_number(hz - 0.5)) * erb(hz)
    np.testing.assert_allclose(slope, 1, rtol=1e-3)  # a step of one ERB is one bandwidth


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 2e-5), (torch.float32, 3e-5)])
def test_gammatone_cochleagram_equals_one_recursive_filter_a_band(dtype, tolerance):
    frontend = ERBCochleagram(RATE)
    x = np.random.default_rng(0).standard_normal(int(1.3 * RATE)) * 0.1
    fast = frontend(torch.from_numpy(x).to(dtype)[None])[0].numpy()
    for band in range(0, frontend.n_bands, 6):
        np.testing.assert_allclose(fast[band], slow_gammatone(frontend, x, band), atol=tolerance)


def test_gammatone_bands_span_the_ear_and_are_an_erb_wide():
    frontend = ERBCochleagram(RATE)
    assert frontend.centres[0] == pytest.approx(50) and 9500 < frontend.centres[-1] <= 10000
    np.testing.assert_allclose(np.diff(erb_number(frontend.centres)), 0.5)
    assert frontend.frame_rate >= 400
    for band in (0, 20, 40):
        response = np.abs(np.fft.fft(frontend.kernel(band), 2**17)[: 2**16]) ** 2
        width = response.sum() / response.max() * RATE / 2**17
        assert width == pytest.approx(erb(frontend.centres[band]), rel=0.02)


@pytest.mark.parametrize("band", [0, 20, 40, 66])
def test_a_sine_of_amplitude_a_gives_a_to_the_exponent_at_its_band(band):
    frontend = ERBCochleagram(RATE)
    t = np.arange(RATE) / RATE
    frames = frontend(as_batch(0.2 * np.sin(2 * np.pi * frontend.centres[band] * t)))[0]
    assert int(frames[:, 200:].mean(1).argmax()) == band
    assert frames[band, 200:].mean().item() == pytest.approx(0.2**0.3, rel=0.01)


def test_a_click_peaks_in_all_bands_at_once_and_never_before_it():
    frontend = ERBCochleagram(RATE)
    x = torch.zeros(1, RATE)
    x[:, RATE // 2] = 1
    frames = frontend(x)[0]
    first = RATE // 2 // frontend.hop
    assert (frames[:, :first] - 1e-10**0.15).abs().max() < 1e-3  # nothing above the floor
    peak = (frames.argmax(1) + 1) / frontend.frame_rate  # ends of frames
    assert peak.max() == peak.min()
    assert peak[0].item() == pytest.approx(0.5 + frontend.latency, abs=1 / frontend.frame_rate)


def test_gammatone_frames_do_not_depend_on_later_sound_or_on_the_duration():
    frontend = ERBCochleagram(RATE)
    x = torch.randn(1, int(2.6 * RATE), generator=torch.manual_seed(0)) * 0.05
    whole = frontend(x)
    assert whole.shape == (1, frontend.n_bands, x.shape[1] // frontend.hop)
    for seconds in (1.0, 1.7):
        part = frontend(x[:, : int(seconds * RATE)])
        torch.testing.assert_close(part, whole[..., : part.shape[2]], rtol=1e-4, atol=1e-5)


def test_level_moves_the_logarithm_of_gammatone_envelopes_by_a_constant():
    frontend = ERBCochleagram(RATE)
    x = torch.randn(1, RATE, generator=torch.manual_seed(0)) * 0.05
    shift = torch.log(frontend(10 * x) / frontend(x))[..., 50:]
    assert shift.median().item() == pytest.approx(0.3 * np.log(10), abs=1e-3)
    assert (shift - shift.median()).abs().quantile(0.95) < 0.01  # deep valleys hold the floor


@pytest.mark.parametrize("rate", [16000, 44100])
def test_gammatone_bands_fit_any_sampling_rate(rate):
    frontend = ERBCochleagram(rate)
    assert frontend.centres[-1] <= 0.45 * rate and frontend.frame_rate >= 400
    with pytest.raises(InputError, match="half the sampling rate"):
        ERBCochleagram(rate, f_max=rate)


def test_gammatone_gradients_are_those_of_finite_differences():
    frontend = ERBCochleagram(2000, f_min=100, f_max=800, bands_per_erb=0.5, frame_rate=50)
    x = torch.randn(1, 160, generator=torch.manual_seed(0), dtype=torch.float64) * 0.1
    assert torch.autograd.gradcheck(frontend, x.requires_grad_(), eps=1e-6, atol=1e-5)


# ---- modulation, on either cochleagram


@pytest.fixture(scope="module")
def modulation():
    return {
        "stft": ModulationEnergy(RATE),
        "gammatone": ModulationEnergy(
            RATE, cochleagram=ERBCochleagram(RATE, f_min=60, bands_per_octave=10)
        ),
    }


def test_modulation_refuses_a_cochleagram_without_octaves():
    with pytest.raises(InputError, match="bands_per_octave"):
        ModulationEnergy(RATE, cochleagram=ERBCochleagram(RATE))


@pytest.mark.parametrize("rate", [2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("carrier", [1500, 4000])
def test_fast_envelopes_follow_amplitude_modulation_of_2_to_64_hz(modulation, rate, carrier):
    model = modulation["gammatone"]
    x = am_tone(2.0, rate, depth=1.0, carrier_hz=carrier, sample_rate=RATE)
    energy = model(as_batch(x))[0].mean((1, 2)).reshape(len(model.rates), -1).sum(1)
    assert model.rates[int(energy.argmax())] == rate
    assert energy.sort().values[-2] < 0.5 * energy.max()


@pytest.mark.parametrize("rate, scale", [(2.8, 0.7), (5.6, 1.4), (22, 0.35), (45, 0.5), (8, 3)])
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("kind", ["stft", "gammatone"])
def test_ripples_between_the_centres_peak_within_half_an_octave(
    modulation, kind, rate, scale, direction
):
    if kind == "stft" and rate > 32:
        rate = 32  # its windows smooth faster ones
    model = modulation[kind]
    x = as_batch(ripple(1.5, rate, scale, direction, sample_rate=RATE))
    found = model.tuning[int(model(x)[0].mean((1, 2)).argmax())]
    assert abs(np.log2(found[0] / rate)) <= 0.51 and abs(np.log2(found[1] / scale)) <= 0.51
    assert found[2] == direction


FRONTENDS = {
    "mel": LogMel,
    "stft": Cochleagram,
    "gammatone": ERBCochleagram,
    "modulation": ModulationEnergy,
    "scattering": lambda rate: lambda x: LogScattering(rate)(x)["S1"],
}


@pytest.mark.parametrize("name", FRONTENDS)
@pytest.mark.parametrize("seconds", [1.0, 1.37])
def test_every_frontend_treats_sounds_of_a_batch_alone(name, seconds):
    frontend = FRONTENDS[name](RATE)
    x = torch.randn(3, int(seconds * RATE), generator=torch.manual_seed(1)) * 0.05
    together = frontend(x)
    alone = torch.cat([frontend(x[i : i + 1]) for i in range(3)])
    scale = together.abs().max()
    torch.testing.assert_close(together / scale, alone / scale, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FRONTENDS)
def test_gradients_of_every_frontend_agree_with_a_small_step(name):
    frontend = FRONTENDS[name](RATE)
    generator = torch.manual_seed(2)
    x = torch.randn(1, RATE, generator=generator).mul_(0.05).requires_grad_()
    direction = torch.randn(1, RATE, generator=generator) * 0.05
    weight = torch.randn(frontend(x).shape, generator=generator)
    (weight * frontend(x)).sum().backward()
    step = 1e-3
    with torch.no_grad():
        ahead, behind = frontend(x + step * direction), frontend(x - step * direction)
    slope = ((ahead.double() - behind.double()) * weight).sum() / (2 * step)
    slack = 0.02 * (weight.double() * (ahead - behind) / (2 * step)).square().sum().sqrt()
    assert (slope - (x.grad * direction).double().sum()).abs() < slack

"""Scattering: equal to kymatio and to the definition, stable, scaled, batched, guarded."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexnet.scattering import Scattering1D
from cortexnet.scattering.average import make_average
from cortexnet.scattering.cosine import make_cosine, reflected_spectrum
from cortexnet.scattering.fast import scatter
from cortexnet.scattering.filters import lowpass_response, wavelet_family
from cortexnet.scattering.geometry import make_geometry
from cortexnet.scattering.plan import Precision, good_size, make_plan
from stimuli.errors import InputError

SOUNDS = ("white noise", "pink noise", "harmonic complex", "clicks")
# shape, J, Q
CONFIGURATIONS = [
    (2**13, 8, (8, 1)),
    (2**14, 10, (16, 1)),
    (22050, 11, (8, 1)),
]


def make_sounds(shape, seed=0):
    """(4, shape) float32: the sounds named in SOUNDS."""
    rng = np.random.default_rng(seed)
    time = np.arange(shape)
    white = rng.standard_normal(shape)
    spectrum = np.fft.rfft(rng.standard_normal(shape))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    pink = np.fft.irfft(spectrum, shape)
    complex_tone = sum(np.cos(2 * np.pi * k * 0.009 * time + k) / k for k in range(1, 30))
    complex_tone *= 1 + 0.5 * np.sin(2 * np.pi * time / 4000)
    clicks = np.zeros(shape)
    clicks[rng.integers(0, shape, shape // 8192 + 4)] = 1
    return np.stack([white, pink / pink.std(), complex_tone, clicks]).astype("float32")


@functools.cache
def kymatio_result(shape, J, Q):
    from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

    peer = ScatteringTorch1D(J=J, shape=shape, Q=Q)
    return peer(torch.from_numpy(make_sounds(shape))).numpy(), peer.meta()


@pytest.fixture(scope="session", params=CONFIGURATIONS, ids=str)
def against_kymatio(request):
    """Configuration, kymatio's coefficients of the four sounds and its meta-data."""
    return request.param, *kymatio_result(*request.param)


def order_errors(result, expected, order, edge):
    """Largest difference over the order's largest coefficient: (n_clips, 2), orders 1 and 2."""
    inside = slice(edge, expected.shape[-1] - edge)
    columns = []
    for wanted in (1, 2):
        peer = expected[:, order == wanted][..., inside]
        difference = np.abs(result[:, order == wanted][..., inside] - peer)
        columns.append(difference.max((1, 2)) / peer.max((1, 2)))
    return np.stack(columns, axis=1)


def direct_scattering(x, J, Q, paths, frames):
    """The definition in float64: reflected signal, full-rate FFT filters, modulus, low-pass."""
    period = 2 * len(x) - 2
    frequency = np.arange(period) / period

    def gaussian(centre, sigma):
        images = range(-4, 5)
        return sum(np.exp(-0.5 * ((frequency - centre + i) / sigma) ** 2) for i in images)

    def normalised(response):
        return response / np.abs(np.fft.ifft(response)).sum()

    def morlet(wavelet):
        band, low = gaussian(wavelet.xi, wavelet.sigma), gaussian(0, wavelet.sigma)
        return normalised(band - band[0] / low[0] * low)

    window = normalised(gaussian(0, 0.1 / 2**J))
    rows = []
    for path in paths:
        wave, exponent = np.concatenate([x, x[-2:0:-1]]).astype(float), 0
        for Q_order, number in zip(Q, path, strict=False):
            wavelet = wavelet_family(J, Q_order)[number]
            wave = np.abs(np.fft.ifft(np.fft.fft(wave) * morlet(wavelet)))
            exponent += min(wavelet.j, J)  # kymatio's scaling
        average = np.fft.ifft(np.fft.fft(wave) * window).real
        rows.append(average[frames] / 2**exponent)
    return np.stack(rows)


@pytest.mark.parametrize("preset", ["standard", "strict"])
def test_coefficients_equal_kymatio_inside(against_kymatio, preset):
    (shape, J, Q), expected, meta = against_kymatio
    result = Scattering1D(J, shape, Q, preset=preset)(make_sounds(shape))
    assert result.shape == expected.shape
    assert result.dtype == np.float32
    errors = order_errors(result, expected, meta["order"], edge=expected.shape[-1] // 4)
    assert errors.max() < (5e-4 if preset == "standard" else 2e-4)


def test_frames_at_the_ends_equal_kymatio(against_kymatio):
    (shape, J, Q), expected, meta = against_kymatio
    result = Scattering1D(J, shape, Q)(make_sounds(shape))
    errors = order_errors(result, expected, meta["order"], edge=0)
    assert errors.max() < 5e-4


def test_order_zero_equals_kymatio():
    shape, J, Q = CONFIGURATIONS[0]
    expected, _ = kymatio_result(shape, J, Q)
    result = Scattering1D(J, shape, Q)(make_sounds(shape))
    peak = np.abs(expected[:, 0]).max(-1, keepdims=True)
    assert np.abs(result[:, 0] - expected[:, 0]).max() < 2e-6 * peak.max()


def test_meta_equals_kymatio(against_kymatio):
    (shape, J, Q), _, expected = against_kymatio
    transform = Scattering1D(J, shape, Q)
    meta = transform.meta()
    assert meta.keys() == expected.keys()
    assert meta["key"] == expected["key"]
    for name in ("order", "xi", "sigma", "j", "n"):
        assert meta[name].dtype == expected[name].dtype
        np.testing.assert_allclose(meta[name], expected[name], rtol=1e-12)
    assert transform.n_coefficients == len(expected["order"])


@pytest.mark.parametrize("Q", [1, (2, 2), (3, 1), (4, 1), (8, 2)])
def test_few_wavelets_an_octave_equal_kymatio(Q):
    # Wide wavelets wrap around the Nyquist frequency; the widest keep the signal's own rate.
    shape, J = 2**12, 7
    expected, meta = kymatio_result(shape, J, Q)
    result = Scattering1D(J, shape, Q, preset="strict")(make_sounds(shape))
    # as far as kymatio is from the continuous-time modulus after so short an average
    assert order_errors(result, expected, meta["order"], edge=4).max() < 1e-3


@pytest.mark.parametrize(
    ("shape", "J", "Q", "n_paths"),
    [(60001, 12, (8, 1), 2), (30000, 11, (16, 1), 8), (3001, 6, (8, 1), 8)],
)
def test_finer_sampling_converges_to_the_definition(shape, J, Q, n_paths):
    # A sound without its upper octaves: the direct computation oversamples all its moduli.
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(shape))
    spectrum[int(0.06 * shape) :] = 0
    x = np.fft.irfft(spectrum, shape)
    transform = Scattering1D(J, shape, Q)
    meta = transform.meta()
    occupied = np.flatnonzero(meta["xi"][:, 0] < 0.05)
    rows = occupied[np.linspace(0, len(occupied) - 1, n_paths).astype(int)]
    expected = direct_scattering(x, J, Q, [meta["key"][row] for row in rows], transform.frames)
    errors = {}
    for rate in (100.0, 400.0):
        precise = Precision(half_width=(7.0, 6.5), rate=(rate, 0.6 * rate), blocks=120.0)
        for dtype in ("float32", "float64"):
            result = scatter(x[None], make_plan(shape, J, Q, 2**J, 2, precise, dtype))[0, rows]
            difference = np.abs(result - expected).max(1) / np.abs(expected).max(1)
            errors[rate, dtype] = difference.max()
            assert result.dtype == dtype
    # Path by path, not by the largest of the order.
    assert errors[400.0, "float64"] < 1e-5
    assert errors[400.0, "float64"] < errors[100.0, "float64"] / 4
    assert errors[400.0, "float32"] < 1.2e-5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_result_does_not_depend_on_the_batch(dtype):
    sounds = make_sounds(10001)
    transform = Scattering1D(8, 10001, dtype=dtype)
    together = transform(np.tile(sounds, (40, 1)).reshape(2, 80, 10001))
    assert together.shape == (2, 80, transform.n_coefficients, transform.n_frames)
    assert together.dtype == dtype
    alone = np.stack([transform(sound) for sound in sounds])
    tolerance = (1e-6 if dtype == "float32" else 1e-14) * np.abs(alone).max()
    np.testing.assert_allclose(together[1, -4:], alone, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(transform(sounds), transform(sounds))


def test_tensors_come_back_as_tensors():
    sounds = make_sounds(2**12)
    transform = Scattering1D(7, 2**12)
    result = transform(torch.from_numpy(sounds))
    assert isinstance(result, torch.Tensor)
    np.testing.assert_array_equal(result.numpy(), transform(sounds))
    assert transform(sounds[:0]).shape == (0, transform.n_coefficients, transform.n_frames)


@settings(max_examples=20, deadline=None)
@given(
    level=st.floats(1e-25, 1e25).flatmap(lambda a: st.sampled_from([a, -a])),
    seed=st.integers(0, 99),
)
def test_level_scales_the_coefficients(level, seed):
    transform = Scattering1D(6, 1000)
    x = np.random.default_rng(seed).standard_normal(1000)
    expected = abs(level) * transform(x)
    expected[0] *= np.sign(level)  # order 0 has no modulus
    result = transform(level * x)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("level", [1e-42, 1e-37, 1e37])
def test_the_ends_of_single_precision_are_in_range(level):
    transform = Scattering1D(6, 1000)
    x = np.random.default_rng(0).standard_normal(1000)
    signal = (level * x).astype(np.float32)
    expected = level * transform(signal / level)
    np.testing.assert_allclose(transform(signal) / level, expected / level, rtol=0, atol=0.01)
    assert transform(signal)[1:].any()


def test_silence_is_zero():
    assert not Scattering1D(6, 1000)(np.zeros((2, 1000))).any()


@pytest.mark.parametrize("last", [1, 2, 96, 500, 509, 2 * 1009, 4095])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_spectrum_is_that_of_the_reflected_signal(last, dtype):
    # 509 and 1009 are prime and above the size from which chirps are used
    x = np.random.default_rng(last).standard_normal((5, last + 1)).astype(dtype)
    expected = np.fft.rfft(np.concatenate([x, x[:, -2:0:-1]], axis=1).astype(float))
    result = reflected_spectrum(x, make_cosine(last + 1, np.dtype(dtype)))
    assert result.dtype == dtype
    tolerance = (1e-5 if dtype == "float32" else 1e-13) * expected.real.std()
    np.testing.assert_allclose(result, expected.real, rtol=0, atol=tolerance)


@given(st.integers(1, 10**7))
def test_sizes_are_even_and_large_enough(smallest):
    size = good_size(smallest)
    assert size % 2 == 0
    assert max(smallest, 64) <= size <= max(1.26 * smallest, 64)


@pytest.mark.parametrize("T", [1, 3, 37, 300, 4000])
def test_average_by_chirps_is_the_matrix_product(T):
    geometry = make_geometry(4001, T)
    average = make_average(geometry, np.dtype(float))
    coefficients = np.random.default_rng(T).standard_normal((3, average.n_bins))
    bins = np.arange(average.n_bins)
    weights = lowpass_response(bins / geometry.period, T) * np.where(bins > 0, 2, 1)
    weights[geometry.period // 2 :] /= 2  # Nyquist has no twin
    phase = 2 * np.pi * np.outer(bins, geometry.frames) / geometry.period
    expected = (coefficients * weights) @ np.cos(phase)
    assert (average.matrix is None) == (T < 30)
    np.testing.assert_allclose(average(coefficients), expected, rtol=0, atol=1e-10)


def test_average_over_nearly_the_whole_signal_is_that_of_kymatio():
    # The window then spans several periods of the reflected signal.
    x = make_sounds(1001)
    result, expected = (Scattering1D(6, 1001, 4, 1000, preset=p)(x) for p in ("strict", "kymatio"))
    reflected = np.concatenate([x, x[:, -2:0:-1]], axis=1)
    np.testing.assert_allclose(result[:, 0, 0], reflected.mean(1), rtol=0, atol=1e-6)
    # kymatio's padding is not one period of the reflection
    np.testing.assert_allclose(result[0, 1:], expected[0, 1:], rtol=0.1, atol=1e-4)


def test_workers_do_not_change_the_result():
    sounds = np.tile(make_sounds(2**13), (40, 1))  # three chunks
    alone = Scattering1D(8, 2**13, workers=1)(sounds)
    for workers in (2, 3):
        np.testing.assert_array_equal(Scattering1D(8, 2**13, workers=workers)(sounds), alone)


def test_first_order_alone_is_the_first_order():
    sounds = make_sounds(3000)
    both, first = (Scattering1D(7, 3000, 4, max_order=order) for order in (2, 1))
    np.testing.assert_allclose(
        first(sounds), both(sounds)[:, both.meta()["order"] < 2], rtol=1e-5, atol=1e-6
    )
    assert first.meta()["order"].max() == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"J": 0}, "J = 0"),
        ({"J": 8.0}, "J = 8.0"),
        ({"J": 13}, "J = 13 makes filters of .* 8192 samples.*4096: choose J <= 12"),
        ({"shape": 200}, "longer than signals of 200: choose J <= 7"),
        ({"J": 1, "shape": 15}, "shape = 15: .* at least 16"),
        ({"Q": 0}, r"Q\[0\] = 0: .* at least 1"),
        ({"Q": (8, 0)}, r"Q\[1\] = 0: .* at least 1"),
        ({"Q": (8, 1, 1)}, "one number of wavelets"),
        ({"T": -1}, "T = -1"),
        ({"T": 0.5}, "T = 0.5"),
        ({"T": 0}, "T = 0 .* choose T >= 1, or preset 'kymatio'"),
        ({"T": 5000}, "T = 5000 .* choose T <= 4096"),
        ({"preset": "loose"}, "standard"),
        ({"dtype": "float16"}, "float32"),
        ({"max_order": 3}, "use 1 or 2"),
        ({"workers": 0}, "workers = 0"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(InputError, match=words) as raised:
        Scattering1D(**({"J": 8, "shape": 4096} | options))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (np.zeros(4095), "4096 samples"),
        (np.float32(0), "4096 samples"),
        (np.zeros(4096, complex), "real floats"),
        (np.full((2, 4096), "a"), "real floats"),
        (np.zeros(4096, np.int16), "int16: .* divide integer samples by .*32768"),
        (torch.zeros(4096, dtype=torch.int32), "int32: .* divide integer"),
        (
            np.where(np.arange(8192).reshape(2, 4096) == 4100, np.nan, 0.0),
            "signal 1, sample 4 is nan",
        ),
        (np.full(4096, np.inf), "sample 0 is inf"),
        (torch.full((4096,), torch.nan, requires_grad=True), "sample 0 is nan"),
    ],
)
@pytest.mark.parametrize("preset", ["standard", "kymatio"])
def test_wrong_signals_are_named(sound, words, preset):
    with pytest.raises(InputError, match=words):
        Scattering1D(6, 4096, 2, preset=preset)(sound)

"""Morlet wavelets and the Gaussian low-pass, in frequency, evaluated only where they are not zero.

The family is that of kymatio 0.3.0 (Andreux et al., 2020, JMLR 21, 60), after Lostanlen (2017,
*Convolutional operators in the time-frequency domain*, thesis): constant-Q wavelets down to the
width of the averaging window, then wavelets of constant width down to zero frequency.
Frequencies are in cycles per sample, widths are standard deviations of the Gaussian in frequency.
"""

import math
from dataclasses import dataclass

import numpy as np

LOWPASS_WIDTH = 0.1  # sigma of the averaging window is LOWPASS_WIDTH / T
ALIAS_HALF_WIDTH = 5.0  # kymatio subsamples a wavelet as if it ended this many sigma above xi
GAUSSIAN_END = 9.5  # in sigma; exp(-GAUSSIAN_END**2 / 2) is below double precision


@dataclass(frozen=True)
class Wavelet:
    """One Morlet wavelet: centre ``xi``, width ``sigma``, largest dyadic subsampling ``2**j``."""

    xi: float
    sigma: float
    j: int


def wavelet_family(J: int, Q: int) -> list[Wavelet]:
    """Wavelets of one order, from the highest frequency to the lowest.

    Parameters
    ----------
    J : int
        The narrowest wavelet has the width of the averaging window of ``2**J`` samples.
    Q : int
        Wavelets per octave.

    Returns
    -------
    list of Wavelet
    """
    ratio = 2.0 ** (1 / Q)
    xi = max(1 / (1 + 2.0 ** (3 / Q)), 0.35)
    sigma = xi * octave_width(Q)
    narrowest = LOWPASS_WIDTH / 2**J
    pairs = []
    elbow = sigma
    if sigma > narrowest:
        pairs.append((xi, sigma))
        while pairs[-1][1] > narrowest * ratio:
            pairs.append((pairs[-1][0] / ratio, pairs[-1][1] / ratio))
        elbow = pairs[-1][0]
    pairs += [(elbow - q / Q * elbow, narrowest) for q in range(1, Q)]
    return [Wavelet(xi, sigma, _dyadic_subsampling(xi, sigma)) for xi, sigma in pairs]


def octave_width(Q: int) -> float:
    """Width over centre of wavelets of which Q an octave cross at half power."""
    ratio = 2.0 ** (1 / Q)
    return (1 - 1 / ratio) / (1 + 1 / ratio) / math.sqrt(math.log(2))


def _dyadic_subsampling(xi: float, sigma: float) -> int:
    edge = min(xi + ALIAS_HALF_WIDTH * sigma, 0.5)
    return math.floor(-math.log2(edge)) - 1


def support(wavelet: Wavelet, half_width: float) -> tuple[float, float]:
    """Interval outside which a wavelet is below ``exp(-half_width**2 / 2)`` of its peak.

    A Morlet wavelet is a Gaussian at xi minus ``exp(-(xi / sigma)**2 / 2)`` times one at zero; the
    second decides the lower end when xi is a few sigma only, as in every family with Q = 1.
    """
    low, high = wavelet.xi - half_width * wavelet.sigma, wavelet.xi + half_width * wavelet.sigma
    second = half_width**2 - (wavelet.xi / wavelet.sigma) ** 2
    if second > 0:
        low = min(low, -math.sqrt(second) * wavelet.sigma)
    return low, high


def wavelet_response(
    frequency: np.ndarray, wavelet: Wavelet, period: int | None = None
) -> np.ndarray:
    """Frequency response of a Morlet wavelet with unit absolute sum in time.

    Parameters
    ----------
    frequency : (n,) ascending, cycles per sample
    wavelet : Wavelet
    period : int, optional
        Samples of the circle the wavelet is wrapped around before its absolute sum is taken, as
        kymatio does; a line without it.

    Returns
    -------
    (n,) float64
    """
    kappa = _kappa(wavelet)
    band = _periodic_gaussian(frequency - wavelet.xi, wavelet.sigma)
    band -= kappa * _periodic_gaussian(frequency, wavelet.sigma)
    return band / _absolute_sum(wavelet, period)


def _kappa(wavelet: Wavelet) -> float:
    """Share of the Gaussian at zero that leaves the wavelet without mean."""
    origin = np.zeros(1)
    at_zero = _periodic_gaussian(origin - wavelet.xi, wavelet.sigma)
    return (at_zero / _periodic_gaussian(origin, wavelet.sigma)).item()


def _absolute_sum(wavelet: Wavelet, period: int | None) -> float:
    """Sum of the modulus over time of the wavelet with Gaussians of unit height in frequency."""
    xi, sigma, kappa = wavelet.xi, wavelet.sigma, _kappa(wavelet)
    # The wavelet in time is sampled at the integers: its envelope has 1 / (2 pi sigma) as s.d.
    end = int(7 / (2 * math.pi * sigma)) + 2
    if period is not None and 2 * end > period:
        frequency = np.arange(period) / period
        band = _periodic_gaussian(frequency - xi, sigma)
        return float(np.abs(np.fft.ifft(band - kappa * _periodic_gaussian(frequency, sigma))).sum())
    time = np.arange(1, end)
    envelope = np.exp(-2 * (math.pi * sigma * time) ** 2)
    # |exp(i a) - kappa|^2 = (1 - kappa)^2 + 4 kappa sin^2(a / 2)
    carrier = np.sqrt((1 - kappa) ** 2 + 4 * kappa * np.sin(math.pi * xi * time) ** 2)
    return math.sqrt(2 * math.pi) * sigma * (1 - kappa + 2 * float(envelope @ carrier))


def lowpass_response(frequency: np.ndarray, T: float) -> np.ndarray:
    """Frequency response (n,) of the Gaussian averaging window of T samples; 1 at zero."""
    sigma = LOWPASS_WIDTH / T
    return _periodic_gaussian(frequency, sigma) / _periodic_gaussian(np.zeros(1), sigma)


def lowpass_sd(T: float) -> float:
    """Standard deviation in samples of the averaging window of T samples."""
    return T / (2 * math.pi * LOWPASS_WIDTH)


def _periodic_gaussian(frequency: np.ndarray, sigma: float) -> np.ndarray:
    """Sum of the images of exp(-f^2 / (2 sigma^2)) at whole cycles per sample."""
    reach = GAUSSIAN_END * sigma
    total = np.zeros(len(frequency))
    for image in range(math.ceil(-frequency[-1] - reach), math.floor(-frequency[0] + reach) + 1):
        total += np.exp(-0.5 * ((frequency + image) / sigma) ** 2)
    return total

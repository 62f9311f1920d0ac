"""Percussive part of a sound: median filters across the spectrogram (FitzGerald 2010).

A tone is a ridge along time and a stroke a ridge along frequency. The median over neighbouring
frames keeps the one, the median over neighbouring bins the other, and their powers weigh the
spectrogram.
"""

import numba
import numpy as np
import scipy.fft

KERNEL = 31


@numba.njit(cache=True, nogil=True)
def _median_along(padded, size, out):
    """Median of every ``size`` neighbours within the rows of ``padded`` into ``out``.

    The window is kept sorted; one value leaves and one enters a step, and only what lies between
    the two moves.
    """
    window = np.empty(size, np.float32)
    for i in range(out.shape[0]):
        row = padded[i]
        window[:] = np.sort(row[:size])
        out[i, 0] = window[size // 2]
        for j in range(1, out.shape[1]):
            old, new = row[j - 1], row[j + size - 1]
            k = 0
            while window[k] < old:
                k += 1
            if new > old:
                while k + 1 < size and window[k + 1] < new:
                    window[k] = window[k + 1]
                    k += 1
            else:
                while k > 0 and window[k - 1] > new:
                    window[k] = window[k - 1]
                    k -= 1
            window[k] = new
            out[i, j] = window[size // 2]


def running_median(S, size=KERNEL) -> np.ndarray:
    """Running median along the rows, mirrored at the edges (mode reflect of ``scipy.ndimage``).

    Parameters
    ----------
    S : (n_rows, n_columns) float
        Finite.
    size : int
        Odd.

    Returns
    -------
    (n_rows, n_columns) float32
    """
    S = np.ascontiguousarray(S, np.float32)
    padded = np.pad(S, ((0, 0), (size // 2, size // 2)), "symmetric")
    out = np.empty_like(S)
    _median_along(padded, size, out)
    return out


def percussive_share(power, size=KERNEL) -> np.ndarray:
    """Share of the percussive part in every cell of a power spectrogram.

    Parameters
    ----------
    power : (n_frames, n_bins) float
        Squared magnitude.
    size : int
        Frames and bins of the two median filters; odd.

    Returns
    -------
    (n_frames, n_bins) float32 between 0 and 1; 1/2 where both medians vanish

    Notes
    -----
    FitzGerald, "Harmonic/percussive separation using median filtering", DAFx 2010, with the soft
    mask of power 2. The median of squares is the square of the median, so no root is taken.
    """
    harmonic = np.ascontiguousarray(running_median(power.T, size).T)
    percussive = running_median(power, size)
    total = harmonic + percussive
    share = np.full_like(total, 0.5)
    return np.divide(percussive, total, out=share, where=total >= np.finfo(np.float32).tiny)


def percussive_part(x, sample_rate) -> np.ndarray:
    """Strokes of a sound, without what is sustained.

    Parameters
    ----------
    x : (n_samples,) float
    sample_rate : int
        Hz. The Hann window is the power of two nearest to 93 ms, with an overlap of three quarters.

    Returns
    -------
    (n_samples,) float32
        The sound is mirrored at its ends, because a cut is not a stroke.
    """
    n_fft = 2 ** round(np.log2(2048 / 22050 * sample_rate))
    hop = n_fft // 4
    lead = n_fft - hop  # every sample lies under four windows
    n_frames = -(-(len(x) + lead) // hop)
    tail = (n_frames - 1) * hop + n_fft - lead - len(x)
    padded = np.pad(np.asarray(x, np.float32), (lead, tail), "reflect")
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    spectrum = scipy.fft.rfft(frames * window, axis=1)
    spectrum *= percussive_share(np.square(spectrum.real) + np.square(spectrum.imag))
    frames = scipy.fft.irfft(spectrum, n_fft, axis=1) * (window / 1.5)  # sum of squared windows
    out = np.zeros((n_frames + 3, hop), np.float32)
    for quarter in range(4):
        out[quarter : quarter + n_frames] += frames[:, quarter * hop : (quarter + 1) * hop]
    return out.ravel()[lead : lead + len(x)]

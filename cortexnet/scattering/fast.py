"""The scattering transform on the CPU, without gradients: `scatter`."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import scipy.fft
from threadpoolctl import ThreadpoolController

from cortexnet.scattering.cosine import ROWS, reflected_spectrum
from cortexnet.scattering.kernels import (
    band_product,
    modulus_in_place,
    modulus_moments,
    split_band,
)
from cortexnet.scattering.plan import DenseBand, FirstGroup, Level, Plan, SecondBand

CHUNK = 2**17  # samples a call: its buffers stay in the cache and in the allocator's free lists
SAMPLES = 2**20  # of the clips worked on together, bounds the memory


def scatter(signals: np.ndarray, plan: Plan, workers: int = 1) -> np.ndarray:
    """Scattering coefficients of real signals.

    Signals are worked on in chunks of about SAMPLES samples whatever the number of workers, which
    bounds the memory and leaves the result the same.

    Parameters
    ----------
    signals : (n_clips, n_samples), finite
    plan : Plan
    workers : int
        Threads, each on chunks of its own.

    Returns
    -------
    (n_clips, n_coefficients, n_frames), in the plan's dtype
    """
    out = np.empty((len(signals), len(plan.paths), plan.average.n_frames), plan.dtype)
    together = int(np.clip(SAMPLES // plan.geometry.shape, 1, 64))
    chunks = [slice(start, start + together) for start in range(0, len(signals), together)]

    def work(clips):
        out[clips] = _scatter_together(signals[clips], plan)

    # One thread a product: threads of a library under ours slow both, and may round otherwise.
    with _libraries().limit(limits=1):
        if workers < 2 or len(chunks) < 2:
            for clips in chunks:
                work(clips)
        else:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(work, chunks))
    return out


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _scatter_together(signals, plan: Plan) -> np.ndarray:
    # A power of two near the peak keeps squares in range and changes no digit.
    largest = np.finfo(signals.dtype).maxexp - 2
    exponent = np.clip(np.frexp(np.abs(signals).max(axis=1))[1], -largest, largest)
    factor = np.ldexp(np.ones_like(signals[:, :1]), -exponent[:, None])
    scaled = (signals * factor).astype(plan.dtype, copy=False)  # ldexp of all is 40 times slower
    spectrum = reflected_spectrum(scaled, plan.cosine)
    out = np.empty((len(signals), len(plan.paths), plan.average.n_frames), plan.dtype)
    n_lowpass = plan.average.n_bins
    out[:, 0] = plan.average(spectrum[:, :n_lowpass]) / plan.geometry.period
    mirrored = _mirrored(spectrum, plan)
    for number, level in enumerate(plan.levels):
        moduli = _first_moduli(mirrored, level, plan)
        averaged = plan.average(moduli[:, :, :n_lowpass])
        out[:, 1 + level.first : 1 + level.first + level.count] = averaged.transpose(1, 0, 2)
        for band in plan.second_bands:
            if number < len(band.rows):
                out[:, band.rows[number]] = _second_frames(moduli, band, plan)
    return np.ldexp(out, exponent[:, None, None])


def _mirrored(spectrum, plan: Plan) -> np.ndarray:
    """Spectrum with the bins wanted below zero and above Nyquist, where it is its own mirror."""
    last = spectrum.shape[1] - 1
    return np.concatenate(
        [
            spectrum[:, plan.below : 0 : -1],
            spectrum,
            spectrum[:, last - 1 : last - 1 - plan.beyond : -1],
        ],
        axis=1,
    )


def _first_moduli(mirrored, level: Level, plan: Plan) -> np.ndarray:
    """Spectra of the moduli of a level's bands: (n_bands, n_clips, length)."""
    n_clips = len(mirrored)
    moduli = np.empty((level.count, n_clips, level.length), plan.dtype)
    for group in level.groups:
        members = slice(group.start, group.start + len(group.bands))
        together = max(ROWS, CHUNK // (group.size * len(group.bands)))
        for start in range(0, n_clips, together):
            clips = slice(start, start + together)
            spectrum = _group_moduli(mirrored[clips], group, plan)[..., : level.length]
            factor = plan.dtype.type(level.scale / group.size)
            np.multiply(spectrum, factor, out=moduli[members, clips])
    for band in level.dense:
        for clip in range(n_clips):
            moduli[band.row, clip] = _dense_modulus(mirrored[clip], band, level, plan)
    return moduli


def _group_moduli(mirrored, group: FirstGroup, plan: Plan) -> np.ndarray:
    """Spectra of a group's moduli times its size: (n_bands, n_clips, size / 2)."""
    n_bands, n_clips = len(group.bands), len(mirrored)
    parts = np.empty((2, n_bands, n_clips, group.size // 2), plan.dtype)
    for row, band in enumerate(group.bands):
        split_band(
            mirrored, plan.below, band.below, band.above, band.centre, parts[0, row], parts[1, row]
        )
    parts = parts.reshape(2, n_bands * n_clips, -1)
    parts = scipy.fft.dct(parts, type=3, axis=-1, overwrite_x=True)
    modulus_in_place(parts[0], parts[1])
    spectrum = scipy.fft.dct(parts[0], type=2, axis=-1, overwrite_x=True)
    return spectrum.reshape(n_bands, n_clips, -1)


def _dense_modulus(mirrored, band: DenseBand, level: Level, plan: Plan) -> np.ndarray:
    """Spectrum of one modulus (length,) sampled where the signal is."""
    period = plan.geometry.period
    half = mirrored[plan.below : plan.below + period // 2 + 1]
    whole = np.concatenate([half, half[-2:0:-1]])
    # response is scaled for a plain sum over bins
    wave = scipy.fft.ifft(whole * band.response, norm="forward")
    spectrum = scipy.fft.rfft(np.abs(wave)).real[: level.length]
    return spectrum * plan.dtype.type(level.scale / period)


def _second_frames(moduli, band: SecondBand, plan: Plan) -> np.ndarray:
    """Averaged second-order moduli of a level: (n_clips, n_bands, n_frames)."""
    n_bands, n_clips, length = moduli.shape
    spectra = moduli.reshape(-1, length)
    lowpass = band.lowpass
    moments = np.empty((len(spectra), 2 * lowpass.n_blocks), plan.dtype)
    together = max(ROWS, CHUNK // band.size)
    buffer = np.empty((together, band.size), plan.dtype)
    buffer[:, len(band.response) :] = 0
    for start in range(0, len(spectra), together):
        rows = spectra[start : start + together]
        product = buffer[: len(rows)]
        band_product(rows, band.start, band.mirrored, band.response, product)
        wave = scipy.fft.rfft(product, axis=1)
        modulus_moments(wave.view(plan.dtype), lowpass.position, moments[start : start + together])
    frames = np.empty((len(spectra), plan.average.n_frames), plan.dtype)
    for part in lowpass.slices:
        columns = slice(2 * part.blocks.start, 2 * part.blocks.stop)
        frames[:, part.frames] = moments[:, columns] @ part.weights
    return frames.reshape(n_bands, n_clips, -1).transpose(1, 0, 2)

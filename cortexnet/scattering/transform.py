"""The scattering transform of sounds."""

import numbers

import numpy as np
import scipy.fft
import torch

from cortexnet.scattering.cosine import ROWS, reflected_spectrum
from cortexnet.scattering.filters import wavelet_family
from cortexnet.scattering.geometry import make_geometry
from cortexnet.scattering.kernels import (
    band_product,
    modulus_in_place,
    modulus_moments,
    split_band,
)
from cortexnet.scattering.meta import scattering_meta, scattering_paths
from cortexnet.scattering.plan import (
    PRECISIONS,
    DenseBand,
    FirstGroup,
    Level,
    Plan,
    SecondBand,
    make_plan,
)
from stimuli.errors import InputError

CHUNK = 2**17  # samples a call: its buffers stay in the cache and in the allocator's free lists
SHORTEST = 16  # samples
SAMPLES = 2**20  # of the clips worked on together, bounds the memory


class Scattering1D:
    """Wavelet scattering transform of sounds, orders 0, 1 and 2.

    ``S0 = x * phi``, ``S1 = |x * psi1| * phi`` and ``S2 = ||x * psi1| * psi2| * phi`` with Morlet
    wavelets and a Gaussian average over T samples (Anden and Mallat, 2014, IEEE Trans. Signal
    Process. 62, 4114). Wavelets, order and scale of the coefficients and frame times are those of
    kymatio 0.3.0 (Andreux et al., 2020, JMLR 21, 60).

    The signal is continued by whole-sample reflection for ever, kymatio's by reflection up to a
    power of two: frames differ only when less than about nine standard deviations of the window
    (15 T) of padding fit, which needs signals shorter than about 30 T; see ``preset``.

    Parameters
    ----------
    J : int
        Averages over ``2**J`` samples.
    shape : int
        Samples of a signal, at least ``2**J`` and 16.
    Q : int or (int, int)
        Wavelets per octave at order 1 and order 2 (1 unless given).
    T : int or None
        Samples of the averaging window; only ``2**J`` (None).
    preset : {"standard", "strict", "kymatio"}
        How close to kymatio, as the largest difference over the largest coefficient of the order:
        standard up to 3.5e-4 for J of 10 to 13 (typically 1e-4) and 5e-4 at J = 8; strict, at twice
        the time, up to 2e-4 and 3e-4. Both sample the modulus finely enough to tend to its
        continuous-time average, from which kymatio itself is 1e-4 off at J = 8, more below.
        "kymatio" runs kymatio's torch front-end: its very numbers at the ends of short signals,
        its gradients, its time.
    dtype : {"float32", "float64"}
        Of the computation and of the result.

    Attributes
    ----------
    T, n_coefficients, n_frames : int
    frames : (n_frames,) int array, sample number of each frame's centre

    Raises
    ------
    InputError
        When an option is not one of the above.
    """

    def __init__(
        self,
        J: int,
        shape: int,
        Q: int | tuple[int, int] = 8,
        T: int | None = None,
        preset: str = "standard",
        dtype: str = "float32",
    ):
        self.J = _count("J", J, 1)
        self.T = 2**self.J
        self.shape = _count("shape", shape, max(self.T, SHORTEST))
        octave = tuple(Q) if isinstance(Q, tuple | list) else (Q, 1)
        if len(octave) != 2:
            raise InputError(f"Q = {Q!r}: give one number of wavelets per octave, or two.")
        self.Q = (_count("Q[0]", octave[0], 1), _count("Q[1]", octave[1], 1))
        if T is not None and T != self.T:
            raise InputError(f"T = {T!r}: only 2**J = {self.T} (or None) is available; change J.")
        if preset not in (*PRECISIONS, "kymatio"):
            raise InputError(f"preset = {preset!r}: use one of {[*PRECISIONS, 'kymatio']}.")
        if dtype not in ("float32", "float64"):
            raise InputError(f"dtype = {dtype!r}: use 'float32' or 'float64'.")
        self.preset, self.dtype = preset, dtype
        self._first, self._second = (wavelet_family(self.J, q) for q in self.Q)
        self.n_coefficients = len(scattering_paths(self._first, self._second))
        self.frames = make_geometry(self.shape, self.T).frames
        self.n_frames = len(self.frames)
        if preset == "kymatio":
            self._peer = _kymatio(self.J, self.shape, self.Q, dtype)
        else:
            self._plan = make_plan(self.shape, self.J, self.Q, PRECISIONS[preset], dtype)

    def __call__(self, x):
        """Scattering coefficients.

        Parameters
        ----------
        x : (..., shape) numpy array or torch tensor, real and finite
            A tensor is computed on the CPU and returned on its device.

        Returns
        -------
        (..., n_coefficients, n_frames), of the same kind as ``x`` and of ``dtype``

        Raises
        ------
        InputError
            Another length, not real numbers, NaN or infinity, or a tensor that wants gradients
            (which preset "kymatio" gives).
        """
        if isinstance(x, torch.Tensor):
            if self.preset == "kymatio":
                self._check(x.detach().cpu().numpy())
                peer = self._peer.to(x.device)
                return peer(x.to(getattr(torch, self.dtype)).contiguous())
            if x.requires_grad:
                raise InputError(
                    f"preset '{self.preset}' has no gradients: use preset 'kymatio' or x.detach()."
                )
            return torch.from_numpy(self(x.cpu().numpy())).to(x.device)
        x = np.asarray(x)
        self._check(x)
        if self.preset == "kymatio":
            tensor = torch.from_numpy(np.ascontiguousarray(x, dtype=self.dtype))
            return self._peer.cpu()(tensor).numpy()
        out = scatter(x.reshape(-1, self.shape), self._plan)
        return out.reshape(*x.shape[:-1], self.n_coefficients, self.n_frames)

    def meta(self) -> dict:
        """Order, wavelets and names of the coefficients; see ``meta.scattering_meta``."""
        return scattering_meta(self._first, self._second)

    def _check(self, x: np.ndarray) -> None:
        if x.ndim < 1 or x.shape[-1] != self.shape:
            raise InputError(
                f"signals have shape {x.shape}: the last axis must be the {self.shape} samples "
                "this transform was made for; cut or pad them, or make one for their length."
            )
        if x.dtype.kind not in "fiu":
            raise InputError(f"signals are {x.dtype}: give real numbers (integers or floats).")
        for number, signal in enumerate(x.reshape(-1, self.shape)):
            if not np.isfinite(signal).all():
                sample = int(np.flatnonzero(~np.isfinite(signal))[0])
                raise InputError(
                    f"signal {number}, sample {sample} is {signal[sample]}: "
                    "remove or replace what is not finite."
                )


def _count(name: str, value, smallest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < smallest:
        raise InputError(f"{name} = {value!r}: give a whole number of at least {smallest}.")
    return int(value)


def _kymatio(J: int, shape: int, Q: tuple[int, int], dtype: str) -> torch.nn.Module:
    # not from kymatio's top level, whose import fails beside current SciPy
    from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

    peer = ScatteringTorch1D(J=J, shape=shape, Q=Q)
    return peer.to(getattr(torch, dtype))


def scatter(signals: np.ndarray, plan: Plan) -> np.ndarray:
    """Scattering coefficients of real signals.

    Parameters
    ----------
    signals : (n_clips, n_samples), finite
    plan : Plan

    Returns
    -------
    (n_clips, n_coefficients, n_frames), in the plan's dtype
    """
    n_frames = plan.average.shape[1]
    out = np.empty((len(signals), plan.n_coefficients, n_frames), plan.dtype)
    together = int(np.clip(SAMPLES // plan.geometry.shape, 1, 64))
    for start in range(0, len(signals), together):
        clips = slice(start, min(start + together, len(signals)))
        out[clips] = _scatter_together(signals[clips], plan)
    return out


def _scatter_together(signals, plan: Plan) -> np.ndarray:
    # A power of two near the peak keeps squares in range and changes no digit.
    peak = np.abs(signals).max(axis=1)
    exponent = np.frexp(peak)[1]
    scaled = np.ldexp(signals, -exponent[:, None]).astype(plan.dtype)
    spectrum = reflected_spectrum(scaled, plan.cosine)
    out = np.empty((len(signals), plan.n_coefficients, plan.average.shape[1]), plan.dtype)
    n_lowpass = len(plan.average)
    out[:, 0] = spectrum[:, :n_lowpass] @ plan.average / plan.geometry.period
    mirrored = _mirrored(spectrum, plan)
    moduli = []
    for level in plan.levels:
        modulus = _first_moduli(mirrored, level, plan)
        averaged = modulus[:, :, :n_lowpass] @ plan.average
        out[:, 1 + level.first : 1 + level.first + level.count] = averaged.transpose(1, 0, 2)
        moduli.append(modulus)
    for band in plan.second_bands:
        for modulus, rows in zip(moduli, band.rows, strict=False):
            out[:, rows] = _second_frames(modulus, band, plan)
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
        together = max(2, CHUNK // (group.size * len(group.bands)))
        for start in range(0, n_clips, together):
            clips = slice(start, start + together)
            moduli[members, clips] = _group_moduli(mirrored[clips], group, level, plan)
    for band in level.dense:
        for clip in range(n_clips):
            moduli[band.row, clip] = _dense_modulus(mirrored[clip], band, level, plan)
    return moduli


def _group_moduli(mirrored, group: FirstGroup, level: Level, plan: Plan) -> np.ndarray:
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
    factor = plan.dtype.type(level.scale / group.size)
    return (spectrum[:, : level.length] * factor).reshape(n_bands, n_clips, -1)


def _dense_modulus(mirrored, band: DenseBand, level: Level, plan: Plan) -> np.ndarray:
    """Spectrum of one modulus (length,) sampled where the signal is."""
    period = plan.geometry.period
    half = mirrored[plan.below : plan.below + period // 2 + 1]
    whole = np.concatenate([half, half[-2:0:-1]])
    # response is scaled for a plain sum over bins
    wave = scipy.fft.ifft(whole * band.response, norm="forward")
    spectrum = scipy.fft.rfft(np.abs(wave)).real[: level.length]
    return spectrum * plan.dtype.type(level.scale / period)


def _second_frames(modulus, band: SecondBand, plan: Plan) -> np.ndarray:
    """Averaged second-order moduli of a level: (n_clips, n_bands, n_frames)."""
    n_bands, n_clips, length = modulus.shape
    spectra = modulus.reshape(-1, length)
    lowpass = band.lowpass
    moments = np.empty((len(spectra), 2 * lowpass.n_blocks), plan.dtype)
    together = max(ROWS, CHUNK // band.size)
    buffer = np.empty((together, band.size), plan.dtype)
    for start in range(0, len(spectra), together):
        rows = spectra[start : start + together]
        product = buffer[: len(rows)]
        band_product(rows, band.start, band.mirrored, band.response, product)
        wave = scipy.fft.rfft(product, axis=1)
        modulus_moments(wave.view(plan.dtype), lowpass.position, moments[start : start + together])
    frames = np.empty((len(spectra), plan.average.shape[1]), plan.dtype)
    for part in lowpass.slices:
        columns = slice(2 * part.blocks.start, 2 * part.blocks.stop)
        frames[:, part.frames] = moments[:, columns] @ part.weights
    return frames.reshape(n_bands, n_clips, -1).transpose(1, 0, 2)

"""The scattering transform of sounds."""

import numbers

import numpy as np
import torch

from cortexnet.scattering.fast import scatter
from cortexnet.scattering.filters import wavelet_family
from cortexnet.scattering.geometry import make_geometry
from cortexnet.scattering.graph import (
    dyadic_graph,
    graph_of_plan,
    scatter_tensor,
    scatter_unaveraged,
)
from cortexnet.scattering.meta import scattering_meta, scattering_paths, scattering_scale
from cortexnet.scattering.plan import PRECISIONS, make_plan
from stimuli.errors import InputError

SHORTEST = 16  # samples


class Scattering1D:
    """Wavelet scattering transform of sounds, orders 0, 1 and 2.

    ``S0 = x * phi``, ``S1 = |x * psi1| * phi`` and ``S2 = ||x * psi1| * psi2| * phi`` with Morlet
    wavelets and a Gaussian average over T samples (Anden and Mallat, 2014, IEEE Trans. Signal
    Process. 62, 4114). Wavelets, order and scale of the coefficients and frame times are those of
    kymatio 0.3.0 (Andreux et al., 2020, JMLR 21, 60).

    Presets "standard" and "strict" continue the signal by whole-sample reflection for ever, kymatio
    by reflection up to a power of two: frames differ only when less than about nine standard
    deviations of the window fit into kymatio's padding, which needs signals shorter than about 30
    times the longer of T and ``2**J``.

    Arrays, and tensors on the CPU that want no gradient, take compiled loops; tensors that require
    a gradient or lie on another device, and preset "kymatio", take tensor operations. For one
    preset both give the same numbers, to 5e-6 of the order's largest coefficient.

    Parameters
    ----------
    J : int
        The slowest wavelet has the width of an average over ``2**J`` samples.
    shape : int
        Samples of a signal, at least ``2**J``, T and 16.
    Q : int or (int, int)
        Wavelets per octave at order 1 and order 2 (1 unless given).
    T : int or None
        Samples of the averaging window, ``2**J`` if None; a frame every ``2**floor(log2(T))``
        samples. 0, with preset "kymatio", leaves the moduli as they are.
    preset : {"standard", "strict", "kymatio"}
        How close to kymatio, as the largest difference over the largest coefficient of the order,
        for T of 256 samples and more: standard up to 4e-4 (typically 1e-4); strict, at less than
        twice the time, up to 2e-4 (3e-4 at the ends of short signals). Both sample the modulus
        finely enough to tend to its continuous-time average, from which kymatio itself is 1e-4 off
        at J = 8, more below and 5e-4 with windows of ``2**(J - 5)``. "kymatio" computes on
        kymatio's grid, ten times slower than standard: equal to 2e-6 in float32 and to 1e-7 in
        float64, as kymatio keeps its filters in float32.
    dtype : {"float32", "float64"}
        Of the computation and of the result.
    max_order : {2, 1}
        1 leaves the second order out.
    workers : int or None
        Threads that share the signals on the CPU, as many as torch uses if None. The result does
        not depend on it, the memory is about 150 MB a worker.

    Attributes
    ----------
    hop : int
        Samples from frame to frame.
    n_coefficients, n_frames : int
    frames : (n_frames,) int array, sample number of each frame's centre
    scale : (n_coefficients,) array
        kymatio makes a coefficient this much smaller than the average it stands for, a power of
        two that depends on its wavelets; divide by it to compare coefficients with each other.

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
        max_order: int = 2,
        workers: int | None = None,
    ):
        self.J = _count("J", J, 1)
        self.shape = _count("shape", shape, SHORTEST)
        if self.shape < 2**self.J:
            raise InputError(
                f"J = {J} makes filters of 2**J = {2**self.J} samples, longer than signals of "
                f"{shape}: choose J <= {self.shape.bit_length() - 1} or longer signals."
            )
        octave = tuple(Q) if isinstance(Q, tuple | list) else (Q, 1)
        if len(octave) != 2:
            raise InputError(f"Q = {Q!r}: give one number of wavelets per octave, or two.")
        self.Q = (_count("Q[0]", octave[0], 1), _count("Q[1]", octave[1], 1))
        if preset not in (*PRECISIONS, "kymatio"):
            raise InputError(f"preset = {preset!r}: use one of {[*PRECISIONS, 'kymatio']}.")
        if dtype not in ("float32", "float64"):
            raise InputError(f"dtype = {dtype!r}: use 'float32' or 'float64'.")
        if max_order not in (1, 2):
            raise InputError(f"max_order = {max_order!r}: use 1 or 2.")
        self.T = 2**self.J if T is None else _count("T", T, 0)
        if self.shape < self.T:
            raise InputError(
                f"T = {T} averages over more than the {shape} samples of a signal: "
                f"choose T <= {shape} or longer signals."
            )
        if self.T == 0 and preset != "kymatio":
            raise InputError(
                "T = 0 does not average: choose T >= 1, or preset 'kymatio' for the bare moduli."
            )
        self.preset, self.dtype, self.max_order = preset, dtype, max_order
        self.workers = None if workers is None else _count("workers", workers, 1)
        self._first = wavelet_family(self.J, self.Q[0])
        self._second = wavelet_family(self.J, self.Q[1]) if max_order == 2 else []
        self.n_coefficients = len(scattering_paths(self._first, self._second))
        window = self.T or 2**self.J
        geometry = make_geometry(self.shape, window)
        self.hop, self.frames, self.n_frames = geometry.hop, geometry.frames, len(geometry.frames)
        self.scale = scattering_scale(self._first, self._second, self.hop)
        options = self.shape, self.J, self.Q, window, max_order
        if preset == "kymatio":
            self._plan = None
            self._graph = dyadic_graph(*options, averaged=self.T > 0)
        else:
            self._plan = make_plan(*options, PRECISIONS[preset], dtype)
            self._graph = None  # made when first wanted

    def __call__(self, x):
        """Scattering coefficients.

        Parameters
        ----------
        x : (..., shape) numpy array or torch tensor of finite floats

        Returns
        -------
        (..., n_coefficients, n_frames), of the same kind as ``x``, of ``dtype`` and, if a tensor,
        on its device and differentiable. With T = 0 a dict from the ``key`` of ``meta()`` to
        (..., n_samples), each path at its own rate.

        Raises
        ------
        InputError
            Another length, not floats, NaN or infinity.
        """
        if isinstance(x, torch.Tensor):
            return self._of_tensor(x)
        x = np.asarray(x)
        self._check(x.shape, x.dtype, x.dtype.kind == "f")
        _check_finite(x.reshape(-1, self.shape))
        if self._plan is None:
            result = self._of_graph(torch.from_numpy(np.ascontiguousarray(x, self.dtype)))
            if isinstance(result, dict):
                return {path: value.numpy() for path, value in result.items()}
            return result.numpy()
        workers = self.workers or torch.get_num_threads()
        out = scatter(x.reshape(-1, self.shape), self._plan, workers)
        return out.reshape(*x.shape[:-1], self.n_coefficients, self.n_frames)

    def __reduce__(self):
        # filters are made anew, or found in the cache, where this is unpickled
        options = self.preset, self.dtype, self.max_order, self.workers
        return Scattering1D, (self.J, self.shape, self.Q, self.T, *options)

    def meta(self) -> dict:
        """Order, wavelets and names of the coefficients; see ``meta.scattering_meta``."""
        return scattering_meta(self._first, self._second)

    def _of_tensor(self, x: torch.Tensor):
        self._check(tuple(x.shape), x.dtype, x.is_floating_point())
        signals = x.to(getattr(torch, self.dtype))
        wants_gradient = x.requires_grad and torch.is_grad_enabled()
        if self._plan is not None and x.device.type == "cpu" and not wants_gradient:
            return torch.from_numpy(self(signals.detach().numpy()))
        if not torch.isfinite(x).all():
            _check_finite(x.detach().reshape(-1, self.shape).cpu().double().numpy())
        return self._of_graph(signals)

    def _of_graph(self, signals: torch.Tensor):
        if self._graph is None:
            self._graph = graph_of_plan(self._plan)
        flat, leading = signals.reshape(-1, self.shape), signals.shape[:-1]
        if self.T == 0:
            moduli = scatter_unaveraged(flat, self._graph)
            return {path: value.reshape(*leading, -1) for path, value in moduli.items()}
        out = scatter_tensor(flat, self._graph)
        return out.reshape(*leading, self.n_coefficients, self.n_frames)

    def _check(self, shape: tuple, dtype, is_real: bool) -> None:
        if len(shape) < 1 or shape[-1] != self.shape:
            raise InputError(
                f"signals have shape {tuple(shape)}: the last axis must be the {self.shape} samples"
                " this transform was made for; cut or pad them, or make one for their length."
            )
        if not is_real:
            raise InputError(
                f"signals are {dtype}: give real floats; divide integer samples by their full "
                "scale (32768 for 16 bits)."
            )


def _check_finite(signals: np.ndarray) -> None:
    for number, signal in enumerate(signals):
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

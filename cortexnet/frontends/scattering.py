"""Wavelet scattering of waveforms as log coefficients over time."""

import math

import torch
from torch import Tensor, nn

from cortexnet.scattering import Scattering1D
from stimuli.errors import InputError

FLOOR = 1e-5  # added to a level before its logarithm: quantisation noise of 16 bits, full scale 1
DEPTH = 0.01  # added to the depth of a modulation before its logarithm: less is not heard
ROUND = 0.02  # a window this close to a power of two is taken to be it: more frames gain nothing


class LogScattering(nn.Module):
    """Log scattering coefficients of first and second order, any duration.

    Parameters
    ----------
    sample_rate : int
        Hz.
    J : int, optional
        The slowest wavelet has the width of an average over ``2 ** J`` samples. 13 (0.37 s at
        22,050 Hz), or the power nearest to `T`.
    Q : int
        Wavelets an octave, first order (one in the second).
    preset : str
        Of `cortexnet.scattering.Scattering1D`.
    T : float, optional
        Seconds of the averaging window, `2 ** J` samples if not given; within 2 % of a power of
        two of samples it is that power. 0.37, 0.74 and 1.5 s are customary for music: ``2 ** 13``,
        ``2 ** 14`` and ``2 ** 15`` samples at 22,050 Hz.
    renormalise : bool
        Divide every second-order coefficient by the first-order one it comes from, which leaves
        the depth of a band's modulation without its level (Anden & Mallat 2014, section IV).

    Attributes
    ----------
    frame_rate : float
        Hz; a frame every largest power of two of samples within the window.

    Raises
    ------
    InputError
        If `T` is not a positive time of at least one sample, or the sound is shorter than the
        window or the slowest wavelet.

    Notes
    -----
    The coefficients are those of `cortexnet.scattering.Scattering1D` without kymatio's scale, so
    that one floor suits all bands: ``log(S1 + FLOOR)`` and ``log(S2 / (S1 + FLOOR) + DEPTH)``, or
    ``log(S2 + FLOOR)`` where they are not renormalised. Gradients where the waveform asks for
    them. Maps ``(batch, samples)`` to ``{"S1": (batch, n1, frames), "S2": (batch, n2, frames)}``.
    Filters depend on the length of the sound, are built when a length is first met and kept for
    the most recent lengths.

    References
    ----------
    Anden & Mallat (2014), IEEE Trans. Signal Process. 62, 4114-4128.
    """

    def __init__(
        self,
        sample_rate: int = 22050,
        J: int | None = None,
        Q: int = 8,
        preset: str = "standard",
        T: float | None = None,
        renormalise: bool = True,
    ):
        super().__init__()
        self.sample_rate, self.Q, self.preset = sample_rate, Q, preset
        self.renormalise = renormalise
        window = None if T is None else window_samples(T, sample_rate)
        if J is None:
            J = 13 if window is None else max(1, round(math.log2(window)))
        self.J, self.window = J, 2**J if window is None else window
        self.frame_rate = sample_rate / 2 ** (self.window.bit_length() - 1)
        self._transforms = {}

    def _transform(self, n_samples: int):
        # Kept out of the module's tree: the filters are not state and would triple a checkpoint.
        if n_samples not in self._transforms:
            if len(self._transforms) >= 4:
                del self._transforms[next(iter(self._transforms))]
            transform = Scattering1D(self.J, n_samples, self.Q, self.window, self.preset)
            meta = transform.meta()
            n1 = int((meta["order"] == 1).sum())
            parents = torch.from_numpy(meta["n"][1 + n1 :, 0]).long()
            scale = torch.from_numpy(transform.scale.astype("float32"))[:, None]
            self._transforms[n_samples] = transform, scale, parents, n1
        return self._transforms[n_samples]

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        """Transform ``(batch, samples)`` to log coefficients by order."""
        transform, scale, parents, n1 = self._transform(waveform.shape[-1])
        levels = transform(waveform).clamp_min(0) / scale.to(waveform.device)
        first, second = levels[:, 1 : 1 + n1], levels[:, 1 + n1 :]
        if self.renormalise:
            depth = second / (first + FLOOR)[:, parents.to(waveform.device)]
            return {"S1": torch.log(first + FLOOR), "S2": torch.log(depth + DEPTH)}
        return {"S1": torch.log(first + FLOOR), "S2": torch.log(second + FLOOR)}


def window_samples(seconds: float, sample_rate: int) -> int:
    """Samples of a window of ``seconds``; a power of two if within ROUND of one.

    Raises
    ------
    InputError
        If that is not at least one sample.
    """
    if not (isinstance(seconds, int | float) and seconds * sample_rate >= 1):
        raise InputError(
            f"T = {seconds!r}: give the seconds of the averaging window, such as 0.37, 0.74 or 1.5."
        )
    power = 2 ** round(math.log2(seconds * sample_rate))
    samples = seconds * sample_rate
    return power if abs(samples / power - 1) < ROUND else round(samples)

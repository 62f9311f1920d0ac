"""Wavelet scattering of waveforms as log coefficients over time."""

import numpy as np
import torch
from torch import Tensor, nn

from cortexnet.scattering import Scattering1D


class LogScattering(nn.Module):
    """Log scattering coefficients of first and second order, any duration.

    Parameters
    ----------
    sample_rate : int
        Hz.
    J : int
        Averaging over ``2 ** J`` samples: 0.37 s for 13 at 22,050 Hz.
    Q : int
        Wavelets an octave, first order (one in the second).
    preset : str
        Of `cortexnet.scattering.Scattering1D`.

    Notes
    -----
    The coefficients are kymatio's, computed by `cortexnet.scattering.Scattering1D`; no gradients.
    Maps ``(batch, samples)`` to ``{"S1": (batch, n1, frames), "S2": (batch, n2, frames)}`` with a
    frame every ``2 ** J`` samples. Filters depend on the length of the sound, are built when a
    length is first met and kept for the most recent lengths.

    References
    ----------
    Anden & Mallat (2014), IEEE Trans. Signal Process. 62, 4114-4128.
    """

    def __init__(self, sample_rate: int = 22050, J: int = 13, Q: int = 8, preset="standard"):
        super().__init__()
        self.sample_rate, self.J, self.Q, self.preset = sample_rate, J, Q, preset
        self.frame_rate = sample_rate / 2**J
        self._transforms = {}

    def _transform(self, n_samples: int):
        # Kept out of the module's tree: the filters are not state and would triple a checkpoint.
        if n_samples not in self._transforms:
            if len(self._transforms) >= 4:
                del self._transforms[next(iter(self._transforms))]
            transform = Scattering1D(self.J, n_samples, self.Q, preset=self.preset)
            self._transforms[n_samples] = (transform, transform.meta()["order"])
        return self._transforms[n_samples]

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        """Transform ``(batch, samples)`` to log coefficients by order."""
        transform, order = self._transform(waveform.shape[-1])
        coefficients = transform(waveform.detach())
        # The median second-order coefficient of music at an RMS of .05.
        logs = torch.log(coefficients.clamp_min(0) + 1e-7)
        return {f"S{m}": logs[:, np.flatnonzero(order == m)] for m in (1, 2)}

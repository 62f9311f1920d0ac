"""Spectrotemporal receptive fields as a bank of filters, applied by their factors."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def strf_factors(rates, scales, seconds, octaves, frame_rate, bands_per_octave):
    """Temporal and spectral factors of spectrotemporal receptive fields.

    A field is a product of a temporal and a spectral part, less a multiple of its envelope, which
    is such a product too. Fields of one rate share three temporal parts: the real and imaginary
    one of the rate, and the envelope.

    Parameters
    ----------
    rates, scales, seconds, octaves, frame_rate, bands_per_octave
        See `strf_bank`.

    Returns
    -------
    temporal : ndarray, (n_rates, 3, n_frames)
    spectral : ndarray, (n_rates, 2, n_fields / n_rates, 3, n_bands)
        Weights of the three temporal parts at each band, for real and imaginary fields.
    tuning : list of (rate, scale, direction)
    """
    n_frames = round(seconds * frame_rate)
    n_bands = round(octaves * bands_per_octave) // 2 * 2 + 1
    lag = (np.arange(n_frames)[::-1] + 0.5) / frame_rate
    octave = (np.arange(n_bands) - n_bands // 2) / bands_per_octave
    gamma = lag**2 * np.exp(-lag * 7 / seconds)
    gauss = np.exp(-0.5 * (octave / (octaves / 4)) ** 2)
    # A ripple cos(2 pi (rate t + direction scale x)) moves down for direction +1; at lag s before
    # the present its phase is direction scale x - rate s.
    sweeps = [(scale, direction) for scale in scales for direction in (1, -1)]
    temporal, spectral = [], []
    for rate in rates:
        in_time = gamma * np.exp(2j * np.pi * rate * lag)
        temporal.append([in_time.real, in_time.imag, gamma])
        parts = []
        for scale, direction in sweeps:
            along = gauss * np.exp(-2j * np.pi * direction * scale * octave)
            mean = along.sum() * in_time.sum() / (gauss.sum() * gamma.sum())
            weights = np.stack([along, 1j * along, -mean * gauss])
            weights /= np.linalg.norm(np.einsum("pb,pf->bf", weights, temporal[-1]))
            parts.append([weights.real, weights.imag])
        spectral.append(np.swapaxes(parts, 0, 1))
    tuning = [(rate, *sweep) for rate in rates for sweep in sweeps]
    return np.asarray(temporal), np.asarray(spectral), tuning


def strf_bank(rates, scales, seconds, octaves, frame_rate, bands_per_octave):
    """Complex spectrotemporal receptive fields: gamma envelope in time, Gaussian in frequency.

    Parameters
    ----------
    rates : sequence of float
        Temporal modulation rates, Hz.
    scales : sequence of float
        Spectral modulation scales, cycles/octave. Each rate-scale pair gives two fields, for
        upward and downward sweeps.
    seconds, octaves : float
        Support of every field in time and frequency.
    frame_rate : float
        Frames a second of the spectrogram, Hz.
    bands_per_octave : float
        Bands an octave of the spectrogram.

    Returns
    -------
    bank : ndarray, (n_fields, n_bands, n_frames), complex64
        Zero mean, unit norm; the last frame is the present (causal correlation kernels).
    tuning : list of (rate, scale, direction)
        ``direction`` is +1 where the preferred ripple moves down in frequency, -1 up (the
        convention of `stimuli.synthesis.ripple`).

    References
    ----------
    Chi, Ru & Shamma (2005), J. Acoust. Soc. Am. 118, 887-906.
    """
    temporal, spectral, tuning = strf_factors(
        rates, scales, seconds, octaves, frame_rate, bands_per_octave
    )
    real, imag = np.einsum("rifpb,rpt->irfbt", spectral, temporal).reshape(
        2, len(tuning), spectral.shape[-1], temporal.shape[-1]
    )
    return (real + 1j * imag).astype(np.complex64), tuning


def strf_energy(x: Tensor, bank: Tensor, stride: tuple[int, int] = (1, 1)) -> Tensor:
    """Quadrature energy of complex fields, same padding in frequency and causal in time.

    Edges are replicated: a sound that starts is not a modulation of all rates at all frequencies.

    Parameters
    ----------
    x : (batch, band, frame)
    bank : (2, n_fields, bands, frames)
        Real and imaginary parts.
    stride : (int, int)
        In frequency and time.

    Returns
    -------
    energy : (batch, n_fields, band', frame')
    """
    half, past = bank.shape[-2] // 2, bank.shape[-1] - 1
    x = F.pad(x[:, None], (past, 0, half, half), mode="replicate")
    real, imag = F.conv2d(x, bank.flatten(0, 1)[:, None], stride=stride).chunk(2, dim=1)
    return real.square() + imag.square()


def strf_energy_by_factors(
    x: Tensor, temporal: Tensor, spectral: Tensor, stride: tuple[int, int] = (1, 1)
) -> Tensor:
    """`strf_energy` by the factors of a bank, at a small part of the operations.

    Parameters
    ----------
    x : (batch, band, frame)
    temporal, spectral : Tensor
        Of `strf_factors`.
    stride : (int, int)

    Returns
    -------
    energy : (batch, n_fields, band', frame')
    """
    n_rates, half, past = len(temporal), spectral.shape[-1] // 2, temporal.shape[-1] - 1
    x = F.pad(x[:, None], (past, 0, 0, 0), mode="replicate")
    x = F.conv2d(x, temporal.flatten(0, 1)[:, None, None], stride=(1, stride[1]))
    x = F.pad(x, (0, 0, half, half), mode="replicate").contiguous(memory_format=torch.channels_last)
    kernels = spectral.flatten(0, 2)[..., None]
    x = F.conv2d(x, kernels, stride=(stride[0], 1), groups=n_rates)
    real, imag = x.unflatten(1, (n_rates, 2, -1)).unbind(2)
    return (real.square() + imag.square()).flatten(1, 2)


class STRFs(nn.Module):
    """Energy of a bank of spectrotemporal receptive fields.

    ``(batch, band, frame)`` to ``(batch, n_fields, band', frame')``.

    Parameters
    ----------
    rates, scales, seconds, octaves, frame_rate, bands_per_octave
        See `strf_bank`.
    stride : (int, int)
        In frequency and time.
    plastic : bool
        The fields are parameters, and no longer a product of factors once they have learned.

    Attributes
    ----------
    tuning : list of (rate, scale, direction)
    n_frames : int
        Support in time.
    """

    def __init__(
        self, rates, scales, seconds, octaves, frame_rate, bands_per_octave, stride, plastic=False
    ):
        super().__init__()
        given = rates, scales, seconds, octaves, frame_rate, bands_per_octave
        self.stride, self.plastic = stride, plastic
        temporal, spectral, self.tuning = strf_factors(*given)
        self.n_frames = temporal.shape[-1]
        if plastic:
            bank, _ = strf_bank(*given)
            self.bank = nn.Parameter(torch.from_numpy(np.stack([bank.real, bank.imag])))
        else:  # they follow from the settings
            for name, value in (("temporal", temporal), ("spectral", spectral)):
                value = torch.from_numpy(value.astype(np.float32))
                self.register_buffer(name, value, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.plastic:
            return strf_energy(x, self.bank, self.stride)
        return strf_energy_by_factors(x, self.temporal, self.spectral, self.stride)

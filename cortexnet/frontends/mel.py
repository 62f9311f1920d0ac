"""Log-mel spectrogram."""

import librosa
import torch
from torch import Tensor, nn


class LogMel(nn.Module):
    """Compressed mel spectrogram ``log10(1 + 10 m)`` of the STFT magnitude.

    Parameters
    ----------
    sample_rate : int
        Sampling rate of the waveforms, Hz.
    n_fft, hop : int
        Hann window and hop of the centred STFT, samples.
    n_mels : int
        Number of mel bands (Slaney scale and area normalisation, 0 Hz to Nyquist).

    Notes
    -----
    Maps ``(batch, samples)`` to ``(batch, n_mels, 1 + samples // hop)``. The filter bank is
    librosa's; the magnitude (power 1) enters it.
    """

    def __init__(self, sample_rate: int = 22050, n_fft: int = 1024, hop: int = 512, n_mels=128):
        super().__init__()
        self.sample_rate, self.n_fft, self.hop, self.n_mels = sample_rate, n_fft, hop, n_mels
        self.frame_rate = sample_rate / hop
        bank = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels)
        self.register_buffer("bank", torch.from_numpy(bank), persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform ``(batch, samples)`` to ``(batch, n_mels, frames)``."""
        spectrum = torch.stft(
            waveform, self.n_fft, self.hop, window=self.window, center=True, return_complex=True
        )
        return torch.log10(1 + 10 * (self.bank @ spectrum.abs()))

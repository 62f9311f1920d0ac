"""Wavelet scattering transform of sounds, each band computed at the rate of its own width."""

from cortexnet.scattering.transform import Scattering1D

__all__ = ["Scattering1D"]

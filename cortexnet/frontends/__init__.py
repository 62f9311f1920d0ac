"""Front-ends: waveform to time-frequency representation, as modules inside the models."""

from cortexnet.frontends.cochleagram import Cochleagram
from cortexnet.frontends.mel import LogMel
from cortexnet.frontends.modulation import ModulationEnergy, strf_bank

__all__ = ["Cochleagram", "LogMel", "ModulationEnergy", "strf_bank"]

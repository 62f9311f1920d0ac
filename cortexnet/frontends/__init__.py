"""Front-ends: waveform to time-frequency representation, as modules inside the models."""

from cortexnet.frontends.cochleagram import Cochleagram
from cortexnet.frontends.gammatone import ERBCochleagram
from cortexnet.frontends.joint import JointScattering
from cortexnet.frontends.mel import LogMel
from cortexnet.frontends.modulation import ModulationEnergy, strf_bank
from cortexnet.frontends.scattering import LogScattering

__all__ = [
    "Cochleagram",
    "ERBCochleagram",
    "JointScattering",
    "LogMel",
    "LogScattering",
    "ModulationEnergy",
    "strf_bank",
]

"""Front-ends: waveform to time-frequency representation, as modules inside the models."""

from cortexnet.frontends.cochleagram import Cochleagram
from cortexnet.frontends.gammatone import ERBCochleagram
from cortexnet.frontends.joint import JointScattering
from cortexnet.frontends.mel import LogMel
from cortexnet.frontends.modulation import ModulationEnergy
from cortexnet.frontends.scattering import LogScattering
from cortexnet.frontends.strf import strf_bank

__all__ = [
    "Cochleagram",
    "ERBCochleagram",
    "JointScattering",
    "LogMel",
    "LogScattering",
    "ModulationEnergy",
    "strf_bank",
]

"""Scattering against networks, or any models against each other, on the same clips."""

from experiments.compare.entrants import Entrant, load_entrants, train_entrants
from experiments.compare.run import compare

__all__ = ["Entrant", "compare", "load_entrants", "train_entrants"]

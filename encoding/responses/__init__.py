"""Responses from every common file: sample x target arrays with a table on each axis."""

from .arrays import load_array
from .bids import find_runs, load_bids
from .cifti import cortical_map, load_cifti
from .confounds import STRATEGIES, load_confounds
from .images import load_nifti
from .samples import check_dummies, repetition_time, samples_from_events
from .storage import MEMORY
from .surfaces import load_gifti
from .table import Responses

__all__ = [
    "MEMORY",
    "STRATEGIES",
    "Responses",
    "check_dummies",
    "cortical_map",
    "find_runs",
    "load_array",
    "load_bids",
    "load_cifti",
    "load_confounds",
    "load_gifti",
    "load_nifti",
    "repetition_time",
    "samples_from_events",
]

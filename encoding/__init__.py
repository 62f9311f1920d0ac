"""Encoding models: responses, designs with delays, ridge, ceilings, inference and simulation."""

from .ceiling import NoiseCeiling, noise_ceiling
from .design import delay, design_matrix, features_at
from .errors import InputError
from .estimators import RidgeCV
from .layers import Scores, fit_layers
from .resampling import block_bootstrap, permutation_test
from .responses import Responses, load_array, load_nifti, repetition_time, samples_from_events
from .results import Inference, best_stages, infer, save_scores, summarise
from .ridge.kfold import RidgeEdgeWarning
from .simulate import simulate
from .splithalf import best_stage_r2, split_half_r2

__all__ = [
    "Inference",
    "InputError",
    "NoiseCeiling",
    "Responses",
    "RidgeCV",
    "RidgeEdgeWarning",
    "Scores",
    "best_stage_r2",
    "best_stages",
    "block_bootstrap",
    "delay",
    "design_matrix",
    "features_at",
    "fit_layers",
    "infer",
    "load_array",
    "load_nifti",
    "noise_ceiling",
    "permutation_test",
    "repetition_time",
    "samples_from_events",
    "save_scores",
    "simulate",
    "split_half_r2",
    "summarise",
]

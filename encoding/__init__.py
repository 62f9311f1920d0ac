"""Encoding models: responses, designs with delays, ridge, ceilings, inference and simulation."""

import lazy_loader

from .banded import BandedRidgeCV
from .ceiling import NoiseCeiling, noise_ceiling
from .cka import cka, cka_interval
from .cluster import open_cluster
from .commonality import partition, variance_partition
from .compare import paired_difference
from .delays import delay_profile
from .design import delay, design_matrix, features_at
from .errors import InputError
from .estimators import RidgeCV
from .hrf import hrf_design
from .layers import Scores, fit_layers
from .maps import best_layer, save_maps, to_cifti, to_gifti, to_nifti
from .patterns import clip_estimates
from .regressors import check_regressors, nuisance_columns
from .resampling import block_bootstrap, permutation_test
from .responses import (
    Responses,
    check_dummies,
    find_runs,
    load_array,
    load_bids,
    load_cifti,
    load_confounds,
    load_gifti,
    load_nifti,
    repetition_time,
    samples_from_events,
)
from .results import Inference, best_stages, infer, load_scores, save_scores, summarise
from .ridge.forecast import forecast
from .ridge.kfold import RidgeEdgeWarning
from .ridge.nested import nested_cv
from .simulate import simulate
from .splithalf import (
    best_stage_r2,
    draw_sounds,
    held_out_r2,
    predict_halves,
    split_half_r2,
)
from .splithalf_banded import predict_halves_banded
from .stages import stage_test

# Similarity of representations is a room of its own, loaded when it is entered.
__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "rsa": [
            "RDMBootstrap",
            "RDMCeiling",
            "RDMPermutation",
            "between_runs",
            "bootstrap_rdms",
            "category_rdm",
            "compare_rdms",
            "noise_precision",
            "permute_clips",
            "rdm",
            "rdm_ceiling",
            "searchlight",
            "surface_neighbours",
            "volume_neighbours",
            "weighted_rdm",
        ]
    },
)

__all__ = [
    "BandedRidgeCV",
    "Inference",
    "InputError",
    "NoiseCeiling",
    "RDMBootstrap",
    "RDMCeiling",
    "RDMPermutation",
    "Responses",
    "RidgeCV",
    "RidgeEdgeWarning",
    "Scores",
    "best_layer",
    "best_stage_r2",
    "best_stages",
    "between_runs",
    "block_bootstrap",
    "bootstrap_rdms",
    "category_rdm",
    "check_dummies",
    "check_regressors",
    "cka",
    "cka_interval",
    "clip_estimates",
    "compare_rdms",
    "delay",
    "delay_profile",
    "design_matrix",
    "draw_sounds",
    "features_at",
    "find_runs",
    "fit_layers",
    "forecast",
    "held_out_r2",
    "hrf_design",
    "infer",
    "load_array",
    "load_bids",
    "load_cifti",
    "load_confounds",
    "load_gifti",
    "load_nifti",
    "load_scores",
    "nested_cv",
    "noise_ceiling",
    "noise_precision",
    "nuisance_columns",
    "open_cluster",
    "paired_difference",
    "partition",
    "permutation_test",
    "permute_clips",
    "predict_halves",
    "predict_halves_banded",
    "rdm",
    "rdm_ceiling",
    "repetition_time",
    "samples_from_events",
    "save_maps",
    "save_scores",
    "searchlight",
    "simulate",
    "split_half_r2",
    "stage_test",
    "summarise",
    "surface_neighbours",
    "to_cifti",
    "to_gifti",
    "to_nifti",
    "variance_partition",
    "volume_neighbours",
    "weighted_rdm",
]

"""Representational similarity analysis: dissimilarities of clips in brains and in models.

An RDM is a vector over pairs of clips in the order of `scipy.spatial.distance.squareform`; a
stack has one RDM a row. NaN marks pairs that no comparison uses.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bootstrap": ["RDMBootstrap", "bootstrap_rdms"],
        "ceilings": ["RDMCeiling", "rdm_ceiling"],
        "comparison": ["COMPARISONS", "compare_rdms"],
        "dissimilarity": ["DISTANCES", "rdm"],
        "neighbours": ["surface_neighbours", "volume_neighbours"],
        "noise": ["noise_precision"],
        "pairs": ["between_runs", "category_rdm", "n_clips_of"],
        "permutation": ["RDMPermutation", "permute_clips"],
        "searchlight": ["searchlight"],
        "weighted": ["weighted_rdm"],
    },
)

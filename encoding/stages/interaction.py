r"""(deep - shallow) x (non-primary - primary), and what differing SNR alone could make of it.

For the trained model, with r_{l,R} the mean held-out correlation of stage l over the targets of
region R, bars over regions with equal weight, P primary and N non-primary regions:

    u_G = mean over R in G and over all stages of r_{l,R}                 (unit of the group)
    d_G = mean over R in G of (mean_deep r_{l,R} - mean_shallow r_{l,R}) / u_G
    I   = d_N - d_P

A difference of raw scores will not do: where core has the higher SNR and all regions prefer stage
1, deep - shallow is more negative in core, and the raw interaction is positive. Units cancel that
scale. They do not cancel what noise does to the fit: with n training rows, p features, SNR s and
squared correlation k^2 of a stage with the signal, the noise-free accuracy of ridge regression is
about k^2 / (1 + p / (n s k^2)), so ratios between stages widen from k_1 / k_2 (no noise) to
k_1^2 / k_2^2 (all noise). SNR alone can thus multiply a contrast by 1/2 to 2, and never turns its
sign. The largest interaction that regions of *one* preference can show by SNR alone is

    I_snr = max(d_P, -d_P / 2)

which stands on the ladder of controls: it must be exceeded like all others.
"""

from __future__ import annotations

import numpy as np

from .preference import depth_contrast, depth_sides


def group_units(trained: np.ndarray, primary, non_primary) -> tuple[np.ndarray, np.ndarray]:
    """Mean r over stages and regions of each group.

    Parameters
    ----------
    trained : (n_stages, n_regions, ...) mean r
    primary, non_primary : (n_regions,) bool

    Returns
    -------
    two arrays (...)
    """
    overall = trained.mean(0)
    return overall[primary].mean(0), overall[non_primary].mean(0)


def group_contrasts(scores, trained, primary, non_primary) -> tuple[np.ndarray, np.ndarray]:
    """Contrast of a model in each group, in the trained model's units; NaN where those are not > 0.

    Parameters
    ----------
    scores : (n_layers, n_regions, ...)
        Mean r of the trained model or of a control. A control of a single layer (a cochleagram)
        stands in for the trained deep stages: it is compared with the trained shallow ones.
    trained : (n_stages, n_regions, ...)
    primary, non_primary : (n_regions,) bool

    Returns
    -------
    two arrays (...)
    """
    if len(scores) > 1:
        contrast = depth_contrast(scores)
    else:
        contrast = scores[0] - trained[depth_sides(len(trained))[0]].mean(0)
    out = []
    for group, unit in zip(
        (primary, non_primary), group_units(trained, primary, non_primary), strict=True
    ):
        mean = contrast[group].mean(0)
        out.append(np.divide(mean, unit, out=np.full(unit.shape, np.nan), where=unit > 0))
    return out[0], out[1]


def interaction(scores, trained, primary, non_primary) -> np.ndarray:
    """I of a model, see above; the parameters are those of `group_contrasts`."""
    of_primary, of_others = group_contrasts(scores, trained, primary, non_primary)
    return of_others - of_primary


def snr_alone(trained, primary, non_primary) -> np.ndarray:
    """The largest interaction that SNR can make where all regions share one preference."""
    of_primary, _ = group_contrasts(trained, trained, primary, non_primary)
    return np.maximum(of_primary, -of_primary / 2)

"""Banded ridge as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from .errors import InputError
from .estimators import DelayedRidge
from .ridge import banded, kfold
from .ridge.scaling import unit_trace


class BandedRidgeCV(DelayedRidge):
    """Ridge regression from several feature spaces, each with a penalty of its own.

    Every band is standardised and brought to unit kernel trace; then its columns count by a
    weight, chosen with alpha for each target: candidate weights are screened by generalised
    cross-validation and the few best compared by exact cross-validation. A useful band of few
    units is then not drowned by a useless one of many. With one band this is `RidgeCV`.

    Parameters
    ----------
    bands : (n_features,) labels, optional
        The feature space of each column. Default: one band, or the names of a dict of arrays.
    alphas : (n_alphas,) array, optional
        Default: `encoding.ridge.kfold.ALPHAS`.
    cv : None, int, splitter or iterable of (train, test)
        None leaves one group (run) out; without groups 5 contiguous folds.
    delays : sequence of int, optional
        Volumes by which features are delayed inside each group; see `RidgeCV`.
    n_candidates : int
        Random weights to screen, beside equal ones, those by size and each band alone.
    n_refined : int
        Candidates a target that are compared by exact cross-validation, beside equal weights.
    seed : int

    Attributes
    ----------
    bands_ : (n_bands,) labels
    band_weights_ : (n_targets, n_bands), of sum 1; the penalty of a band is alpha over weight
    best_alphas_ : (n_targets,)
    cv_scores_ : (n_targets,) mean held-out R2 of the best
    coef_ : (n_targets, n_features * n_delays), or 1-D for 1-D y
        In units of the features given, delay blocks side by side.
    intercept_ : (n_targets,) or scalar
    feature_means_ : (n_features,)

    References
    ----------
    Nunez-Elizalde, Huth, Gallant 2019, NeuroImage 197: 482-492.
    Dupre la Tour, Eickenberg, Nunez-Elizalde, Gallant 2022, NeuroImage 264: 119728.
    """

    def __init__(
        self,
        bands=None,
        alphas=None,
        *,
        cv=None,
        delays: Sequence[int] | None = None,
        n_candidates: int = 100,
        n_refined: int = 5,
        seed: int = 0,
    ):
        self.bands = bands
        self.alphas = alphas
        self.cv = cv
        self.delays = delays
        self.n_candidates = n_candidates
        self.n_refined = n_refined
        self.seed = seed

    def fit(self, X, y, groups=None, recordings=None):
        """Choose weights and alphas, and fit.

        Parameters
        ----------
        X : (n_samples, n_features), or {band: (n_samples, n_features)}
        y : (n_samples,) or (n_samples, n_targets)
        groups : (n_samples,) run labels, optional
        recordings : see `RidgeCV.fit`

        Raises
        ------
        InputError
            Labels of bands or runs do not fit X.
        """
        labels = self.bands
        if _is_named(X):
            if labels is not None:
                raise InputError("bands are given twice, in X and as `bands`; leave one out")
            X, labels = _stack(X)
        X, y, alphas, splits = self._training(X, y, groups, recordings)
        Y = y.reshape(len(X), -1)
        labels = np.zeros(X.shape[1], int) if labels is None else np.asarray(labels)
        if labels.shape != (X.shape[1],):
            raise InputError(f"bands have shape {labels.shape}, expected ({X.shape[1]},)")
        self._band_of, self.bands_ = pd.factorize(labels)
        design = self._delayed(X, groups)
        bands = np.tile(self._band_of, design.shape[1] // X.shape[1])
        mean, scale = np.empty((2, design.shape[1]), X.dtype)
        for band in range(len(self.bands_)):
            inside = bands == band
            mean[inside], scale[inside] = unit_trace(design[:, inside])
        design = (design - mean) / scale
        weights = banded.candidate_weights(np.bincount(bands), self.n_candidates, self.seed)
        candidate, self.best_alphas_, self.cv_scores_ = banded.search(
            design, Y, bands, weights, alphas, splits, n_refined=self.n_refined
        )
        kfold.warn_at_edge(self.best_alphas_, alphas, "banded ridge")
        self.band_weights_ = weights[candidate]
        coef, intercept = banded.fit(design, Y, bands, weights, candidate, self.best_alphas_)
        self._keep(coef, intercept, mean, scale, y)
        return self

    def split_r2(self, X, y, groups=None) -> np.ndarray:
        """R2 divided among bands by the product measure; the parts sum to the joint R2.

        With p_b the part of the prediction p that comes from band b, and y, p_b about their
        means,

            R2_b = sum_t p_b (2 y - p) / sum_t y^2

        (Dupre la Tour et al. 2022, eq. 14). A prediction whose mean is off loses R2 that belongs
        to no band; it is charged to all in equal parts. Parts may be negative.

        Returns
        -------
        (n_bands,) or (n_bands, n_targets)
            NaN for constant y.
        """
        design = self._design(X, groups)
        y = np.asarray(y, np.float64)
        Y = y.reshape(len(design), -1)
        coef = np.atleast_2d(self.coef_)
        bands = np.tile(self._band_of, design.shape[1] // len(self._band_of))
        offset = np.mean(design @ coef.T, 0) + self.intercept_ - Y.mean(0)
        Y = Y - Y.mean(0)
        parts = []
        for band in range(len(self.bands_)):
            part = design[:, bands == band].astype(np.float64) @ coef[:, bands == band].T
            parts.append(part - part.mean(0))
        rest = 2 * Y - np.sum(parts, 0)
        sst = (Y**2).sum(0)
        share = np.array([(part * rest).sum(0) for part in parts])
        share -= len(Y) * offset**2 / len(parts)
        out = np.divide(share, sst, out=np.full_like(share, np.nan), where=sst > 0)
        return out[:, 0] if y.ndim == 1 else out

    def _design(self, X, groups):
        check_is_fitted(self)
        if _is_named(X):
            missing = [str(name) for name in self.bands_ if name not in X]
            if missing or len(X) > len(self.bands_):
                raise InputError(f"X holds {list(X)}, fitted were {list(self.bands_)}")
            X, _ = _stack({name: X[name] for name in self.bands_})
        return super()._design(X, groups)


def _is_named(X) -> bool:
    """Whether X maps names to arrays (some sparse matrices are dicts, too)."""
    return isinstance(X, Mapping) and not hasattr(X, "shape")


def _stack(X: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Columns side by side and the label of each."""
    arrays = {name: np.asarray(part) for name, part in X.items()}
    shapes = {name: part.shape for name, part in arrays.items()}
    if any(len(s) != 2 for s in shapes.values()) or len({s[0] for s in shapes.values()}) != 1:
        raise InputError(f"bands have shapes {shapes}; give (n_samples, n_features) in each")
    labels = np.repeat(list(arrays), [a.shape[1] for a in arrays.values()])
    return np.concatenate(list(arrays.values()), 1), labels

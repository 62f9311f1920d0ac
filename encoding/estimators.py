"""scikit-learn estimators over the ridge functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, LeaveOneGroupOut, check_cv
from sklearn.utils.validation import check_is_fitted, validate_data

from .design import delay
from .errors import InputError
from .recordings import heard, keep_apart
from .ridge import kfold
from .ridge.arrays import open_arrays
from .ridge.scaling import unit_trace


class DelayedRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """What ridge estimators share: validation, delays inside runs, folds by run, the weights kept.

    Subclasses have the parameters alphas, cv and delays (see `RidgeCV`).
    """

    def predict(self, X, groups=None):
        """Predict (n_samples,) or (n_samples, n_targets); `groups` matter with delays only."""
        return self._design(X, groups) @ self.coef_.T + self.intercept_

    def score(self, X, y, groups=None):
        """R2 of the prediction, averaged uniformly over targets."""
        return r2_score(y, self.predict(X, groups))

    def _training(self, X, y, groups, recordings):
        """Validated X and y, alphas and splits."""
        X, y = validate_data(
            self,
            X,
            y,
            dtype=[np.float64, np.float32],
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=2,
        )
        if y.dtype.kind != "f":
            y = y.astype(X.dtype)
        alphas = kfold.ALPHAS if self.alphas is None else np.atleast_1d(self.alphas)
        self.feature_means_ = X.mean(0, dtype=np.float64).astype(X.dtype)
        return X, y, alphas, self._splits(X, y, groups, recordings)

    def _keep(self, coef, intercept, mean, scale, y) -> None:
        """Weights of standardised features become those of the features given."""
        coef = coef / scale[:, None]
        intercept = intercept - mean @ coef
        if y.ndim == 1:
            self.coef_, self.intercept_ = coef[:, 0], intercept[0]
        else:
            self.coef_, self.intercept_ = coef.T, intercept

    def _design(self, X, groups):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return self._delayed(X, groups)

    def _delayed(self, X, groups):
        if self.delays is None:
            return X
        runs = np.zeros(len(X)) if groups is None else groups
        return delay(X - self.feature_means_, runs, self.delays)

    def _splits(self, X, y, groups, recordings):
        if groups is not None:
            groups = np.asarray(groups)
            if groups.shape != (len(X),):
                raise InputError(f"groups have shape {groups.shape}, expected ({len(X)},)")
        if self.cv is not None:
            cv = check_cv(self.cv)
        elif groups is None:
            cv = KFold(min(5, len(X)))
        elif len(np.unique(groups)) < 2:
            raise InputError("groups hold one run only: it cannot be left out; give cv=5")
        else:
            cv = LeaveOneGroupOut()
        runs = np.zeros(len(X)) if groups is None else groups
        sounds = heard(recordings, runs, self.delays or (0,))
        return keep_apart(list(cv.split(X, y, groups)), sounds)


class RidgeCV(DelayedRidge):
    """Ridge regression of many targets, alpha chosen for each by exact cross-validation.

    Parameters
    ----------
    alphas : (n_alphas,) array, optional
        Default: `encoding.ridge.kfold.ALPHAS`, 17 values from 1e-3 to 1e5.
    cv : None, int, splitter or iterable of (train, test)
        None leaves one group (run) out; without groups 5 contiguous folds.
    delays : sequence of int, optional
        Volumes by which features are delayed inside each group, see `encoding.delay`; without
        groups the rows are one run. Before a run's start features are at their training mean.
    standardize : bool
        Scale features by the training rows' mean and SD and to a unit kernel trace
        (`encoding.ridge.scaling.unit_trace`), so that one grid of alphas serves every feature
        space. False is plain ridge, as in scikit-learn and himalaya.
    n_targets_batch : int
        Targets in memory at a time; without effect on the result.
    backend : "numpy" or "torch"
        Where eigendecompositions and products with the targets are done. Torch pays on a GPU;
        results agree but for rounding.
    device : str, optional
        Of torch, as "cuda:1"; it must know float64. Default: the first CUDA device, else the CPU.

    Attributes
    ----------
    best_alphas_ : (n_targets,)
    cv_scores_ : (n_alphas, n_targets)
        Mean held-out R2, see `encoding.ridge.kfold.cv_scores`.
    coef_ : (n_targets, n_features * n_delays), or 1-D for 1-D y
        In units of the features given, delay blocks side by side.
    intercept_ : (n_targets,) or scalar
    feature_means_ : (n_features,)
        Of the training rows; with delays, `coef_` applies to delayed deviations from them.
    """

    def __init__(
        self,
        alphas=None,
        *,
        cv=None,
        delays: Sequence[int] | None = None,
        standardize: bool = True,
        n_targets_batch: int = 1024,
        backend: str = "numpy",
        device: str | None = None,
    ):
        self.alphas = alphas
        self.cv = cv
        self.delays = delays
        self.standardize = standardize
        self.n_targets_batch = n_targets_batch
        self.backend = backend
        self.device = device

    def fit(self, X, y, groups=None, recordings=None):
        """Choose alphas and fit.

        Parameters
        ----------
        X : (n_samples, n_features)
        y : (n_samples,) or (n_samples, n_targets)
        groups : (n_samples,) run labels, optional
        recordings : (n_samples,) labels, NaN or "" for none, optional
            Training rows whose (delayed) features draw on a recording that held-out rows draw on
            are left out of the fold, so that no alpha is chosen by what it memorised.
        """
        on = open_arrays(self.backend, self.device)
        X, y, alphas, splits = self._training(X, y, groups, recordings)
        Y = y.reshape(len(X), -1)
        design = self._delayed(X, groups)
        if self.standardize:
            mean, scale = unit_trace(design)
            design = (design - mean) / scale
        else:
            mean, scale = np.zeros(design.shape[1], X.dtype), np.ones(design.shape[1], X.dtype)
        self.cv_scores_, self.best_alphas_, coef, intercept = kfold.cv_fit(
            design, Y, alphas, splits, batch=self.n_targets_batch, on=on
        )
        kfold.warn_at_edge(self.best_alphas_, alphas)
        self._keep(coef, intercept, mean, scale, y)
        return self

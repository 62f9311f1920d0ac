"""Intervals of models and of their differences, over subjects and clips at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import t as student

from ..errors import InputError
from .comparison import check_method, compare_rdms
from .pairs import n_clips_of, together
from .resampled import LEAST_CLIPS, resampled_similarity

LEVEL = 0.95


@dataclass(frozen=True)
class RDMBootstrap:
    """Similarities of models to subjects and their draws.

    Parameters
    ----------
    similarity : (n_subjects, n_models)
    draws : {"both", "subjects", "clips": (n_draws, n_models)}
        Mean similarity over subjects, with these drawn; for one subject "clips" alone. Resamples
        that hold fewer than three distinct clips, or in which some RDM does not vary, are left out.
    n_clips, n_strata : int
        Strata are the runs within which clips were drawn.
    n_lost : int
        Resamples left out.
    """

    similarity: np.ndarray
    draws: dict[str, np.ndarray]
    n_clips: int
    n_strata: int
    n_lost: int

    @property
    def scores(self) -> np.ndarray:
        """(n_models,) mean over subjects."""
        return self.similarity.mean(0)

    @property
    def dof(self) -> int:
        """Degrees of freedom of the intervals: of the smaller of the two samples."""
        clips = self.n_clips - self.n_strata
        return min(clips, len(self.similarity) - 1) if "both" in self.draws else clips

    @property
    def interval(self) -> np.ndarray:
        """(n_models, 2) at 95 %: score -+ t sd, as in `bootstrap_rdms`."""
        half = student.ppf((1 + LEVEL) / 2, self.dof) * self.sd(np.eye(len(self.scores)))
        return self.scores[:, None] + half[:, None] * np.array([-1, 1])

    def sd(self, contrasts) -> np.ndarray:
        """Standard error of contrasts (n, n_models) of the scores."""
        contrasts = np.atleast_2d(contrasts)
        variance = {k: (draws @ contrasts.T).var(0, ddof=1) for k, draws in self.draws.items()}
        of_clips = self.n_clips / (self.n_clips - self.n_strata)
        clips = of_clips * variance["clips"]
        if "both" not in variance:
            return np.sqrt(clips)
        of_subjects = len(self.similarity) / (len(self.similarity) - 1)
        subjects = of_subjects * variance["subjects"]
        shared = variance["both"] - variance["subjects"] - variance["clips"]
        total = subjects + clips - of_subjects * of_clips * shared
        return np.sqrt(np.minimum(np.maximum(total, np.maximum(subjects, clips)), variance["both"]))

    def differences(self, names) -> pd.DataFrame:
        """Every pair of models, from the same draws of subjects and clips.

        Parameters
        ----------
        names : (n_models,)

        Returns
        -------
        DataFrame with a, b, difference (a - b), low, high (95 %), p (two-sided, of t with `dof`)
            Not corrected for the number of pairs.
        """
        pairs = list(combinations(range(len(self.scores)), 2))
        contrasts = np.zeros((len(pairs), len(self.scores)))
        for row, (a, b) in zip(contrasts, pairs, strict=True):
            row[a], row[b] = 1, -1
        difference, sd = contrasts @ self.scores, self.sd(contrasts)
        half = student.ppf((1 + LEVEL) / 2, self.dof) * sd
        with np.errstate(invalid="ignore", divide="ignore"):
            p = 2 * student.sf(np.abs(difference) / sd, self.dof)
        return pd.DataFrame(
            {
                "a": [names[a] for a, _ in pairs],
                "b": [names[b] for _, b in pairs],
                "difference": difference,
                "low": difference - half,
                "high": difference + half,
                "p": np.where(sd > 0, p, 1.0),
            }
        )


def bootstrap_rdms(
    data, models, method: str = "rho-a", *, runs=None, n_resamples: int = 1000, seed: int = 0
) -> RDMBootstrap:
    r"""Draw subjects and clips with replacement and compare models with subjects in each draw.

    The same draws are used for subjects alone, clips alone and both. Drawing both at once counts
    measurement noise twice, so that variances are put together as (Schuett et al. 2023, eLife 12,
    e82566, two-factor bootstrap; rsatoolbox's dual bootstrap)

        s^2 = f_s V_s + f_c V_c - f_s f_c (V_both - V_s - V_c),  f = n / (n - 1),

    not below either of the first two terms nor above V_both, and intervals are t intervals with
    the degrees of freedom of the smaller sample. With one subject s^2 = f_c V_c and nothing is
    said about other subjects.

    Parameters
    ----------
    data : (n_subjects, n_pairs) or (n_pairs,)
    models : (n_models, n_pairs) or (n_pairs,)
    method : see `compare_rdms`
    runs : (n_clips,) labels, optional
        Clips are drawn within their run; f_c = n / (n - n_runs).
    n_resamples, seed : int

    Returns
    -------
    RDMBootstrap

    Raises
    ------
    InputError
        RDMs that do not fit each other, fewer than four clips, or runs of one clip each.
    """
    check_method(method)
    data, models, known = together(data, models)
    n, n_subjects = n_clips_of(data.shape[1]), len(data)
    if n < LEAST_CLIPS + 1:
        raise InputError(f"{n} clips: a bootstrap over clips needs {LEAST_CLIPS + 1} or more")
    strata = strata_of(n, runs)
    if len(strata) == n:
        raise InputError("every run has one clip: none can be drawn within runs; leave runs out")
    clips, subjects = _draw(n_subjects, n, strata, n_resamples, seed)
    similarity = compare_rdms(data, models, method)
    drawn = resampled_similarity(data, models, known, method, clips)
    kept = ~np.isnan(drawn).any((1, 2))
    if kept.sum() < 2:
        raise InputError("RDMs do not vary in nearly all resamples; leave constant models out")
    drawn, share = drawn[kept], subjects[kept] / n_subjects
    draws = {"clips": drawn.mean(1)}
    if n_subjects > 1:
        draws["both"] = np.einsum("rsm,rs->rm", drawn, share)
        draws["subjects"] = share @ similarity
    return RDMBootstrap(similarity, draws, n, len(strata), int((~kept).sum()))


def strata_of(n_clips: int, runs) -> list[np.ndarray]:
    """Clips of each run, all of them where runs are not known."""
    if runs is None:
        return [np.arange(n_clips)]
    runs = np.asarray(runs)
    if runs.shape != (n_clips,):
        raise InputError(f"runs label {len(runs)} clips, the RDMs have {n_clips}")
    return [np.asarray(rows) for rows in pd.Series(runs).groupby(runs, sort=False).indices.values()]


def _draw(n_subjects, n_clips, strata, n_resamples, seed) -> tuple[np.ndarray, np.ndarray]:
    """How often each clip (n_resamples, n_clips) and each subject was drawn.

    A resample takes one row of uniform numbers: more resamples leave the first ones as they were.
    """
    rng = np.random.default_rng(seed)
    uniform = rng.random((n_resamples, n_subjects + n_clips))
    subjects = (uniform[:, :n_subjects] * n_subjects).astype(int)
    clips = np.empty((n_resamples, n_clips), int)
    for rows in strata:
        clips[:, rows] = rows[(uniform[:, n_subjects + rows] * len(rows)).astype(int)]
    return _count(clips, n_clips), _count(subjects, n_subjects)


def _count(drawn, n) -> np.ndarray:
    """(n_rows, n) float64, how often each number occurs in a row."""
    places = drawn + n * np.arange(len(drawn))[:, None]
    return np.bincount(places.ravel(), minlength=n * len(drawn)).reshape(-1, n).astype(float)

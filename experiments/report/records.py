"""What a report is made of: plain records, with None for whatever was not measured.

`command` of a record is the command line that made it, where that is known.
"""

from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Classifier:
    """How well one model classified clips.

    Attributes
    ----------
    label : str
        The model's name, with its folder where two would look alike.
    model : str
    tested_on : str
        Which clips were held out and how.
    clip_accuracy, segment_accuracy, chance : float
        Fractions; the interval is a 95 % Wilson interval over clips.
    labels, matrix : classes and counts of clips, rows are the truth
    per_class : {class: fraction or None}
    folds : rows of crossval.json, empty for a single split
    parameters, train_seconds, cross_seconds, test_seconds
    recipe : {setting: value}
    epochs, best_epoch : int
    curve : DataFrame, one row an epoch, columns epoch, train_loss, valid_loss
    predictions : DataFrame, columns clip_id, label, predicted
    mistakes : list of Sound, wrong clips of which the model was surest
    """

    label: str
    model: str
    tested_on: str
    clip_accuracy: float
    interval: tuple[float, float]
    segment_accuracy: float | None
    chance: float
    n_clips: int
    n_segments: int | None
    labels: list[str]
    matrix: list[list[int]]
    per_class: dict[str, float | None]
    folds: list[dict] = field(default_factory=list)
    parameters: int | None = None
    train_seconds: float | None = None
    cross_seconds: float | None = None
    test_seconds: float | None = None
    recipe: dict = field(default_factory=dict)
    epochs: int | None = None
    best_epoch: int | None = None
    curve: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    mistakes: list["Sound"] = field(default_factory=list)
    command: str | None = None


@dataclass(frozen=True)
class Fit:
    """One layer in one region: means over targets of held-out r, with the ceiling of r."""

    mean_r: float | None
    mean_r2: float | None
    low: float | None
    high: float | None
    n_targets: int | None
    ceiling: float | None
    r_normalised: float | None
    n_normalised: int | None
    p: float | None


@dataclass(frozen=True)
class Best:
    """The layer with the highest mean r, and the share of bootstrap resamples in which it led."""

    layer: str
    share: float | None


@dataclass(frozen=True)
class Subject:
    """Encoding results of one subject.

    Attributes
    ----------
    label : str
        The subject's name, with its folder where two would look alike.
    layers : list of str
        ``model:stage``, in anatomical order within a model.
    regions : list of str
    fits : {(layer, region): Fit}
    best : {region: Best}, over all models
    best_by_model : {model: {region: Best}}
    protocol : {name: value}, for instance delays, scheme, n_samples
    """

    label: str
    layers: list[str]
    regions: list[str]
    fits: dict[tuple[str, str], Fit]
    best: dict[str, Best]
    best_by_model: dict[str, dict[str, Best]]
    protocol: dict
    command: str | None = None

    @property
    def models(self) -> list[str]:
        """Names of the models, in order of their first layer."""
        return list(dict.fromkeys(split_layer(layer)[0] for layer in self.layers))

    def ceiling(self, region: str) -> float | None:
        """The ceiling of a region, which does not depend on the layer."""
        return self.fits[self.layers[0], region].ceiling


@dataclass(frozen=True)
class Planted:
    """What a simulation put into a region; stage None is noise alone."""

    model: str
    stage: str | None
    snr: float | None


@dataclass(frozen=True)
class BenchmarkControl:
    """A row of untrained counterparts of a model.

    `trained_minus` holds, by "r2", "all_stages", "banded" and component, the trained network's
    lead with its ends, under "by_stage" the same by stage; empty where nothing was trained.
    """

    of: str
    kind: str
    trained_minus: dict


@dataclass(frozen=True)
class Benchmark:
    """The 165 natural sounds: variance explained (r2) of each response component.

    Attributes
    ----------
    r2 : {model: {measure: {component or "mean": r2}}}
        Measures: "r2" (the best stage), and of models with stages "all_stages", "banded".
    intervals : {model: {measure: (low, high)}}
        Of the mean over components.
    controls : {model: BenchmarkControl}
        Of those rows that are untrained counterparts.
    published : {model: {component or "mean": r2}}
    by_stage : {model: {stage: {component or "mean": r2}}}
    best_stage : {model: {component: stage}}
    protocol : {name: value}
    surfaces : {model: {"L", "R": best stage of every vertex, from 1}}, where there are maps
    """

    r2: dict[str, dict]
    intervals: dict[str, dict]
    controls: dict[str, BenchmarkControl]
    by_stage: dict[str, dict]
    best_stage: dict[str, dict]
    published: dict[str, dict]
    protocol: dict
    surfaces: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    command: str | None = None


@dataclass(frozen=True)
class Sound:
    """A clip or file that was asked for, or found.

    Attributes
    ----------
    path, start, end, fade : where its sound is; seconds, None where the file says
    clip_id, label, group : str or None, unknown for a file outside the table
    side : "train", "valid" or None, whether the model learned from its group
    role : "query", "liked" or "disliked", or what it was taken for; None for a clip that was found
    rank, similarity, same_label : of a clip that was found
    """

    path: str
    clip_id: str | None = None
    label: str | None = None
    group: str | None = None
    start: float | None = None
    end: float | None = None
    fade: float | None = None
    side: str | None = None
    role: str | None = None
    rank: int | None = None
    similarity: float | None = None
    same_label: bool | None = None

    @property
    def name(self) -> str:
        """Its clip_id, or the name of its file."""
        return self.clip_id or PurePath(self.path).name


@dataclass(frozen=True)
class Search:
    """Sounds that were asked for and the clips a model takes for most similar.

    Attributes
    ----------
    kind : "search" or "recommend"
    model : str
    n_clips : int, clips that were searched
    approximate, same_group : bool
    labels : list of str, empty for all
    asked, found : lists of Sound
    """

    kind: str
    model: str
    n_clips: int
    approximate: bool
    same_group: bool
    labels: list[str]
    asked: list[Sound]
    found: list[Sound]

    @property
    def title(self) -> str:
        """What was asked of which model."""
        what = (
            f"Nearest to {self.asked[0].name}"
            if self.kind == "search"
            else f"Recommended from {len(self.asked)} clip{'s' * (len(self.asked) > 1)}"
        )
        return f"{what}, {self.model}"


@dataclass(frozen=True)
class RetrievalScore:
    """Mean average precision with its interval and chance, and {k: (hit rate, chance)}."""

    precision: float
    low: float | None
    high: float | None
    chance: float
    hits: dict[str, tuple[float, float]]
    n_queries: int


@dataclass(frozen=True)
class Retrieval:
    """How often the nearest clips share the label of a query.

    Attributes
    ----------
    label : str
        The model's name, with its folder where two would look alike.
    queries : str, which clips asked
    n_candidates : int
    total : RetrievalScore
    per_label : {label: RetrievalScore}
    """

    label: str
    queries: str
    n_candidates: int
    total: RetrievalScore
    per_label: dict[str, RetrievalScore]


@dataclass(frozen=True)
class SweepCell:
    """One cell of a sweep; what was not trained to the end has no numbers.

    Attributes
    ----------
    name, model : str
    axes : {axis: value}
    status : "done", "failed" or "pending", with its reason
    seeds : clip accuracy of every seed
    difference, difference_interval, p, clear : against the best of the model, or of all
    """

    name: str
    model: str
    axes: dict
    status: str
    reason: str | None = None
    rank: int | None = None
    valid_loss: float | None = None
    clip_accuracy: float | None = None
    interval: tuple[float, float] | None = None
    chance: float | None = None
    seeds: list[float] = field(default_factory=list)
    seed_sd: float | None = None
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None
    p: float | None = None
    clear: bool | None = None
    parameters: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Sweep:
    """A grid of models and settings on the same clips.

    Attributes
    ----------
    label : str
        Its title, with its folder where two would look alike.
    axes : {axis: values}, the model first
    folds : int, 0 for one set of test clips
    ranked_by : "validation" or "test"
    cells : list of SweepCell, the best first
    sentences : list of str
    """

    label: str
    axes: dict[str, list]
    folds: int
    ranked_by: str
    cells: list[SweepCell]
    sentences: list[str]
    command: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Models on the same clips, as `experiments.compare.compare` tells of them.

    Attributes
    ----------
    label : str
        Its title, with its folder where two would look alike.
    n_clips, n_tracks : int, of the test
    chance : float
    classifiers : list of Classifier, with the name of the run as model
    models, pairs, learning, robustness, classes, similarity, brain : lists of rows
    sentences : list of str
    """

    label: str
    n_clips: int
    n_tracks: int
    chance: float
    classifiers: list[Classifier]
    models: list[dict]
    pairs: list[dict]
    learning: list[dict]
    robustness: list[dict]
    classes: list[dict]
    similarity: list[dict]
    brain: list[dict]
    sentences: list[str]
    command: str | None = None

    @property
    def names(self) -> list[str]:
        """Of the models."""
        return [row["name"] for row in self.models]


@dataclass(frozen=True)
class StageRegion:
    """One region of one subject: what fits it.

    Attributes
    ----------
    mean_r : {stage: mean over targets of held-out r}
    shares : {stage: share of targets whose best stage it is}
    soft, soft_low, soft_high : mean stage weighted by scores, and its interval
    agreement : share of targets for which both halves of the clips choose one stage
    best_score : mean r of the stage chosen on the other half
    ceiling, n_targets
    """

    mean_r: dict[str, float | None]
    shares: dict[str, float]
    soft: float | None
    soft_low: float | None
    soft_high: float | None
    agreement: float
    best_score: float
    ceiling: float | None
    n_targets: int


@dataclass(frozen=True)
class Interaction:
    """(deep - shallow) x (non-primary - primary), and whether the trained one exceeds it."""

    value: float | None
    low: float | None
    high: float | None
    exceeded: bool | None


@dataclass(frozen=True)
class StageSubject:
    """One subject of a test of stages.

    Attributes
    ----------
    regions : {region: StageRegion}, by order
    interactions : {control: Interaction}, "" the trained model
    passed : bool
    axis, rho, p, n_places : rank correlation of the stage with distance or order
    notes : list of str
    """

    regions: dict[str, StageRegion]
    interactions: dict[str, Interaction]
    passed: bool
    axis: str
    rho: float | None
    p: float | None
    n_places: int
    notes: list[str]


@dataclass(frozen=True)
class StageTest:
    """Whether stages follow the order of regions.

    Attributes
    ----------
    label : str
        The model's name, with its folder where two would look alike.
    stages : list of str, from shallow to deep
    supported : bool
    sentence, ladder : str
    controls : {name: kind}
    subjects : {name: StageSubject}
    surfaces : {subject: {"L", "R": best stage of every vertex, from 1}}, where there are maps
    """

    label: str
    stages: list[str]
    supported: bool
    sentence: str
    ladder: str
    controls: dict[str, str]
    subjects: dict[str, StageSubject]
    surfaces: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    command: str | None = None

    @property
    def regions(self) -> list[str]:
        """Regions of any subject, by order."""
        return list(dict.fromkeys(r for one in self.subjects.values() for r in one.regions))

    def mean(self, region: str, value) -> float | None:
        """Mean of `value(StageRegion)` over the subjects in which it is known."""
        found = [value(s.regions[region]) for s in self.subjects.values() if region in s.regions]
        known = [v for v in found if v is not None]
        return sum(known) / len(known) if known else None


def split_layer(layer: str) -> tuple[str, str]:
    """``"model:stage"`` into its two names; a bare name is both."""
    model, _, stage = layer.partition(":")
    return model, stage or model

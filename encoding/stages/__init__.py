"""Stages of a model against regions of auditory cortex, with controls that could refute it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..layers import Scores
from ..maps import target_table
from ..regions import Regions, assign_regions
from .subject import SubjectStages, analyse, split_layer
from .summary import summarise_stages
from .verdict import Verdict, control_kind, decide, ladder_sentence

__all__ = [
    "StageTest",
    "SubjectStages",
    "Verdict",
    "control_kind",
    "own_regions",
    "stage_test",
    "summarise_stages",
]


@dataclass(frozen=True)
class StageTest:
    """Result of `stage_test`.

    Parameters
    ----------
    model : str
    subjects : {name: SubjectStages}
    verdict : Verdict
    controls : {name: kind}
    ladder : str, the controls in a sentence
    n_shuffles, n_resamples, seed : int
    """

    model: str
    subjects: Mapping[str, SubjectStages]
    verdict: Verdict
    controls: Mapping[str, str]
    ladder: str
    n_shuffles: int
    n_resamples: int
    seed: int


def stage_test(
    scores: Scores | Mapping[str, Scores],
    regions: Regions | Mapping[str, Regions] | None = None,
    model: str | None = None,
    controls: Mapping[str, str] | Sequence[str] | None = None,
    *,
    n_shuffles: int = 10,
    n_resamples: int = 1000,
    n_surrogates: int = 1000,
    seed: int = 0,
    n_jobs: int | None = None,
) -> StageTest:
    """Whether the stages of a trained model follow the order of auditory regions.

    In each subject: best stage chosen on one half of the held-out clips and scored on the other;
    soft preference with intervals; rank correlation with distance from core against maps as
    smooth; and the interaction (deep - shallow) x (non-primary - primary) beside that of every
    control, on the same resampled clips. A hierarchy is supported only where the interaction
    exceeds all controls, observed and in 95 % of resamples, in at least ceil(0.8 n) of n subjects
    and in two at least; in all other cases there is no evidence of one. See the modules
    `preference`, `interaction`, `matching`, `spatial` and `verdict` for formulas and sources.

    Parameters
    ----------
    scores : Scores, or {subject: Scores}
        Layers "model:stage", of a model from shallow to deep, of all models in one fit. Names
        without a colon are stages of one model "".
    regions : Regions, or {subject: Regions}, optional
        Default: `assign_regions` of the scores' own labels and places.
    model : str, optional
        The trained one. Default: the only one of several layers that is no control by its name.
    controls : {model: kind}, or names, optional
        Default: models known for controls by their names (`control_kind`). One-layer controls
        stand in for the trained deep stages.
    n_shuffles : int
        Controls that give each clip the predictions for another one of its run.
    n_resamples, n_surrogates, seed : int
    n_jobs : int, optional
        Threads; default: all CPUs. Without effect on the result.

    Returns
    -------
    StageTest

    Raises
    ------
    InputError
        Models, regions or clips do not allow the test.
    """
    by_subject = dict(scores) if isinstance(scores, Mapping) else {"": scores}
    if not by_subject:
        raise InputError("no subject is given")
    layers = [one.dataset["layer"].to_numpy().astype(str).tolist() for one in by_subject.values()]
    for name, own in zip(by_subject, layers, strict=True):
        if own != layers[0]:
            raise InputError(f"{name}: layers differ from those of {next(iter(by_subject))}")
    models: dict[str, list[int]] = {}
    for i, layer in enumerate(layers[0]):
        models.setdefault(split_layer(layer)[0], []).append(i)
    model = choose_model(models, model)
    kinds = choose_controls(models, model, controls)
    results = {}
    for name, one in by_subject.items():
        own = regions[name] if isinstance(regions, Mapping) else regions
        try:
            results[name] = analyse(
                one,
                own or own_regions(one),
                models[model],
                {control: models[control] for control in kinds},
                n_shuffles=n_shuffles,
                n_resamples=n_resamples,
                n_surrogates=n_surrogates,
                seed=seed,
                n_jobs=n_jobs,
            )
        except InputError as error:
            raise InputError(f"{name}: {error}" if name else str(error)) from error
    verdict = decide({name: result.passed for name, result in results.items()}, kinds)
    return StageTest(
        model, results, verdict, kinds, ladder_sentence(kinds, n_shuffles), n_shuffles,
        n_resamples, seed,
    )  # fmt: skip


def own_regions(scores: Scores) -> Regions:
    """Regions by the labels and places that scores were saved with."""
    targets = target_table(scores.dataset)
    return assign_regions(targets["region"], targets=targets)


def choose_model(models: Mapping[str, Sequence[int]], model: str | None) -> str:
    """The trained model: the one named, or the only one that can be meant."""
    if model is None:
        several = [m for m, own in models.items() if len(own) > 1 and control_kind(m) is None]
        if len(several) != 1:
            raise InputError(
                f"{len(several)} models could be the trained one ({', '.join(several or models)}); "
                "name it"
            )
        return several[0]
    if model not in models:
        raise InputError(f"model {model} is not among {', '.join(models)}")
    if len(models[model]) < 2:
        raise InputError(f"model {model} has one layer; an order of stages needs two")
    return model


def choose_controls(models, model, controls) -> dict[str, str]:
    """{model: kind} of the controls that were named, or of those known by their names."""
    if controls is None:
        found = {m: control_kind(m) for m in models if m != model}
        return {m: kind for m, kind in found.items() if kind is not None}
    kinds = {m: controls[m] if isinstance(controls, Mapping) else control_kind(m) or "named"
             for m in controls}  # fmt: skip
    for name in kinds:
        if name not in models or name == model:
            raise InputError(
                f"control {name} is not among {', '.join(m for m in models if m != model)}"
            )
    return kinds

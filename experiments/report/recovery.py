"""Whether a planted truth was found again."""

from dataclasses import dataclass

from experiments.report.records import Planted, Subject, split_layer
from experiments.report.results import Results


@dataclass(frozen=True)
class Recovery:
    """One region of one subject.

    Attributes
    ----------
    subject, region : str
    planted : Planted
    stage : str or None
        The best stage within the planted model; None if that model was not fitted.
    share : float or None
        Share of bootstrap resamples in which it led.
    p : float or None
        Smallest p over all layers, times their number (Bonferroni), at most 1.
    agrees : bool or None
        For a planted stage, whether it is the best one. For noise, whether p > .05; None where
        the permutations are too few for p to fall below .05 at all, or p is not known.
    """

    subject: str
    region: str
    planted: Planted
    stage: str | None
    share: float | None
    p: float | None
    agrees: bool | None


def recoveries(results: Results) -> list[Recovery]:
    """Every planted region of every subject that was encoded."""
    return [
        _recovery(subject, region, planted)
        for region, planted in results.truth.items()
        for subject in results.subjects
        if region in subject.regions
    ]


def _recovery(subject: Subject, region: str, planted: Planted) -> Recovery:
    ps = [subject.fits[layer, region].p for layer in subject.layers]
    known = [p for p in ps if p is not None]
    p = min(1.0, min(known) * len(known)) if known else None
    if planted.stage is None:
        draws = subject.protocol.get("n_permutations")
        attainable = draws is None or len(known) / (draws + 1) <= 0.05
        agrees = p > 0.05 if known and attainable else None
        return Recovery(subject.label, region, planted, None, None, p, agrees)
    # A model under another front-end or seed is named "model (variant)": its stages are the same.
    model = planted.model
    if model not in subject.best_by_model:
        model = model.partition(" (")[0]
    best = subject.best_by_model.get(model, {}).get(region)
    if best is None:
        return Recovery(subject.label, region, planted, None, None, p, None)
    stage = split_layer(best.layer)[1]
    return Recovery(subject.label, region, planted, stage, best.share, p, stage == planted.stage)

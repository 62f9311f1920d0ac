"""Two models on the same clips."""

from dataclasses import dataclass

from cortexnet.paired import mcnemar_p
from experiments.report.records import Classifier


@dataclass(frozen=True)
class Pair:
    """Clips that only one of two models has right, and the p of the exact McNemar test."""

    first: Classifier
    second: Classifier
    only_first: int
    only_second: int
    p: float


def paired(first: Classifier, second: Classifier) -> Pair | None:
    """Compare two models clip by clip; None unless both were given the same clips."""
    if first.predictions is None or second.predictions is None:
        return None
    both = first.predictions.merge(
        second.predictions, on=["clip_id", "label"], suffixes=("_first", "_second")
    )
    if not len(both) == len(first.predictions) == len(second.predictions):
        return None
    right = [both[f"predicted_{which}"] == both["label"] for which in ("first", "second")]
    only_first = int((right[0] & ~right[1]).sum())
    only_second = int((right[1] & ~right[0]).sum())
    p = mcnemar_p(only_first, only_second)
    return Pair(first, second, only_first, only_second, p)

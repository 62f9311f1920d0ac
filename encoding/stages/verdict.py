"""The rule by which a hierarchy is claimed, and its sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SHARE = 0.95  # of shared resamples in which the trained interaction must be the larger one
SUBJECTS = 0.8
WANTED = 10  # networks of each untrained kind
_UNTRAINED = ("permuted-all", "permuted", "random")
_BASELINES = ("cochleagram", "log modulation", "scattering", "random projection")
SNR_ALONE = "SNR alone"
MATCHED = "SNR-matched voxels"
SHUFFLED = "shuffled clips"


@dataclass(frozen=True)
class Verdict:
    """What the rule says.

    Parameters
    ----------
    supported : bool
    n_exceeding, n_subjects, n_needed : int
        Subjects in whom the trained interaction exceeds all controls, all subjects, and how many
        of them the rule asks for.
    sentence : str
    """

    supported: bool
    n_exceeding: int
    n_subjects: int
    n_needed: int
    sentence: str


def control_kind(model: str) -> str | None:
    """Kind of control that a model's name tells: "net-random-3" is "random"; None if it is none.

    Baselines are known by cochleagram, modulation or mtf in front, scattering or projection.
    """
    plain = model.lower()
    if "projection" in plain:
        return "random projection"
    for kind in _UNTRAINED:
        if re.search(rf"(?:^|[^a-z]){kind}(?:[^a-z]|$)", plain):
            return kind
    if plain.startswith("cochleagram"):
        return "cochleagram"
    if plain.startswith(("modulation", "log-modulation", "log_modulation", "mtf")):
        return "log modulation"
    if "scattering" in plain:
        return "scattering"
    return None


def exceeds(trained: np.ndarray, control: np.ndarray) -> bool:
    """Whether the trained interaction is larger, observed and in 95 % of shared resamples.

    trained, control : (n_resamples + 1,), the first value observed; NaN counts against
    """
    larger = trained > control
    return bool(larger[0] and larger[1:].mean() >= SHARE)


def decide(passed: Mapping[str, bool], kinds: Mapping[str, str]) -> Verdict:
    """The verdict over subjects.

    A hierarchy is supported where the trained interaction exceeds every control in at least
    ceil(0.8 n) of n subjects. One subject never suffices, nor does a ladder without a network of
    random or permuted weights.

    Parameters
    ----------
    passed : {subject: whether the trained interaction exceeds all controls}
    kinds : {control: kind}
    """
    n, k = len(passed), sum(passed.values())
    needed = max(2, math.ceil(round(SUBJECTS * n, 9)))
    untrained = [name for name, kind in kinds.items() if kind in _UNTRAINED]
    how_many = f"in {k} of {n} subject{'s' * (n != 1)}"
    if untrained and n > 1 and k >= needed:
        return Verdict(True, k, n, needed, f"hierarchy supported {how_many} against all controls")
    if not untrained:
        why = "no network of random or permuted weights is among the controls"
    elif n == 1:
        why = (
            f"the trained interaction exceeds all controls {how_many}, and one subject never "
            "suffices"
        )
    else:
        why = f"the trained interaction exceeds all controls {how_many}, {needed} are needed"
    return Verdict(False, k, n, needed, f"no evidence of a hierarchy: {why}")


def ladder_sentence(kinds: Mapping[str, str], n_shuffles: int) -> str:
    """How many controls of each kind there are, and which of the ladder are missing."""
    counts = dict.fromkeys((*_UNTRAINED[::-1], *_BASELINES), 0)
    for kind in kinds.values():
        counts[kind] = counts.get(kind, 0) + 1
    counts[SHUFFLED] = n_shuffles
    there = ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)
    text = f"Controls: {there or 'none'}."
    missing = [kind for kind, n in counts.items() if not n and kind != "permuted-all"]
    if missing:
        text += f" Missing: {', '.join(missing)}."
    few = [kind for kind in ("random", "permuted") if 0 < counts[kind] < WANTED]
    if few:
        text += f" Fewer than the {WANTED} wanted: {', '.join(few)}."
    return text

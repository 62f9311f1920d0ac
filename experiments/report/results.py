"""All that a folder of results holds."""

from dataclasses import dataclass

from experiments.report.records import (
    Benchmark,
    Classifier,
    Comparison,
    Planted,
    Retrieval,
    Search,
    StageTest,
    Subject,
    Sweep,
)
from experiments.report.rsa_records import RSA


@dataclass(frozen=True)
class Results:
    """All that a folder of results holds.

    Attributes
    ----------
    classifiers : list of Classifier
    costs : {model: {parameters, macs_per_second, areas}}
    subjects : list of Subject
    truth : {region: Planted}, empty for measured responses
    truth_note : str
    benchmark : Benchmark or None
    searches : list of Search
    retrievals : list of Retrieval
    sweeps : list of Sweep
    comparisons : list of Comparison
    stage_tests : list of StageTest
    rsas : list of RSA
    provenance : list of (folder, dict), the outermost first
    timings : list of (step, seconds)
    """

    classifiers: list[Classifier]
    costs: dict[str, dict]
    subjects: list[Subject]
    truth: dict[str, Planted]
    truth_note: str
    benchmark: Benchmark | None
    searches: list[Search]
    retrievals: list[Retrieval]
    sweeps: list[Sweep]
    comparisons: list[Comparison]
    stage_tests: list[StageTest]
    rsas: list[RSA]
    provenance: list[tuple[str, dict]]
    timings: list[tuple[str, float]]

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the clips that were classified."""
        tables = [c.predictions for c in self.classifiers if c.predictions is not None]
        return {clip: label for t in tables for clip, label in zip(t.clip_id, t.label, strict=True)}

    @property
    def models(self) -> list[str]:
        """Models with results, in the order in which the page names them."""
        used = [c.model for c in self.classifiers]
        used += [m for row in (*self.subjects, *self.rsas) for m in row.models]
        return list(dict.fromkeys(used))

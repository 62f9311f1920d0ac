"""One self-contained page made from a folder of results."""

from experiments.report.build import build_report

__all__ = ["build_report"]

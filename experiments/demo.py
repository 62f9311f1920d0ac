"""The whole pipeline on the embedded data set."""

from collections.abc import Callable
from pathlib import Path

from experiments.experiment import Experiment, read_experiment
from experiments.miniature import write_miniature
from experiments.run import find_data, run_experiment
from stimuli.miniature import Layout


def run_demo(
    out: Path,
    layout: str | Layout = "small",
    seed: int = 0,
    experiment: Experiment | None = None,
    report: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Write the miniature and run its recipe: from music and images to a verdict and the report.

    A demo that was interrupted goes on where it stopped.

    Parameters
    ----------
    out : Path
        Gets ``miniature`` beside what `run_experiment` writes.
    layout : {"small", "full"} or Layout
        Sizes of the miniature; "full" has the experiment's own and takes hours.
    seed : int
    experiment : Experiment, optional
        Default: the recipe "miniature".
    report, progress : callable
        As of `run_experiment`.

    Returns
    -------
    dict
        ``report`` (path of the page) and ``verdict``.
    """
    data = Path(out) / "miniature"
    if not (data / "truth.json").is_file():
        report("          writing the miniature: music, events, images")
        write_miniature(data, layout, seed)
    experiment = experiment or read_experiment("miniature")
    found = find_data(experiment, data / "genres", data / "bids")
    return run_experiment(experiment, found, out, seed=seed, report=report, progress=progress)

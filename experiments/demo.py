"""The whole pipeline on the embedded data set."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from experiments.experiment import read_experiment
from experiments.miniature import write_miniature
from experiments.run import find_data, run_experiment
from stimuli.miniature import Layout


def run_demo(
    out: Path,
    layout: str | Layout = "small",
    seed: int = 0,
    epochs: int | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """Write the miniature and run the recipe ``miniature`` on it.

    A demo that was interrupted goes on where it stopped.

    Parameters
    ----------
    out : Path
    layout : {"small", "full"} or Layout
        Sizes of the miniature; "full" has the experiment's own and takes hours.
    seed : int
    epochs : int, optional
        Of both networks; default: the demo's own budget.
    report : callable
        Given a line of text as work goes on.

    Returns
    -------
    Path
        Of ``report.html``.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    recipe = read_experiment("miniature")
    if epochs:
        training = {model: own | {"epochs": epochs} for model, own in recipe.training.items()}
        recipe = dataclasses.replace(recipe, training=training)
    data = out / "miniature"
    if not (data / "truth.json").exists():
        report("writing the miniature: music, events, images")
        write_miniature(data, layout, seed)
    found = find_data(recipe, data / "genres", data / "bids")
    return Path(run_experiment(recipe, found, out, seed=seed, report=report)["report"])

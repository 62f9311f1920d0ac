"""The whole pipeline on the embedded data set."""

import time
from collections.abc import Callable
from pathlib import Path

from cortexnet.activations import extract
from cortexnet.cost import list_costs
from cortexnet.heldout import evaluate_run
from cortexnet.recipe import Recipe
from cortexnet.runs import train_run, write_json
from experiments.encode import bids_responses, bids_subjects, encode, open_stores
from experiments.miniature import clip_table, reference_network, write_miniature
from experiments.report import build_report
from stimuli.miniature import Layout

MODELS = ("cortexnet_z", "cnn2d_4l", "scattering_svm")
# A budget for 80 tracks on two cores: cortexnet_z settles in it, the CNN does not.
RECIPES = {"cortexnet_z": {"epochs": 16}, "cnn2d_4l": {"epochs": 10, "batch_size": 8}}


def run_demo(
    out: Path,
    layout: str | Layout = "small",
    seed: int = 0,
    epochs: int | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """Miniature, training, activations, encoding and the report.

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
    steps, began = [], time.perf_counter()

    def step(name: str):
        if steps:
            steps[-1]["seconds"] = round(time.perf_counter() - steps[-1].pop("start"), 1)
        if name:
            report(f"[{time.perf_counter() - began:5.0f} s] {name}")
            steps.append({"step": name, "start": time.perf_counter()})

    data = out / "miniature"
    if not (data / "truth.json").exists():
        step("writing the miniature: music, events, images")
        write_miniature(data, layout, seed)
    (out / "truth.json").write_bytes((data / "truth.json").read_bytes())
    clips = clip_table(data)
    heard = clips[clips["split"] == "test"]

    stores = [out / "features" / "reference.zarr"]
    stores[0].parent.mkdir(exist_ok=True)
    for name in MODELS:
        step(f"{name}: training and evaluation")
        settings = RECIPES.get(name, {}) | ({"epochs": epochs} if epochs else {})
        recipe = Recipe.of(name, seed=seed, **settings)
        run = train_run(name, clips, out / "runs" / name, recipe)
        evaluation = evaluate_run(run)
        evaluation.save(run.folder)
        report(f"          clip accuracy {evaluation.report['clip_accuracy']:.2f}")
        step(f"{name}: activity for {len(heard)} clips")
        stores.append(extract(run.model, heard, out / "features" / f"{name}.zarr", name))
    step(f"reference network: activity for {len(heard)} clips")
    extract(reference_network(heard), heard, stores[0], "reference")

    layers = open_stores(stores)
    for subject in bids_subjects(data / "bids"):
        step(f"{subject}: encoding")
        encode(layers, bids_responses(data / "bids", subject), out / "encode" / subject, subject,
               seed=seed)  # fmt: skip
    step("")
    write_json(out / "models.json", list_costs(MODELS))
    write_json(out / "timings.json", steps)
    return build_report(out, "auditory-cortexnet: the miniature")

"""An experiment from sounds to a verdict, step by step; what is there is not made again."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

from cortexnet.cost import list_costs
from cortexnet.devices import find_device
from cortexnet.heldout import evaluate_run
from cortexnet.registry import list_models, model_label
from cortexnet.runs import check_settings, train_run, write_json
from encoding import Responses
from encoding.regions import hcp_surface, read_region_table
from experiments.clips import is_bids, is_gtzan
from experiments.encode import (
    MEMORY,
    bids_reference,
    bids_responses,
    bids_subjects,
    encode,
    open_stores,
    work_folder,
)
from experiments.experiment import REFERENCE, Experiment
from experiments.report import build_report
from experiments.report.parse import read_json
from experiments.rsa import run_rsa
from experiments.run_clips import training_table
from experiments.run_features import extract_all
from experiments.stages import HCP, regions_of, run_stages
from stimuli import InputError, ds003720


@dataclasses.dataclass(frozen=True)
class Data:
    """Where an experiment's data are.

    Attributes
    ----------
    gtzan, bids : Path
        Tracks; events, and responses where there are no derivatives.
    derivatives : Path, optional
        Preprocessed responses.
    subjects : tuple of str
    """

    gtzan: Path
    bids: Path
    derivatives: Path | None
    subjects: tuple[str, ...]


def find_data(
    experiment: Experiment,
    gtzan: Path,
    bids: Path,
    derivatives: Path | None = None,
    subjects: Sequence[str] = (),
) -> Data:
    """The data of an experiment, checked as far as names tell.

    Parameters
    ----------
    experiment : Experiment
    gtzan, bids, derivatives : Path
    subjects : sequence of str
        Default: all.

    Raises
    ------
    InputError
        A folder is not what it should be, a subject or images of one are missing, or the atlas is
        not installed.
    """
    if not is_bids(bids):
        raise InputError(f"{bids}: no dataset_description.json; name the root of a BIDS data set")
    if not is_gtzan(gtzan):
        raise InputError(f"{gtzan}: no tracks of GTZAN; name the folder with its genres")
    kind = experiment.responses.get("kind", "volume")
    if kind != "volume" and derivatives is None:
        raise InputError(
            f"the recipe reads {kind} responses, which are preprocessed; name the folder of "
            "fMRIPrep with --derivatives, or change kind under [responses]"
        )
    known = bids_subjects(bids)
    for subject in subjects:
        if subject not in known:
            raise InputError(f"--subject is '{subject}'; there are {', '.join(known)}")
    found = Data(gtzan, bids, derivatives, tuple(subjects or known))
    for subject in found.subjects:
        bids_reference(bids, subject, derivatives, kind, experiment.responses.get("space"))
    if HCP in experiment.regions.get("surfaces", ()):
        hcp_surface()
    return found


def run_experiment(
    experiment: Experiment,
    data: Data,
    out: Path,
    *,
    memory: int = MEMORY,
    device: str = "auto",
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Prepare, audit, train, extract, encode, compare, test, and write the report.

    Called again with the same folder, what is finished is not done anew and what was interrupted
    goes on; subjects may be added.

    Parameters
    ----------
    experiment : Experiment
    data : Data
    out : Path
        Gets ``prepared``, ``audit.json``, ``clips.csv``, ``runs/MODEL``, ``features/MODEL.zarr``,
        ``encode/SUBJECT``, ``rsa``, ``stages``, ``timings.json``, ``models.json`` and
        ``report.html``.
    memory : int
        Bytes for the fits.
    device : str
        As `cortexnet.devices.find_device`; encoding uses it where it is a CUDA one.
    seed : int
        Of training, permutations and resamples.
    report : callable
        Given a line of text as work goes on.
    progress : callable, optional
        Given (clips done, clips in all).

    Returns
    -------
    dict
        ``report`` (path of the page) and ``verdict``, as of `experiments.stages.run_stages`.

    Raises
    ------
    InputError
        The folder was begun with other settings, a split leaks, or as the functions of the steps.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    check_settings(out, _settings(experiment, data, seed))
    log = _Log(out, report)
    table = training_table(
        ds003720.load(data.bids, data.gtzan),
        data.gtzan,
        out,
        experiment.rms,
        log.step,
        log.say,
        progress,
    )
    heard = table[table["split"] == "test"].reset_index(drop=True)
    truth = data.bids.parent / "truth.json"
    if experiment.reference and truth.is_file():
        (out / "truth.json").write_bytes(truth.read_bytes())

    for model in experiment.models:
        folder = out / "runs" / model_label(model)
        if not (folder / "evaluation.json").is_file():
            with log.step(f"train: {model}"):
                run = train_run(
                    model, table, folder, experiment.recipe_of(model, seed), device=device
                )
                found = evaluate_run(run, device=device)
                found.save(folder)
                log.say(f"{model}: clip accuracy {found.report['clip_accuracy']:.2f}")
    stores = extract_all(experiment, heard, out, seed, log.step, log.say)

    layers = open_stores(list(stores.values()))
    kind = {key: experiment.responses.get(key) for key in ("kind", "space")}
    kind["kind"] = kind["kind"] or "volume"
    options = kind | {"confounds": experiment.responses.get("confounds")}
    fit_on = find_device(device)

    def load(subject: str, cache: Path | None = None) -> Responses:
        found = bids_responses(data.bids, subject, data.derivatives, memory=memory // 4,
                               cache=cache, **options)  # fmt: skip
        return _labelled(found, experiment.regions)

    tests = experiment.tests
    for subject in data.subjects:
        folder = out / "encode" / subject
        if (folder / "results.json").is_file():
            continue
        with log.step(f"encode: {subject}"):
            encode(
                layers, load(subject, work_folder(folder) / "responses"), folder, subject,
                n_permutations=tests["permutations"], seed=seed, report=log.say, memory=memory,
                reference=bids_reference(data.bids, subject, data.derivatives, **kind),
                device=str(fit_on) if fit_on.type == "cuda" else "cpu",
            )  # fmt: skip
    subjects = sorted(path.parent.name for path in (out / "encode").glob("*/results.json"))

    if _subjects_of(out / "rsa" / "results.json") != subjects:
        with log.step("rsa"):
            chosen = compared(experiment)
            run_rsa(
                {name: x for name, x in layers.items() if name.split(":")[0] in chosen},
                {subject: lambda subject=subject: load(subject) for subject in subjects},
                out / "rsa", n_permutations=tests["permutations"], n_resamples=tests["resamples"],
                seed=seed, report=log.say,
            )  # fmt: skip
    if _subjects_of(out / "stages" / "stages.json") != subjects:
        with log.step("stages"):
            run_stages(
                out / "encode", out / "stages", model_label(experiment.stages_of),
                extended=experiment.regions.get("extended", False),
                surfaces=experiment.regions.get("surfaces", ()), n_shuffles=tests["shuffles"],
                n_resamples=tests["resamples"], seed=seed, report=log.say,
            )  # fmt: skip
    verdict = read_json(out / "stages" / "stages.json")["verdict"]
    log.say(verdict["sentence"])
    known = list_models()
    if not (out / "models.json").is_file():
        write_json(out / "models.json", list_costs([m for m in experiment.models if m in known]))
    log.announce("report")
    return {"report": str(build_report(out, experiment.title)), "verdict": verdict}


def compared(experiment: Experiment) -> list[str]:
    """Models whose dissimilarities are compared: all, with the first control of each kind."""
    names = [*map(model_label, experiment.models + experiment.baselines)]
    if experiment.reference:
        names.append(REFERENCE)
    tested = model_label(experiment.stages_of)
    return [*names, *(f"{tested}-{kind}-0" for kind, n in experiment.controls.items() if n)]


def _settings(experiment: Experiment, data: Data, seed: int) -> dict:
    """All that decides the results beside the subjects, as JSON has it."""
    recipe = dataclasses.asdict(experiment)
    del recipe["title"]
    for key, value in recipe.items():
        recipe[key] = list(value) if isinstance(value, tuple) else value
    where = data.derivatives and str(data.derivatives.resolve())
    return {
        "recipe": recipe,
        "gtzan": str(data.gtzan.resolve()),
        "bids": str(data.bids.resolve()),
        "derivatives": where,
        "seed": seed,
    }


def _labelled(responses: Responses, regions: dict) -> Responses:
    """Responses with the regions of an atlas, where the recipe names one."""
    if not regions.get("atlas"):
        return responses
    found = regions_of(
        responses.targets,
        read_region_table(None, extended=regions.get("extended", False)),
        regions["atlas"],
        same_space=regions.get("same_space", False),
    )
    targets = responses.targets.assign(region=found.names)
    return dataclasses.replace(responses, targets=targets)


def _subjects_of(path: Path) -> list[str] | None:
    return sorted(read_json(path)["subjects"]) if path.is_file() else None


class _Log:
    """Says which step is at work, and keeps the time of all over several calls."""

    def __init__(self, out: Path, report: Callable[[str], None]):
        self.path, self.report, self.began = out / "timings.json", report, time.perf_counter()
        rows = read_json(self.path) if self.path.is_file() else []
        self.seconds = {row["step"]: row["seconds"] for row in rows}

    def say(self, line: str) -> None:
        self.report(f"          {line}")

    def announce(self, name: str) -> None:
        self.report(f"[{time.perf_counter() - self.began:5.0f} s] {name}")

    @contextmanager
    def step(self, name: str):
        start = time.perf_counter()
        self.announce(name)
        yield
        spent = self.seconds.get(name, 0) + time.perf_counter() - start
        self.seconds[name] = round(spent, 1)
        write_json(self.path, [{"step": k, "seconds": s} for k, s in self.seconds.items()])

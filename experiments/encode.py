"""Activation stores against responses: the join of clips, features and brains."""

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import pandas as pd
import xarray as xr

import encoding
from encoding import Responses
from stimuli import InputError, ds003720


def open_stores(stores: list[Path]) -> dict[str, xr.DataArray]:
    """Layers of several activation stores, named ``model:layer``.

    Raises
    ------
    InputError
        If a store is missing, was not finished or two hold the same model.
    """
    layers = {}
    for store in stores:
        try:
            data = xr.open_zarr(store)
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise InputError(
                f"{store}: no activation store; make one with `cortexnet extract`"
            ) from error
        if not data.attrs.get("complete"):
            raise InputError(f"{store}: not finished; run the same `cortexnet extract` again")
        for variable in data.data_vars.values():
            if "layer" not in variable.attrs:
                continue
            name = f"{data.attrs['model']}:{variable.attrs['layer']}"
            if name in layers:
                raise InputError(
                    f"{store}: {name} is in another store too; give one of them --name"
                )
            layers[name] = variable
    return layers


def bids_subjects(root: Path) -> list[str]:
    """Subjects with a ``func`` folder, sorted."""
    subjects = sorted(path.parent.name for path in Path(root).glob("sub-*/func"))
    if not subjects:
        raise InputError(f"{root}: no sub-*/func folder; give the root of a BIDS data set")
    return subjects


def find_bold(root: Path, subject: str, runs: list[str], derivatives: Path | None = None):
    """Functional image of every run: ``{run: path}``.

    Preprocessed images (``*desc-preproc_bold.nii.gz`` below `derivatives`) are used where a folder
    is given, raw ones otherwise.
    """
    folder = (derivatives or Path(root)) / subject / "func"
    pattern = "*_desc-preproc_bold.nii*" if derivatives else "_bold.nii*"
    found = {}
    for run in runs:
        task, number = run.split("-")
        matches = sorted(folder.glob(f"{subject}_task-{task}_run-{number}{pattern}"))
        if len(matches) != 1:
            raise InputError(
                f"{folder}: {len(matches)} images of {task} run {number}, expected one "
                f"({subject}_task-{task}_run-{number}{pattern}); "
                "download the data set or name the preprocessed one with --derivatives"
            )
        found[run] = matches[0]
    return found


def find_regions(root: Path, subject: str) -> tuple[Path | None, Path | None]:
    """Label image and table of names in ``derivatives/regions/<subject>``, where there are any."""
    folder = Path(root) / "derivatives" / "regions" / subject
    images = sorted(folder.glob("*_dseg.nii*"))
    if not images:
        return None, None
    if len(images) > 1:
        raise InputError(f"{folder}: {len(images)} label images; choose one with --regions")
    names = folder / (images[0].name.split(".nii")[0] + ".tsv")
    return images[0], names if names.exists() else None


def bids_responses(
    root: Path,
    subject: str,
    derivatives: Path | None = None,
    regions: Path | None = None,
    region_names: Path | None = None,
    mask: Path | None = None,
) -> Responses:
    """Responses of one subject of ds003720 or a data set of the same layout."""
    presentations = ds003720.load(root)
    paths = find_bold(root, subject, list(presentations["run"].unique()), derivatives)
    counts, repetition = {}, set()
    for run, path in paths.items():
        image = nib.load(path)
        counts[run] = image.shape[3] if len(image.shape) == 4 else 0
        repetition.add(round(float(image.header.get_zooms()[-1]), 4))
    tr = _sidecar_tr(root, subject) or repetition.pop()
    samples = encoding.samples_from_events(presentations, counts, tr)
    if regions is None:
        regions, region_names = find_regions(root, subject)
    return encoding.load_nifti(paths, samples, mask, regions, region_names)


def _sidecar_tr(root: Path, subject: str) -> float | None:
    for path in sorted((Path(root) / subject / "func").glob("*_bold.json")):
        return float(json.loads(path.read_text(encoding="utf-8"))["RepetitionTime"])
    return None


def array_responses(path: Path, samples: Path, targets: Path | None = None) -> Responses:
    """Responses from an array and CSV tables of its rows (and columns).

    Raises
    ------
    InputError
        If a table lacks a column or does not fit the array.
    """
    rows = _table(samples, ("run", "clip_id", "time"), {"run": str, "clip_id": str})
    columns = None if targets is None else _table(targets, ("region",), {"region": str})
    if columns is not None:
        columns["region"] = columns["region"].fillna("")
    return encoding.load_array(path, rows, columns)


def _table(path: Path, required: tuple[str, ...], types: dict) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=types)
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable CSV table ({error})") from error
    for column in required:
        if column not in table:
            raise InputError(f"{path}: no column '{column}'; found {', '.join(table.columns)}")
    return table


def encode(
    layers: dict[str, xr.DataArray],
    responses: Responses,
    out: Path,
    subject: str,
    delays: tuple[int, ...] = (2, 3, 4, 5),
    n_permutations: int = 2000,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Fit every layer to one subject and write scores, tables and ``results.json``.

    Parameters
    ----------
    layers : dict
        As `open_stores`.
    responses : Responses
    out : Path
        Folder of this subject.
    subject : str
    delays : tuple of int
        In volumes.
    n_permutations : int
    seed : int
        Of permutations and resamples.
    report : callable
        Given a line of text as work goes on.

    Returns
    -------
    dict
        What ``results.json`` holds.
    """
    started = time.perf_counter()
    samples = responses.samples
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", encoding.RidgeEdgeWarning)
        features = {name: encoding.features_at(layer, samples) for name, layer in layers.items()}
        report(f"{subject}: {len(features)} layers, {len(samples)} volumes, "
               f"{responses.data.shape[1]} targets")  # fmt: skip
        scores = encoding.fit_layers(
            features, responses.data, samples, delays, targets=responses.targets
        )
    inference = encoding.infer(scores, n_permutations=n_permutations, seed=seed)
    summary = encoding.summarise(scores, inference)
    models = list(dict.fromkeys(name.split(":")[0] for name in layers))
    summary |= {
        "kind": "encode",
        "subject": subject,
        "best_stage_by_model": {
            model: encoding.best_stages(
                scores, inference, [name for name in layers if name.split(":")[0] == model]
            )
            for model in models
        },
        "notes": [str(w.message) for w in caught],
        "seconds": round(time.perf_counter() - started, 2),
    }
    encoding.save_scores(out, scores, summary, inference)
    return summary

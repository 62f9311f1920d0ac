"""Activation stores against responses: the join of clips, features and brains."""

import re
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import encoding
from encoding import Responses
from encoding.heldout import plan_folds
from encoding.ridge.kfold import ALPHAS
from encoding.ridge.kfold import MEMORY as ROOM
from stimuli import InputError, ds003720

MEMORY = 8 * 2**30  # bytes
_LEAST = 2**28  # bytes without which targets cannot be worked at
_QUICK = 1e11  # products below which a run takes seconds


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
        if data.attrs.get("bin_seconds") in ("frames", "clip"):
            raise InputError(
                f"{store}: holds {data.attrs['bin_seconds']}, not time bins; extract it with "
                "--bin-seconds of one volume"
            )
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


def are_bids(responses: list[Path], samples: Path | None) -> bool:
    """Whether responses are a BIDS root, not arrays.

    Raises
    ------
    InputError
        A path does not exist, a BIDS root is not alone, or arrays lack the table of their rows.
    """
    for path in responses:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; give --responses")
    root = responses[0]
    bids = root.is_dir() and root.suffix != ".zarr"
    if bids and len(responses) > 1:
        raise InputError(f"{root}: a BIDS folder is given alone; name --responses once")
    if not bids and samples is None:
        raise InputError(f"{root}: an array needs --samples, a table of its rows")
    return bids


def bids_subjects(root: Path) -> list[str]:
    """Subjects with a ``func`` folder, sorted."""
    subjects = sorted(path.parent.name for path in Path(root).glob("sub-*/func"))
    if not subjects:
        raise InputError(f"{root}: no sub-*/func folder; give the root of a BIDS data set")
    return subjects


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
    **options,
) -> Responses:
    """Responses of one subject of ds003720 or a data set of the same layout.

    Parameters
    ----------
    root, derivatives : Path
    subject : str
    regions, region_names : Path, optional
        Default, for volumes: as `find_regions`.
    options : see `encoding.load_bids`
        kind, space, mask, confounds, memory, cache.
    """
    if regions is None and options.get("kind", "volume") == "volume":
        regions, region_names = find_regions(root, subject)
    events = ds003720.load(root)
    events["recording"] = events["group"]
    return encoding.load_bids(
        root, subject, events, derivatives=derivatives, regions=regions,
        region_names=region_names, **options,
    )  # fmt: skip


def bids_reference(
    root: Path, subject: str, derivatives: Path | None, kind: str = "volume", space=None
):
    """An image of the grid or mesh on which the subject's responses lie; a pair for surfaces."""
    runs = ds003720.load(root)["run"].unique()[:1]
    source = root if derivatives is None else derivatives
    found = encoding.find_runs(
        source, subject, runs, kind=kind, space=space, preprocessed=derivatives is not None
    )
    return found[runs[0]]


def array_responses(
    path: Path | list[Path], samples: Path, targets: Path | None = None, **options
) -> Responses:
    """Responses from arrays and CSV tables of their rows (and columns).

    Parameters
    ----------
    path : path or list of paths
    samples, targets : paths of CSV tables
        Columns session and recording of samples serve `encode`.
    options : see `encoding.load_array`
        name, transposed, memory, cache.

    Raises
    ------
    InputError
        If a table lacks a column or does not fit the array.
    """
    texts = dict.fromkeys(("run", "clip_id", "recording", "session"), str)
    rows = _table(samples, ("run", "clip_id", "time"), texts)
    columns = None if targets is None else _table(targets, ("region",), {"region": str})
    if columns is not None:
        columns["region"] = columns["region"].fillna("")
    return encoding.load_array(path, rows, columns, **options)


def parse_bytes(text: str) -> int:
    """Bytes from "8GB", "1.5 GiB", "500M" or a plain number; powers of 1024."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:I?B)?|B?)\s*", text.upper())
    if not found or not float(found[1]):
        raise InputError(f"--memory is '{text}'; give a size, as 8GB or 500MB")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2] or " "))


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
    *,
    memory: int = MEMORY,
    cluster=None,
    reference=None,
    folds: str = "run",
    device: str = "cpu",
) -> dict:
    """Fit every layer to one subject and write scores, tables, maps and ``results.json``.

    Finished work is kept in ``.work`` until the results are written: after a kill the same call
    goes on.

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
    memory : int
        Bytes for all of the fit.
    cluster : optional
        See `encoding.open_cluster`.
    reference : image or path, or a pair for surfaces, optional
        See `encoding.save_maps`; without it no maps are written.
    folds : column of the samples
        What is left out together: "run" or, stricter, "session".
    device : str
        "cpu" (NumPy) or a PyTorch device.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    InputError
        If the fit needs more memory, ``.work`` is of other inputs, the samples have no such
        folds, or the device is not there.
    """
    started = time.perf_counter()
    samples = responses.samples
    if folds not in samples or samples[folds].isna().any():
        raise InputError(f"--folds is '{folds}'; samples have no such column, or gaps in it")
    groups = samples[folds].to_numpy()
    work = work_folder(out)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", encoding.RidgeEdgeWarning)
        features = {name: encoding.features_at(layer, samples) for name, layer in layers.items()}
        report(f"{subject}: {len(features)} layers, {len(samples)} volumes, "
               f"{responses.data.shape[1]} targets")  # fmt: skip
        room, line = plan_memory(features, responses, delays, memory, groups)
        if line:
            report(f"{subject}: {line}")
        scores = encoding.fit_layers(
            features, responses.data, samples, delays, groups=groups, targets=responses.targets,
            memory=room, folder=work / "fit", cluster=cluster, report=report if line else None,
            backend="numpy" if device == "cpu" else "torch", device=device,
        )  # fmt: skip
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
        "n_targets": responses.data.shape[1],
        "dropped": dict(responses.dropped),
        "folds": folds,
        "rows_kept_apart": kept_apart(samples, groups, delays),
        "device": device,
        "notes": [str(w.message) for w in caught],
        "seconds": round(time.perf_counter() - started, 2),
    }
    encoding.save_scores(out, scores, summary, inference)
    if reference is not None:
        encoding.save_maps(scores, reference, out / "maps", responses.targets)
    shutil.rmtree(work)
    return summary


def work_folder(out: Path) -> Path:
    """Of unfinished work, and of responses that do not fit in memory."""
    return Path(out) / ".work"


def kept_apart(samples: pd.DataFrame, groups: np.ndarray, delays) -> int:
    """Training rows of all outer folds left out for a recording they share with held-out rows."""
    plain = plan_folds(samples.drop(columns="recording", errors="ignore"), groups)
    apart = plan_folds(samples, groups, delays)
    return sum(len(a) - len(b) for (a, _), (b, _) in zip(plain.folds, apart.folds, strict=True))


def plan_memory(features, responses, delays, memory, groups=None) -> tuple[int, str]:
    """Bytes for the targets at work, and a line that tells of a run longer than a minute."""
    samples, v = responses.samples, responses.data.shape[1]
    plan = plan_folds(samples, groups)
    n = len(plan.folds[0][0])
    p = max(X.shape[1] for X in features.values()) * len(delays)
    if min(n, p) * n * (n + v) * len(features) < _QUICK:
        return min(memory, ROOM), ""
    n_folds = len(np.unique(plan.groups[plan.folds[0][0]]))
    size = (n, p, v, len(ALPHAS), n_folds, len(features))
    expected = encoding.forecast(*size, memory=0, n_new=len(plan.samples))
    # Runs that are left out in turn go in pairs, and in double precision.
    seconds = expected.seconds * (2 * n_folds if plan.crossed else 1)
    room = int(memory - expected.bytes)
    if room < _LEAST:
        need = (expected.bytes + _LEAST) / 2**30
        raise InputError(
            f"--memory {memory / 2**30:.1f}GB is too little for {v} targets and {len(features)} "
            f"layers; give {need:.1f}GB, or fewer targets (--mask) or layers"
        )
    room = min(room, ROOM)
    if seconds < 60:
        return room, ""
    amount = (expected.bytes + room) / 2**30
    return room, f"expected to take about {seconds / 60:.0f} min and {amount:.1f} GB"

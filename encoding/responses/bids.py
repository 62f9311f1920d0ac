"""Raw BIDS and fMRIPrep folders: which file is which run, and one call that loads a subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..errors import InputError
from .cifti import load_cifti, open_cifti
from .images import load_nifti, times_of
from .runs import open_image, read_repetition_time
from .samples import samples_from_events
from .storage import MEMORY
from .surfaces import describe, load_gifti
from .table import Responses

_ENDS = {
    "volume": ("_bold.nii.gz", "_bold.nii"),
    "surface": ("_bold.func.gii",),
    "cifti": ("_bold.dtseries.nii",),
}


def find_runs(
    folder,
    subject: str,
    runs: Sequence[str],
    *,
    kind: str = "volume",
    space: str | None = None,
    preprocessed: bool = False,
) -> dict:
    """Image of every run in a BIDS or fMRIPrep folder.

    Parameters
    ----------
    folder : root of the data set, or of the derivatives
    subject : str
        As "sub-001".
    runs : list of str
        "<task>-<run>", as "Training-01" for `task-Training_run-1`; "<task>" without a run number.
    kind : "volume", "surface" or "cifti"
    space : str, optional
        BIDS entity, as "fsaverage6". Needed where there are several.
    preprocessed : bool
        Take `desc-preproc` volumes.

    Returns
    -------
    {run: path}, or {run: (left, right)} for surfaces

    Raises
    ------
    InputError
        A run has no image, or several.
    """
    if kind not in _ENDS:
        raise InputError(f"kind '{kind}' of responses; choose one of {list(_ENDS)}")
    folder = Path(folder) / subject
    candidates = [
        path
        for path in sorted([*folder.glob("func/*"), *folder.glob("ses-*/func/*")])
        if path.name.endswith(_ENDS[kind])
    ]
    if not candidates:
        raise InputError(f"{folder}: no *{_ENDS[kind][0]} in func; download the data set first")
    found = {}
    for run in runs:
        matches = {}
        for path in candidates:
            entities = _entities(path.name)
            if (
                _same_run(entities, run)
                and space in (None, entities.get("space"))
                and (not preprocessed or kind != "volume" or entities.get("desc") == "preproc")
            ):
                matches.setdefault(entities.get("hemi", ""), []).append(path)
        sides = ("L", "R") if kind == "surface" else ("",)
        for side in sides:
            n = len(matches.get(side, []))
            if n != 1:
                names = ", ".join(p.name for p in matches.get(side, [])[:3])
                what = f"hemisphere {side} of {run}" if side else run
                raise InputError(
                    f"{folder}: {n} images of {what}, expected one"
                    + (f" ({names}); choose a space" if n else "; download it or drop its events")
                )
        chosen = tuple(matches[side][0] for side in sides)
        found[run] = chosen if kind == "surface" else chosen[0]
    return found


def load_bids(
    folder,
    subject: str,
    events: pd.DataFrame,
    *,
    derivatives=None,
    kind: str = "volume",
    space: str | None = None,
    mask=None,
    regions=None,
    region_names=None,
    confounds: str | Mapping | None = None,
    high_pass: float | None = 1 / 240,
    standardize: bool = True,
    drift: str = "dct",
    tr: float | None = None,
    memory: int = MEMORY,
    cache=None,
) -> Responses:
    """Responses of one subject of a BIDS data set, raw or preprocessed by fMRIPrep.

    Parameters
    ----------
    folder : root of the raw data set
    subject : str
        As "sub-001".
    events : DataFrame
        As for `samples_from_events`, all runs of the subject; run as "<task>-<run>".
    derivatives : folder, optional
        Output of fMRIPrep, used instead of the raw images.
    kind : "volume", "surface" or "cifti"
        The latter two need `derivatives`.
    space : str, optional
        Which of several output spaces.
    mask : volumes only; default: with `derivatives` and without `regions` the voxels inside
        fMRIPrep's brain masks of all runs
    regions, region_names
        As the reader of this kind: `load_nifti`, `load_gifti`, `load_cifti`.
    confounds : str or {run: array}, optional
        Default: "motion24" with `derivatives`, none without.
    high_pass, standardize, drift, tr, memory, cache
        As in `load_nifti`. The TR is read from headers and sidecars, which must agree.

    Returns
    -------
    Responses

    Raises
    ------
    InputError
    """
    if kind != "volume" and derivatives is None:
        raise InputError(f"{folder}: kind '{kind}' exists in derivatives of fMRIPrep; name them")
    if "run" not in events:
        raise InputError(f"events lack the column run; found {list(events.columns)}")
    labels = list(events["run"].unique())
    source = folder if derivatives is None else derivatives
    paths = find_runs(
        source, subject, labels, kind=kind, space=space, preprocessed=derivatives is not None
    )
    counts, times = {}, {}
    for run, path in paths.items():
        counts[run], stated = _length_and_times(path, kind)
        stated |= _inherited_time(Path(folder), run) if not stated else {}
        times |= {f"{where} of {_first(path).name}": s for where, s in stated.items()}
    given = tr
    if tr is None:
        tr = _agreed(times, subject)
    samples = samples_from_events(events, counts, tr)
    if confounds is None and derivatives is not None:
        confounds = "motion24"
    options = {
        "high_pass": high_pass,
        "standardize": standardize,
        "drift": drift,
        "confounds": confounds,
        "tr": given,
        "memory": memory,
        "cache": cache,
    }
    if kind == "surface":
        return load_gifti(paths, samples, regions, **options)
    if kind == "cifti":
        return load_cifti(paths, samples, regions, **options)
    if mask is None and regions is None and derivatives is not None:
        beside = [Path(str(p).split("_desc-preproc")[0] + "_desc-brain_mask.nii.gz")
                  for p in paths.values()]  # fmt: skip
        mask = [path for path in beside if path.is_file()] or None
    return load_nifti(paths, samples, mask, regions, region_names, **options)


def _entities(name: str) -> dict[str, str]:
    return dict(part.split("-", 1) for part in name.split("_") if "-" in part)


def _same_run(entities: dict[str, str], run: str) -> bool:
    task, _, number = str(run).rpartition("-")
    if task and number.isdigit():
        found = entities.get("run", "")
        return entities.get("task") == task and found.isdigit() and int(found) == int(number)
    return entities.get("task") == run and "run" not in entities


def _first(path) -> Path:
    return Path(path[0] if isinstance(path, tuple) else path)


def _length_and_times(path, kind) -> tuple[int, dict[str, float]]:
    if kind == "surface":
        side = describe(path[0], "L")
        return side["n_volumes"], dict(side["times"])
    if kind == "cifti":
        image, name = open_cifti(path, "dtseries")
        series = image.header.get_axis(0)
        return image.shape[0], {"header": float(series.step)} if series.unit == "SECOND" else {}
    image, name = open_image(path)
    if len(image.shape) != 4:
        raise InputError(f"{name}: shape {image.shape}, expected a 4-D image")
    return image.shape[3], times_of(image)


def _inherited_time(folder: Path, run: str) -> dict[str, float]:
    """What the data set's top level says of the task (BIDS inheritance principle)."""
    task = str(run).rpartition("-")[0] or str(run)
    for sidecar in (folder / f"task-{task}_bold.json", folder / "bold.json"):
        if sidecar.is_file():
            seconds = read_repetition_time(sidecar)
            if seconds is not None:
                return {sidecar.name: seconds}
    return {}


def _agreed(times: Mapping[str, float], subject: str) -> float:
    if not times:
        raise InputError(f"{subject}: no header or sidecar states the repetition time; give tr")
    values = sorted(times.items(), key=lambda item: item[1])
    (low_name, low), (high_name, high) = values[0], values[-1]
    if high - low > 0.005 * high:
        raise InputError(
            f"{subject}: repetition time {low:g} s in the {low_name}, {high:g} s in the "
            f"{high_name}; correct the wrong one or give tr"
        )
    # A sidecar keeps the digits that a header rounds to single precision.
    return round(next((s for name, s in times.items() if name.startswith("sidecar")), low), 6)

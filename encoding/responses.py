"""Responses: sample x target arrays with a table on each axis."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .errors import InputError

# Times are rounded to a microsecond so that repeats of a clip carry equal times.
_DECIMALS = 6
_AFFINE_TOLERANCE = 1e-3  # mm
_CHECK_ROWS = 512


@dataclass(frozen=True)
class Responses:
    """What was measured, one row a volume and one column a target.

    Parameters
    ----------
    data : (n_samples, n_targets) float32 array, possibly memory-mapped
    samples : DataFrame, n_samples rows
        Columns run, clip_id, repeat, time (seconds since the clip's onset at which the volume
        starts), dummy, split; others are kept.
    targets : DataFrame, n_targets rows
        Column region ("" if none) and optionally x, y, z (mm).
    """

    data: np.ndarray
    samples: pd.DataFrame
    targets: pd.DataFrame

    def __post_init__(self):
        expected = (len(self.samples), len(self.targets))
        if self.data.shape != expected:
            raise InputError(
                f"responses have shape {self.data.shape}, the tables of samples and targets ask "
                f"for {expected}; give one row a volume and one column a target"
            )

    def select(self, mask) -> Responses:
        """Keep the samples where `mask` (n_samples,) is true."""
        mask = np.asarray(mask, bool)
        if mask.shape != (len(self.samples),):
            raise InputError(f"mask has shape {mask.shape}, expected ({len(self.samples)},)")
        samples = self.samples[mask].reset_index(drop=True)
        return Responses(self.data[mask], samples, self.targets)


def samples_from_events(
    events: pd.DataFrame, n_volumes: int | Mapping[str, int], tr: float
) -> pd.DataFrame:
    """Table of volumes from a table of events.

    Volume i starts at i * tr and belongs to the event with onset <= i * tr < next onset.

    Parameters
    ----------
    events : DataFrame
        Columns run, onset (s in the run), duration (s), clip_id; dummy (default False), split
        (default "train") and repeat (default: how often the clip has been heard in its run,
        dummies apart); others are kept.
    n_volumes : int or {run: int}
    tr : float
        Repetition time in seconds.

    Returns
    -------
    DataFrame
        One row a volume, run after run in the order in which runs first appear. Volumes before
        a run's first onset have no clip (clip_id NaN) and are marked dummy.

    Raises
    ------
    InputError
        A column is missing, or the volumes do not end within one TR of a run's last event.
    """
    missing = {"run", "onset", "duration", "clip_id"} - set(events.columns)
    if missing:
        raise InputError(f"events lack the columns {sorted(missing)}; found {list(events.columns)}")
    if not tr > 0:
        raise InputError(f"tr is {tr}; give the repetition time in seconds")
    defaults = {"dummy": False, "split": "train"}
    events = events.assign(**{k: v for k, v in defaults.items() if k not in events})
    if "repeat" not in events:
        heard = events.sort_values("onset", kind="stable").groupby(["run", "clip_id", "dummy"])
        events["repeat"] = heard.cumcount() + 1
    tables = []
    for run, table in events.groupby("run", sort=False):
        table = table.sort_values("onset", kind="stable")
        if isinstance(n_volumes, Mapping):
            if run not in n_volumes:
                raise InputError(f"run {run}: number of volumes not given; add it to n_volumes")
            count = n_volumes[run]
        else:
            count = n_volumes
        onset = table["onset"].to_numpy(float)
        end = float((onset + table["duration"].to_numpy(float)).max())
        if abs(count * tr - end) > tr * (1 + 1e-6):
            raise InputError(
                f"run {run}: found {count} volumes of {tr:g} s, expected {math.ceil(end / tr)} for "
                f"events that end at {end:g} s; check tr, the run's events or its images"
            )
        start = np.arange(count) * tr
        event = np.searchsorted(onset, start + 1e-6 * tr, side="right") - 1
        rows = table.iloc[np.maximum(event, 0)].reset_index(drop=True)
        rows["time"] = np.round(np.maximum(start - onset[np.maximum(event, 0)], 0), _DECIMALS)
        before = event < 0
        if before.any():
            rows["clip_id"] = rows["clip_id"].astype(object)
            rows.loc[before, "clip_id"] = np.nan
            rows["dummy"] = rows["dummy"].to_numpy(bool) | before
        tables.append(rows)
    samples = pd.concat(tables, ignore_index=True)
    first = ["run", "clip_id", "repeat", "time", "dummy", "split"]
    others = [c for c in samples.columns if c not in (*first, "onset", "duration")]
    samples = samples[first + others]
    return samples.astype({"repeat": int, "dummy": bool})


def repetition_time(samples: pd.DataFrame) -> float:
    """Seconds between consecutive volumes, read from `time` within presentations."""
    step = samples["time"].diff().to_numpy()
    same = samples["run"].eq(samples["run"].shift()) & samples["clip_id"].eq(
        samples["clip_id"].shift()
    )
    step = step[same.to_numpy() & (step > 0)]
    if not len(step):
        raise InputError("samples have no two consecutive volumes of a clip: the TR is unknown")
    return float(np.median(step))


def load_array(path, samples: pd.DataFrame, targets: pd.DataFrame | None = None) -> Responses:
    """Responses from a `.npy` file (memory-mapped) or a `.npz` file with one array.

    Parameters
    ----------
    path : path of an array (n_samples, n_targets); the transpose is accepted, with a warning,
        when only that fits `samples`
    samples : DataFrame, n_samples rows
    targets : DataFrame, n_targets rows, optional
        Without it every target has region "".

    Raises
    ------
    InputError
        The file is no such array, does not fit the tables or holds NaN or infinite values.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                if len(loaded.files) != 1:
                    raise InputError(
                        f"{path}: holds the arrays {loaded.files}, expected exactly one; "
                        "save the responses alone"
                    )
                loaded = loaded[loaded.files[0]]
    except InputError:
        raise
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: not a readable .npy or .npz array ({error})") from error
    if loaded.dtype.kind not in "fiu":
        raise InputError(f"{path}: values of type {loaded.dtype}, expected real numbers")
    n = len(samples)
    if loaded.ndim == 2 and loaded.shape[0] != n and loaded.shape[1] == n:
        warnings.warn(
            f"{path}: shape {loaded.shape} read as (targets, samples); transposed", stacklevel=2
        )
        loaded = loaded.T
    if loaded.ndim != 2 or loaded.shape[0] != n:
        raise InputError(
            f"{path}: shape {loaded.shape}, expected {n} rows (one a volume) x targets; "
            "check that the array and the events cover the same runs"
        )
    if loaded.dtype != np.float32:
        loaded = loaded.astype(np.float32)
    bad = np.zeros(loaded.shape[1], bool)
    for start in range(0, n, _CHECK_ROWS):
        bad |= ~np.isfinite(loaded[start : start + _CHECK_ROWS]).all(0)
    if bad.any():
        raise InputError(
            f"{path}: {bad.sum()} of {len(bad)} targets hold NaN or infinite values, the first is "
            f"target {int(np.argmax(bad))}; remove these columns"
        )
    if targets is None:
        targets = pd.DataFrame({"region": [""] * loaded.shape[1]})
    elif "region" not in targets:
        targets = targets.assign(region="")
    return Responses(loaded, samples, targets)


def load_nifti(
    paths: Mapping[str, str | Path],
    samples: pd.DataFrame,
    mask=None,
    regions=None,
    region_names: Mapping[int, str] | str | Path | None = None,
    high_pass: float | None = 1 / 240,
    standardize: bool = True,
) -> Responses:
    """Responses from one 4-D NIfTI image a run.

    Each voxel is detrended, high-passed (cosine regressors) and z-scored within its run
    (`nilearn.signal.clean`). Voxels that are constant in any run are left out, with a warning
    that counts them.

    Parameters
    ----------
    paths : {run: path}, one 4-D image for every run of `samples`
    samples : DataFrame of volumes, in temporal order within each run
    mask : image or path, optional
        Non-zero voxels are kept. Default: voxels with a region label, or without `regions`
        nilearn's `compute_epi_mask` of the first run.
    regions : integer label image or path, optional
    region_names : {label: name} or path of a TSV with columns index and name, optional
        Default: the label itself.
    high_pass : float, optional
        Hz.
    standardize : bool

    Raises
    ------
    InputError
        Runs, volumes, grids or labels do not fit together.
    """
    import nibabel as nib
    from nilearn.masking import compute_epi_mask
    from nilearn.signal import clean

    in_samples = list(samples["run"].unique())
    if set(in_samples) != set(paths):
        raise InputError(
            f"images are given for the runs {sorted(paths)}, the samples hold "
            f"{sorted(in_samples)}; give one image a run"
        )

    def load(image):
        if isinstance(image, nib.spatialimages.SpatialImage):
            return image, image.get_filename() or "image in memory"
        try:
            return nib.load(image), str(image)
        except (OSError, nib.filebasedimages.ImageFileError) as error:
            raise InputError(f"{image}: not a readable image ({error})") from error

    images = {}
    for run in in_samples:
        image, name = load(paths[run])
        if len(image.shape) != 4:
            raise InputError(f"{name}: shape {image.shape}, expected a 4-D image")
        rows = int((samples["run"] == run).sum())
        if image.shape[3] != rows:
            raise InputError(
                f"{name}: {image.shape[3]} volumes, expected {rows} as in the events of run {run}"
            )
        images[run] = image, name
    first, first_name = images[in_samples[0]]

    def check_grid(image, name):
        if image.shape[:3] != first.shape[:3]:
            raise InputError(
                f"{name}: grid {image.shape[:3]}, that of {first_name} is {first.shape[:3]}; "
                "resample it to the functional images"
            )
        if not np.allclose(image.affine, first.affine, atol=_AFFINE_TOLERANCE):
            raise InputError(
                f"{name}: affine differs from that of {first_name}; "
                "resample it to the functional images (nearest neighbour for labels)"
            )

    for image, name in images.values():
        check_grid(image, name)

    labels = np.zeros(first.shape[:3], int)
    if regions is not None:
        image, name = load(regions)
        check_grid(image, name)
        values = np.asanyarray(image.dataobj).reshape(first.shape[:3])
        if not np.array_equal(values, np.round(values)):
            raise InputError(f"{name}: values are no integers, expected region labels")
        labels = values.astype(int)
    if mask is not None:
        image, name = load(mask)
        check_grid(image, name)
        inside = np.asanyarray(image.dataobj).reshape(first.shape[:3]) != 0
    elif regions is not None:
        inside = labels != 0
    else:
        inside = compute_epi_mask(first).get_fdata() != 0
    if not inside.any():
        raise InputError("no voxel is left by the mask or the region labels")

    tr = repetition_time(samples)
    data = np.empty((len(samples), int(inside.sum())), np.float32)
    constant = np.zeros(data.shape[1], bool)
    for run, (image, _) in images.items():
        rows = np.flatnonzero(samples["run"] == run)
        signal = image.get_fdata(dtype=np.float32, caching="unchanged")[inside].T
        flat = ~np.isfinite(signal).all(0) | (np.ptp(signal, axis=0) == 0)
        constant |= flat
        signal[:, flat] = 0
        with warnings.catch_warnings():
            # Constant voxels are counted and left out below.
            warnings.simplefilter("ignore")
            data[rows] = clean(
                signal,
                detrend=True,
                standardize="zscore_sample" if standardize else None,
                filter="cosine" if high_pass else False,
                high_pass=high_pass,
                t_r=tr,
            )
    if constant.all():
        raise InputError(f"{first_name}: every voxel inside the mask is constant in some run")
    if constant.any():
        warnings.warn(
            f"{constant.sum()} of {len(constant)} voxels are constant in some run; left out",
            stacklevel=2,
        )
        data = data[:, ~constant]

    index = np.argwhere(inside)[~constant]
    xyz = nib.affines.apply_affine(first.affine, index)
    names = _names(region_names)
    label = labels[tuple(index.T)]
    targets = pd.DataFrame(
        {
            "region": [names.get(v, str(v)) if v else "" for v in label.tolist()],
            "x": xyz[:, 0],
            "y": xyz[:, 1],
            "z": xyz[:, 2],
        }
    )
    return Responses(data, samples, targets)


def _names(region_names) -> dict[int, str]:
    if region_names is None:
        return {}
    if isinstance(region_names, Mapping):
        return dict(region_names)
    try:
        table = pd.read_csv(region_names, sep="\t")
    except (OSError, ValueError) as error:
        raise InputError(f"{region_names}: not a readable TSV ({error})") from error
    if not {"index", "name"} <= set(table.columns):
        raise InputError(
            f"{region_names}: columns {list(table.columns)}, expected index and name (BIDS dseg)"
        )
    return dict(zip(table["index"].astype(int), table["name"].astype(str), strict=True))

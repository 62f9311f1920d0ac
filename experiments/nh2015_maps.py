"""Stages on the cortical surface, from where the six components of auditory cortex lie."""

import re
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from encoding.maps import write_maps
from experiments.nh2015_scores import COMPONENTS
from stimuli import InputError

FOLDER = Path("component-weight-significances") / "group"
FSAVERAGE, FSAVERAGE5 = 163842, 10242  # vertices of a hemisphere; the first ones are the coarser
SIGNIFICANT = 3.0  # -log10 p


def component_weights(root: Path) -> pd.DataFrame | None:
    """How much each component has a part in a vertex of fsaverage5.

    The weights themselves have no published map, so the significance of a weight stands for it:
    -log10 p over ten subjects where it is above `SIGNIFICANT` and the weight positive, else 0.

    Parameters
    ----------
    root : Path
        Folder of the benchmark.

    Returns
    -------
    DataFrame or None
        hemisphere, vertex and the six components, a row a vertex with any; None without the maps.

    Raises
    ------
    InputError
        A map is missing, damaged, or of another mesh.
    """
    folder = Path(root) / FOLDER
    if not folder.is_dir():
        return None
    tables = []
    for side in "LR":
        paths = [folder / f"{side.lower()}h.comp{k + 1}.mgz" for k in range(len(COMPONENTS))]
        values = np.stack([_significance(path) for path in paths], 1)[:FSAVERAGE5]
        weights = np.where(values > SIGNIFICANT, values, 0)  # NaN outside the measured part
        vertex = np.flatnonzero(weights.any(1))
        table = pd.DataFrame(weights[vertex], columns=list(COMPONENTS))
        tables.append(table.assign(hemisphere=side, vertex=vertex))
    return pd.concat(tables, ignore_index=True)


def _significance(path: Path) -> np.ndarray:
    try:
        values = np.asarray(nib.load(path).dataobj, float).ravel()
    except Exception as error:  # nibabel and zlib have no common class of errors
        raise InputError(f"{path}: not a readable map ({error})") from error
    if len(values) != FSAVERAGE:
        raise InputError(f"{path}: {len(values)} vertices, fsaverage has {FSAVERAGE}")
    return values


def best_stages(weights: pd.DataFrame, by_stage: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """Stage with the highest r2 at every vertex, ``(n_vertices,)`` numbers from 1.

    r2 at a vertex is the mean of the components' r2, weighted by their parts in it.

    Parameters
    ----------
    weights : from `component_weights`
    by_stage : {stage: {component: r2}}
    """
    r2 = np.array([[row[component] for component in COMPONENTS] for row in by_stage.values()])
    return (weights[list(COMPONENTS)].to_numpy() @ r2.T).argmax(1) + 1.0


def write_stage_maps(weights: pd.DataFrame | None, rows: Mapping[str, dict], out: Path) -> None:
    """Write the best stage of each vertex for every model with several stages.

    GIFTI maps on fsaverage5 go to a folder of ``out`` whose name the model's row then holds as
    "maps". Does nothing where the benchmark has no maps of the components.

    Parameters
    ----------
    weights : from `component_weights`
    rows : ``models`` of `experiments.nh2015.run_nh2015`
    out : Path
    """
    if weights is None:
        return
    for number, (name, row) in enumerate(rows.items()):
        if len(row["by_stage"]) < 2:
            continue
        row["maps"] = f"maps-{number}-" + re.sub(r"\W+", "-", name).strip("-")
        best = {"best_stage": best_stages(weights, row["by_stage"])}
        write_maps(best, weights, (FSAVERAGE5, FSAVERAGE5), Path(out) / row["maps"])

"""Maps of the best stage that `cortexnet stages` and `nh2015` wrote for surfaces."""

from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from encoding.responses import cortical_map
from stimuli import InputError


def read_surfaces(folder: Path, places: Mapping[str, str]) -> dict[str, dict[str, np.ndarray]]:
    """{name: {"L", "R": (n_vertices,)}} of those with a map of both hemispheres.

    Parameters
    ----------
    folder : Path
    places : {name: folder within it}

    Raises
    ------
    InputError
        If a file is not a map of a surface, or a place lies elsewhere.
    """
    found = {}
    for name, place in places.items():
        if place == ".." or Path(place).name != place:
            raise InputError(f"{folder}: {place!r} is no name of a folder within it")
        whole = folder / place / "best_stage.dscalar.nii"
        halves = {side: folder / place / f"best_stage_hemi-{side}.func.gii" for side in "LR"}
        if whole.is_file():
            maps = _read(whole, cortical_map)
        elif all(path.is_file() for path in halves.values()):
            maps = {side: _read(path, _vertices) for side, path in halves.items()}
        else:
            continue
        if set(maps) == {"L", "R"}:
            found[name] = maps
    return found


def _vertices(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).agg_data(), float).ravel()


def _read(path: Path, reader: Callable):
    try:
        return reader(path)
    except Exception as error:  # nibabel and expat have no common class of errors
        raise InputError(f"{path}: not a map of a surface ({error}); make it anew") from error

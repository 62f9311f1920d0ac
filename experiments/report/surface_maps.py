"""Maps of the best stage that `cortexnet stages` wrote for surfaces."""

from pathlib import Path

import nibabel as nib
import numpy as np

from stimuli import InputError


def read_surfaces(folder: Path, subjects) -> dict[str, dict[str, np.ndarray]]:
    """{subject: {"L", "R": (n_vertices,)}} of those subjects that have both hemispheres.

    Raises
    ------
    InputError
        If a file is not a GIFTI map.
    """
    found = {}
    for subject in subjects:
        paths = {side: folder / subject / f"best_stage_hemi-{side}.func.gii" for side in "LR"}
        if all(path.is_file() for path in paths.values()):
            found[subject] = {side: _read(path) for side, path in paths.items()}
    return found


def _read(path: Path) -> np.ndarray:
    try:
        return np.asarray(nib.load(path).agg_data(), float).ravel()
    except Exception as error:  # nibabel and expat have no common class of errors
        raise InputError(f"{path}: not a GIFTI map ({error}); run cortexnet stages anew") from error

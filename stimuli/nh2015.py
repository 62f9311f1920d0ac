"""The 165 natural sounds of Norman-Haignere, Kanwisher & McDermott 2015 (Neuron 88, 1281)."""

import csv
from pathlib import Path

import pandas as pd
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from stimuli.errors import InputError
from stimuli.schema import complete_clips


def load(root) -> pd.DataFrame:
    """Clips in the order of the response profiles: rows of `R` in `components.mat`.

    The order is that of `stim_names` in `components.mat`; `category_labels.csv`, which gives the
    categories, must agree with it line by line.

    Parameters
    ----------
    root : path
        Holds `wav/`, `category_labels.csv` and `components.mat`.

    Returns
    -------
    DataFrame of 165 clips; clip_id is the stimulus name, label its category

    Raises
    ------
    InputError
        If a file is missing or unreadable, or the two orders differ.
    """
    root = Path(root).resolve()
    for name in ("wav", "category_labels.csv", "components.mat"):
        if not (root / name).exists():
            raise InputError(
                f"{root}: no {name}; expected wav/, category_labels.csv, components.mat"
            )
    try:
        cells = loadmat(root / "components.mat", variable_names=["stim_names"])["stim_names"]
        order = [str(cell[0]) for cell in cells.ravel()]
    except (MatReadError, ValueError, KeyError, IndexError) as error:
        raise InputError(
            f"{root / 'components.mat'}: no readable 'stim_names' ({error})"
        ) from error
    labels = root / "category_labels.csv"
    with labels.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) != len(order):
        raise InputError(f"{labels}: {len(rows)} sounds, but components.mat has {len(order)}")
    for line, (row, name) in enumerate(zip(rows, order, strict=True), start=1):
        if len(row) != 2 or row[0] != name:
            raise InputError(f"{labels}, line {line}: expected '{name},CATEGORY', found {row}")
    paths = [root / "wav" / f"{name}.wav" for name in order]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    clips = pd.DataFrame(
        {"clip_id": order, "path": [str(p) for p in paths], "label": [row[1] for row in rows]}
    )
    return complete_clips(clips, [path.name for path in paths])

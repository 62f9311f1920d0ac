"""Dissimilarities of clips in layers and regions: the record, and how it is read."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.report.records import split_layer
from stimuli import InputError

MIXTURE = "weighted"
FACTS = ("n_clips", "n_pairs", "n_repeats", "distance", "noise", "model_distance", "within_runs",
         "n_permutations", "n_resamples", "seed")  # fmt: skip


@dataclass(frozen=True)
class Similarity:
    """Similarity of the RDMs of one layer and one region, mean over subjects.

    `p` is against no relation, `p_max` against the best of all layers; `subjects` has each
    subject's own value.
    """

    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    p_max: float | None
    subjects: dict[str, float | None]


@dataclass(frozen=True)
class Dissimilarities:
    """RDMs as vectors over pairs of clips, NaN for pairs that were left out.

    Attributes
    ----------
    clips, runs, regions, layers : lists of str, `runs` empty where unknown
    data : (n_regions, n_pairs), mean over subjects
    models : (n_layers, n_pairs)
    """

    clips: list[str]
    runs: list[str]
    regions: list[str]
    layers: list[str]
    data: np.ndarray
    models: np.ndarray


@dataclass(frozen=True)
class RSA:
    """What `cortexnet rsa` found.

    Attributes
    ----------
    label : str
        Name of the comparison, with its folder where two would look alike.
    method : str
    layers : list of str, ``model:stage``; ``model:weighted`` is a mixture
    regions : list of str
    fits : {(layer, region): Similarity}
    ceilings : {region: (lower, upper)}, of those regions that have one
    subjects : list of str
    differences : {region: rows}, of layers against each other
    measures : {method: {(layer, region): Similarity}}, beside the main one
    protocol : {name: value}, those of FACTS
    notes : list of str
    rdms : Dissimilarities or None
    command : str or None
    """

    label: str
    method: str
    layers: list[str]
    regions: list[str]
    fits: dict[tuple[str, str], Similarity]
    ceilings: dict[str, tuple[float, float]]
    subjects: list[str]
    differences: dict[str, list[dict]]
    measures: dict[str, dict[tuple[str, str], Similarity]]
    protocol: dict
    notes: list[str]
    rdms: Dissimilarities | None
    command: str | None = None

    @property
    def models(self) -> list[str]:
        """Names of the models, in order of their first layer."""
        return list(dict.fromkeys(split_layer(layer)[0] for layer in self.layers))

    def best(self, region: str, model: str | None = None) -> str | None:
        """The stage (mixtures aside) of one or of all models with the highest mean similarity."""
        known = {
            layer: self.fits[layer, region].mean
            for layer in self.layers
            if model in (None, split_layer(layer)[0]) and split_layer(layer)[1] != MIXTURE
        }
        known = {layer: mean for layer, mean in known.items() if mean is not None}
        return max(known, key=known.get) if known else None


def read_rsa(folder: Path, value: dict) -> RSA:
    """The record of a ``results.json`` of kind "rsa", with the ``rdms.npz`` beside it."""
    layers = list(value["layers"])
    regions = list(dict.fromkeys(region for row in value["layers"].values() for region in row))
    first = value["layers"][layers[0]]
    bounds = {region: first[region]["ceiling"] for region in regions}
    return RSA(
        label=f"{value['method']}, {value['distance']} distances",
        method=value["method"],
        layers=layers,
        regions=regions,
        fits=_fits(value["layers"]),
        ceilings={r: (b["lower"], b["upper"]) for r, b in bounds.items() if b is not None},
        subjects=value["subjects"],
        differences=value["differences"],
        measures={method: _fits(rows) for method, rows in value["measures"].items()},
        protocol={name: value[name] for name in FACTS},
        notes=value["notes"],
        rdms=_rdms(folder / "rdms.npz"),
    )


def _fits(layers: dict) -> dict[tuple[str, str], Similarity]:
    return {
        (layer, region): Similarity(
            row["mean"], *(row["interval"] or (None, None)), row["p"], row["p_max"], row["subjects"]
        )
        for layer, of_region in layers.items()
        for region, row in of_region.items()
    }


def _rdms(path: Path) -> Dissimilarities | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            text = {key: file[key].tolist() for key in ("clips", "runs", "regions", "layers")}
            data, models = file["data"].mean(1), file["models"]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not the RDMs of cortexnet rsa ({error}); run it anew") from error
    n_pairs = len(text["clips"]) * (len(text["clips"]) - 1) // 2
    expected = ((len(text["regions"]), n_pairs), (len(text["layers"]), n_pairs))
    if (data.shape, models.shape) != expected:
        raise InputError(
            f"{path}: RDMs of shapes {data.shape} and {models.shape}, expected {expected[0]} and "
            f"{expected[1]}; run cortexnet rsa anew"
        )
    return Dissimilarities(data=data, models=models, **text)

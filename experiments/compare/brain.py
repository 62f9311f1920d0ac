"""What each model predicts of responses in every region, and what none of the others does."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import encoding
from cortexnet.activations import extract
from experiments.compare.entrants import Entrant
from experiments.compare.kept import kept
from experiments.encode import (
    are_bids,
    array_responses,
    bids_responses,
    bids_subjects,
    encode,
    open_stores,
)
from experiments.report.parse import read_json
from stimuli import InputError

CANDIDATES = 20  # mixtures of spaces tried for a target: there are as many spaces as models


def load_responses(
    source: Path, subjects: Sequence[str] = (), samples: Path | None = None, targets=None
) -> dict[str, Callable[[], encoding.Responses]]:
    """Responses by subject, each read when it is asked for.

    Parameters
    ----------
    source : Path
        BIDS root, or an array with the table `samples` of its rows.
    subjects : sequence of str
        Default: all.
    samples, targets : Path, optional
        As `experiments.encode.array_responses`.

    Raises
    ------
    InputError
        If there is no such file, or an array comes without its rows.
    """
    if are_bids([source], samples):
        names = list(subjects) or bids_subjects(source)
        return {name: lambda name=name: bids_responses(source, name) for name in names}
    name = subjects[0] if subjects else "subject"
    return {name: lambda: array_responses([source], samples, targets)}


def predict_regions(
    entrants: Sequence[Entrant],
    responses: dict[str, Callable[[], encoding.Responses]],
    out: Path,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> list[dict]:
    """Encoding of every layer (``encode/SUBJECT``), and the variance unique to every model.

    Parameters
    ----------
    entrants : sequence of Entrant
        Their clips must be those heard, trained on or not.
    responses : as of `load_responses`
    out : Path
    seed : int
    report : callable

    Returns
    -------
    list of dict
        A row a subject, region and model: ``layer`` (the one with the highest mean r), ``mean_r,
        r_low, r_high, ceiling`` of it as `experiments.encode.encode` gives them, ``r2`` of all its
        layers jointly and ``unique, unique_low, unique_high``, what these add to the joint model
        of the others (`encoding.variance_partition`).
    """
    rows = []
    for subject, load in responses.items():
        path = out / "parts" / "brain" / f"{subject}.json"
        found = kept(path, lambda s=subject, f=load: _subject(entrants, s, f(), out, seed, report))
        rows += found["rows"]
    return rows


def _subject(entrants, subject, responses, out, seed, report) -> dict:
    samples = responses.samples
    stores = _stores(entrants, samples, out, report)
    folder = out / "encode" / subject
    if not (folder / "results.json").is_file():
        encode(open_stores(stores), responses, folder, subject, seed=seed, report=report)
    result = read_json(folder / "results.json")
    report(f"{subject}: variance unique to each of {len(entrants)} models")
    spaces = {
        one.name: np.concatenate(
            [_levelled(encoding.features_at(x, samples)) for x in open_stores([store]).values()], 1
        )
        for one, store in zip(entrants, stores, strict=True)
    }
    region = responses.targets["region"].to_numpy(str)
    named = np.flatnonzero(region != "")
    named = named if len(named) else np.arange(len(region))
    parts = encoding.variance_partition(
        spaces, responses.data[:, named], samples, baseline=(), regions=region[named],
        shared=False, n_candidates=CANDIDATES, seed=seed,
    )  # fmt: skip
    unique, ends = parts["region_unique"], parts["region_unique_interval"]
    alone = parts["beyond"].groupby("target_region").mean()
    rows = []
    for name, best in result["best_stage_by_model"].items():
        for where in parts["region"].to_numpy().tolist():
            place = {"space": name, "region": where}
            fit = result["layers"][best[where]["layer"]][where] if where in best else {}
            low, high = fit.get("interval") or (None, None)
            rows.append(
                {
                    "subject": subject,
                    "region": where,
                    "name": name,
                    "layer": best[where]["layer"].partition(":")[2] if where in best else None,
                    "mean_r": fit.get("mean_r"),
                    "r_low": low,
                    "r_high": high,
                    "ceiling": fit.get("ceiling"),
                    "r2": float(alone.sel(space=name, target_region=where)),
                    "unique": float(unique.sel(place)),
                    "unique_low": float(ends.sel(place | {"end": "low"})),
                    "unique_high": float(ends.sel(place | {"end": "high"})),
                }
            )
    return {"rows": rows}


def _stores(entrants, samples, out, report) -> list[Path]:
    """Activity of every entrant in bins of a volume, for the clips that were heard."""
    known = pd.concat([entrants[0].pool, entrants[0].test], ignore_index=True)
    named = samples["clip_id"].dropna()
    heard = set(named[named != ""])
    missing = sorted(heard - set(known["clip_id"]))
    if missing:
        raise InputError(
            f"{len(missing)} of {len(heard)} clips of the responses are not in the table of the "
            f"runs (first: {missing[0]}); train on a table that holds them"
        )
    clips = known[known["clip_id"].isin(heard)].reset_index(drop=True)
    width, stores = encoding.repetition_time(samples), []
    (out / "activity").mkdir(exist_ok=True)
    for one in entrants:
        report(f"{one.name}: activity for {len(clips)} clips that were heard")
        store = out / "activity" / f"{one.name}.zarr"
        stores.append(extract(one.run.model, clips, store, one.name, bin_seconds=width))
    return stores


def _levelled(X: np.ndarray) -> np.ndarray:
    """Layers of equal variance: many or loud units of one do not drown the others."""
    return X / np.sqrt(max(X.var(0).sum(), 1e-30))

"""Activation stores against responses by the dissimilarities of clips."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import encoding
from cortexnet.paired import holm
from cortexnet.runs import write_json
from encoding import Responses
from encoding.heldout import centre_within
from encoding.results import json_ready
from encoding.rsa import COMPARISONS
from encoding.rsa.noise import TARGETS, repeat_residuals
from stimuli import InputError
from stimuli.provenance import whole_file

LEAST_CLIPS = 4
LEAST_TARGETS = 2
MOST_COVARIANCES = 3000  # targets of a region whose noise covariance is inverted
NOISE = (*TARGETS, "none")


@dataclass(frozen=True)
class ClipPatterns:
    """Response patterns of one subject, one for each presentation.

    Parameters
    ----------
    patterns : (n_repeats, n_clips, n_targets) float32
        Of mean 0 over the clips of a run and repeat.
    clips : (n_clips,) str, sorted
    runs : (n_clips,) str, or None
        Where every clip was heard in one run only.
    regions : (n_targets,) str
    notes : list of str
    """

    patterns: np.ndarray
    clips: np.ndarray
    runs: np.ndarray | None
    regions: np.ndarray
    notes: list[str]


def clip_patterns(responses: Responses) -> ClipPatterns:
    """Patterns of the test clips (all clips where none is marked), run-centred.

    Raises
    ------
    InputError
        Fewer than four clips, or a clip alone in its run, whose pattern cannot be centred.
    """
    samples = responses.samples
    if "split" in samples and (samples["split"] == "test").any():
        runs = samples.loc[samples["split"] == "test", "run"].unique()
        responses = responses.select(samples["run"].isin(runs).to_numpy())
    patterns, table = encoding.clip_estimates(responses)
    if "split" in table and (table["split"] == "test").any():
        kept = (table["split"] == "test").to_numpy()
        patterns, table = patterns[kept], table[kept].reset_index(drop=True)
    clip, run = table["clip_id"].astype(str), table["run"].astype(str)
    heard = clip.value_counts()
    if len(heard) < LEAST_CLIPS:
        raise InputError(f"{len(heard)} clips with responses; RSA needs {LEAST_CLIPS} or more")
    notes, n_repeats = [], int(heard.min())
    number = clip.groupby(clip).cumcount()
    if heard.max() > n_repeats:
        notes.append(f"the first {n_repeats} presentations of each clip are used, as some have "
                     "no more")  # fmt: skip
    kept = (number < n_repeats).to_numpy()
    patterns, clip, run, number = patterns[kept], clip[kept], run[kept], number[kept]
    together = run + " " + number.astype(str)
    alone = together[~together.duplicated(keep=False)]
    if len(alone):
        raise InputError(
            f"run {run[alone.index[0]]}: one clip alone in the run, whose pattern cannot be told "
            "from the run's mean; leave such runs out"
        )
    patterns = centre_within(patterns, together)
    order = np.lexsort([clip, number])
    names = np.sort(clip.unique())
    patterns = patterns[order].reshape(n_repeats, len(names), -1)
    of_clip = run.groupby(clip).unique()[names]
    single = (of_clip.str.len() == 1).all()
    if not single:
        notes.append("clips were heard in several runs: no pairs are within a run")
    regions = responses.targets["region"].replace("", "unlabelled").to_numpy(str)
    runs = np.array([r[0] for r in of_clip]) if single else None
    return ClipPatterns(patterns, names.astype(str), runs, regions, notes)


def clip_features(layer: xr.DataArray, clips, name: str) -> np.ndarray:
    """Mean over time (n_clips, n_units) of the activity of a layer in clips of a store.

    Raises
    ------
    InputError
        A clip is missing in the store or has no values.
    """
    stored = pd.Index(layer["clip"].to_numpy().astype(str))
    missing = [clip for clip in clips if clip not in stored]
    if missing:
        raise InputError(f"{name}: clip {missing[0]} is not in the store; extract it first")
    values = layer.transpose("clip", "time", ...)[stored.get_indexer(clips)].to_numpy()
    empty = np.isnan(values).all((1, 2))
    if empty.any():
        raise InputError(f"{name}: clip {clips[np.argmax(empty)]} has no values; extract it again")
    return np.nanmean(values, axis=1, dtype=np.float64)


def region_rdms(found: ClipPatterns, noise: str = "diagonal") -> tuple[dict, str, list[str]]:
    """{region: RDM} of one subject, the distance that was used, and notes."""
    repeated = len(found.patterns) > 1
    distance = "crossnobis" if repeated else "correlation"
    out, notes = {}, list(found.notes)
    if not repeated:
        notes.append("no clip was repeated: correlation distances, which grow with noise, and no "
                     "normalisation by it")  # fmt: skip
    for region in pd.unique(found.regions):
        local = found.patterns[..., found.regions == region].astype(np.float64)
        n = local.shape[2]
        if n < LEAST_TARGETS:
            notes.append(f"region {region}: {n} target; left out, as a pattern needs two")
            continue
        precision = None
        if repeated and noise != "none":
            shrink_to = noise if n <= MOST_COVARIANCES else "variances"
            if shrink_to != noise:
                notes.append(f"region {region}: {n} targets; noise normalised by variances alone")
            residuals, dof = repeat_residuals(local)
            precision = encoding.noise_precision(residuals, shrink_to, dof=dof)
        out[region] = encoding.rdm(local, distance, noise=precision)
    return out, distance, notes


def run_rsa(
    layers: dict[str, xr.DataArray],
    subjects: dict[str, Callable[[], Responses]],
    out: Path,
    *,
    methods: tuple[str, ...] = ("rho-a", "whitened-cosine"),
    model_distance: str = "correlation",
    noise: str = "diagonal",
    within_runs: str = "drop",
    n_permutations: int = 2000,
    n_resamples: int = 1000,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Compare every layer with every region and write ``results.json`` and ``rdms.npz``.

    Parameters
    ----------
    layers : dict
        As `experiments.encode.open_stores`. Of each model with several, a weighted mixture
        (``MODEL:weighted``) is compared too, see `encoding.weighted_rdm`.
    subjects : {name: function that reads the responses}
    out : Path
    methods : names of comparisons, the main one first
    model_distance : "correlation", "cosine" or "euclidean"
    noise : "diagonal", "identity", "variances" or "none"
        See `encoding.noise_precision`.
    within_runs : "drop", "partial" or "keep"
        See `encoding.rsa.between_runs`.
    n_permutations, n_resamples, seed : int
    report : callable
        Given a line of text as work goes on.

    Returns
    -------
    dict
        What ``results.json`` holds.

    Raises
    ------
    InputError
        Settings are unknown, or subjects did not hear the same clips or share no region.
    """
    for value, known, what in ((noise, NOISE, "--noise"),
                               *((m, COMPARISONS, "--method") for m in methods)):  # fmt: skip
        if value not in known:
            raise InputError(f"{what} is '{value}'; choose one of {', '.join(known)}")
    started = time.perf_counter()
    brains, notes, first = {}, [], None
    for name, read in subjects.items():
        found = clip_patterns(read())
        first = first or found
        for what, own, others in (
            ("clips", found.clips, first.clips),
            ("clips in the same runs", found.runs, first.runs),
            ("clips with repeats", len(found.patterns) > 1, len(first.patterns) > 1),
        ):
            if not np.array_equal(own, others):
                raise InputError(
                    f"{name}: not the {what} of {next(iter(subjects))}; give subjects who heard "
                    "the same, or one at a time (--subject)"
                )
        brains[name], distance, said = region_rdms(found, noise)
        report(f"{name}: {len(brains[name])} regions, {len(found.clips)} clips, "
               f"{len(found.patterns)} presentations each")  # fmt: skip
        notes += [f"{name}: {line}" for line in said]
    regions = [r for r in next(iter(brains.values())) if all(r in b for b in brains.values())]
    if not regions:
        raise InputError("no region has targets in all subjects; check the labels")
    lost = sorted({r for b in brains.values() for r in b} - set(regions))
    notes += [f"region {region}: not in all subjects; left out" for region in lost]
    runs = first.runs
    if runs is not None and len(np.unique(runs)) == 1:
        runs = None
        notes.append("all clips are of one run: what they share cannot be set aside")
    data = np.stack([[brain[region] for brain in brains.values()] for region in regions])
    models = _model_rdms(layers, first.clips, model_distance)
    if runs is not None:
        data, models = (encoding.between_runs(x, runs, within_runs) for x in (data, models))
    if len(brains) < 2:
        notes.append("one subject: no ceiling, and intervals over clips alone")

    settings = {"runs": runs, "n_permutations": n_permutations, "n_resamples": n_resamples,
                "seed": seed}  # fmt: skip
    measures = {method: {} for method in methods}
    differences = {}
    for method, region_of in measures.items():
        for region, rdms in zip(regions, data, strict=True):
            rows, table = _score(rdms, models, list(layers), list(brains), method, settings)
            region_of[region] = rows
            if method == methods[0]:
                differences[region] = table
        report(f"{method}: {len(models)} layers compared in {len(regions)} regions")
    by_layer = {
        method: {name: {r: rows[name] for r, rows in found.items()} for name in found[regions[0]]}
        for method, found in measures.items()
    }
    for model, count in Counter(name.split(":")[0] for name in layers).items():
        if count > 1 and f"{model}:weighted" not in by_layer[methods[0]]:
            notes.append(f"{model}: too few clips to weigh its layers on others")
    summary = json_ready(
        {
            "kind": "rsa",
            "method": methods[0],
            "layers": by_layer[methods[0]],
            "differences": differences,
            "measures": {method: by_layer[method] for method in methods[1:]},
            "subjects": list(brains),
            "n_clips": len(first.clips),
            "n_pairs": int((~np.isnan(data[0, 0])).sum()),
            "n_repeats": len(first.patterns),
            "distance": distance,
            "noise": noise if distance == "crossnobis" else "none",
            "model_distance": model_distance,
            "within_runs": within_runs if runs is not None else "keep",
            **{k: v for k, v in settings.items() if k != "runs"},
            "notes": notes,
            "seconds": round(time.perf_counter() - started, 2),
        }
    )
    out.mkdir(parents=True, exist_ok=True)
    labels = {"regions": regions, "subjects": list(brains), "layers": list(layers)}
    labels |= {"clips": first.clips, "runs": [] if runs is None else runs}
    with whole_file(out / "rdms.npz") as partial, partial.open("wb") as file:
        text = {name: np.array(values, str) for name, values in labels.items()}
        np.savez_compressed(file, data=data, models=models, **text)
    write_json(out / "results.json", summary)
    return summary


def _model_rdms(layers, clips, distance) -> np.ndarray:
    rdms = []
    for name, layer in layers.items():
        try:
            rdms.append(encoding.rdm(clip_features(layer, clips, name), distance))
        except encoding.InputError as error:
            raise InputError(f"{name}: {error}") from error
    return np.stack(rdms)


def _score(data, models, names, subjects, method, settings) -> tuple[dict, list]:
    """Rows of every layer and mixture, and differences between layers, in one region."""
    runs, seed = settings["runs"], settings["seed"]
    names, mixtures = list(names), []
    for model in dict.fromkeys(name.split(":")[0] for name in names):
        own = [k for k, name in enumerate(names) if name.split(":")[0] == model]
        if len(own) > 1:
            try:
                mixed = encoding.weighted_rdm(data, models[own], method, runs=runs, seed=seed)
            except encoding.InputError:  # too few clips: said once, in the notes
                continue
            mixtures.append(mixed)
            names.append(f"{model}:weighted")
    models = np.vstack([models, *mixtures])
    drawn = encoding.bootstrap_rdms(
        data, models, method, runs=runs, n_resamples=settings["n_resamples"], seed=seed
    )
    tested = encoding.permute_clips(
        data, models, method, runs=runs, n_permutations=settings["n_permutations"], seed=seed
    )
    ceiling = encoding.rdm_ceiling(data, method)
    bounds = None if ceiling is None else {"lower": ceiling.lower, "upper": ceiling.upper}
    rows = {
        name: {
            "mean": drawn.scores[k],
            # No similarity lies beyond; an interval over two subjects would.
            "interval": drawn.interval[k].clip(-1, 1).tolist(),
            "n": len(subjects),
            "ceiling": bounds,
            "p": tested.p[k],
            "p_max": tested.p_max[k],
            "subjects": dict(zip(subjects, drawn.similarity[:, k].tolist(), strict=True)),
        }
        for k, name in enumerate(names)
    }
    table = drawn.differences(names)
    table["p_holm"] = holm(table["p"]) if len(table) else []
    return rows, table.to_dict("records")

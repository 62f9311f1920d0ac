"""The embedded data set: generated music, the experiment's runs, responses with a planted truth."""

import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from torch import nn

import encoding
from cortexnet.activations import bin_means, count_bins, layer_activity
from cortexnet.runs import weights_hash, write_json
from experiments.clips import read_clips
from experiments.models import Sounds, untrained
from stimuli import InputError, ds003720, load_clips
from stimuli.clips import waveform
from stimuli.miniature import Layout, write_sounds_and_events

REFERENCE = "cortexnet_z"
REFERENCE_SEED = 2021
PLANTED = {
    "core": "A1",
    "belt": "belt",
    "parabelt": "parabelt",
    "T2T3": "T2/T3",
    "control": None,
}
# Signal over noise in one presentation; auditory voxels of real subjects lie between .1 and .6.
SNR = {"core": 0.5, "belt": 0.4, "parabelt": 0.3, "T2T3": 0.3, "control": 0.0}
VOXELS = 60
TR = 1.5


def reference_network(clips: pd.DataFrame) -> nn.Module:
    """The network that drives the simulated brain: random weights that no training touches."""
    return untrained(REFERENCE, lambda rate: Sounds(clips, rate), REFERENCE_SEED)


def write_miniature(
    out: Path,
    layout: str | Layout = "small",
    seed: int = 0,
    planted: dict[str, str | None] = PLANTED,
) -> dict:
    """Write sounds, events, orders, functional images, region labels and the truth.

    Parameters
    ----------
    out : Path
        New or empty folder; appears whole or not at all.
    layout : {"small", "full"} or Layout
    seed : int
    planted : {region: area of the reference network, or None}
        What each region follows; noise with None.

    Returns
    -------
    dict
        What ``truth.json`` holds: region, stage, SNR, haemodynamic weights.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: not empty; choose another --out or delete it")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        write_sounds_and_events(partial, seed=seed, layout=layout)
        truth = _write_responses(partial, seed, planted)
        write_json(partial / "truth.json", truth)
        if out.exists():
            out.rmdir()
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return truth


def clip_table(root: Path) -> pd.DataFrame:
    """Tracks outside the scanner to train on, the clips heard in it to test on."""
    heard = ds003720.unique_clips(ds003720.load(root / "bids", root)).assign(split="test")
    tracks = load_clips(root / "genres")
    outside = tracks[~tracks["track"].isin(heard["track"])].assign(split="")
    return pd.concat([outside, heard], ignore_index=True)


def training_clips(source: Path) -> pd.DataFrame:
    """Clips to train and test on: `clip_table` of a miniature, `read_clips` of all else."""
    source = Path(source)
    if (source / "bids").is_dir() and (source / "genres").is_dir():
        return clip_table(source)
    return read_clips(source)


def _write_responses(root: Path, seed: int, planted: dict) -> dict:
    presentations = ds003720.load(root / "bids", root)
    clips = ds003720.unique_clips(presentations)
    model = reference_network(clips)
    events = presentations.groupby("run", sort=False)
    ends = events["onset"].max() + events["duration"].max()
    samples = encoding.samples_from_events(
        presentations, {run: round(end / TR) for run, end in ends.items()}, TR
    )
    features = _features_of_volumes(model, clips, samples)
    truth = {}
    for number, subject in enumerate(sorted(p.name for p in (root / "bids").glob("sub-*"))):
        responses, truth = encoding.simulate(
            features, samples, planted, VOXELS, SNR, seed=seed * 1000 + number
        )
        _write_images(root / "bids", subject, responses)
    return {
        "regions": {
            region: {"model": "reference", "stage": stage, "snr": SNR[region]}
            for region, stage in planted.items()
        },
        "reference": {
            "model": REFERENCE,
            "weights_sha256": weights_hash(model),
            "seed": REFERENCE_SEED,
            "trained": False,
        },
        "delays": truth["delays"],
        "hrf": truth["hrf"],
        "ar": truth["ar"],
        "drift": truth["drift"],
        "tr": TR,
        "note": "Every region follows one stage of a network with random "
        "weights (the reference), convolved with a haemodynamic response, plus autoregressive "
        "noise and drift.",
    }


def _features_of_volumes(model, clips, samples) -> dict[str, np.ndarray]:
    """Activity of every area in the bin of every volume, ``(n_volumes, n_units)``."""
    binned = {area: {} for area in model.areas}
    for row in clips.to_dict("records"):
        wave = waveform(row, model.sample_rate)
        n_bins = count_bins(len(wave) / model.sample_rate, TR)
        for area, activity in layer_activity(model.forward_areas, wave).items():
            binned[area][row["clip_id"]] = bin_means(*activity, TR, n_bins)
    bins = (samples["time"] / TR).round().astype(int)
    return {
        area: np.stack([by_clip[c][b] for c, b in zip(samples["clip_id"], bins, strict=True)])
        for area, by_clip in binned.items()
    }


def _write_images(root: Path, subject: str, responses) -> None:
    """One 4-D image a run, on a small grid of 2 mm voxels, and the label image of the regions."""
    regions = responses.targets["region"].to_numpy()
    names = list(dict.fromkeys(regions))
    side = int(np.ceil(len(regions) ** (1 / 3)))
    shape, affine = (side, side, side), np.diag([2.0, 2.0, 2.0, 1.0])
    place = np.unravel_index(np.arange(len(regions)), shape)
    labels = np.zeros(shape, np.int16)
    labels[place] = [names.index(region) + 1 for region in regions]
    folder = root / "derivatives" / "regions" / subject
    folder.mkdir(parents=True)
    nib.save(nib.Nifti1Image(labels, affine), folder / f"{subject}_desc-regions_dseg.nii.gz")
    table = pd.DataFrame({"index": range(1, len(names) + 1), "name": names})
    table.to_csv(folder / f"{subject}_desc-regions_dseg.tsv", sep="\t", index=False)
    for run, rows in responses.samples.groupby("run", sort=False).indices.items():
        task, number = run.split("-")
        volume = np.zeros((*shape, len(rows)), np.float32)
        # Around 1000 units with 1 % of modulation, as images from a scanner have.
        volume[place] = 1000 + 10 * responses.data[rows].T
        image = nib.Nifti1Image(volume, affine)
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((2.0, 2.0, 2.0, TR))
        nib.save(
            image,
            root / subject / "func" / f"{subject}_task-{task}_run-{number}_bold.nii.gz",
        )

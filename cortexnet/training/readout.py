"""Classifiers fitted in one step on embedded segments."""

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader

from cortexnet.recipe import Recipe
from stimuli.datamodule import ClipsModule


def train_readout(model: nn.Module, data, groups: np.ndarray, recipe: Recipe) -> dict:
    """Fit a fixed-feature classifier on all segments of the training clips.

    Parameters
    ----------
    model : nn.Module
        With ``embed`` and ``fit_readout`` (`cortexnet.classifiers.FeatureClassifier`).
    data : EvalSegments
    groups : (n_clips,)
        Group of each clip, which inner folds keep whole.
    recipe : Recipe
        Its batch size is used.

    Returns
    -------
    summary : dict
        ``n_segments`` and the setting of the ``readout``.
    """
    features, labels, clips = embed_segments(model, data, recipe.batch_size)
    setting = model.fit_readout(features, labels, groups[clips], clips)
    return {"n_segments": len(labels), "readout": setting}


def refit_decoder(model: nn.Module, data: ClipsModule, batch_size: int) -> dict:
    """Fit the decoder of a trained network to all segments of training and validation clips.

    Parameters
    ----------
    model : nn.Module
        With ``fit_decoder`` (`cortexnet.networks.cortex.CortexNet`).
    data : ClipsModule
    batch_size : int

    Returns
    -------
    summary : dict
        The setting of the ``decoder``.
    """
    sides = [(side, data.covering(side)) for side in ("train", "valid")]
    rows, labels = [], []
    for side, segments in sides:
        where = np.array([clip for clip, _ in segments.index])
        labels.append(np.asarray(segments.labels)[where])
        rows.append(data.sides[side].iloc[where])
    clips = pd.concat(rows)
    batches = (x for _, segments in sides for x, _, _ in DataLoader(segments, batch_size))
    setting = model.fit_decoder(
        batches,
        np.concatenate(labels),
        clips["group"].to_numpy(),
        pd.factorize(clips["clip_id"])[0],
    )
    return {"decoder": setting}


def embed_segments(model: nn.Module, data, batch_size=32):
    """Embeddings of every segment: ``(n, p)`` features, ``(n,)`` labels, ``(n,)`` clips."""
    features, labels, clips = [], [], []
    with torch.inference_mode():
        for x, label, clip in DataLoader(data, batch_size):
            features.append(model.embed(x).numpy())
            labels.append(label.numpy())
            clips.append(clip.numpy())
    return np.concatenate(features), np.concatenate(labels), np.concatenate(clips)

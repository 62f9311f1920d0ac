"""Classifiers fitted in one step on embedded segments."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from cortexnet.recipe import Recipe


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


def embed_segments(model: nn.Module, data, batch_size=32):
    """Embeddings of every segment: ``(n, p)`` features, ``(n,)`` labels, ``(n,)`` clips."""
    features, labels, clips = [], [], []
    with torch.inference_mode():
        for x, label, clip in DataLoader(data, batch_size):
            features.append(model.embed(x).numpy())
            labels.append(label.numpy())
            clips.append(clip.numpy())
    return np.concatenate(features), np.concatenate(labels), np.concatenate(clips)

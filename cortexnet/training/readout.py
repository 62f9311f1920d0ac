"""Classifiers fitted in one step on embedded segments."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from cortexnet.recipe import Recipe


def train_readout(model: nn.Module, data, recipe: Recipe) -> dict:
    """Fit a fixed-feature classifier on all segments of the training clips.

    Parameters
    ----------
    model : nn.Module
        With ``embed`` and ``fit_readout`` (`cortexnet.classifiers.FeatureSVM`).
    data : EvalSegments
    recipe : Recipe
        Its batch size is used.
    """
    features, labels = embed_segments(model, data, recipe.batch_size)[:2]
    model.fit_readout(features, labels)
    return {"n_segments": len(labels)}


def embed_segments(model: nn.Module, data, batch_size=32):
    """Embeddings of every segment: ``(n, p)`` features, ``(n,)`` labels, ``(n,)`` clips."""
    features, labels, clips = [], [], []
    with torch.inference_mode():
        for x, label, clip in DataLoader(data, batch_size):
            features.append(model.embed(x).numpy())
            labels.append(label.numpy())
            clips.append(clip.numpy())
    return np.concatenate(features), np.concatenate(labels), np.concatenate(clips)

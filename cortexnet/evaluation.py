"""Accuracy over segments and over independent clips, with intervals."""

import numpy as np
import torch
from scipy.stats import norm
from torch import nn
from torch.utils.data import DataLoader, Dataset

from cortexnet.calibration import calibration
from cortexnet.fixed import trained_part
from cortexnet.paired import paired_difference

__all__ = [
    "accuracy_report",
    "balanced_log_loss",
    "clip_means",
    "first_of_clips",
    "paired_difference",
    "predict_segments",
    "wilson_interval",
]


def predict_segments(model: nn.Module, data: Dataset, batch_size=32, device="cpu"):
    """Class probabilities of every segment.

    Parameters
    ----------
    model : nn.Module
    data : Dataset
        Segments that `cortexnet.fixed.clips_module` loads.
    batch_size : int
    device : str or torch.device
        Where the model is moved for this; it comes back to the CPU.

    Returns
    -------
    probabilities : ndarray, (n_segments, n_classes)
    labels : ndarray, (n_segments,)
    clips : ndarray, (n_segments,)
        Index of each segment's clip.
    """
    forward = trained_part(model.to(device).eval())
    logits, labels, clips = [], [], []
    with torch.inference_mode():
        for x, label, clip in DataLoader(data, batch_size):
            logits.append(forward(x.to(device)).cpu())
            labels.append(label)
            clips.append(clip)
    model.cpu()
    probabilities = torch.cat(logits).double().softmax(1).numpy()
    return probabilities, torch.cat(labels).numpy(), torch.cat(clips).numpy()


def clip_means(values: np.ndarray, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the segments of each clip.

    Parameters
    ----------
    values : (n_segments, k)
    clips : (n_segments,)

    Returns
    -------
    means : (n_clips, k)
    index : (n_clips,)
        The clips, ascending.
    """
    index, where, counts = np.unique(clips, return_inverse=True, return_counts=True)
    means = np.zeros((len(index), values.shape[1]))
    np.add.at(means, where, values)
    return means / counts[:, None], index


def first_of_clips(values: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Value of the first segment of each clip, such as its label; clips as in `clip_means`."""
    return values[np.unique(clips, return_index=True)[1]]


def balanced_log_loss(means: np.ndarray, truth: np.ndarray) -> float:
    """Mean over classes of the mean over their clips of -log of the probability of the truth.

    Parameters
    ----------
    means : (n_clips, n_classes)
        Mean probabilities over the segments of each clip, so that a clip counts once.
    truth : (n_clips,) int
        Classes without clips do not count.
    """
    losses = -np.log(means[np.arange(len(truth)), truth] + 1e-12)
    return float(np.mean([losses[truth == k].mean() for k in np.unique(truth)]))


def wilson_interval(n_correct: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion; `n_correct` may be a mean over seeds.

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.
    """
    z, p = norm.ppf((1 + level) / 2), n_correct / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return float(max(centre - half, 0)), float(min(centre + half, 1))


def accuracy_report(probabilities, labels, clips, names) -> dict:
    """Summary of a classifier's predictions over segments and clips.

    Parameters
    ----------
    probabilities : (n_segments, n_classes)
    labels : (n_segments,)
        True class of each segment.
    clips : (n_segments,)
        Its clip; a clip's prediction is the class with the largest mean probability.
    names : list of str
        Names of the classes.

    Returns
    -------
    report : dict
        ``segment_accuracy, clip_accuracy, clip_interval`` (Wilson, 95 %), ``n_clips``, ``chance``
        (share of the most frequent class), ``balanced_accuracy`` (mean over classes),
        ``per_class``, ``per_class_interval`` (Wilson), ``confusion`` (rows are the truth), and
        ``calibration`` of clips (`cortexnet.calibration.calibration`).
    """
    means, _ = clip_means(probabilities, clips)
    truth = first_of_clips(labels, clips)
    guess = means.argmax(1)
    matrix = np.zeros((len(names), len(names)), int)
    np.add.at(matrix, (truth, guess), 1)
    counts = matrix.sum(1)
    n_correct = int(np.trace(matrix))
    return {
        "segment_accuracy": float((probabilities.argmax(1) == labels).mean()),
        "clip_accuracy": n_correct / len(truth),
        "clip_interval": list(wilson_interval(n_correct, len(truth))),
        "n_clips": len(truth),
        "n_segments": len(labels),
        "chance": float(counts.max() / counts.sum()),
        "balanced_accuracy": float(np.mean(np.diag(matrix)[counts > 0] / counts[counts > 0])),
        "per_class": {
            name: float(matrix[i, i] / counts[i]) if counts[i] else None
            for i, name in enumerate(names)
        },
        "per_class_interval": {
            name: list(wilson_interval(matrix[i, i], counts[i])) if counts[i] else None
            for i, name in enumerate(names)
        },
        "calibration": calibration(means, truth),
        "confusion": {"labels": list(names), "matrix": matrix.tolist()},
    }

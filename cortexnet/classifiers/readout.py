"""What the read-outs of classic classifiers share: standardisation, tensors, inner folds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cortexnet.evaluation import clip_means
from stimuli import InputError
from stimuli.splits import grouped_folds

INNER_FOLDS = 3
SEGMENTS = 2000  # that inner folds look at; the cost of a support vector machine grows with n^2


class Readout(nn.Module):
    """A classifier of standardised features, fitted in one step and kept as plain tensors.

    What a subclass finds lies in buffers, so that it is saved as safetensors and evaluated
    anywhere; their sizes are known only after the fit or from the file.

    Parameters
    ----------
    n_classes : int
    blocks : sequence of int, optional
        Numbers of features that follow each other and, as a block, have as much variance as any
        other block: many units of one area then do not drown few of another. Default: one block.
    **fixed
        Hyper-parameters that are given; the others are chosen among `grid` by `fit`.

    Attributes
    ----------
    grid : tuple of dict
        Settings to choose from, from the smoothest to the finest decision.
    default : dict
        The setting where there are too few groups to choose one.

    Raises
    ------
    InputError
        If a given hyper-parameter is not a positive number, or there is none of its name.
    """

    grid: tuple[dict, ...]
    default: dict
    buffer_names: tuple[str, ...]

    def __init__(self, n_classes: int, blocks: Sequence[int] | None = None, **fixed):
        super().__init__()
        for name, value in fixed.items():
            if name not in self.default:
                raise InputError(f"no option '{name}'; there are {', '.join(self.default)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise InputError(f"{name} = {value!r}: give a number above 0")
        self.n_classes, self.blocks, self.fixed = n_classes, blocks, fixed
        for name in ("mean", "scale", *self.buffer_names):
            self.register_buffer(name, torch.zeros(0))

    @property
    def is_fitted(self) -> bool:
        """Whether it can classify."""
        return len(self.mean) > 0

    def candidates(self) -> list[dict]:
        """Settings of the grid, with what is fixed."""
        settings = [one | self.fixed for one in self.grid]
        return [one for n, one in enumerate(settings) if one not in settings[:n]]

    def fit(self, features: np.ndarray, labels: np.ndarray, groups=None, clips=None) -> dict:
        """Choose a setting by grouped inner folds, then fit with it on everything.

        Parameters
        ----------
        features : (n, p)
            Of the training side only.
        labels : (n,) int
            Class numbers.
        groups : (n,), optional
            What must stay on one side of an inner fold, such as the track; default: the clip.
        clips : (n,), optional
            Clip of each row; a setting is judged by its accuracy over clips. Default: each row is
            one.

        Returns
        -------
        dict
            The setting: hyper-parameters by name.
        """
        setting = choose_setting(self, features, labels, groups, clips)
        self.fit_with(features, labels, **setting)
        return setting

    def fit_with(self, features: np.ndarray, labels: np.ndarray, **setting) -> None:
        """Fit with given hyper-parameters."""
        features = np.asarray(features, float)
        mean, scale = features.mean(0), features.std(0) + 1e-8
        if self.blocks is not None:
            share = features.shape[1] / len(self.blocks)
            scale *= np.repeat([np.sqrt(size / share) for size in self.blocks], self.blocks)
        found = self.solve((features - mean) / scale, labels, **setting)
        for name, value in {"mean": mean, "scale": scale, **found}.items():
            setattr(self, name, torch.as_tensor(value, dtype=torch.float32))

    def solve(self, z: np.ndarray, labels: np.ndarray, **setting) -> dict[str, np.ndarray]:
        """Buffers by name from standardised features ``(n, p)``."""
        raise NotImplementedError

    def decide(self, z: Tensor) -> Tensor:
        """Logits ``(n, n_classes)`` of standardised features."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(n, n_classes)`` of ``features (n, p)``."""
        if not self.is_fitted:
            raise RuntimeError("the classifier is not fitted; train it first")
        return self.decide((features - self.mean) / self.scale)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        for name in self._buffers:
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def inner_folds(labels, groups=None, clips=None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds of the training side that keep groups whole.

    There are three, or as many as the rarest class has groups; none if that is fewer than two.

    Parameters
    ----------
    labels : (n,)
    groups, clips : (n,), optional
        Default of the groups: the clips; of the clips: each row is one.
    """
    clips = np.arange(len(labels)) if clips is None else clips
    table = pd.DataFrame({"label": labels, "group": clips if groups is None else groups})
    n_folds = min(INNER_FOLDS, table.groupby("label")["group"].nunique().min())
    return grouped_folds(table, n_folds) if n_folds > 1 else []


def held_out_logits(readout: Readout, features, labels, folds, **setting) -> np.ndarray:
    """Logits ``(n, n_classes)`` of every row by the read-out fitted without its fold.

    The read-out is left fitted to one of the folds.
    """
    logits = np.empty((len(labels), readout.n_classes))
    for train, test in folds:
        readout.fit_with(features[train], labels[train], **setting)
        with torch.inference_mode():
            logits[test] = readout(torch.as_tensor(features[test], dtype=torch.float32)).numpy()
    return logits


def choose_setting(readout: Readout, features, labels, groups=None, clips=None) -> dict:
    """Setting with the best accuracy over clips of grouped inner folds; the first of equal ones.

    With no folds (`inner_folds`) or one candidate only, nothing is computed. Of many segments every
    k-th is looked at, at most about `SEGMENTS`.

    Parameters
    ----------
    readout : Readout
        Left fitted to one of the folds.
    features : (n, p)
    labels : (n,)
    groups, clips : (n,), optional

    Returns
    -------
    dict
    """
    candidates = readout.candidates()
    clips = np.arange(len(labels)) if clips is None else np.asarray(clips)
    groups = clips if groups is None else np.asarray(groups)
    some = slice(None, None, -(-len(labels) // SEGMENTS))
    features, labels, groups, clips = features[some], labels[some], groups[some], clips[some]
    if len(candidates) == 1:
        return candidates[0]
    folds = inner_folds(labels, groups, clips)
    if not folds:
        return readout.default | readout.fixed
    accuracy = []
    for setting in candidates:
        logits = held_out_logits(readout, features, labels, folds, **setting)
        probabilities = torch.from_numpy(logits).softmax(1).numpy()
        means, index = clip_means(probabilities, clips)
        truth = labels[[np.argmax(clips == clip) for clip in index]]
        accuracy.append((means.argmax(1) == truth).mean())
    return candidates[int(np.argmax(accuracy))]

"""Training by gradient descent."""

import contextlib
import logging
import warnings
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import nn
from torch.utils.data import DataLoader

from cortexnet.fixed import has_fixed
from cortexnet.mixing import SpecAugment
from cortexnet.recipe import Recipe
from cortexnet.training.checkpoints import KeepBestAndLast, WholeCheckpointIO, read_checkpoint
from cortexnet.training.norms import fit_norms
from cortexnet.training.task import Task, class_weights
from stimuli import InputError
from stimuli.datamodule import ClipsModule


def train_network(
    model: nn.Module, data: ClipsModule, recipe: Recipe, folder: Path, progress: bool = False
) -> dict:
    """Train by gradient descent; the weights with the lowest validation loss are kept.

    The validation loss is of clips, and every class counts alike
    (`cortexnet.evaluation.balanced_log_loss`). An interrupted run goes on from its last whole epoch
    when called again with the same folder, and ends with the same weights as an unbroken one.

    Parameters
    ----------
    model : nn.Module
        Changed in place; holds the best weights on return.
    data : ClipsModule
        With training and validation clips.
    recipe : Recipe
    folder : Path
        Checkpoints and ``log/metrics.csv`` go here.
    progress : bool
        Show a progress bar.

    Returns
    -------
    summary : dict
        ``epochs``, ``best_epoch`` (from 0), ``valid_loss``, ``valid_accuracy`` of the kept weights.

    Raises
    ------
    InputError
        If the recipe masks the front-end's output and the model has no front-end, a loss is not
        finite, or a checkpoint cannot be written or read.
    """
    _check_masks(model, recipe)
    steps = len(data.train_dataloader())
    data.segments("valid")  # what must be computed of them is, before the network is in training
    keep = KeepBestAndLast(Path(folder))
    begun = keep.last.exists()
    if not begun:
        loader = DataLoader(data.segments("train"), recipe.batch_size)
        fit_norms(model, (batch[0] for batch in loader))
    if not begun or not _is_over(keep.last, recipe):
        task = Task(model, recipe, steps, _weights(data, recipe))
        _fit(task, data, keep, progress)
    kept = read_checkpoint(keep.best)
    model.load_state_dict(
        {k.removeprefix("model."): v for k, v in kept["state_dict"].items() if k[:6] == "model."}
    )
    model.cpu().eval()
    best = kept["course"]["history"][-1]
    return {
        "epochs": read_checkpoint(keep.last)["epoch"] + 1,
        "best_epoch": best["epoch"],
        "valid_loss": best["valid_loss"],
        "valid_accuracy": best["valid_accuracy"],
    }


def _is_over(last: Path, recipe: Recipe) -> bool:
    """Whether a run was interrupted only after its last epoch."""
    checkpoint = read_checkpoint(last)
    return checkpoint["course"]["finished"] or checkpoint["epoch"] + 1 >= recipe.epochs


def _weights(data, recipe):
    if not recipe.balanced:
        return None
    labels = np.searchsorted(data.labels, data.sides["train"]["label"].to_numpy(str))
    return class_weights(labels, len(data.labels))


def _fit(task, data, keep, progress):
    task.model.train()  # Lightning trains every module in the mode it finds it in
    callbacks = [keep]
    if progress:
        callbacks.append(TQDMProgressBar(leave=True))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Loading in the main process is as fast: waveforms are in memory.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")  # Lightning's own
        trainer = lightning.Trainer(
            accelerator="auto",
            devices=1,
            max_epochs=task.recipe.epochs,
            callbacks=callbacks,
            plugins=[WholeCheckpointIO()],
            logger=False,
            gradient_clip_val=2.0,
            num_sanity_val_steps=0,
            enable_progress_bar=progress,
            enable_model_summary=False,
        )
        with _masked(task.model, task.recipe, task.mixing):
            trainer.fit(
                task,
                datamodule=data,
                ckpt_path=keep.last if keep.last.exists() else None,
                weights_only=True,
            )


def _check_masks(model, recipe):
    if not recipe.spec_augment:
        return
    if has_fixed(model):
        raise InputError(
            "spec_augment masks the output of a front-end; this network computes its own once and "
            "masks it itself: leave the option out"
        )
    if not isinstance(getattr(model, "frontend", None), nn.Module):
        raise InputError("spec_augment needs a model with a front-end; this one has none")


@contextlib.contextmanager
def _masked(model, recipe, generator):
    """Mask the output of the front-end while the model trains, where the recipe says so."""
    if not recipe.spec_augment:
        yield
        return
    hook = model.frontend.register_forward_hook(SpecAugment(generator))
    try:
        yield
    finally:
        hook.remove()

"""Training by gradient descent."""

import contextlib
import logging
import re
import warnings
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.multiprocessing import ProcessRaisedException
from torch.utils.data import DataLoader

from cortexnet.devices import tensors_by_name, trainer_devices
from cortexnet.fixed import has_fixed
from cortexnet.mixing import SpecAugment
from cortexnet.recipe import Recipe
from cortexnet.training.checkpoints import KeepBestAndLast, WholeCheckpointIO, read_checkpoint
from cortexnet.training.norms import fit_norms
from cortexnet.training.task import Task, class_weights
from stimuli import InputError
from stimuli.datamodule import ClipsModule


def train_network(
    model: nn.Module,
    data: ClipsModule,
    recipe: Recipe,
    folder: Path,
    progress: bool = False,
    device: str = "auto",
    devices: int = 1,
    tensorboard: bool = False,
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
    device : str
        As `cortexnet.devices.find_device`.
    devices : int
        Devices of this kind on each machine, one process each, which share every batch.
    tensorboard : bool
        Write losses for TensorBoard too, to ``tensorboard``.

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
    where = trainer_devices(device, devices)
    steps = len(data.train_dataloader())
    data.segments("valid")  # what must be computed of them is, before the network is in training
    keep = KeepBestAndLast(Path(folder))
    begun = read_checkpoint(keep.last) if keep.last.exists() else None
    if begun is None:
        loader = DataLoader(data.segments("train"), recipe.batch_size)
        fit_norms(model, (batch[0] for batch in loader))
    else:
        _load(model, begun["state_dict"], keep.last)
    if begun is None or not _is_over(begun, recipe):
        task = Task(model, recipe, steps, _weights(data, recipe))
        logger = _tensorboard(folder) if tensorboard else False
        _fit(task, data, keep, progress, logger=logger, **where)
    kept = read_checkpoint(keep.best)
    _load(model, kept["state_dict"], keep.best)
    model.cpu().eval()
    best = kept["course"]["history"][-1]
    return {
        "epochs": read_checkpoint(keep.last)["epoch"] + 1,
        "best_epoch": best["epoch"],
        "valid_loss": best["valid_loss"],
        "valid_accuracy": best["valid_accuracy"],
    }


def _load(model, state, path):
    own = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    try:
        model.load_state_dict(own)
    except RuntimeError as error:
        raise InputError(f"{path}: of another network; delete the folder to train anew") from error


def _is_over(checkpoint: dict, recipe: Recipe) -> bool:
    """Whether a run was interrupted only after its last epoch."""
    return checkpoint["course"]["finished"] or checkpoint["epoch"] + 1 >= recipe.epochs


def _weights(data, recipe):
    if not recipe.balanced:
        return None
    labels = np.searchsorted(data.labels, data.sides["train"]["label"].to_numpy(str))
    return class_weights(labels, len(data.labels))


def _fit(task, data, keep, progress, **trainer_options):
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
            max_epochs=task.recipe.epochs,
            callbacks=callbacks,
            plugins=[WholeCheckpointIO()],
            gradient_clip_val=2.0,
            log_every_n_steps=task.steps,
            num_sanity_val_steps=0,
            enable_progress_bar=progress,
            enable_model_summary=False,
            **trainer_options,
        )
        with _masked(task.model, task.recipe, task.mixing), tensors_by_name():
            begun = keep.last if keep.last.exists() else None
            try:
                trainer.fit(task, datamodule=data, ckpt_path=begun, weights_only=True)
            except ProcessRaisedException as error:
                found = re.search(r"InputError: (.*)", str(error))
                if found is None:
                    raise
                raise InputError(found[1]) from error


def _tensorboard(folder):
    try:
        return TensorBoardLogger(folder, name="", version="tensorboard")
    except ModuleNotFoundError as error:
        raise InputError(
            "tensorboard is not installed; `pip install auditory-cortexnet[tensorboard]`"
        ) from error


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

"""Training on segments of clips, kept by its best clip-level validation."""

import contextlib
import dataclasses
import logging
import warnings
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader

from cortexnet.evaluation import clip_means, predict_segments
from cortexnet.mixing import SpecAugment, mixup
from cortexnet.networks.norm import FittedNorm
from cortexnet.registry import find_model
from stimuli import InputError
from stimuli.datamodule import ClipsModule
from stimuli.dataset import EvalSegments


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    epochs : int
        Passes over the clips; one random segment of every clip each.
    batch_size : int
    learning_rate, weight_decay : float
        Of AdamW under a one-cycle schedule.
    label_smoothing : float
    patience : int
        Epochs without a better validation loss before training stops.
    segment : int
        Samples; 65,536 are 2.97 s at 22,050 Hz.
    seed : int
    augment : bool
        Segments are of random copies of their clip (`stimuli.augment`).
    mixup : float
        Parameter of the Beta distribution of the weights (`cortexnet.mixing.mixup`); 0 is none.
    spec_augment : bool
        Mask bands and frames of the front-end's output (`cortexnet.mixing.spec_augment`).
    """

    epochs: int = 14
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    patience: int = 8
    segment: int = 2**16
    seed: int = 0
    augment: bool = False
    mixup: float = 0.0
    spec_augment: bool = False

    @classmethod
    def of(cls, model: str, **given) -> "Recipe":
        """The recipe of a model of the registry, with what is given (None: not given)."""
        wanted = {key: value for key, value in given.items() if value is not None}
        return cls(**find_model(model).recipe | wanted)


class _Classifier(lightning.LightningModule):
    def __init__(self, model: nn.Module, recipe: Recipe, steps: int):
        super().__init__()
        self.model, self.recipe, self.steps = model, recipe, steps
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.mixing = torch.Generator()
        self.validation = []

    def on_train_batch_start(self, *_):
        # Everything random follows from the seed and the place in training, as order and positions
        # do (`ClipsModule`), so that a resumed run equals an unbroken one.
        place = self.recipe.seed * 1_000_003 + self.global_step
        torch.manual_seed(place)
        self.mixing.manual_seed(place)

    def training_step(self, batch, _):
        x, label, _ = batch
        if self.recipe.mixup > 0:
            n_classes = len(self.trainer.datamodule.labels)
            x, label = mixup(x, label, n_classes, self.recipe.mixup, self.mixing)
        loss = self.loss(self.model(x), label)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(x))
        return loss

    def validation_step(self, batch, _):
        x, label, clip = batch
        self.validation.append((self.model(x).double().softmax(1), label, clip))

    def on_validation_epoch_end(self):
        probabilities, labels, clips = (
            torch.cat(part).cpu().numpy() for part in zip(*self.validation, strict=True)
        )
        self.validation.clear()
        # A clip counts once, however many segments it has.
        means, _ = clip_means(probabilities, clips)
        truth = _of_clips(labels, clips)
        likelihood = np.log(means[np.arange(len(truth)), truth] + 1e-12)
        self.log("valid_loss", -float(likelihood.mean()))
        self.log("valid_accuracy", float((means.argmax(1) == truth).mean()), prog_bar=True)

    def configure_optimizers(self):
        r = self.recipe
        optimizer = torch.optim.AdamW(
            [p for p in self.model.parameters() if p.requires_grad],
            r.learning_rate,
            weight_decay=r.weight_decay,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, r.learning_rate, total_steps=r.epochs * self.steps, pct_start=0.15
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def fit_norms(model: nn.Module, batches) -> None:
    """Fit the fixed normalisations of a model (`FittedNorm`) on batches of waveforms.

    Parameters
    ----------
    model : nn.Module
        Only its `FittedNorm` layers change.
    batches : iterable of (batch, samples) tensors
        Sounds of the *training* side.
    """
    norms = [m for m in model.modules() if isinstance(m, FittedNorm)]
    if not norms:
        return
    model.eval()
    for norm in norms:
        norm.collecting = True
    with torch.inference_mode():
        for x in batches:
            model.stages(x)
    for norm in norms:
        norm.collecting = False


def train_network(
    model: nn.Module, data: ClipsModule, recipe: Recipe, folder: Path, progress: bool = False
) -> dict:
    """Train by gradient descent; the weights with the lowest validation loss are kept.

    An interrupted run goes on from its last whole epoch when called again with the same folder,
    and ends with the same weights as an unbroken one.

    Parameters
    ----------
    model : nn.Module
        Changed in place; holds the best weights on return.
    data : ClipsModule
        With training and validation clips.
    recipe : Recipe
    folder : Path
        Checkpoints and ``metrics.csv`` go here.
    progress : bool
        Show a progress bar.

    Returns
    -------
    summary : dict
        ``epochs``, ``best_epoch``, ``valid_loss``, ``valid_accuracy`` of the kept weights.

    Raises
    ------
    InputError
        If the recipe masks the front-end's output and the model has no front-end.
    """
    steps = len(data.train_dataloader())
    checkpoints = Path(folder) / "checkpoints"
    last = checkpoints / "last.ckpt"
    if not last.exists():
        loader = DataLoader(data.segments("train"), recipe.batch_size)
        fit_norms(model, (batch[0] for batch in loader))
    model.train()  # Lightning trains every module in the mode it finds it in
    best = ModelCheckpoint(
        checkpoints, "best", monitor="valid_loss", save_last=True, enable_version_counter=False
    )
    callbacks = [best, EarlyStopping("valid_loss", patience=recipe.patience)]
    if progress:
        callbacks.append(TQDMProgressBar(leave=True))
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Loading in the main process is as fast: waveforms are in memory.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory.*exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")  # Lightning's own
        trainer = lightning.Trainer(
            accelerator="auto",
            devices=1,
            max_epochs=recipe.epochs,
            callbacks=callbacks,
            logger=CSVLogger(folder, name="", version="log"),
            log_every_n_steps=steps,
            gradient_clip_val=2.0,
            num_sanity_val_steps=0,
            enable_progress_bar=progress,
            enable_model_summary=False,
        )
        task = _Classifier(model, recipe, steps)
        with _masked(model, recipe, task.mixing):
            trainer.fit(
                task,
                datamodule=data,
                ckpt_path=last if last.exists() else None,
                weights_only=True,
            )
    kept = torch.load(best.best_model_path, weights_only=True)
    task.load_state_dict(kept["state_dict"])
    model.cpu().eval()
    probabilities, labels, clips = predict_segments(
        model, data.segments("valid"), recipe.batch_size
    )
    correct = clip_means(probabilities, clips)[0].argmax(1) == _of_clips(labels, clips)
    return {
        "epochs": trainer.current_epoch,
        "best_epoch": kept["epoch"],
        "valid_loss": float(best.best_model_score),
        "valid_accuracy": float(correct.mean()),
    }


@contextlib.contextmanager
def _masked(model, recipe, generator):
    """Mask the output of the front-end while the model trains, where the recipe says so."""
    if not recipe.spec_augment:
        yield
        return
    if not isinstance(getattr(model, "frontend", None), nn.Module):
        raise InputError("spec_augment needs a model with a front-end; this one has none")
    hook = model.frontend.register_forward_hook(SpecAugment(generator))
    try:
        yield
    finally:
        hook.remove()


def _of_clips(labels, clips) -> np.ndarray:
    """Label of each clip, in the order of `clip_means`, from those of its segments."""
    return labels[np.unique(clips, return_index=True)[1]]


def train_readout(model: nn.Module, data: EvalSegments, recipe: Recipe) -> dict:
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


def embed_segments(model: nn.Module, data: EvalSegments, batch_size=32):
    """Embeddings of every segment: ``(n, p)`` features, ``(n,)`` labels, ``(n,)`` clips."""
    features, labels, clips = [], [], []
    with torch.inference_mode():
        for x, label, clip in DataLoader(data, batch_size):
            features.append(model.embed(x).numpy())
            labels.append(label.numpy())
            clips.append(clip.numpy())
    return np.concatenate(features), np.concatenate(labels), np.concatenate(clips)

"""One step of training, one of validation, and what a checkpoint must hold beside the weights."""

import lightning
import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from cortexnet.evaluation import balanced_log_loss, clip_means, first_of_clips
from cortexnet.fixed import trained_part
from cortexnet.mixing import mixup
from cortexnet.recipe import Recipe
from cortexnet.training.optimizers import LOWEST_RATE, EarlyStop, make_optimizer, make_schedule
from stimuli import InputError


class Task(lightning.LightningModule):
    """A network, its recipe and the course that training takes.

    Plateau schedule and early stop are advanced here and not by the trainer, because it saves
    checkpoints before it advances its own: a run that is resumed from one would forget an epoch.

    Parameters
    ----------
    model : nn.Module
    recipe : Recipe
    steps : int
        In an epoch.
    class_weights : (n_classes,) tensor, optional
        Of the loss (`class_weights`).

    Attributes
    ----------
    history : list of dict
        Of every epoch so far: epoch (from 0), learning_rate, train_loss, valid_loss,
        valid_accuracy.
    improved : bool
        Whether that loss is the lowest so far, so that its weights are to be kept.
    finished : bool
        Whether early stop or schedule ended training.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, steps: int, class_weights=None):
        super().__init__()
        self.model, self.recipe, self.steps = model, recipe, steps
        self.loss = nn.CrossEntropyLoss(class_weights, label_smoothing=recipe.label_smoothing)
        self.mixing = torch.Generator()
        self.early_stop = EarlyStop(recipe.patience, recipe.min_delta)
        self.plateau, self.lowest = None, float("inf")
        self.history, self.improved, self.finished = [], False, False
        self._training, self._validation = [], []

    def on_train_batch_start(self, *_):
        # Everything random follows from the seed and the place in training, as order and positions
        # do (`ClipsModule`), so that a resumed run equals an unbroken one.
        place = self.recipe.seed * 1_000_003 + self.global_step
        place += self.global_rank << 40  # processes draw different masks
        torch.manual_seed(place)
        self.mixing.manual_seed(place)

    def training_step(self, batch, _):
        x, label, _ = batch
        if self.recipe.mixup > 0:
            n_classes = len(self.trainer.datamodule.labels)
            x, label = mixup(x, label, n_classes, self.recipe.mixup, self.mixing)
        loss = self.loss(trained_part(self.model)(x), label)
        self._check_finite(float(loss.detach()), "training")
        self._training.append((loss.detach()[None], torch.tensor([len(x)])))
        return loss

    def validation_step(self, batch, _):
        x, label, clip = batch
        logits = trained_part(self.model)(x)
        self._validation.append((logits.double().softmax(1), label, clip))

    def on_validation_epoch_end(self):
        probabilities, labels, clips = self._gather(self._validation)
        train_losses, sizes = self._gather(self._training)
        means, _ = clip_means(probabilities, clips)
        truth = first_of_clips(labels, clips)
        loss = balanced_log_loss(means, truth)
        self._check_finite(loss, "validation")
        row = {
            "epoch": self.current_epoch,
            "learning_rate": self.optimizers().param_groups[0]["lr"],
            "train_loss": float(np.average(train_losses, weights=sizes)),
            "valid_loss": loss,
            "valid_accuracy": float((means.argmax(1) == truth).mean()),
        }
        self.history.append(row)
        self.log_dict({key: row[key] for key in ("train_loss", "valid_loss", "learning_rate")})
        self.log("valid_accuracy", row["valid_accuracy"], prog_bar=True)
        self._advance(loss)

    def _gather(self, batches: list) -> list[np.ndarray]:
        """Columns of what was collected, from all processes, in the order of a single one."""
        columns = [torch.cat(part).cpu().numpy() for part in zip(*batches, strict=True)]
        batches.clear()
        if self.trainer.world_size == 1:
            return columns
        shares = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(shares, columns)
        shares = [share for share in shares if share]  # more processes than segments
        whole = []
        for parts in zip(*shares, strict=True):
            column = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
            for rank, part in enumerate(parts):
                column[rank :: len(parts)] = part
            whole.append(column)
        return whole

    def _advance(self, loss: float):
        self.improved = loss < self.lowest
        self.lowest = min(self.lowest, loss)
        self.finished = self.early_stop.update(loss)
        if self.plateau is not None:
            self.plateau.step(loss)
            rate = self.plateau.optimizer.param_groups[0]["lr"]
            self.finished = self.finished or rate < LOWEST_RATE
        if self.finished:
            self.trainer.should_stop = True

    def _check_finite(self, loss: float, side: str):
        if not np.isfinite(loss):
            raise InputError(
                f"{side} loss is {loss} in epoch {self.current_epoch}, step "
                f"{self.global_step}; the last good checkpoint is kept: train with a lower "
                "learning rate or look at the sounds"
            )

    def configure_optimizers(self):
        optimizer = make_optimizer(self.model.parameters(), self.recipe)
        schedule = make_schedule(optimizer, self.recipe, self.steps)
        if isinstance(schedule, ReduceLROnPlateau):
            self.plateau, schedule = schedule, None
        if schedule is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint):
        checkpoint["course"] = {
            "history": self.history,
            "lowest": self.lowest,
            "best": self.early_stop.best,
            "waited": self.early_stop.waited,
            "finished": self.finished,
            "plateau": None if self.plateau is None else self.plateau.state_dict(),
        }

    def on_load_checkpoint(self, checkpoint):
        course = checkpoint["course"]
        self.history, self.lowest = course["history"], course["lowest"]
        self.early_stop.best, self.early_stop.waited = course["best"], course["waited"]
        self._plateau_state = course["plateau"]

    def on_train_start(self):
        # The scheduler exists only now; its optimiser was restored with the rate it had.
        if self.plateau is not None and getattr(self, "_plateau_state", None):
            self.plateau.load_state_dict(self._plateau_state)


def class_weights(labels, n_classes: int) -> torch.Tensor:
    """Weights inverse to the frequency of each class, with a mean of 1 over the clips.

    Parameters
    ----------
    labels : (n_clips,) int
    n_classes : int

    Returns
    -------
    (n_classes,) float32
        0 for a class without clips.
    """
    counts = np.bincount(labels, minlength=n_classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.as_tensor(np.where(counts > 0, weights, 0), dtype=torch.float32)

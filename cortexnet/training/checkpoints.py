"""Checkpoints that are written whole or not at all, and read without executing anything."""

import errno
import pickle
from pathlib import Path

import pandas as pd
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from stimuli import InputError
from stimuli.provenance import whole_file

_NOT_WHOLE = (
    pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError, ValueError,
)  # fmt: skip


class WholeCheckpointIO(TorchCheckpointIO):
    """Lightning's reading and writing, beside the old file and then in its place.

    Lightning's own goes through the folder of temporary files, from where a file that does not fit
    on the disk arrives cut short over the old one.
    """

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with whole_file(path) as partial:
                torch.save(checkpoint, partial)
        except (OSError, RuntimeError) as error:
            raise InputError(_why(path, error)) from error


def _why(path, error) -> str:
    # torch reports a full disk as a RuntimeError of its archive writer.
    reason = error.strerror if isinstance(error, OSError) else "disk full or file too large"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        reason = "no space left on the disk"
    return (
        f"{path}: checkpoint could not be written ({reason}); the one before is whole: make room "
        "and start the same command again"
    )


def read_checkpoint(path: Path) -> dict:
    """Tensors and plain values of a checkpoint; nothing in it is executed.

    Raises
    ------
    InputError
        If it is damaged or holds anything else.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not {"course", "state_dict"} <= set(checkpoint):
            raise ValueError("of another version")
    except _NOT_WHOLE as error:
        raise InputError(
            f"{path}: not a whole checkpoint of plain tensors; delete it to train from the start"
        ) from error
    return checkpoint


class KeepBestAndLast(Checkpoint):
    """After every validation: the log; ``best.ckpt``, weights, if better; then ``last.ckpt``.

    In this order a run that is killed in between repeats the epoch and writes all of them.

    Parameters
    ----------
    folder : Path
        Of the run; checkpoints go to ``checkpoints``, the log to ``log/metrics.csv``.
    """

    def __init__(self, folder: Path):
        checkpoints = Path(folder) / "checkpoints"
        self.best, self.last = checkpoints / "best.ckpt", checkpoints / "last.ckpt"
        self.metrics = Path(folder) / "log" / "metrics.csv"

    def on_validation_end(self, trainer, task):
        if trainer.sanity_checking:
            return
        if trainer.is_global_zero:
            self.metrics.parent.mkdir(exist_ok=True)
            with whole_file(self.metrics) as partial:
                pd.DataFrame(task.history).to_csv(partial, index=False)
        if task.improved:
            trainer.save_checkpoint(self.best, weights_only=True)
        trainer.save_checkpoint(self.last, weights_only=False)

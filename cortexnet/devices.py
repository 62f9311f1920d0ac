"""Where a model is trained: device, processes, and which of them writes."""

import contextlib
import os

import torch
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.utilities import rank_zero_only

from stimuli import InputError


def find_device(name: str) -> torch.device:
    """The device of a name: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".

    Raises
    ------
    InputError
        If there is no such device here.
    """
    cuda, mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(
            f"device '{name}' is unknown; use auto, cpu, cuda, cuda:1 or mps"
        ) from error
    there = {"cpu": 1, "cuda": cuda, "mps": int(mps)}.get(device.type, 0)
    if (device.index or 0) >= there:
        raise InputError(
            f"device '{name}': torch finds {there} of this kind here; use --device cpu or auto"
        )
    return device


def trainer_devices(name: str, processes: int) -> dict:
    """Arguments of Lightning's trainer for a device and a number of processes on each machine.

    Processes are started here, or were started by SLURM (``srun``) or ``torchrun``.
    """
    device = find_device(name)
    if processes == 1 and not launched_outside():
        one = 1 if device.index is None else [device.index]
        return {"accelerator": device.type, "devices": one}
    if launched_outside():
        nodes = int(os.environ.get("SLURM_NNODES", os.environ.get("GROUP_WORLD_SIZE", 1)))
        where = {"strategy": "ddp", "num_nodes": nodes}
    else:
        where = {"strategy": "ddp_spawn"}
    # Order and shares are those of `ClipsModule`.
    return {
        "accelerator": device.type,
        "devices": processes,
        "use_distributed_sampler": False,
    } | where


@contextlib.contextmanager
def tensors_by_name():
    """Hand tensors to new processes by names in shared memory, not by open files.

    Open files of large data sets run into the limit of their number, and a process that cannot
    open one dies while its parent waits for it for ever.
    """
    before = torch.multiprocessing.get_sharing_strategy()
    torch.multiprocessing.set_sharing_strategy("file_system")
    try:
        yield
    finally:
        torch.multiprocessing.set_sharing_strategy(before)


def launched_outside() -> bool:
    """Whether this is one of several processes that SLURM or torchrun started."""
    if TorchElasticEnvironment.detect():
        return int(os.environ.get("WORLD_SIZE", 1)) > 1
    return SLURMEnvironment.detect() and int(os.environ.get("SLURM_NTASKS", 1)) > 1


def is_lead() -> bool:
    """Whether this process is the one that writes results."""
    return not rank_zero_only.rank

"""The same work for every clip, a clip on each processor."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

Found = TypeVar("Found")


def over_clips(
    work: Callable[[str, np.ndarray], Found], waves: dict[str, np.ndarray], workers: int = 0
) -> list[Found]:
    """Results in the order of the clips, the same for any number of workers.

    Parameters
    ----------
    work : callable
        Given clip_id and sound.
    waves : {clip_id: (n_samples,) float32}
    workers : int
        Threads; default one a processor. Libraries have one thread in each: small
        products gain little from more, and may then round otherwise.
    """
    first, *rest = waves.items()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            ThreadpoolController().limit(limits=1),
            ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool,
        ):
            # Filters that are built when a length is first met are built once.
            return [work(*first), *pool.map(lambda one: work(*one), rest)]
    finally:
        torch.set_num_threads(before)

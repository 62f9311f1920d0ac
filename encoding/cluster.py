"""Workers on this machine or several, through Dask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .errors import InputError

_INSTALL = "pip install auditory-cortexnet[cluster]"


class Cluster:
    """Workers that see the same files.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client):
        self.client = client

    def map(self, function: Callable, tasks: Sequence[tuple]) -> Iterator:
        """Results of function(*task), in the order in which tasks end.

        Tasks of a worker that is lost are done again by others: they should leave alone what is
        on disk already.

        Raises
        ------
        InputError
            A task lost its worker time and again.
        """
        from distributed import KilledWorker, as_completed

        if not tasks:
            return
        # Equal calls in separate runs are not the same task: files may have gone since.
        futures = self.client.map(function, *zip(*tasks, strict=True), pure=False)
        try:
            for _, result in as_completed(futures, with_results=True):
                yield result
        except KilledWorker as error:
            raise InputError(
                "a task lost its worker several times, most likely for want of memory; give "
                "workers more of it or the command less (--memory)"
            ) from error
        finally:
            self.client.cancel(futures)


@contextmanager
def open_cluster(address: str) -> Iterator[Cluster]:
    """Workers for `fit_layers`, let go at the end.

    Each worker does one chunk at a time with one BLAS thread.

    Parameters
    ----------
    address : str
        "local" (a worker a CPU) or "local:4"; "slurm" or "slurm:16" (jobs, as configured in
        dask-jobqueue's `jobqueue.yaml`); or the address of a scheduler, as "tcp://host:8786",
        whose workers have this package installed.

    Yields
    ------
    Cluster

    Raises
    ------
    InputError
        The address is of another form, nobody answers there, or Dask is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError(f"--cluster needs Dask, which is not installed; {_INSTALL}") from error
    found = re.fullmatch(r"(local|slurm)(?::(\d+))?", address)
    remote = re.fullmatch(r"(tcp|tls)://.+:\d+", address)
    if not remote and (not found or found[2] == "0"):
        raise InputError(
            f"cluster '{address}'; give local, local:2, slurm, slurm:8 or tcp://host:8786"
        )
    if remote:
        try:
            client = distributed.Client(address, timeout="20s")
        except OSError as error:
            raise InputError(
                f"{address}: no Dask scheduler answers; start one with `dask scheduler`"
            ) from error
        with client:
            yield Cluster(client)
        return
    count = int(found[2]) if found[2] else None
    start = _local if found[1] == "local" else _slurm
    with start(count) as workers, distributed.Client(workers) as client:
        yield Cluster(client)


def _local(count):
    from distributed import LocalCluster
    from joblib import cpu_count

    # Nannies set the threads of BLAS to one before workers start, and replace lost workers.
    return LocalCluster(count or cpu_count(), threads_per_worker=1, dashboard_address=None)


def _slurm(count):
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise InputError(
            f"--cluster slurm needs dask-jobqueue, which is not installed; {_INSTALL}"
        ) from error
    workers = SLURMCluster()
    workers.scale(jobs=count or 1)
    return workers

"""Workers give what one process gives, also when one of them dies."""

import os
import signal
import sys

import numpy as np
import pytest
from test_encoding_tasks import problem, same
from threadpoolctl import threadpool_limits

from encoding import InputError, fit_layers
from encoding.cluster import open_cluster

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore::encoding.RidgeEdgeWarning")


@pytest.mark.slow
def test_a_lost_worker_loses_no_result(tmp_path):
    features, Y, samples = problem(12_000)
    np.save(tmp_path / "y.npy", Y)
    with threadpool_limits(1):
        serial = fit_layers(features, Y, samples, (1, 2))
    killed, lines = [], []
    with open_cluster("local:2") as cluster:
        pids = cluster.client.run(os.getpid)
        assert len(pids) == 2 and set(cluster.client.run(blas_threads).values()) == {1}

        def kill_one(line):
            lines.append(line)
            if not killed:
                killed.append(min(pids.values()))
                os.kill(killed[0], signal.SIGKILL)

        for responses, folder in ((np.load(tmp_path / "y.npy", mmap_mode="r"), "w"), (Y, "v")):
            scores = fit_layers(
                features,
                responses,
                samples,
                (1, 2),
                chunk=1,
                folder=tmp_path / folder,
                cluster=cluster,
                report=kill_one,
            )
            same(scores, serial)
        assert killed[0] not in cluster.client.run(os.getpid).values()
    assert sum(line.startswith("12 of 12") for line in lines) == 2
    assert not list((tmp_path / "v").glob("*responses*"))


def blas_threads():
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    return max(pool["num_threads"] for pool in threadpool_info())


def test_addresses_and_folders_that_cannot_work_are_refused(monkeypatch):
    for address in ("", "local:0", "slurm:x", "host:8786", "tcp://host"):
        with pytest.raises(InputError, match="slurm:8"), open_cluster(address):
            pass
    features, Y, samples = problem(10)
    with pytest.raises(InputError, match="folder"):
        fit_layers(features, Y, samples, cluster=object())
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"auditory-cortexnet\[cluster\]"), open_cluster("local"):
        pass


def test_slurm_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(InputError, match=r"auditory-cortexnet\[cluster\]"), open_cluster("slurm"):
        pass


@pytest.mark.slow
def test_a_scheduler_named_by_its_address_does_the_work(tmp_path):
    from distributed import LocalCluster

    with LocalCluster(1, threads_per_worker=1, dashboard_address=None) as started:
        assert started.scheduler_address.startswith("tcp://")
        works_alike(started.scheduler_address, tmp_path)


def works_alike(address, folder):
    features, Y, samples = problem(5000)
    with open_cluster(address) as cluster:
        given = {"chunk": 1, "folder": folder / "w", "cluster": cluster}
        scores = fit_layers(features, Y, samples, (1, 2), **given)
    with threadpool_limits(1):
        same(scores, fit_layers(features, Y, samples, (1, 2)))

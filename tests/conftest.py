"""Fixtures shared by all rooms."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the research data (never part of the repository)."""
    folder = os.environ.get("CORTEXNET_DATA")
    if not folder:
        pytest.skip("set CORTEXNET_DATA to the folder with ds003720, nh2015, gtzan, soundtracks")
    return Path(folder)


@pytest.fixture
def tiny():
    """Two networks of a few hundred weights in the registry (`tiny_networks`)."""
    import tiny_networks

    with tiny_networks.registered():
        yield tiny_networks
    tiny_networks.TinyWave.fuse = None


@pytest.fixture(scope="session")
def tiny_clips(tmp_path_factory):
    """24 clips of 1.3 s of three classes at 8 kHz."""
    from tiny_networks import write_clips

    return write_clips(tmp_path_factory.mktemp("tiny"))

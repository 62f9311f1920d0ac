"""What a result was made with."""

import datetime
import hashlib
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

from cortexnet.runs import write_json

PACKAGES = (
    "auditory-cortexnet",
    "torch",
    "lightning",
    "kymatio",
    "librosa",
    "numpy",
    "scipy",
    "scikit-learn",
    "nilearn",
    "xarray",
    "zarr",
)


def write_provenance(folder: Path, config: dict, inputs: tuple[Path, ...] = ()) -> None:
    """Write ``provenance.json``: command, resolved options, versions, inputs and machine.

    Parameters
    ----------
    folder : Path
        Of the results.
    config : dict
        The resolved options.
    inputs : paths
        Files are hashed; of folders only the name is kept.
    """
    write_json(
        Path(folder) / "provenance.json",
        {
            "command": shlex.join(["cortexnet", *sys.argv[1:]]),
            "config": {key: _plain(value) for key, value in config.items()},
            "inputs": {str(path): _file_hash(path) for path in inputs},
            "versions": {name: _version(name) for name in PACKAGES}
            | {"python": platform.python_version()},
            "git_commit": _commit(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
    )


def _plain(value):
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _file_hash(path: Path) -> str | None:
    path = Path(path)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _commit() -> str | None:
    """Commit of the source tree, where the package runs from one."""
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

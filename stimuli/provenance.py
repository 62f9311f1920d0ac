"""What made a file: content hashes, a ledger of finished work, files written whole or not."""

import hashlib
import json
import os
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import soundfile
import soxr

from stimuli.errors import InputError

# Most file systems tick in a few milliseconds, some in two seconds: a younger file can change again
# without a new modification time.
_RACY_SECONDS = 2.0


def digest(value) -> str:
    """SHA-256 of a value of JSON types, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def decoder_versions() -> dict[str, str]:
    """Versions of the libraries that decode and resample: others may give other samples."""
    return {"libsndfile": soundfile.__libsndfile_version__, "soxr": soxr.__version__}


def copy_settings(augmenter, clip_id, copy) -> dict:
    """What one copy of a clip depends on besides the sound: not on how many others there are."""
    this = {"copies": None, "kinds": [augmenter.kind(copy)]}
    return augmenter.settings() | this | {"clip_id": clip_id, "copy": copy}


@contextmanager
def whole_file(path):
    """Give a temporary path beside `path`, which replaces it when the block ends well.

    Yields
    ------
    Path
        Hidden, unique among processes and threads; removed when the block raises.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class Ledger:
    """A dictionary on disk that only grows and survives being killed at any time.

    One JSON line a record, appended in a single write, so that several processes may share a file;
    of two records of a name the later counts, and an unfinished line is passed over.

    Parameters
    ----------
    path : path
        Its folder must exist; the file is made with the first record.
    """

    def __init__(self, path):
        self.path, self._lock, self._records = Path(path), threading.Lock(), {}
        if not self.path.is_file():
            return
        for line in self.path.read_bytes().splitlines():
            try:
                name, value = json.loads(line)
            except ValueError:
                continue
            if isinstance(name, str):
                self._records[name] = value

    def get(self, name: str):
        """Value of a name, or None."""
        return self._records.get(name)

    def names(self) -> list[str]:
        """All names, oldest first."""
        return list(self._records)

    def add(self, name: str, value) -> None:
        """Record a value of JSON types."""
        # A leading line break ends whatever a killed process left unfinished.
        line = f"\n{json.dumps([name, value])}\n".encode()
        with self._lock:
            self._records[name] = value
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)


class FileHashes:
    """Content hashes of files, remembered by size and time of modification.

    Parameters
    ----------
    path : path
        Of the ledger.
    """

    def __init__(self, path):
        self._ledger = Ledger(path)

    def sha256(self, path) -> str:
        """SHA-256 of a file's bytes.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        path = os.path.abspath(path)
        try:
            status = os.stat(path)
            known = self._ledger.get(path)
            if isinstance(known, list) and known[:2] == [status.st_size, status.st_mtime_ns]:
                return known[2]
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        if time.time() - status.st_mtime > _RACY_SECONDS:
            self._ledger.add(path, [status.st_size, status.st_mtime_ns, found])
        return found

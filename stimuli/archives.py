"""Unpacking of downloaded archives (GTZAN's genres.tar.gz, zip files) that are not trusted."""

import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from stimuli.errors import InputError

# GTZAN is 1.3 GB and has 1000 files.
MAX_BYTES = 8 * 2**30
MAX_MEMBERS = 100_000
_DRIVE = re.compile("[A-Za-z]:")


class _Budget:
    """Counts members and the bytes that they announce; refuses those beyond the bounds."""

    def __init__(self, archive, max_bytes):
        self.archive, self.max_bytes = archive, max_bytes
        self.bytes = 0
        self.seen = set()

    def refuse(self, name, why, remedy="get the archive from another source"):
        raise InputError(f"{self.archive}: member '{name}' {why}; {remedy}")

    def admit(self, name, size, is_folder):
        """Path of a file below the folder, or None for the folder itself."""
        path = PurePosixPath(name.replace("\\", "/"))
        if not path.parts and name:
            return None
        if not name or path.is_absolute() or _DRIVE.match(name):
            self.refuse(name, "has an absolute or empty path")
        if ".." in path.parts or "\0" in name:
            self.refuse(name, "leads out of the folder")
        if path in self.seen and not is_folder:
            self.refuse(name, "occurs twice")
        self.seen.add(path)
        self.bytes += size
        if self.bytes > self.max_bytes or len(self.seen) > MAX_MEMBERS:
            self.refuse(
                name,
                f"makes it larger than {self.max_bytes:,} bytes or {MAX_MEMBERS:,} members",
                "raise max_bytes if it is meant to be",
            )
        return path


def _unpack_tar(archive, folder, budget):
    with tarfile.open(archive) as tar:
        for member in tar:
            if not (member.isreg() or member.isdir()):
                kind = "link" if member.issym() or member.islnk() else "device or special file"
                budget.refuse(member.name, f"is a {kind}")
            if budget.admit(member.name, member.size, member.isdir()) is not None:
                tar.extract(member, folder, filter="data")


def _unpack_zip(archive, folder, budget):
    with zipfile.ZipFile(archive) as contents:
        for member in contents.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                budget.refuse(member.filename, "is a link, device or special file")
            if member.flag_bits & 1:
                budget.refuse(member.filename, "is encrypted", "unpack the archive by hand")
            path = budget.admit(member.filename, member.file_size, member.is_dir())
            if path is None:
                continue
            target = folder / path
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            # zipfile stops at the announced size, whatever the compressed data hold.
            with contents.open(member) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)


def unpack(archive, out, max_bytes=MAX_BYTES) -> Path:
    """Unpack a tar (any compression) or zip archive into a new folder, whole or not at all.

    Parameters
    ----------
    archive : path
    out : path
        A new folder, or an empty one.
    max_bytes : int
        Bound on the size of all files together.

    Returns
    -------
    Path of `out`

    Raises
    ------
    InputError
        If the archive is missing, damaged or of another kind, `out` is not empty, or a member has
        an absolute path, leads out of the folder, occurs twice, is a link, a device or encrypted,
        or exceeds the bound on size (naming the member). Nothing is left behind then.
    """
    archive, out = Path(archive), Path(out)
    if not archive.is_file():
        raise InputError(f"{archive}: no such file")
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise InputError(f"{out}: exists and is not an empty folder; name a new one")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    budget = _Budget(archive, max_bytes)
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, partial, budget)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, partial, budget)
        else:
            raise InputError(f"{archive}: neither tar nor zip; it may be cut off, get it again")
        if not budget.seen:
            raise InputError(f"{archive}: holds no files; get it again")
        partial.chmod(0o755)
        if out.exists():
            out.rmdir()
        os.replace(partial, out)
    except (
        *(tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError),
        *(UnicodeError, NotImplementedError),
    ) as error:
        raise InputError(
            f"{archive}: cannot be unpacked ({error}); get it again, or make room in {out.parent}"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out

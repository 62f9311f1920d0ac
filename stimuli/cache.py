"""Features of clips on disk, found again by the content and settings they were made from."""

import json
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stimuli.audio import RMS, SAMPLE_RATE
from stimuli.clips import waveform
from stimuli.errors import InputError
from stimuli.provenance import FileHashes, copy_settings, decoder_versions, digest, whole_file

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SET = re.compile(r".+-[0-9a-f]{16}")
_FLOAT32 = np.dtype("<f4")


class FeatureCache:
    """Feature matrices of clips and their augmented copies, one raw ``.npy`` file each.

    A file is found by a hash of what it was made from: the content of the sound file, excerpt,
    fade, level, sample rate, augmentation, the settings of the features and the versions of the
    decoders. Whatever of these changes, old features are not found again. Files are replaced
    whole, so that a build may be killed and several may run at a time.

    Parameters
    ----------
    folder : path
        Made if need be; many caches may share it.
    name : str
        Of the features: letters, digits, ``_``, ``.``, ``-``.
    settings : dict
        Of JSON types: all that the features depend on, such as front-end, parameters and version.
    sample_rate : int
        Hz, of the sound that the features are computed from.
    rms : float
        Its root mean square, full scale at 1.

    Raises
    ------
    InputError
        If the name has other characters.
    """

    def __init__(self, folder, name, settings, sample_rate=SAMPLE_RATE, rms=RMS):
        if not _NAME.fullmatch(name):
            raise InputError(f"'{name}' cannot name a feature cache; use letters, digits, _ . -")
        self.name, self.sample_rate, self.rms = name, sample_rate, rms
        self.settings = {
            "name": name,
            "features": settings,
            "sample_rate": sample_rate,
            "rms": rms,
            "decoder": decoder_versions(),
        }
        self.root = Path(folder).resolve()
        self.folder = self.root / f"{name}-{digest(self.settings)[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "settings.json").is_file():
            self._note_settings()
        self._hashes = FileHashes(self.root / "hashes.jsonl")

    def _note_settings(self):
        with whole_file(self.folder / "settings.json") as partial:
            partial.write_text(json.dumps(self.settings, indent=1) + "\n", encoding="utf-8")

    def _paths(self, row, augmenter):
        """Files of a clip's copies, the original first; only training clips have others."""
        sound = [
            self._hashes.sha256(row["path"]),
            *(None if pd.isna(row.get(key)) else float(row[key]) for key in ("start", "end")),
            float(row["fade"]) if row.get("fade", 0) > 0 else 0.0,  # 0 for NaN
        ]
        keys = [digest(sound)]
        if augmenter is not None and row.get("split") == "train":
            keys += [
                digest([sound, copy_settings(augmenter, row["clip_id"], copy)])
                for copy in range(1, augmenter.copies + 1)
            ]
        return [self.folder / f"{key[:32]}.npy" for key in keys]

    def build(
        self,
        clips,
        transform: Callable[[np.ndarray, int], np.ndarray],
        augmenter=None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[dict]:
        """Compute what is missing: each clip is decoded once, then every copy made and transformed.

        Parameters
        ----------
        clips : DataFrame
            A clip table.
        transform : callable
            ``transform(wave, sample_rate) -> (time, unit) array``; called from several threads.
        augmenter : stimuli.augment.Augmenter, optional
            Of the copies of rows of split "train"; the others have none.
        workers : int, optional
            Threads; default one a processor.
        progress : callable, optional
            Called with (clips done, clips in all); first with those that were done before.

        Returns
        -------
        list of {"path", "what"}
            Clips that could not be read or transformed; the others are done.
        """
        rows, problems = clips.to_dict("records"), {}

        def missing(row):
            try:
                return [
                    (copy, path)
                    for copy, path in enumerate(self._paths(row, augmenter))
                    if feature_header(path) is None
                ]
            except InputError as error:
                return error

        def make(row, wanted):
            try:
                wave = waveform(row, self.sample_rate, self.rms)
                for copy, path in wanted:
                    x = wave
                    if copy:
                        x = augmenter(wave, self.sample_rate, row["clip_id"], copy)
                    try:
                        features = transform(x, self.sample_rate)
                    except InputError as error:
                        raise InputError(f"clip '{row['clip_id']}': {error}") from error
                    _write(path, features, row)
            except InputError as error:
                return error
            return None

        # Clips are what is spread over cores: within one, more threads would only wait in line,
        # and the order of sums would follow the number of cores.
        before = torch.get_num_threads()
        pool = ThreadPoolExecutor(
            workers or os.cpu_count() or 1, initializer=torch.set_num_threads, initargs=(1,)
        )
        try:
            waiting = []
            for i, wanted in enumerate(pool.map(missing, rows)):
                if isinstance(wanted, InputError):
                    problems[i] = wanted
                elif wanted:
                    waiting.append((i, wanted))
            done = len(rows) - len(waiting)
            if progress is not None:
                progress(done, len(rows))
            making = {pool.submit(make, rows[i], wanted): i for i, wanted in waiting}
            for finished in as_completed(making):
                if finished.result() is not None:
                    problems[making[finished]] = finished.result()
                done += 1
                if progress is not None:
                    progress(done, len(rows))
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)
        return [{"path": rows[i]["path"], "what": str(problems[i])} for i in sorted(problems)]

    def paths(self, clips, augmenter=None) -> list[list[Path]]:
        """Feature files of every clip: the original's, then those of its copies.

        Raises
        ------
        InputError
            If one is not there.
        """
        found = [self._paths(row, augmenter) for row in clips.to_dict("records")]
        for clip_id, paths in zip(clips["clip_id"], found, strict=True):
            if any(feature_header(path) is None for path in paths):
                raise InputError(f"clip '{clip_id}' has no {self.name} features; build the cache")
        return found

    def load(self, row, copy=0, augmenter=None) -> np.ndarray:
        """Features of one clip, (time, unit) float32, memory-mapped and read-only.

        Raises
        ------
        InputError
            If they are not there.
        """
        paths = self._paths(row, augmenter)
        if copy >= len(paths) or feature_header(paths[copy]) is None:
            raise InputError(
                f"clip '{row['clip_id']}' has no {self.name} features of copy {copy}; "
                "build the cache"
            )
        return np.load(paths[copy], mmap_mode="r", allow_pickle=False)

    def sizes(self) -> pd.DataFrame:
        """Feature sets in the folder: set, files, megabytes, and whether it is this one."""
        rows = []
        for folder in _sets(self.root):
            sizes = [path.stat().st_size for path in folder.glob("*.npy")]
            rows.append((folder.name, len(sizes), sum(sizes) / 1e6, folder == self.folder))
        return pd.DataFrame(rows, columns=["set", "files", "megabytes", "current"])

    def clear_stale(self) -> list[str]:
        """Delete the sets of the same name with other settings; returns their names."""
        stale = [
            folder
            for folder in _sets(self.root)
            if folder != self.folder and folder.name[:-17] == self.name
        ]
        for folder in stale:
            shutil.rmtree(folder)
        return [folder.name for folder in stale]


def _sets(root):
    return sorted(
        folder
        for folder in root.iterdir()
        if _SET.fullmatch(folder.name)
        and not folder.is_symlink()
        and (folder / "settings.json").is_file()
    )


def _write(path, features, row):
    features = np.ascontiguousarray(features, _FLOAT32)
    if features.ndim != 2 or 0 in features.shape or not np.isfinite(features).all():
        raise InputError(
            f"{row['path']}: features of clip '{row['clip_id']}' have shape {features.shape} or "
            "are not finite; expected (time, unit)"
        )
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.save(file, features, allow_pickle=False)


def feature_header(path) -> tuple[int, tuple[int, int]] | None:
    """Where the float32 values of a whole feature file begin, and their (time, unit); else None."""
    try:
        with open(path, "rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                return None
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            offset, size = file.tell(), os.fstat(file.fileno()).st_size
    except (OSError, ValueError):
        return None
    whole = not fortran and dtype == _FLOAT32 and len(shape) == 2
    return (offset, shape) if whole and size == offset + 4 * shape[0] * shape[1] else None

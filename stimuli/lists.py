"""``train_list.txt`` and ``test_list.txt``: one clip file and its label a line.

A line is ``file<TAB>label`` with the file relative to the list's folder. Training clips are listed
once, followed by their augmented copies; test clips once a presentation, as in the experiment.
"""

import re
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from stimuli.clip_names import ClipName, parse_clip_name
from stimuli.errors import InputError
from stimuli.provenance import whole_file
from stimuli.schema import complete_clips, validate_clips

LISTS = {"train": "train_list.txt", "test": "test_list.txt"}
_TASKS = {"train": "Training", "test": "Test"}
_COPY = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


def copy_name(name: str, copy: str) -> str:
    """File name of an augmented copy of a clip.

    Parameters
    ----------
    name : str
        File name of the original.
    copy : str
        What was done to it: small letters, digits and single hyphens or underscores.

    Raises
    ------
    InputError
        If `copy` has other characters.

    Examples
    --------
    >>> copy_name("Training_run-01-02_pop.00021_15s.wav", "pitch")
    'Training_run-01-02_pop.00021_15s__pitch.wav'
    """
    if not _COPY.fullmatch(copy):
        raise InputError(f"'{copy}' cannot name an augmented copy; use small letters and digits")
    return f"{name.removesuffix('.wav')}__{copy}.wav"


def copy_names(augmenter) -> list[str]:
    """Names for `copy_name` of the copies 1, 2 ... of a `stimuli.augment.Augmenter`: their kinds.

    A kind that comes again is numbered, "pitch", "pitch-2" ...
    """
    kinds = [augmenter.kind(copy) for copy in range(1, augmenter.copies + 1)]
    times = [kinds[:i].count(kind) + 1 for i, kind in enumerate(kinds)]
    return [kind if n == 1 else f"{kind}-{n}" for kind, n in zip(kinds, times, strict=True)]


def parse_copy_name(name: str) -> tuple[ClipName, str]:
    """Parts of the file name of a clip or of its augmented copy ("" for the clip itself).

    Raises
    ------
    InputError
        If the name does not follow the scheme.
    """
    original, mark, copy = name.removesuffix(".wav").partition("__")
    if mark and not (name.endswith(".wav") and _COPY.fullmatch(copy)):
        raise InputError(f"'{name}' is no clip name: '{copy}' cannot name an augmented copy")
    return parse_clip_name(f"{original}.wav" if mark else name), copy


def _genre(name):
    return name.track.split(".")[0]


def write_lists(presentations, out, copies=(), copies_folder="augmented") -> None:
    """Write both lists, each whole or not at all.

    Parameters
    ----------
    presentations : DataFrame
        One row an event, with split, dummy and file, the clip's file relative to `out` as
        posix path; dummies and rows without a file are left out.
    out : path
        Folder of the lists.
    copies : sequence of str
        Names of the augmented copies that every training clip has (see `copy_name`).
    copies_folder : str
        Where they are, relative to `out`.

    Raises
    ------
    InputError
        If a file has no clip name or is of the other task.
    """
    heard = presentations[~presentations["dummy"].astype(bool) & (presentations["file"] != "")]
    for split, file_name in LISTS.items():
        lines = []
        for file in heard.loc[heard["split"] == split, "file"]:
            path = PurePosixPath(file)
            name, copy = parse_copy_name(path.name)
            if copy or name.task != _TASKS[split]:
                raise InputError(f"'{file}' cannot be in {file_name}")
            files = [path]
            if split == "train":
                files += [PurePosixPath(copies_folder, copy_name(path.name, c)) for c in copies]
            lines += [f"{f}\t{_genre(name)}\n" for f in files]
        with whole_file(Path(out) / file_name) as partial:
            partial.write_text("".join(lines), encoding="utf-8", newline="\n")


def _split_line(text, where):
    """File and label ("" where there is none) of a line."""
    if "\t" in text:
        cells = [cell.strip() for cell in text.split("\t")]
        if len(cells) != 2 or not all(cells):
            raise InputError(f"{where}: expected file<TAB>label, found {text!r}")
        return cells
    # Every way to end the file name at a ".wav" followed by nothing or by one word.
    ways = [
        (text[:end], text[end:].strip())
        for end in (m.end() for m in re.finditer(r"\.wav(?=\s|$)", text, re.IGNORECASE))
        if len(text[end:].split()) <= 1
    ]
    if len(ways) != 1:
        problem = "could be read in several ways" if ways else "names no .wav file"
        raise InputError(f"{where}: {text!r} {problem}; write file<TAB>label")
    return ways[0]


def _check_labels(names, labels, path):
    """Labels are the genre of the name, or class numbers that stand for one genre each."""
    genre_of = {}
    number_of = {}
    for line, (name, label) in enumerate(zip(names, labels, strict=True), start=1):
        genre = _genre(name)
        if label in ("", genre):
            continue
        one_to_one = (
            genre_of.setdefault(label, genre) == genre
            and number_of.setdefault(genre, label) == label
        )
        if not (label.isdecimal() and one_to_one):
            raise InputError(
                f"{path}: '{label}' (clip {line}) is not the genre of {name.track}; correct the "
                "list"
            )


def _check_sides(names, copies, path):
    """The split of a list, from its name or else its clips; refuses clips of the other."""
    by_name = [split for split in _TASKS if path.name.lower().startswith(split)]
    by_clips = ["train" if name.task == "Training" else "test" for name in names]
    split = by_name[0] if by_name else by_clips[0]
    for name, side, copy in zip(names, by_clips, copies, strict=True):
        if side != split:
            raise InputError(
                f"{path}: a {side} clip ({name.track}, run {name.run}) in a {split} list; "
                "keep the two apart"
            )
        if split == "test" and copy:
            raise InputError(
                f"{path}: an augmented clip ({name.track}, {copy}) in a test list; test on "
                "originals only"
            )
    return split


def read_list(path, groups=None) -> pd.DataFrame:
    """Read a list as a clip table.

    A line is ``file<TAB>label``, or with a space between them, or the file alone; blank lines are
    passed over. Labels may be class numbers; the table has the genres.

    Parameters
    ----------
    path : path
        A name that begins with "train" or "test" says what may be in it; any other name takes the
        split of its first clip.
    groups : dict of str to str, optional
        Group of a track where that is not the track itself, as
        `stimuli.recordings.recording_groups`.

    Returns
    -------
    DataFrame of clips, a row a line
        clip_id is the stem of the file; label, track, group, run and position (the row in the
        presentation order) come from its name, `repeat` counts the lines of a track and copy.
        Extra columns as `stimuli.augmented.augmented_clips`: source, copy (0 for originals; copies
        are numbered as listed) and augmentation. A copy has the group of its original.

    Raises
    ------
    InputError
        If the list cannot be read or is empty, a file does not exist, is listed twice or has no
        clip name, a label is not the name's genre, a training list holds a test clip (or the other
        way round) or a test list an augmented one.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    files, labels, names, copies = [], [], [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        file, label = _split_line(line.strip(), where)
        try:
            name, copy = parse_copy_name(PurePosixPath(file).name)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        files.append(file)
        labels.append(label)
        names.append(name)
        copies.append(copy)
    if not files:
        raise InputError(f"{path}: lists no clips")
    _check_labels(names, labels, path)
    split = _check_sides(names, copies, path)
    table = pd.DataFrame(
        {
            "clip_id": [PurePosixPath(file).stem for file in files],
            "path": [str((path.parent / file).resolve()) for file in files],
            "label": [_genre(name) for name in names],
            "track": [name.track for name in names],
            "split": split,
            "run": [f"{name.task}-{name.run:02d}" for name in names],
            "position": [name.row for name in names],
            "source": [PurePosixPath(f).stem.partition("__")[0] for f in files],
            "augmentation": copies,
        }
    )
    table["group"] = [(groups or {}).get(track, track) for track in table["track"]]
    table["repeat"] = table.groupby(["track", "augmentation"]).cumcount() + 1
    copied = table["augmentation"] != ""
    table["copy"] = copied.groupby(table["source"]).cumsum().where(copied, 0).astype("int64")
    validate_clips(table, path)
    return complete_clips(table, files).reset_index(drop=True)


def read_lists(folder, groups=None) -> pd.DataFrame:
    """Read ``train_list.txt`` and ``test_list.txt`` of a folder as one clip table.

    Parameters
    ----------
    folder : path
    groups : dict of str to str, optional
        As for `read_list`.

    Returns
    -------
    DataFrame as `read_list`, training clips first

    Raises
    ------
    InputError
        As `read_list`, and if a track is in both lists.
    """
    parts = [read_list(Path(folder) / name, groups) for name in LISTS.values()]
    shared = np.intersect1d(parts[0]["track"], parts[1]["track"])
    if len(shared):
        raise InputError(
            f"{folder}: track {shared[0]} is in both lists ({len(shared)} such); keep the two apart"
        )
    return pd.concat(parts, ignore_index=True)

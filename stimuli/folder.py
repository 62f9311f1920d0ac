"""A folder of folders as a clip table: one folder a label, as GTZAN and many others come."""

from pathlib import Path

import pandas as pd

from stimuli.errors import InputError
from stimuli.schema import complete_clips, default_clip_id

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3", ".au"})


def _sounds(root, pattern):
    return sorted(
        relative
        for relative in (path.relative_to(root) for path in root.glob(pattern))
        if relative.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in relative.parts)
        and (root / relative).is_file()
    )


def scan_folder(root) -> pd.DataFrame:
    """List the sounds below the folders of `root`.

    Hidden files, files without an audio suffix and files anywhere else are passed over.

    Parameters
    ----------
    root : path
        Holds one folder a label, with the sounds directly in it.

    Returns
    -------
    DataFrame of clips, sorted by label and path, with absolute paths

    Raises
    ------
    InputError
        If `root` is no folder, no folder in it holds audio, or two files get the same clip_id.
    """
    root = Path(root).resolve()
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    files = _sounds(root, "*/*")
    if not files:
        deeper = _sounds(root, "*/*/*")
        hint = f"; there is {deeper[0]}, so name {root / deeper[0].parts[0]}" if deeper else ""
        raise InputError(
            f"{root}: no folders with audio ({' '.join(sorted(SUFFIXES))}); "
            f"expected one folder a label, such as blues/blues.00000.wav{hint}"
        )
    first = {}
    for relative in files:
        name = default_clip_id(relative, relative.parts[0])
        if name in first:
            raise InputError(
                f"{root}: {first[name]} and {relative} are both clip '{name}'; remove or rename one"
            )
        first[name] = relative
    clips = pd.DataFrame(
        {"path": [str(root / f) for f in files], "label": [f.parts[0] for f in files]}
    )
    return complete_clips(clips, files)

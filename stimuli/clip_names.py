"""Names of the clip files of ds003720, such as ``Test_run-06-40_reggae.00013_15s.wav``.

Task, run (column of the presentation order), row of the order and GTZAN track; run and row count
from 1 and leave the dummy at the beginning of a run out.
"""

import re
from typing import NamedTuple

from stimuli.errors import InputError

_NAME = re.compile(r"(Training|Test)_run-(\d{2,})-(\d{2,})_([a-z]+\.\d{5})_(\d+)s\.wav")


class ClipName(NamedTuple):
    """Parts of a clip file's name.

    Parameters
    ----------
    task : {"Training", "Test"}
    run, row : int
        From 1.
    track : str
        As in GTZAN, for instance reggae.00013.
    seconds : int
        Duration, rounded.
    """

    task: str
    run: int
    row: int
    track: str
    seconds: int


def format_clip_name(name: ClipName) -> str:
    """File name of a presentation.

    Examples
    --------
    >>> format_clip_name(ClipName("Test", 6, 40, "reggae.00013", 15))
    'Test_run-06-40_reggae.00013_15s.wav'
    """
    return f"{name.task}_run-{name.run:02d}-{name.row:02d}_{name.track}_{name.seconds}s.wav"


def parse_clip_name(name: str) -> ClipName:
    """Parts of a clip file's name.

    Raises
    ------
    InputError
        If the name does not follow the scheme.
    """
    match = _NAME.fullmatch(name)
    if match is None or int(match[2]) < 1 or int(match[3]) < 1:
        raise InputError(
            f"'{name}' is no clip name of ds003720; expected for instance "
            "Test_run-06-40_reggae.00013_15s.wav"
        )
    return ClipName(match[1], int(match[2]), int(match[3]), match[4], int(match[5]))

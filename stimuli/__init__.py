"""Sounds in: clip tables, splits that do not leak, data sets of the field and generated stimuli."""

from stimuli import ds003720, gtzan, nh2015
from stimuli.audio import read_audio, write_audio
from stimuli.audit import audit
from stimuli.clips import load_clips, save_clips
from stimuli.errors import InputError
from stimuli.splits import grouped_folds, grouped_holdout

__all__ = [
    "InputError",
    "audit",
    "ds003720",
    "grouped_folds",
    "grouped_holdout",
    "gtzan",
    "load_clips",
    "nh2015",
    "read_audio",
    "save_clips",
    "write_audio",
]

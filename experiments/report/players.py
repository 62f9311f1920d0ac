"""Sounds on the page: short excerpts as MP3 in ``data:`` addresses, within a limit for the page."""

import base64
import io

import soundfile

from experiments.report.records import Sound
from stimuli import InputError
from stimuli.audio import fade
from stimuli.clips import waveform

SECONDS = 15
# Hz; with the compression below about 50 kilobits a second. MP3 plays in every browser, and the
# same sound gives the same bytes (an Ogg stream has a random number).
RATE = 16000
_COMPRESSION = 0.75
# Of all sounds of a page, as base64.
LIMIT_BYTES = 16_000_000


class Players:
    """Addresses of sounds, until the page is full.

    Attributes
    ----------
    n : int
        Sounds on the page; the same sound in two places counts twice.
    n_bytes : int
        Of their addresses.
    missing : list of str
        Files that could not be read.
    n_beyond : int
        Sounds beyond the limit.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES):
        self.limit_bytes = limit_bytes
        self.n = self.n_bytes = self.n_beyond = 0
        self.missing: list[str] = []
        self._known: dict[tuple, str | None] = {}

    def address(self, sound: Sound) -> str | None:
        """``data:`` address of the first seconds of a sound, or None without a player for it."""
        place = (sound.path, sound.start, sound.end)
        if place not in self._known:
            self._known[place] = self._made(sound)
        address = self._known[place]
        if address is None:
            return None
        if self.n_bytes + len(address) > self.limit_bytes:
            self.n_beyond += 1
            return None
        self.n, self.n_bytes = self.n + 1, self.n_bytes + len(address)
        return address

    def _made(self, sound: Sound) -> str | None:
        try:
            return f"data:audio/mpeg;base64,{base64.b64encode(excerpt(sound)).decode()}"
        except InputError:
            self.missing.append(sound.path)
            return None


def excerpt(sound: Sound) -> bytes:
    """The first 15 s of a sound as MP3, mono, at the level of the experiment.

    Raises
    ------
    InputError
        If the file is not there or not readable.
    """
    row = {"path": sound.path, "clip_id": sound.name, "start": sound.start, "end": sound.end}
    x = waveform(row | {"fade": sound.fade or 0}, RATE)
    if len(x) > SECONDS * RATE:
        x = fade(x[: SECONDS * RATE], RATE, 0.1)
    file = io.BytesIO()
    soundfile.write(
        file, x, RATE, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="CONSTANT",
        compression_level=_COMPRESSION,
    )  # fmt: skip
    return file.getvalue()

"""GTZAN: 1000 tracks of 30 s in ten genres (Tzanetakis & Cook 2002), whichever copy is at hand."""

import re
import unicodedata
import warnings
from itertools import combinations
from pathlib import Path

import pandas as pd

from stimuli.audio import read_audio
from stimuli.errors import InputError
from stimuli.recordings import recording_groups
from stimuli.schema import complete_clips

__all__ = [
    "FAULT_FILTERED",
    "GENERATED_MARK",
    "GENRES",
    "fault_filtered",
    "is_track",
    "load",
    "outside_experiment",
    "read_index",
    "track_files",
]

GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)
CORRUPT_TRACK = "jazz.00054"
# A folder with this file has GTZAN's layout and names, but other music.
GENERATED_MARK = "GENERATED.txt"

# Kereliuk, Sturm & Larsen 2015, IEEE Transactions on Multimedia 17, 2059,
# doi 10.1109/TMM.2015.2478068. Tracks in none of the three parts are dropped as faulty; no
# artist is in two parts.
FAULT_FILTERED = {
    "train": {
        "blues": "29-49 73-97",
        "classical": "30-33 43-48 50-67 80-99",
        "country": "19-26 28-29 65-99",
        "disco": "5 15-20 22-37 39-45 47 49 53-54 56-57 59 61 70 73-74 89",
        "hiphop": "2-25 28-29 31-38 41-42 55-61 77-80",
        "jazz": "0-1 11-24 41 47-72",
        "metal": "2-3 5 21 24 35 46-57 59-66 69 71-72 79-80 84 86 89-99",
        "pop": "2-9 11-12 16-20 23-29 31-36 38-42 44 46 49-50 80 97-99",
        "reggae": "0-2 4 6 9 11-12 14-32 42-45 49-51 54-60 63 69",
        "rock": "0-9 16-26 57-70 91-99",
    },
    "valid": {
        "blues": "0-11 50-60",
        "classical": "0-10 68-76",
        "country": "0-7 9-18 27 41-42 45 49",
        "disco": "0 2-4 6-14 46 48 52 67-68 72 75 90 95",
        "hiphop": "81-98",
        "jazz": "2-10 25-32",
        "metal": "0-1 6-11 16-20 36-37 68 76-77 81-82",
        "pop": "10 53 55 58-62 81 83-86",
        "reggae": "61-62 70 72 74 76-78 85 92-99",
        "rock": "38 49-56 71-85",
    },
    "test": {
        "blues": "12-28 61-72 98-99",
        "classical": "11-29 34-41 49 77-79",
        "country": "30-40 43-44 46-48 50-51 53-64",
        "disco": "1 21 58 62-66 69 76-88 91-94 96-97 99",
        "hiphop": "0 26-27 30 40 43-45 51-54 62-75 99",
        "jazz": "73-99",
        "metal": "12-15 22-23 25-33 38-39 67 70 73-75 78 83 85 87-88",
        "pop": "0-1 13-14 43 63-66 69-79 82 88-96",
        "reggae": "34-40 46-48 52-53 64-68 71 79 82-84 87-90",
        "rock": "10-15 27-37 39-48 86-90",
    },
}

# The first that a track has is taken; all but the last are lossless.
_SUFFIXES = (".wav", ".au", ".flac", ".mp3")
_PARENTS = ("Data/genres_original", "genres_original", "genres", ".")
_TRACK = re.compile(r"([a-z]+)\.(\d{5})")
_INDEX_LINE = re.compile(r"([a-z]+\.\d{5})(?:\.\w+)?\s*:::(.*?):::(.*)")


def _sounds(folder):
    """{stem: path} of the tracks in one folder; of two files of one track the better format."""
    found = {}
    for path in sorted(folder.iterdir()):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or suffix not in _SUFFIXES or not path.is_file():
            continue
        other = found.get(path.stem)
        if other is None or _SUFFIXES.index(suffix) < _SUFFIXES.index(other.suffix.lower()):
            found[path.stem] = path
    return found


def _genre_folders(root):
    """The folder that holds the genres, and its folders by name."""
    root = Path(root).resolve()
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name a copy of GTZAN")
    for parent in _PARENTS:
        folder = (root / parent).resolve()
        if folder.is_dir():
            inner = {p.name: p for p in sorted(folder.iterdir()) if p.is_dir()}
            if set(inner) & set(GENRES):
                return folder, inner
    raise InputError(
        f"{root}: no folder of a genre ({', '.join(GENRES[:3])}, ...), neither here nor in "
        f"{', '.join(_PARENTS[:-1])}; name a copy of GTZAN"
    )


def track_files(root) -> dict[str, Path]:
    """File of each track in a copy of GTZAN.

    Parameters
    ----------
    root : path
        Holds `Data/genres_original/`, `genres_original/`, `genres/` or the genre folders
        themselves, with files such as `blues/blues.00000.wav` (.wav, .au, .flac or .mp3).

    Returns
    -------
    dict
        Track (blues.00000) to absolute path.

    Raises
    ------
    InputError
        If there is no folder of a genre.
    """
    _, folders = _genre_folders(root)
    return {
        track: path
        for genre in GENRES
        if genre in folders
        for track, path in _sounds(folders[genre]).items()
    }


def is_track(name) -> bool:
    """Whether a name is that of one of GTZAN's 1000 tracks, such as blues.00000."""
    match = _TRACK.fullmatch(name)
    return match is not None and match[1] in GENRES and int(match[2]) < 100


def read_index(path) -> pd.DataFrame:
    """Artist and title of each track.

    Parameters
    ----------
    path : path
        Lines ``blues.00000.wav ::: artist ::: title`` (UTF-8 or Latin-1); either may be empty.

    Returns
    -------
    DataFrame indexed by track, with text columns artist and title ("" if unknown)

    Raises
    ------
    InputError
        If the file cannot be read, or a line cannot be parsed or repeats a track (naming it).
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    rows, bad = {}, []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _INDEX_LINE.fullmatch(line.strip())
        if match is None or match[1] in rows:
            bad.append(f"line {number}: {line.strip()!r}")
        else:
            rows[match[1]] = (match[2].strip(), match[3].strip())
    if bad or not rows:
        others = f" (and {len(bad) - 1} more lines)" if len(bad) > 1 else ""
        raise InputError(
            f"{path}, {bad[0] if bad else 'no lines'}{others}; expected each track once, as in "
            "'blues.00000.wav ::: artist ::: title'"
        )
    return pd.DataFrame.from_dict(rows, orient="index", columns=["artist", "title"])


def _plain(text):
    """Letters and digits alone: no case, accents, punctuation or remarks in parentheses."""
    text = unicodedata.normalize("NFKD", re.sub(r"\(.*?\)", "", text).casefold())
    return " ".join(re.findall(r"\w+", "".join(c for c in text if not unicodedata.combining(c))))


def _same_title_pairs(index):
    """Pairs of tracks with one title whose artists are the same or not both known."""
    artist = index["artist"].map(_plain)
    for title, tracks in index.groupby(index["title"].map(_plain)).groups.items():
        if title:
            for a, b in combinations(tracks, 2):
                if artist[a] == artist[b] or not (artist[a] and artist[b]):
                    yield a, b


def _chosen_folders(root, genres):
    folder, folders = _genre_folders(root)
    if genres is None:
        for name, path in folders.items():
            if name not in GENRES and not name.startswith((".", "__")) and _sounds(path):
                raise InputError(
                    f"{path}: '{name}' is no genre of GTZAN; move the folder away or choose with "
                    "genres"
                )
        return folder, {genre: folders.get(genre) for genre in GENRES}
    absent = [genre for genre in genres if genre not in folders]
    if absent or not genres:
        raise InputError(
            f"{folder}: no folder '{absent[0] if absent else ''}' "
            f"(found: {', '.join(folders)}); correct genres"
        )
    return folder, {genre: folders[genre] for genre in dict.fromkeys(genres)}


def _decodes(path):
    try:
        read_audio(path)
    except InputError:
        return False
    return True


def _warn_incomplete(folder, missing, corrupt, unrecognised):
    notes = []
    if missing:
        notes.append(f"{len(missing)} tracks are missing ({missing[0]}, ...)")
    if corrupt:
        notes.append(f"{corrupt[0]} cannot be decoded, as in common copies, and is left out")
    if unrecognised:
        notes.append(f"{len(unrecognised)} files are no tracks ({unrecognised[0]}, ...)")
    if notes:
        warnings.warn(f"{folder}: {'; '.join(notes)}", stacklevel=3)


def load(root, index=None, genres=None) -> pd.DataFrame:
    """Clip table of a copy of GTZAN, one row a track.

    Parameters
    ----------
    root : path
        As for `track_files`.
    index : path, optional
        Artists and titles, for `read_index`.
    genres : sequence of str, optional
        Folders to read, for instance eight of the ten `GENRES`; default all ten.

    Returns
    -------
    DataFrame of clips, by genre and number. With `index`, artist and recording ("artist: title")
    are filled in and there is a column title. `group` is the recording: known pairs
    (`stimuli.recordings`), and tracks with one title whose artists are the same or not both known;
    remarks in parentheses, as "(remix)", do not count. In a folder with the file `GENERATED.txt`
    (other music under GTZAN's names) `group` is the track.

    ``attrs["missing"]`` lists the tracks of GTZAN that have no file, ``attrs["corrupt"]`` has
    jazz.00054 where it cannot be decoded and is left out, ``attrs["unrecognised"]`` lists sounds
    with other names; a warning counts them. Other files are not decoded: `stimuli.audit` does that.

    Raises
    ------
    InputError
        If there is no folder of a genre, a folder with sounds is no genre of GTZAN (unless `genres`
        is given), a chosen folder is absent, no track is found, or `index` is malformed.
    """
    folder, folders = _chosen_folders(root, genres)
    generated = (folder / GENERATED_MARK).is_file()
    rows, missing, corrupt, unrecognised = [], [], [], []
    for genre, path in folders.items():
        sounds = _sounds(path) if path is not None else {}
        if genre in GENRES and not generated:
            expected = [f"{genre}.{number:05d}" for number in range(100)]
            missing += [track for track in expected if track not in sounds]
        for track, file in sounds.items():
            match = _TRACK.fullmatch(track)
            if match is None or match[1] != genre:
                unrecognised.append(str(file.relative_to(folder)))
            elif track == CORRUPT_TRACK and not generated and not _decodes(file):
                corrupt.append(track)
            else:
                rows.append((track, str(file), genre))
    if not rows:
        raise InputError(f"{folder}: no tracks such as blues/blues.00000.wav; is this GTZAN?")
    clips = pd.DataFrame(rows, columns=["track", "path", "label"])
    pairs = []
    if index is not None:
        table = read_index(index)
        pairs = list(_same_title_pairs(table))
        for column in ("artist", "title"):
            clips[column] = clips["track"].map(table[column]).fillna("")
        both = clips["artist"].ne("") & clips["title"].ne("")
        clips["recording"] = (clips["artist"] + both.map({True: ": ", False: ""})).where(
            clips["title"] != "", ""
        ) + clips["title"]
    if not generated:
        clips["group"] = clips["track"].map(recording_groups(clips["track"], pairs))
    clips = complete_clips(clips, [Path(path).relative_to(folder) for path in clips["path"]])
    clips.attrs = {"missing": missing, "corrupt": corrupt, "unrecognised": unrecognised}
    _warn_incomplete(folder, missing, corrupt, unrecognised)
    return clips


def _numbers(ranges):
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def fault_filtered(clips) -> pd.DataFrame:
    """The fault-filtered split of Kereliuk, Sturm & Larsen (2015).

    Of the 1000 tracks 443 are for training, 197 for validation and 290 for the test, and 70
    replicas, distorted and mislabelled ones are dropped.

    Parameters
    ----------
    clips : DataFrame
        Of GTZAN, with track.

    Returns
    -------
    DataFrame with split "train", "valid" or "test"; rows in the order of `clips`

    Raises
    ------
    InputError
        If a track is none of GTZAN's.
    """
    split = {
        f"{genre}.{number:05d}": side
        for side, genres in FAULT_FILTERED.items()
        for genre, ranges in genres.items()
        for number in _numbers(ranges)
    }
    for track in clips["track"]:
        if not is_track(track):
            raise InputError(
                f"track '{track}' is none of GTZAN's (blues.00000 ...), for which the "
                "fault-filtered split is made; choose another split"
            )
    sides = clips["track"].map(split)
    return clips.assign(split=sides)[sides.notna()].reset_index(drop=True)


def outside_experiment(clips, presentations) -> pd.DataFrame:
    """Tracks whose music was not heard in the scanner.

    Parameters
    ----------
    clips : DataFrame
        As `load` returns, preferably with an index; the heard tracks should be among them, since
        their groups and titles tell which other tracks hold the same music.
    presentations : DataFrame
        As `stimuli.ds003720.load` returns.

    Returns
    -------
    DataFrame
        Rows of tracks that were not presented and share neither group nor title with a presented
        one, whoever plays it; with the column `test_artist`: whether the artist (known in both) is
        one of the test clips'.
    """
    heard = clips["track"].isin(presentations["track"])
    tested = clips["track"].isin(presentations.loc[presentations["split"] == "test", "track"])
    same = heard | clips["group"].isin(clips.loc[heard, "group"])
    if "title" in clips:
        title = clips["title"].map(_plain)
        same |= (title != "") & title.isin(title[heard])
    artist = clips["artist"].map(_plain)
    flagged = clips.assign(test_artist=(artist != "") & artist.isin(artist[tested]))
    return flagged[~same].reset_index(drop=True)

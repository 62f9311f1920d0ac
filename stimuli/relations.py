"""Which clips hold the same music, as a clip table alone tells: shared names, overlapping times."""

import numpy as np
import pandas as pd

from stimuli.recordings import known_pairs

# From the surest to the vaguest; a pair is called by the first that applies.
KINDS = (
    "same clip",
    "overlapping excerpt",
    "replica",
    "replica in sound",
    "same recording",
    "same file",
    "same track",
    "same group",
    "same artist",
)
COLUMNS = ("a", "b", "kind", "overlap_seconds", "lag_seconds", "similarity", "shared")
# Above this many clips of one value (an artist, a folder taken for a group) not every pair is
# listed but each clip with the first of each side.
_ALL_PAIRS = 300


def overlap_seconds(start_a, end_a, start_b, end_b) -> float:
    """Seconds that two excerpts of one file have in common; touching excerpts have none.

    Parameters
    ----------
    start_a, end_a, start_b, end_b : float
        Seconds; a NaN start is 0, a NaN end is unknown.

    Returns
    -------
    float
        NaN if it depends on an unknown end.
    """
    first = max(np.nan_to_num(start_a), np.nan_to_num(start_b))
    known = [end for end in (end_a, end_b) if not np.isnan(end)]
    if known and min(known) <= first:
        return 0.0
    return float(min(known) - first) if len(known) == 2 else float("nan")


def relation(a, b, kind, overlap=np.nan, lag=np.nan, similarity=np.nan, shared="") -> tuple:
    """One row of COLUMNS, a before b."""
    if a > b:
        a, b, lag = b, a, -lag
    return int(a), int(b), kind, float(overlap), float(lag), float(similarity), shared


def pairs_sharing(values, sides) -> np.ndarray:
    """Pairs of positions with the same value that is not "".

    Parameters
    ----------
    values, sides : sequence of str

    Returns
    -------
    (n_pairs, 2) int array
        a < b. Of a value that more than 300 have, only the pairs with the first of each side.
    """
    values, sides = np.asarray(values, object), np.asarray(sides, object)
    position = pd.Series(np.arange(len(values)))[values != ""]
    found = []
    for _, members in position.groupby(values[values != ""], sort=False):
        members = members.to_numpy()
        if len(members) <= _ALL_PAIRS:
            left, right = np.triu_indices(len(members), 1)
            found.append(np.stack([members[left], members[right]], axis=1))
        else:
            _, first = np.unique(sides[members].astype(str), return_index=True)
            for one in members[first]:
                others = members[members != one]
                found.append(np.sort(np.stack([np.full(len(others), one), others], 1), axis=1))
    return np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), int)


def _common(clips, a, b):
    """Seconds that two clips of one track share, from where they lie in it; NaN if unknown."""
    in_track = "track_start" in clips and "track_end" in clips
    start, end = ("track_start", "track_end") if in_track else ("start", "end")
    times = [clips[column].iat[i] for i in (a, b) for column in (start, end)]
    return overlap_seconds(*(float(t) for t in times))


def shared_names(clips, artists=False) -> list[tuple]:
    """Relations of clips that share clip_id, file, track, recording or group.

    Parameters
    ----------
    clips : DataFrame
        The clip columns, a default index and ``file`` (identity of the file, "" if none).
    artists : bool
        Relate clips of one artist too.

    Returns
    -------
    list of rows of COLUMNS
        Several for a pair that shares several.
    """
    sides, rows = clips["split"], []

    def each(column, build, unlike=None):
        pairs = pairs_sharing(clips[column], sides)
        if unlike is not None:
            first, second = clips[unlike].to_numpy()[pairs.T]
            pairs = pairs[(first != second) | (first == "")]
        value = clips[column].to_numpy()
        rows.extend(relation(a, b, *build(a, b), shared=f"{column} {value[a]}") for a, b in pairs)

    def same_place(a, b, otherwise):
        seconds = _common(clips, a, b)
        return ("overlapping excerpt", seconds) if seconds > 0 else (otherwise, seconds)

    def track(a, b):
        # Different files of one track tell nothing of where they lie in it, unless the table does.
        paths = clips["file"].iat[a], clips["file"].iat[b]
        if any(paths) and paths[0] != paths[1] and "track_start" not in clips:
            return "same track", np.nan
        return same_place(a, b, "same track")

    def file(a, b):
        places = clips[["start", "end"]].iloc[[a, b]].fillna(-1).to_numpy()
        if (places[0] == places[1]).all():
            return "same clip", _common(clips, a, b)
        return same_place(a, b, "same file")

    each("clip_id", lambda a, b: ("same clip", _common(clips, a, b)))
    each("file", file)
    each("track", track, unlike="file")
    each("recording", lambda a, b: ("same recording",), unlike="track")
    each("group", lambda a, b: ("same group",), unlike="track")
    if artists:
        each("artist", lambda a, b: ("same artist",))
    return rows


def known_recordings(clips, replicas=None) -> tuple[list[tuple], list[str]]:
    """Relations that are known of GTZAN's tracks, where the tracks are GTZAN's.

    The names alone do not tell: generated music may have them. They are believed where the table
    itself gives both tracks one group or recording, or where sound shows that the known replicas
    are replicas here too.

    Parameters
    ----------
    clips : DataFrame
        As for `shared_names`.
    replicas : set of (int, int), optional
        Pairs found in the sound; None if the sound was not compared.

    Returns
    -------
    rows : list of rows of COLUMNS
    notes : list of str
        What was not believed, and why.
    """
    by_track = clips.groupby("track").indices
    trusted, open_ = [], []
    for known in known_pairs().itertuples():
        for a in by_track.get(known.a, ()):
            for b in by_track.get(known.b, ()):
                same = any(clips[c].iat[a] == clips[c].iat[b] != "" for c in ("group", "recording"))
                # An exact replica is the same 30 s again: places in the track compare directly.
                overlap = _common(clips, a, b) if known.kind == "replica" else np.nan
                shared = f"recording of {known.a} and {known.b}"
                row = relation(a, b, known.kind, overlap, shared=shared)
                (trusted if same else open_).append(row)
    if not open_:
        return trusted, []
    count = f"{len(open_)} pairs of clips are named like GTZAN tracks that share a recording"
    if replicas is None:
        return trusted, [
            f"{count} ({clips['clip_id'].iat[open_[0][0]]}, {clips['clip_id'].iat[open_[0][1]]}, "
            "...), but neither group, recording nor sound tells whether this is GTZAN; load it "
            "with stimuli.gtzan"
        ]
    testable = [row for row in open_ if row[2] == "replica" and not row[3] < 3]
    heard = sum((row[0], row[1]) in replicas for row in testable)
    if heard and 2 * heard >= len(testable):
        return trusted + open_, []
    verdict = "; none sounds alike, so this is other music" if testable and not heard else ""
    return trusted, [
        f"{count}{verdict or '; their sound does not decide, so they are not counted'}"
    ]


def strongest(rows) -> pd.DataFrame:
    """One row a pair: the surest kind, the longest overlap, and all that is shared.

    Parameters
    ----------
    rows : list of rows of COLUMNS

    Returns
    -------
    DataFrame with COLUMNS, sorted by kind, then a and b
    """
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["kind"] = pd.Categorical(table["kind"], KINDS, ordered=True)
    table = table.sort_values(["kind", "a", "b"], kind="stable")
    pairs = table.groupby(["a", "b"], sort=False)
    kept = pairs.agg(
        kind=("kind", "first"),
        overlap_seconds=("overlap_seconds", "max"),
        lag_seconds=("lag_seconds", "first"),
        similarity=("similarity", "max"),
        shared=("shared", lambda texts: ", ".join(dict.fromkeys(t for t in texts if t))),
    )
    return kept.reset_index().astype({"kind": str})[list(COLUMNS)]

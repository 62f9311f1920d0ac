"""Which GTZAN tracks are excerpts of one recording, and the groups that follow.

The known pairs are among the 540 tracks of ds003720. An exact replica is the same 30 s again (lag
0), so what two of its excerpts share follows from their starts and ends; the tracks of other pairs
are different seconds, or different releases, of one song.
"""

import numpy as np
import pandas as pd

_REPLICAS = {
    "disco": "71=74 98=99",
    "hiphop": "76=78",
    "jazz": "33=51 36=58 37=60 40=67 42=68 43=69 44=70",
    "metal": "44=65",
    "pop": "15=22 54=60 56=59",
}
_SAME_RECORDING = {
    "classical": "44=48",
    "disco": "66=69",
    "hiphop": "20=36 47=67 49=69 50=72",
    "pop": "15=21 15=37 16=17 21=22 21=37 22=37 48=51 52=54 52=60 93=94",
    "reggae": "7=59 33=44",
}


def known_pairs() -> pd.DataFrame:
    """Pairs among the 540 tracks of ds003720 that share a recording.

    Returns
    -------
    DataFrame with columns a, b (tracks such as jazz.00040, a before b) and kind: "replica" (the
    same 30 s twice) or "same recording" (other seconds of one song); sorted by a and b
    """
    rows = [
        (*(f"{genre}.{int(number):05d}" for number in pair.split("=")), kind)
        for kind, genres in (("replica", _REPLICAS), ("same recording", _SAME_RECORDING))
        for genre, pairs in genres.items()
        for pair in pairs.split()
    ]
    return pd.DataFrame(sorted(rows), columns=["a", "b", "kind"])


def connected(pairs, n) -> np.ndarray:
    """First member of each member's connected component.

    Parameters
    ----------
    pairs : (n_pairs, 2) array_like of int
        Members that belong together.
    n : int
        Number of members.

    Returns
    -------
    (n,) int array
        Smallest member of the component.
    """
    # Imported here: with its linear algebra this takes as long as the rest of the package.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = np.asarray(pairs, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    return first[component]


def recording_groups(tracks, extra_pairs=()) -> dict[str, str]:
    """Group of each track: tracks of one recording, directly or through others, share it.

    The known pairs are facts about the music of GTZAN; other music under the same names (such as
    `stimuli.miniature`) has its own recordings, so leave its tracks out.

    Parameters
    ----------
    tracks : iterable of str
        GTZAN tracks; a pair counts if both its tracks are among them.
    extra_pairs : iterable of (str, str)
        More pairs of tracks that share a recording.

    Returns
    -------
    dict
        Track to group, which is named after the first track (in sorted order) of its component.

    Examples
    --------
    >>> recording_groups(["jazz.00067", "jazz.00040", "rock.00001"])
    {'jazz.00040': 'jazz.00040', 'jazz.00067': 'jazz.00040', 'rock.00001': 'rock.00001'}
    """
    names = sorted(set(tracks))
    number = {name: i for i, name in enumerate(names)}
    known = known_pairs()[["a", "b"]].itertuples(index=False, name=None)
    pairs = [
        (number[a], number[b]) for a, b in (*known, *extra_pairs) if a in number and b in number
    ]
    return {name: names[i] for name, i in zip(names, connected(pairs, len(names)), strict=True)}

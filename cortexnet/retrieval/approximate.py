"""Approximate nearest neighbours: a graph of small worlds (extra ``ann``).

References
----------
Malkov & Yashunin (2020), IEEE Trans. Pattern Anal. Mach. Intell. 42, 824-836 (HNSW).
"""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cortexnet.retrieval.neighbours import DIGITS
from stimuli import InputError
from stimuli.provenance import whole_file

# More clips than this are searched with a graph unless told otherwise.
MANY_CLIPS = 100_000
_LINKS, _BUILD_WIDTH, _SEARCH_WIDTH = 24, 200, 200  # M, ef_construction, ef of the paper


def available() -> bool:
    """Whether the extra is installed."""
    return find_spec("hnswlib") is not None


class Graph:
    """An HNSW graph over unit vectors.

    Parameters
    ----------
    vectors : (n, d) float32
        Rows of length 1.
    name : str, optional
        Keep the graph under this name in the user's cache and find it there. The folder of the
        index is not used: hnswlib checks nothing of what it reads, so a graph that came with
        somebody else's run must never be opened.

    Raises
    ------
    InputError
        If hnswlib is not installed.
    """

    def __init__(self, vectors: np.ndarray, name: str | None = None):
        if not available():
            raise InputError(
                "an approximate index needs hnswlib; pip install 'auditory-cortexnet[ann]', "
                "or search with --exact"
            )
        import hnswlib

        n, d = vectors.shape
        self._graph = hnswlib.Index(space="ip", dim=d)
        path = None if name is None else _cached(name, vectors)
        if path is not None and path.is_file():
            self._graph.load_index(str(path), max_elements=n)
        else:
            self._graph.init_index(n, ef_construction=_BUILD_WIDTH, M=_LINKS, random_seed=0)
            # One thread: with several the graph depends on which of them comes first.
            self._graph.add_items(vectors, num_threads=1)
            if path is not None:
                self._keep(path)

    def _keep(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            self._graph.save_index(str(partial))
        for older in path.parent.glob(f"{path.name.partition('-')[0]}-*.hnsw"):
            if older != path:
                older.unlink(missing_ok=True)

    def nearest(self, queries: np.ndarray, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """As `cortexnet.retrieval.neighbours.nearest`, nearly."""
        k = min(k, self._graph.get_current_count())
        self._graph.set_ef(max(_SEARCH_WIDTH, 2 * k))
        try:
            positions, distances = self._graph.knn_query(queries, k, num_threads=1)
        except RuntimeError as error:  # parts of the graph that no link leads to
            raise InputError(f"the graph does not reach {k} clips; search with --exact") from error
        similarities = np.round(1 - distances, DIGITS)
        return [(p.astype(int), s) for p, s in zip(positions, similarities, strict=True)]


def _cached(name: str, vectors: np.ndarray) -> Path:
    """One graph an index: an index that was built anew replaces the graph of the old one."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    content = hashlib.sha256(f"{vectors.shape} {_LINKS} {_BUILD_WIDTH}".encode())
    content.update(np.ascontiguousarray(vectors).data)
    owner = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Path(home) / "cortexnet" / f"{owner}-{content.hexdigest()[:16]}.hnsw"

"""An index of clips: standardised unit vectors, searched by vectors or by clips."""

import difflib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cortexnet.retrieval.approximate import MANY_CLIPS, Graph, available
from cortexnet.retrieval.neighbours import DIGITS, nearest, unit_rows
from stimuli import InputError

# Weight of the clips that are not liked, after Rocchio (1971): they say what to stay clear of, not
# what to look for.
DISLIKED = 0.25


@dataclass(frozen=True)
class Index:
    """Clips with a vector each; the cosine of two vectors is the similarity of the clips.

    Attributes
    ----------
    clips : DataFrame
        At least clip_id, label and group; default index.
    vectors : (n_clips, d) float32
        Rows of length 1.
    mean, scale : (d,) float32
        Of the embeddings of the clips, unit by unit; a unit that does not vary has scale 0 and
        is left out.
    folder : str
        Where it is kept ("" if nowhere).
    """

    clips: pd.DataFrame
    vectors: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    folder: str = ""

    @classmethod
    def of(cls, clips: pd.DataFrame, embeddings: np.ndarray, folder: str = "") -> "Index":
        """Standardise the embeddings ``(n_clips, d)`` of the clips.

        Raises
        ------
        InputError
            If there are fewer than two clips, or all sound alike.
        """
        if len(clips) < 2:
            raise InputError("an index needs at least two clips; name a larger table")
        mean = embeddings.mean(0, dtype=np.float64)
        scale = embeddings.std(0, dtype=np.float64)
        scale[scale <= 1e-6 * np.abs(mean)] = 0  # rounding alone
        if not scale.any():
            raise InputError("all clips have the same embedding; nothing can be found by it")
        mean, scale = mean.astype(np.float32), scale.astype(np.float32)
        index = cls(clips.reset_index(drop=True), np.zeros((0, 0), np.float32), mean, scale, folder)
        return cls(index.clips, index.project(embeddings), mean, scale, folder)

    def project(self, embeddings: np.ndarray) -> np.ndarray:
        """Vectors ``(n, d)`` of length 1 of embeddings ``(n, d)``, on the scale of the index."""
        z = np.zeros(embeddings.shape, np.float32)
        np.divide(embeddings - self.mean, self.scale, out=z, where=self.scale > 0)
        return unit_rows(z)

    def rows(self, clip_ids: list[str]) -> np.ndarray:
        """Positions of clips.

        Raises
        ------
        InputError
            If a clip is not in the index.
        """
        known = self._row_of
        for clip_id in clip_ids:
            if clip_id not in known:
                close = difflib.get_close_matches(clip_id, known, 1, 0.5) or list(known)[:1]
                raise InputError(
                    f"no clip '{clip_id}' among the {len(known)} indexed ones; "
                    f"did you mean '{close[0]}'?"
                )
        return np.array([known[clip_id] for clip_id in clip_ids], int)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {clip_id: row for row, clip_id in enumerate(self.clips["clip_id"])}

    @cached_property
    def graph(self) -> Graph:
        """For approximate search; built when it is first asked for."""
        return Graph(self.vectors, self.folder or None)

    def taste(self, liked: np.ndarray, disliked: np.ndarray) -> np.ndarray:
        """Vector ``(d,)`` of what is liked: the mean of those clips, less a share of the others.

        Parameters
        ----------
        liked, disliked : int arrays
            Positions of clips; `disliked` may be empty.

        References
        ----------
        Rocchio (1971), in Salton (ed.), The SMART Retrieval System, 313-323.
        """
        vector = self.vectors[liked].mean(0)
        if len(disliked):
            vector = vector - DISLIKED * self.vectors[disliked].mean(0)
        return unit_rows(vector[None])[0]

    def search(
        self,
        vector: np.ndarray,
        k: int,
        labels: list[str] | None = None,
        without: np.ndarray | None = None,
        approximate: bool | None = None,
    ) -> pd.DataFrame:
        """Clips nearest to a vector.

        Parameters
        ----------
        vector : (d,) float32
            Of length 1, from `project`, `taste` or `vectors`.
        k : int
        labels : list of str, optional
            Only clips with one of these.
        without : (n_clips,) bool array, optional
            Clips to pass over, such as those of the query's own track.
        approximate : bool, optional
            Use the graph. Default: past 100,000 clips, if hnswlib is installed. Clips chosen by
            label are always compared one by one.

        Returns
        -------
        DataFrame
            The rows of `clips` with ``similarity`` (cosine, -1 to 1), most similar first; equal
            ones in the order of the table.

        Raises
        ------
        InputError
            If a label is unknown or no clip is left.
        """
        if not vector.any():
            raise InputError("the query does not differ from the mean of the clips; try another")
        left = np.ones(len(self.clips), bool) if without is None else ~without
        if labels:
            left &= self._with_labels(labels)
        if not left.any():
            raise InputError(
                "no clip is left to search; allow other labels or clips of the same group"
            )
        if self.goes_by_graph(approximate, labels):
            n_out = int((~left).sum())
            positions, similarities = self.graph.nearest(vector[None], k + n_out)[0]
            kept = left[positions]
            positions, similarities = positions[kept][:k], similarities[kept][:k]
        else:
            rows = np.flatnonzero(left)
            vectors = self.vectors if left.all() else self.vectors[rows]
            positions, similarities = nearest(vector[None], vectors, k)[0]
            positions = rows[positions]
        found = self.clips.iloc[positions].reset_index(drop=True)
        return found.assign(similarity=similarities.astype(float).round(DIGITS))

    def goes_by_graph(self, approximate: bool | None, labels: list[str] | None = None) -> bool:
        """Whether `search` with these arguments is approximate."""
        if labels:
            return False
        if approximate is None:
            return len(self.clips) > MANY_CLIPS and available()
        return approximate

    def _with_labels(self, labels: list[str]) -> np.ndarray:
        known = sorted(set(self.clips["label"]))
        for label in labels:
            if label not in known:
                raise InputError(f"no clip has label '{label}'; there are {', '.join(known)}")
        return self.clips["label"].isin(labels).to_numpy()

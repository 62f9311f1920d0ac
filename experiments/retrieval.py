"""Search a run or a model by sounds and clips: who is indexed, who asks, and what is answered."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from cortexnet.recipe import Recipe
from cortexnet.registry import list_models
from cortexnet.retrieval import Index, build_index, embed_sound, evaluate_index
from cortexnet.runs import load_run
from experiments.clips import read_clips
from experiments.models import load_source
from stimuli import InputError, load_clips
from stimuli.clips import waveform


@dataclass(frozen=True)
class Library:
    """Indexed clips with the model that embeds them.

    Attributes
    ----------
    name : str
        Of the run's folder or of the model.
    model : nn.Module
    segment : int
        Samples.
    index : Index
    sides : (n_clips,) array of str
        "train" or "valid" where the embedding was learned from the clip's group, else "".
    """

    name: str
    model: nn.Module
    segment: int
    index: Index
    sides: np.ndarray


def open_library(
    source: str,
    stimuli: Path | None = None,
    folder: Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Library:
    """Index the clips of a run, or of a table, by the embeddings of a run or a model.

    Parameters
    ----------
    source : str
        Folder of a run, or the name of a model (random weights; its features where it has none).
    stimuli : Path, optional
        As `experiments.clips.read_clips`; default the clips of the run.
    folder : Path, optional
        Of the index; default ``search`` in the run, ``runs/search-MODEL`` for a model.
    seed : int
        Of random weights.
    progress : callable
        Given the number of clips done and their total.

    Raises
    ------
    InputError
        If there is no such run or model, or a model is named without clips.
    """
    path = Path(source)
    clips = None if stimuli is None else read_clips(stimuli)
    if (path / "card.json").exists():
        run = load_run(path)
        known = load_clips(path / "clips.csv", files=clips is None)
        clips = known if clips is None else clips
        model, segment, name = run.model, run.card["recipe"]["segment"], path.resolve().name
        design = {"name": run.card["model"], "options": run.card["options"]}
        sides, default = _sides(model, known, clips), path / "search"
    else:
        if clips is None and source in list_models():
            raise InputError(f"{source} is a model without clips; name some with --stimuli")
        model, name = load_source(source, clips, seed).model, source
        segment, sides = Recipe.of(source).segment, np.full(len(clips), "", dtype=object)
        design, default = {"name": source}, Path("runs") / f"search-{source}"
    index = build_index(model, clips, folder or default, segment, progress=progress, **design)
    return Library(name, model, segment, index, sides)


def _sides(model: nn.Module, known: pd.DataFrame, clips: pd.DataFrame) -> np.ndarray:
    sides = np.full(len(clips), "", dtype=object)
    if hasattr(model, "fit_readout"):
        return sides  # fixed features: only the read-out was learned
    for side in ("valid", "train"):
        groups = set(known.loc[known["split"] == side, "group"])
        sides[clips["group"].isin(groups).to_numpy()] = side
    return sides


def search(
    library: Library,
    query: str,
    n: int = 10,
    labels: list[str] | None = None,
    same_group: bool = False,
    approximate: bool | None = None,
) -> dict:
    """Clips most similar to a sound file or to an indexed clip.

    Parameters
    ----------
    library : Library
    query : str
        A sound file, or a clip_id of the index.
    n : int
    labels : list of str, optional
        Only clips with one of these.
    same_group : bool
        Whether clips of the query's own group (track, recording) may be found; the query itself
        never is.
    approximate : bool, optional
        As `Index.search`.

    Returns
    -------
    dict
        Content of ``search.json``.

    Raises
    ------
    InputError
        If the query is neither, cannot be read or is too short, or as `Index.search`.
    """
    index = library.index
    if Path(query).is_file():
        wave = waveform({"path": query, "start": np.nan, "end": np.nan}, library.model.sample_rate)
        try:
            embedding = embed_sound(library.model, wave, library.segment).mean(0)
        except InputError as error:
            raise InputError(f"{query}: {error}") from error
        vector = index.project(embedding[None])[0]
        # A file of the table is known by its path.
        own = (index.clips["path"] == str(Path(query).resolve())).to_numpy()
        labelled = sorted(set(index.clips["label"][own]))
        asked = {"clip_id": None, "path": str(Path(query).resolve())}
        asked |= {"label": labelled[0] if len(labelled) == 1 else None}
        asked |= {"start": None, "end": None, "fade": None, "side": None}
    else:
        try:
            rows = index.rows([query])
        except InputError as error:
            raise InputError(f"{query}: no such sound file, and {error}") from error
        vector, own = index.vectors[rows[0]], np.isin(np.arange(len(index.clips)), rows)
        asked = _clip(library, rows[0])
    found = _find(library, vector, own, n, labels, same_group, approximate)
    return _answer(
        "search", library, [asked | {"role": "query"}], found, labels, same_group, approximate
    )


def recommend(
    library: Library,
    liked: list[str],
    disliked: list[str] = (),
    n: int = 10,
    labels: list[str] | None = None,
    same_group: bool = False,
    approximate: bool | None = None,
) -> dict:
    """Clips most similar to those that are liked, and not to those that are disliked.

    Parameters
    ----------
    library : Library
    liked, disliked : lists of clip_id
    n, labels, same_group, approximate
        As `search`.

    Returns
    -------
    dict
        Content of ``recommend.json``.

    Raises
    ------
    InputError
        If a clip is unknown or both liked and disliked, or as `Index.search`.
    """
    index = library.index
    both = sorted(set(liked) & set(disliked))
    if both:
        raise InputError(f"clip '{both[0]}' is both liked and disliked; choose")
    rows = {"liked": index.rows(liked), "disliked": index.rows(disliked)}
    asked = [_clip(library, row) | {"role": role} for role in rows for row in rows[role]]
    own = np.isin(np.arange(len(index.clips)), np.concatenate(list(rows.values())))
    vector = index.taste(rows["liked"], rows["disliked"])
    found = _find(library, vector, own, n, labels, same_group, approximate)
    return _answer("recommend", library, asked, found, labels, same_group, approximate)


def evaluate(library: Library, n_resamples: int = 2000, seed: int = 0) -> dict:
    """Mean average precision and hit rates of a library.

    Clips of which the embedding was learned do not ask, where there are others; they may be found.

    Returns
    -------
    dict
        Content of ``retrieval.json``: `evaluate_index`, with ``kind, model, queries``.

    Raises
    ------
    InputError
        If every clip was trained on, or as `evaluate_index`.
    """
    unseen = "clips not trained on" if library.sides.any() else "all clips"
    for side, name in (("", unseen), ("valid", "validation clips, which chose the weights")):
        rows = np.flatnonzero(library.sides == side)
        if len(rows):
            result = evaluate_index(library.index, rows, n_resamples=n_resamples, seed=seed)
            return {"kind": "retrieval", "model": library.name, "queries": name} | result
    raise InputError(
        f"{library.name} was trained on every clip; name others with --stimuli, or hold some out"
    )


def _find(library, vector, own, n, labels, same_group, approximate) -> pd.DataFrame:
    groups = library.index.clips["group"]
    without = own if same_group else own | groups.isin(set(groups[own])).to_numpy()
    return library.index.search(vector, n, labels, without, approximate)


def _answer(kind, library, asked, found, labels, same_group, approximate) -> dict:
    wanted = {row["label"] for row in asked if row["role"] != "disliked"} - {None}
    results = []
    for rank, (clip_id, similarity) in enumerate(
        zip(found["clip_id"], found["similarity"], strict=True), 1
    ):
        clip = _clip(library, library.index.rows([clip_id])[0])
        same = clip["label"] in wanted if wanted else None
        results.append({"rank": rank, "similarity": similarity, "same_label": same} | clip)
    return {
        "kind": kind,
        "model": library.name,
        "n_clips": len(library.index.clips),
        "approximate": library.index.goes_by_graph(approximate, labels),
        "labels": labels or [],
        "same_group": same_group,
        "asked": asked,
        "results": results,
    }


def _clip(library: Library, row: int) -> dict:
    """A clip as JSON: who it is, where its sound is, and whether it was trained on."""
    clip = library.index.clips.iloc[row]
    text = {name: str(clip[name]) for name in ("clip_id", "label", "group", "path")}
    seconds = {name: clip.get(name) for name in ("start", "end", "fade")}
    numbers = {name: None if pd.isna(x) else float(x) for name, x in seconds.items()}
    return text | numbers | {"side": library.sides[row] or None}

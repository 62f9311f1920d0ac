"""Embeddings of sounds, and an index of a clip table that is kept on disk."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import nn

from cortexnet.retrieval.index import Index
from cortexnet.runs import weights_hash
from stimuli import InputError, save_clips
from stimuli.cache import FeatureCache
from stimuli.dataset import segment_starts
from stimuli.provenance import digest, whole_file

# Of the clip table, what an index depends on beside the sounds.
_COLUMNS = ["clip_id", "label", "group", "split", "path"]


def embed_sound(
    model: nn.Module, wave: np.ndarray, segment: int, batch_size: int = 8
) -> np.ndarray:
    """Embeddings of the segments that cover a sound.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, with ``embed``.
    wave : (n_samples,) float32
        At the model's sampling rate and the level of training (`stimuli.clips.waveform`).
    segment : int
        Samples.
    batch_size : int
        Segments computed at a time.

    Returns
    -------
    (n_segments, d) float32

    Raises
    ------
    InputError
        If the sound is shorter than a segment.
    """
    if len(wave) < segment:
        has, needs = (n / model.sample_rate for n in (len(wave), segment))
        raise InputError(
            f"{has:.2f} s of sound are less than the segment of {needs:.2f} s that the model is "
            "given; use a longer sound"
        )
    starts = segment_starts(len(wave), segment, segment)
    pieces = torch.from_numpy(np.stack([wave[s : s + segment] for s in starts]))
    with torch.inference_mode():
        return torch.cat([model.embed(x) for x in pieces.split(batch_size)]).float().numpy()


def build_index(
    model: nn.Module,
    clips: pd.DataFrame,
    folder: Path,
    segment: int,
    name: str,
    options: dict | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Index:
    """Index of a clip table; what is on disk already is not computed again.

    The vector of a clip is the mean embedding of its segments, standardised over the clips and
    brought to length 1. Embeddings are found by the content of the sounds and the weights of the
    model, so that an interrupted call goes on, a new clip costs itself alone, and other weights
    or another table make another index.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, with ``embed`` and ``sample_rate``.
    clips : DataFrame
        A clip table.
    folder : Path
        Gets ``index.safetensors`` (vectors, mean, scale), ``clips.csv`` (the rows of the vectors,
        for other programs) and the embeddings of every clip.
    segment : int
        Samples.
    name, options
        Of the model in the registry: models of fixed features differ in nothing else.
    progress : callable
        Given the number of clips done and their total.

    Returns
    -------
    Index

    Raises
    ------
    InputError
        If a clip cannot be read or is shorter than a segment.
    """
    folder = Path(folder)
    clips = clips.reset_index(drop=True)
    settings = {
        "options": options or {},
        "weights_sha256": weights_hash(model),
        "segment": segment,
        "version": importlib.metadata.version("auditory-cortexnet"),
    }
    cache = FeatureCache(folder, name, settings, model.sample_rate)
    # One thread: kernels that are parallel themselves must not be entered by two.
    problems = cache.build(
        clips,
        lambda wave, rate: embed_sound(model, wave, segment),
        workers=1,
        progress=progress,
    )
    if problems:
        others = f" (and {len(problems) - 1} more clips)" if len(problems) > 1 else ""
        first = problems[0]
        path = "" if first["path"] in first["what"] else f"{first['path']}: "
        raise InputError(f"{path}{first['what']}{others}")
    paths = [copies[0] for copies in cache.paths(clips)]
    table = clips.reindex(columns=_COLUMNS).to_csv(index=False)
    key = digest([cache.settings, [path.name for path in paths], table])
    kept = _read(folder / "index.safetensors", key)
    if kept is not None:
        return Index(clips, kept["vectors"], kept["mean"], kept["scale"], str(folder.resolve()))
    embeddings = np.stack([np.load(path, allow_pickle=False).mean(0) for path in paths])
    index = Index.of(clips, embeddings, str(folder.resolve()))
    save_clips(clips, folder / "clips.csv")
    with whole_file(folder / "index.safetensors") as partial:
        tensors = {"vectors": index.vectors, "mean": index.mean, "scale": index.scale}
        save_file(tensors, partial, {"key": key})
    cache.clear_stale()
    return index


def _read(path: Path, key: str) -> dict[str, np.ndarray] | None:
    """Tensors of a whole index file with this key, else None: it can always be made anew."""
    try:
        with safe_open(path, "np") as file:
            if (file.metadata() or {}).get("key") != key:
                return None
            return {name: file.get_tensor(name) for name in ("vectors", "mean", "scale")}
    except (OSError, SafetensorError):
        return None

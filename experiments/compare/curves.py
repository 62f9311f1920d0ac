"""Learning curves: accuracy on the same test clips after training on few and on many tracks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cortexnet.evaluation import clip_means
from cortexnet.heldout import evaluate_run
from cortexnet.recipe import Recipe
from cortexnet.registry import create_model
from cortexnet.runs import train_run
from cortexnet.training import embed_segments
from experiments.compare.entrants import VALID_FRACTION, Entrant, forget
from experiments.compare.kept import kept
from stimuli import InputError
from stimuli.dataset import EvalSegments, label_index

N_SIZES = 5


def training_order(pool: pd.DataFrame, seed: int) -> np.ndarray:
    """Groups of training clips in the order in which they are added.

    Classes take turns, so that the first n groups are balanced as far as there are groups, and a
    smaller training set is part of every larger one of its seed.

    Parameters
    ----------
    pool : DataFrame
        group and label; a group counts for the label it has most of.
    seed : int

    Returns
    -------
    (n_groups,) object array
    """
    rng = np.random.default_rng(seed)
    main = pool.groupby(["group", "label"]).size().unstack(fill_value=0).idxmax(axis=1)
    main = main.iloc[rng.permutation(len(main))]
    labels = rng.permutation(np.unique(main.to_numpy(str))).tolist()
    turn = main.groupby(main).cumcount() * len(labels) + main.map(labels.index)
    return turn.sort_values().index.to_numpy(object)


def curve_sizes(pool: pd.DataFrame, wanted: Sequence[int] = ()) -> list[int]:
    """Numbers of training groups: those wanted, or five in equal ratios up to all.

    Raises
    ------
    InputError
        If one is larger than there are groups, or too small to train on one group of every class
        and choose weights by another.
    """
    n = pool["group"].nunique()
    least = 2 * pool["label"].nunique()
    for size in wanted:
        if not least <= size <= n:
            raise InputError(
                f"--sizes {size}: training clips have {n} groups of {least // 2} classes; choose "
                f"sizes from {least} (two a class) to {n}"
            )
    steps = np.geomspace(min(least, n), n, N_SIZES).round().astype(int)
    return sorted({int(size) for size in wanted or steps})


def curve_cells(sizes, seeds, folder: Path) -> dict[tuple[int, int], Path]:
    """Files of a curve by (size, seed)."""
    return {(n, s): folder / "curve" / f"tracks-{n}-seed-{s}.json" for n in sizes for s in seeds}


def learning_curve(
    entrant: Entrant,
    sizes: Sequence[int],
    seeds: Sequence[int],
    folder: Path,
    sounds: Callable[[], dict],
    features: Path,
    report: Callable[[str], None] = lambda line: None,
    device: str = "auto",
) -> list[dict]:
    """Train with every number of groups and every seed, and say what of the test clips is heard.

    A seed decides which groups are taken and everything random in training. Networks choose their
    weights on a share of the chosen groups, and what they were trained with stays as it was.

    Parameters
    ----------
    entrant : Entrant
    sizes, seeds : sequences of int
    folder : Path
        Of the cells.
    sounds : callable
        Gives the sound of every clip by clip_id; called where it is needed.
    features : Path
        Cache of what never learns.
    report : callable
        Given a line of text after every cell.
    device : str

    Returns
    -------
    list of {"tracks", "seed", "clips", "predicted"}
        Predicted labels in the order of the test clips.
    """
    fit = cache(lambda: _readout(entrant, sounds()))

    def train(size: int, seed: int, run_folder: Path) -> dict:
        groups = training_order(entrant.pool, seed)[:size]
        chosen = entrant.pool[entrant.pool["group"].isin(groups)].reset_index(drop=True)
        if entrant.is_readout:
            predicted = fit()(chosen)
        else:
            predicted = _network(entrant, chosen, seed, run_folder, sounds, features, device)
        right = np.mean(np.array(predicted) == entrant.test["label"].to_numpy(str))
        report(f"{entrant.name}: {size} tracks, seed {seed}: {right:.3f} of test clips")
        return {"tracks": size, "seed": seed, "clips": len(chosen), "predicted": predicted}

    cells = curve_cells(sizes, seeds, folder)
    return [kept(path, partial(train, *key, path.with_suffix(""))) for key, path in cells.items()]


def _network(entrant, chosen, seed, folder, sounds, features, device) -> list[str]:
    card = entrant.run.card
    clips = pd.concat([chosen.assign(split=""), entrant.test], ignore_index=True)
    waves = None if hasattr(entrant.run.model, "from_fixed") else sounds()
    run = train_run(
        card["model"], clips, folder, replace(Recipe(**card["recipe"]), seed=seed), VALID_FRACTION,
        card["sample_rate"], card["options"], waves, cache=features, device=device,
    )  # fmt: skip
    found = evaluate_run(run, waveforms=waves, cache=features, device=device).clips
    forget(folder)
    return found.set_index("clip_id")["predicted"].loc[entrant.test["clip_id"]].tolist()


def _readout(entrant: Entrant, sounds: dict) -> Callable[[pd.DataFrame], list[str]]:
    """Features of all segments, computed once; a fit on those of given clips."""
    card, labels = entrant.run.card, entrant.run.card["labels"]
    clips = pd.concat([entrant.pool, entrant.test], ignore_index=True)
    ids, segment = clips["clip_id"].tolist(), card["recipe"]["segment"]
    _, truth = label_index(clips)
    data = EvalSegments([sounds[one] for one in ids], truth, segment, segment, ids)
    embedded, truth, index = embed_segments(entrant.run.model, data, card["recipe"]["batch_size"])
    groups, in_test = clips["group"].to_numpy()[index], index >= len(entrant.pool)

    def fit(chosen: pd.DataFrame) -> list[str]:
        model = create_model(card["model"], len(labels), card["sample_rate"], **card["options"])
        rows = np.isin(index, np.flatnonzero(clips["clip_id"].isin(chosen["clip_id"])))
        model.fit_readout(embedded[rows], truth[rows], groups[rows], index[rows])
        with torch.inference_mode():
            logits = model.classify(torch.from_numpy(embedded[in_test]))
        means, _ = clip_means(logits.double().softmax(1).numpy(), index[in_test])
        return [labels[k] for k in means.argmax(1)]

    return fit

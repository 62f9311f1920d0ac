"""What a sweep says: cells in order, compared with the best, in numbers and words."""

import numpy as np
import pandas as pd
from scipy.stats import t as student

from cortexnet.paired import holm, paired_difference

RANKS = {"validation": "lowest validation loss", "test": "highest accuracy on test clips"}
LEVEL = 0.05


def summarise(rows: list[dict], predictions: dict[str, pd.DataFrame], rank: str) -> dict:
    """Order cells, compare them and say what can be said.

    Every cell is compared with the best of its model, and the best of every model with the best of
    all, in whether clips are right: `cortexnet.paired.paired_difference`, p by flipping the signs
    of whole groups, corrected for the number of comparisons after Holm. Where cells have several
    seeds, a difference must also be larger than luck in training would make it.

    Parameters
    ----------
    rows : list of dict
        Of cells: name, model, status ("done", "failed" or "pending"), reason, and of those that are
        done clip_accuracy, clip_interval, seeds, valid_loss (None of models fitted in one step).
    predictions : {name: DataFrame}
        Of every cell that is done: clip_id, label, predicted, unit, seed.
    rank : {"validation", "test"}
        What makes a cell the best.

    Returns
    -------
    dict
        ``cells`` (the rows in order, with ``rank`` and ``against_best``), ``best``,
        ``least_seed_difference`` and ``summary``, sentences.
    """
    done = sorted((row for row in rows if row["status"] == "done"), key=lambda r: _key(r, rank))
    others = [row for row in rows if row["status"] != "done"]
    rows = [row | {"rank": i} for i, row in enumerate(done, 1)]
    rows += [row | {"rank": None} for row in others]
    done = rows[: len(done)]
    leaders = {}
    for row in done:
        leaders.setdefault(row["model"], row["name"])
    pairs = []
    for row in done[1:]:
        leader = leaders[row["model"]]
        against = leader if leader != row["name"] else done[0]["name"]
        found = paired_difference(predictions[row["name"]], predictions[against])
        kept = ("difference", "interval")
        pairs.append((row, {key: found[key] for key in kept} | {"p": found["unit_p"]}, against))
    least = least_seed_difference(done, len(pairs))
    for (row, found, against), p in zip(pairs, holm([f["p"] for _, f, _ in pairs]), strict=True):
        clear = p < LEVEL and abs(found["difference"]) > (least or 0)
        row["against_best"] = found | {"cell": against, "p_holm": float(p), "clear": bool(clear)}
    for row in rows:
        row.setdefault("against_best", None)
    return {
        "cells": rows,
        "best": done[0]["name"] if done else None,
        "least_seed_difference": least,
        "summary": sentences(rows, rank, least),
    }


def _key(row, rank):
    if rank == "test":
        return (-row["clip_accuracy"], row["name"])
    loss = row["valid_loss"]
    return (loss is None, 0 if loss is None else loss, row["name"])


def least_seed_difference(rows: list[dict], n_comparisons: int) -> float | None:
    """How far the means of two cells must lie apart before training luck is an unlikely reason.

    From the SD between seeds, pooled over cells, by Student's t, after Bonferroni; of cells whose
    number of seeds differs the smallest number counts. None where no cell has two seeds.

    Parameters
    ----------
    rows : list of dict
        Of cells that are done, with ``seeds``.
    n_comparisons : int
    """
    accuracies = [[s["clip_accuracy"] for s in row["seeds"]] for row in rows]
    spread = [(np.var(a, ddof=1), len(a) - 1) for a in accuracies if len(a) > 1]
    freedom = sum(n for _, n in spread)
    if not freedom or not n_comparisons:
        return None
    pooled = sum(v * n for v, n in spread) / freedom
    n = min(len(a) for a in accuracies if len(a) > 1)
    quantile = student.ppf(1 - LEVEL / 2 / n_comparisons, freedom)
    return float(quantile * np.sqrt(pooled * 2 / n))


def sentences(rows: list[dict], rank: str, least: float | None) -> list[str]:
    """What the numbers carry, no more."""
    done = [row for row in rows if row["status"] == "done"]
    failed = [row for row in rows if row["status"] == "failed"]
    pending = sum(row["status"] == "pending" for row in rows)
    found = []
    if done:
        best = done[0]
        low, high = best["clip_interval"]
        accuracy = f"{best['clip_accuracy']:.3f} [{low:.3f}, {high:.3f}]"
        found.append(
            f"{best['name']} has the {RANKS[rank]} of {len(done)} cells; its accuracy on "
            f"{best['n_clips']} test clips is {accuracy}, chance {best['chance']:.3f}."
        )
        if rank == "test":
            found.append(
                "It was chosen by the clips it is scored on, so its accuracy is too high: the "
                "highest of several draws."
            )
    compared = [row for row in done if row["against_best"]]
    if compared:
        found.append(_compared(compared, least))
    if done and least is None:
        found.append("One seed a cell: how much training itself varies is not known.")
    found += [f"{row['name']} failed: {row['reason']}." for row in failed]
    if pending:
        found.append(f"{pending} of {len(rows)} cells are still to be trained.")
    return found


def _compared(rows, least) -> str:
    clear = [row for row in rows if row["against_best"]["clear"]]
    what = "the best of its model (of all, for those)"
    luck = f" and by more than the {least:.3f} that seeds alone may make" if least else ""
    rule = f"corrected p < {LEVEL}{luck}"
    if not clear:
        return (
            f"None of {len(rows)} cells differs from {what} on the test clips ({rule}): all "
            "differences are within noise."
        )
    names = ", ".join(f"{r['name']} ({r['against_best']['difference']:+.3f})" for r in clear)
    rest = len(rows) - len(clear)
    within = f"; the other {rest} are within noise" if rest else ""
    return (
        f"{len(clear)} of {len(rows)} cells differ from {what} on the test clips ({rule}): "
        f"{names}{within}."
    )

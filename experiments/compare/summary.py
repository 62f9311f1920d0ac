"""What a comparison says: tables of numbers, and a verdict by a stated rule."""

import itertools

import numpy as np
import pandas as pd

from cortexnet.crossval import over_seeds
from cortexnet.evaluation import wilson_interval
from cortexnet.paired import group_interval, holm, paired_difference
from experiments.compare.robustness import Condition

LEVEL = 0.05
RULE = (
    f"A model is called better where the sign-flip test over tracks, corrected after Holm for all "
    f"pairs, is below {LEVEL}."
)


def predictions(test: pd.DataFrame, predicted, seed: int = 0) -> pd.DataFrame:
    """Table of predicted labels, as `cortexnet.paired.paired_difference` takes it."""
    return pd.DataFrame(
        {
            "clip_id": test["clip_id"].to_numpy(str),
            "label": test["label"].to_numpy(str),
            "predicted": predicted,
            "unit": test["group"].to_numpy(str),
            "seed": seed,
        }
    )


def accuracy(name: str, table: pd.DataFrame) -> dict:
    """Clip accuracy of a model with intervals over clips (Wilson) and over tracks (bootstrap)."""
    right = (table["label"] == table["predicted"]).to_numpy(float)
    labels = sorted({*table["label"], *table["predicted"]})
    counts = pd.crosstab(table["label"], table["predicted"])
    counts = counts.reindex(index=labels, columns=labels, fill_value=0)
    return {
        "name": name,
        "n_clips": len(right),
        "clip_accuracy": float(right.mean()),
        "clip_interval": list(wilson_interval(right.sum(), len(right))),
        "track_interval": list(group_interval(right, table["unit"])),
        "confusion": {"labels": labels, "matrix": counts.to_numpy().tolist()},
    }


def pairs(tables: dict[str, pd.DataFrame]) -> list[dict]:
    """Every two models, paired over clips and tracks, corrected for the number of pairs."""
    rows = []
    for first, second in itertools.combinations(tables, 2):
        found = paired_difference(tables[first], tables[second])
        low, high = found.pop("interval")
        kept = ("difference", "only_first", "only_second", "p", "unit_p")
        rows.append({"first": first, "second": second} | {key: found[key] for key in kept}
                    | {"low": low, "high": high})  # fmt: skip
    for key in ("p", "unit_p"):
        for row, p in zip(rows, holm([row[key] for row in rows]), strict=True):
            row[f"{key}_holm"] = float(p)
    return [row | {"clear": row["unit_p_holm"] < LEVEL} for row in rows]


def verdict(rows: list[dict]) -> str:
    """The outcome of `pairs` in words, by `RULE`."""
    clear = [row for row in rows if row["clear"]]
    names = dict.fromkeys(name for row in rows for name in (row["first"], row["second"]))
    count = f"{len(rows)} paired test{'s' * (len(rows) > 1)}"
    if not clear:
        least = min(row["unit_p_holm"] for row in rows)
        most = max(max(abs(row["low"]), abs(row["high"])) for row in rows)
        return (
            f"No model is shown to be better: none of {count} is below {LEVEL} (lowest corrected p "
            f"{least:.2g}); true differences of up to {most:.3f} are not excluded."
        )
    wins = [(r["first"], r["second"]) if r["difference"] > 0 else (r["second"], r["first"])
            for r in clear]  # fmt: skip
    said = ", ".join(
        f"{better} than {worse} by {abs(row['difference']):.3f} "
        f"[{min(abs(row['low']), abs(row['high'])):.3f}, "
        f"{max(abs(row['low']), abs(row['high'])):.3f}]"
        for (better, worse), row in zip(wins, clear, strict=True)
    )
    ahead = [n for n in names if sum(better == n for better, _ in wins) == len(names) - 1]
    best = f" {ahead[0]} is shown to be better than every other model." if ahead else ""
    rest = len(rows) - len(clear)
    open_ = f" The other {rest} of {count} decide nothing." if rest else ""
    return f"Shown to be better: {said}.{best}{open_}"


def curve(name: str, test: pd.DataFrame, cells: list[dict]) -> list[dict]:
    """Accuracy at every size: mean over seeds, interval over tracks, SD between seeds."""
    rows = []
    for size in sorted({cell["tracks"] for cell in cells}):
        own = [cell for cell in cells if cell["tracks"] == size]
        table = pd.concat([predictions(test, cell["predicted"], cell["seed"]) for cell in own])
        found = over_seeds(table, len(test))
        low, high = found["group_interval"]
        rows.append(
            {
                "name": name,
                "tracks": size,
                "clips": float(np.mean([cell["clips"] for cell in own])),
                "clip_accuracy": found["clip_accuracy"],
                "low": low,
                "high": high,
                "seed_sd": found["seed_sd"],
                "seeds": [seed["clip_accuracy"] for seed in found["seeds"]],
            }
        )
    return rows


def robust(name: str, clean: pd.DataFrame, condition: Condition, table: pd.DataFrame) -> dict:
    """Accuracy under a condition, paired with that on the clips as they are."""
    found = paired_difference(table, clean)
    low, high = found["interval"]
    return {
        "name": name,
        "condition": condition.name,
        "kind": condition.kind,
        "size": condition.size,
        "unit": condition.unit,
        "clip_accuracy": float((table["predicted"] == table["label"]).mean()),
        "difference": found["difference"],
        "low": low,
        "high": high,
        "p": found["unit_p"],
    }


def classes(tables: dict[str, pd.DataFrame]) -> list[dict]:
    """Recall of every class by every model, and its difference for every two."""
    rows = []
    for label in sorted(set(next(iter(tables.values()))["label"])):
        own = {name: table[table["label"] == label] for name, table in tables.items()}
        recall = {n: float((t["predicted"] == label).mean()) for n, t in own.items()}
        for first, second in itertools.combinations(tables, 2):
            found = paired_difference(own[first], own[second])
            low, high = found["interval"]
            rows.append(
                {
                    "label": label,
                    "n_clips": found["n_clips"],
                    "first": first,
                    "second": second,
                    "first_recall": recall[first],
                    "second_recall": recall[second],
                    "difference": found["difference"],
                    "low": low,
                    "high": high,
                }
            )
    return rows


def sentences(result: dict) -> list[str]:
    """Verdict, rule, and where each model loses most when sounds are disturbed."""
    said = [verdict(result["pairs"]), RULE]
    for model in result["models"]:
        own = [row for row in result["robustness"] if row["name"] == model["name"]]
        if not own:
            continue
        worst = min(own, key=lambda row: row["difference"])
        said.append(
            f"{model['name']} loses most at {worst['kind']} {worst['size']:g} {worst['unit']}: "
            f"{worst['difference']:+.3f} [{worst['low']:+.3f}, {worst['high']:+.3f}]."
            if worst["difference"] < 0
            else f"{model['name']} loses nothing under any condition."
        )
    return said

"""The models that are compared: runs with the same training and test clips."""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from cortexnet.fixed import has_fixed
from cortexnet.recipe import Recipe
from cortexnet.registry import create_model, model_label
from cortexnet.runs import Run, load_run, train_run
from experiments.clips import with_test
from stimuli import InputError, load_clips
from stimuli.dataset import decoded

SAMPLE_RATE = 22050
TEST_FRACTION = 0.25
VALID_FRACTION = 0.15
SPLIT_SEED = 0
_SETTINGS = tuple(field.name for field in fields(Recipe) if field.name != "seed")


@dataclass(frozen=True, eq=False)
class Entrant:
    """A run that takes part.

    Attributes
    ----------
    name : str
        Of its folder.
    run : Run
    pool : DataFrame
        Clips it was trained on or chose its weights by, sorted by clip_id.
    test : DataFrame
        Clips it held out, sorted by clip_id.
    """

    name: str
    run: Run
    pool: pd.DataFrame
    test: pd.DataFrame

    @property
    def is_readout(self) -> bool:
        """Whether it is fitted in one step on features that do not learn."""
        return hasattr(self.run.model, "fit_readout")

    @property
    def budget(self) -> dict:
        """How it was trained."""
        card = self.run.card
        one_step = {"fitted": "in one step", "setting": card.get("readout", {})}
        asked = {key: card["recipe"][key] for key in ("epochs", "batch_size", "optimizer")}
        stated = one_step if self.is_readout else asked | {"epochs_run": card["epochs"]}
        segment = {"segment_seconds": round(card["recipe"]["segment"] / card["sample_rate"], 2)}
        return stated | segment | {"clips": len(self.pool), "seed": card["recipe"]["seed"]}


def model_settings(models: Sequence[str], given: Sequence[tuple[str, str, object]]) -> dict:
    """Recipes and options of each model.

    Parameters
    ----------
    models : sequence of str
    given : sequence of (model, key, value)
        Model "" is all; a later entry counts, one of a model more than one of all. Keys are fields
        of `Recipe` or options of the model.

    Returns
    -------
    {model: (recipe fields, options)}

    Raises
    ------
    InputError
        If a model is not among `models`, or does not take what is given.
    """
    for name, key, _ in given:
        if name and name not in models:
            raise InputError(
                f"{name}: {key} is given, but --models are {', '.join(models)}; name one of them"
            )
    found = {}
    for model in models:
        own = {k: v for name, k, v in given if not name} | {k: v for n, k, v in given if n == model}
        recipe = {k: v for k, v in own.items() if k in _SETTINGS}
        options = {k: v for k, v in own.items() if k not in _SETTINGS}
        built = create_model(model, 2, SAMPLE_RATE, **options)
        named = [k for name, k, _ in given if name == model and k in recipe and k != "segment"]
        if hasattr(built, "fit_readout"):
            if named:
                raise InputError(
                    f"{model} is fitted in one step, for which {named[0]} means nothing; "
                    "leave it out"
                )
            recipe = {k: v for k, v in recipe.items() if k == "segment"}
        Recipe.of(model, **recipe)
        found[model] = recipe, options
    return found


def train_entrants(
    settings: dict,
    clips: pd.DataFrame,
    out: Path,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
    sample_rate: int = SAMPLE_RATE,
    progress: bool = False,
    device: str = "auto",
) -> list[Path]:
    """Train every model that is not there yet, all on the same clips.

    Parameters
    ----------
    settings : dict
        As of `model_settings`.
    clips : DataFrame
        Rows of split "test" are tested on; where there are none a quarter of the groups of every
        label, the same for all models.
    out : Path
        ``runs/NAME``; features of stages that never learn stay in ``features``.
    seed : int
    report : callable
        Given a line of text for every model.
    sample_rate, progress, device : as `cortexnet.runs.train_run`

    Returns
    -------
    list of Path
        Folders of the runs.
    """
    labels = [model_label(model) for model in settings]
    folders = [out / "runs" / re.sub(r"[^\w.=+-]", "_", label) for label in labels]
    _refuse_twice(folders)
    clips = with_test(clips.reset_index(drop=True), TEST_FRACTION, SPLIT_SEED)
    waves = None
    for (model, (recipe, options)), folder in zip(settings.items(), folders, strict=True):
        done = (folder / "card.json").is_file()
        if waves is None and not done and not has_fixed(create_model(model, 2, **options)):
            waves = decoded(clips, sample_rate)
        run = train_run(
            model, clips, folder, Recipe.of(model, seed=seed, **recipe), VALID_FRACTION,
            sample_rate, options, waves, progress, cache=out / "features", device=device,
        )  # fmt: skip
        report(f"{folder.name}: {'kept' if done else 'trained'}, {run.card['seconds']:.0f} s")
    return folders


def load_entrants(folders: Sequence[Path]) -> list[Entrant]:
    """Runs whose clips are the same.

    Raises
    ------
    InputError
        If there are fewer than two, two of one name, one without test clips or of another sample
        rate, training or test clips differ, or test clips are too few.
    """
    folders = [Path(folder) for folder in folders]
    if len(folders) < 2:
        raise InputError(f"{len(folders)} run to compare; name two or more")
    _refuse_twice(folders)
    entrants = []
    for folder in folders:
        run = load_run(folder)
        clips = load_clips(folder / "clips.csv")
        clips = clips.sort_values("clip_id", ignore_index=True)
        test = clips["split"] == "test"
        if not test.any():
            raise InputError(
                f"{folder}: no clip was held out; train on a table with rows of split test"
            )
        pool, held = clips[~test].reset_index(drop=True), clips[test].reset_index(drop=True)
        entrants.append(Entrant(folder.name, run, pool, held))
    first, *others = entrants
    sizes = first.test.groupby("group").size()
    if len(sizes) < 3 or sizes.sum() - sizes.max() < 4:
        raise InputError(
            f"{first.run.folder}: {sizes.sum()} test clips of {len(sizes)} groups are too few to "
            "compare on; hold out clips of three groups at least"
        )
    for one in others:
        if one.run.card["sample_rate"] != first.run.card["sample_rate"]:
            raise InputError(f"{one.run.folder}: another sample rate than {first.run.folder}")
        for side, what in (("test", "tested"), ("pool", "trained")):
            if not _same(getattr(one, side), getattr(first, side)):
                raise InputError(
                    f"{one.run.folder}: {what} on other clips than {first.run.folder}; "
                    "train both on one table with a column split"
                )
    return entrants


def _refuse_twice(folders):
    name, times = Counter(folder.name for folder in folders).most_common(1)[0]
    if times > 1:
        raise InputError(f"{name}: named {times} x; models are told apart by it")


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    columns = ["clip_id", "label", "group"]
    return len(one) == len(other) and bool(np.all(one[columns] == other[columns]))


def forget(folder: Path) -> None:
    """Delete what was only needed on the way."""
    shutil.rmtree(folder, ignore_errors=True)

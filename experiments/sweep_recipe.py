"""What a sweep trains: a TOML file to cells, checked before anything is trained."""

import dataclasses
import itertools
import re
from pathlib import Path

from cortexnet.recipe import Recipe
from cortexnet.registry import create_model, model_label
from experiments.toml_recipe import check_keys, check_kind, near, read_toml, recipe_file, written
from stimuli import InputError

SHIPPED = ("normalisation", "optimizers")
MINIATURE = "miniature"
FIELDS = {f.name: f for f in dataclasses.fields(Recipe) if f.name != "seed"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One combination of a model, settings of training and options of the model.

    Attributes
    ----------
    name : str
        Of its folder: the model and the place on every axis.
    model : str
    axes : {axis: value}
    recipe : {field of `Recipe`: value}, without seed
    options : {option of the model: value}
    """

    name: str
    model: str
    axes: dict
    recipe: dict
    options: dict

    def training(self, seed: int) -> Recipe:
        """How it is trained with a seed."""
        return Recipe.of(self.model, seed=seed, **self.recipe)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A grid of cells and how they are tested.

    Attributes
    ----------
    title : str
    stimuli : str
        "miniature", the path of clips, or "" where the file names none.
    cells : tuple of Cell
    axes : {axis: values}
    seeds : tuple of int
        Every cell is trained with each.
    folds : int
        Of grouped cross-validation; 0 for one set of test clips.
    keep : tuple of str
        Columns that splits keep whole beside the group.
    valid_fraction, test_fraction : float
        Shares of groups, where the clip table does not say.
    """

    title: str
    stimuli: str
    cells: tuple[Cell, ...]
    axes: dict
    seeds: tuple[int, ...] = (0,)
    folds: int = 0
    keep: tuple[str, ...] = ()
    valid_fraction: float = 0.15
    test_fraction: float = 0.25


# Kinds of the keys of the file; a list is of one kind, and not empty.
KEYS = {
    "title": str,
    "stimuli": str,
    "models": [str],
    "seeds": [int],
    "folds": int,
    "keep": [str],
    "valid_fraction": float,
    "test_fraction": float,
    "recipe": dict,
    "options": dict,
    "grid": dict,
}


def read_recipe(source: str | Path) -> Sweep:
    """Read and check a recipe.

    Parameters
    ----------
    source : str or Path
        As of `recipe_file`.

    Returns
    -------
    Sweep
        A relative path of stimuli counts from the file's folder.

    Raises
    ------
    InputError
        In one line that names the file: for a key, field or option that there is not, a value of
        another kind or out of range, or an empty grid.
    """
    path = recipe_file(source, SHIPPED)
    sweep = read_toml(path, make_sweep)
    if sweep.stimuli in ("", MINIATURE):
        return sweep
    return dataclasses.replace(sweep, stimuli=str(path.parent / sweep.stimuli))


def make_sweep(value: dict, title: str = "sweep") -> Sweep:
    """Sweep of the content of a recipe file; raises as `read_recipe`, without the file."""
    check_keys(value, KEYS)
    if "models" not in value:
        raise InputError('no models; name some, such as models = ["cortexnet_s"]')
    grid, base, options = (value.get(key, {}) for key in ("grid", "recipe", "options"))
    if not grid and len(value["models"]) < 2:
        raise InputError("nothing to compare: neither a [grid] nor several models")
    for axis, values in grid.items():
        check_kind(f"grid.{axis}", values, [FIELDS[axis].type] if axis in FIELDS else [object])
    for field, given in base.items():
        if field not in FIELDS:
            other = " (seeds = [0, 1] names seeds)" if field == "seed" else near(field, FIELDS)
            raise InputError(f"unknown setting of training '{field}' under [recipe]{other}")
        check_kind(f"recipe.{field}", given, FIELDS[field].type)
    if "seed" in grid:
        raise InputError("seeds are no axis: every cell is trained with each; seeds = [0, 1]")
    checks = {"folds": (2, None), "valid_fraction": (0.01, 0.9), "test_fraction": (0.01, 0.9)}
    for key, (low, high) in checks.items():
        given = value.get(key, low)
        if not low <= given <= (high or given):
            most = f" and at most {high}" if high else ""
            raise InputError(f"{key} is {given}; it must be at least {low}{most}")
    if min(value.get("seeds", [0])) < 0:
        raise InputError("seeds must not be negative")
    kept = {key: given for key, given in value.items() if key not in ("recipe", "options", "grid")}
    kept |= {key: tuple(kept[key]) for key in ("seeds", "keep") if key in kept}
    axes = {"model": kept.pop("models"), **grid}
    cells = tuple(
        _cell(dict(zip(axes, values, strict=True)), base, options)
        for values in itertools.product(*axes.values())
    )
    _check_models(cells)
    return Sweep(**{"title": title, "stimuli": ""} | kept, cells=cells, axes=axes)


def _cell(axes: dict, base: dict, options: dict) -> Cell:
    model, *others = axes.items()
    place = "".join(f"-{axis}={written(value)}" for axis, value in others)
    name = re.sub(r"[^\w.=+-]", "_", model_label(model[1]) + place)
    recipe = base | {axis: value for axis, value in others if axis in FIELDS}
    options = options | {axis: value for axis, value in others if axis not in FIELDS}
    cell = Cell(name, model[1], axes, recipe, options)
    try:
        cell.training(0)
    except InputError as error:
        raise InputError(f"cell {name}: {error}") from error
    return cell


def _check_models(cells) -> None:
    """Build every model once: it says which option it does not take, or which value."""
    names = [cell.name for cell in cells]
    for cell, name in zip(cells, names, strict=True):
        if names.count(name) > 1:
            raise InputError(f"two cells would be called {name}; name each model and value once")
        try:
            model = create_model(cell.model, 2, **cell.options)
        except InputError as error:
            strange = re.search(r"no option '(\w+)'", str(error))
            hint = near(strange[1], FIELDS) if strange else ""
            raise InputError(f"{error}{hint}") from error
        moot = [axis for axis in cell.axes if axis in FIELDS and axis != "segment"]
        if moot and hasattr(model, "fit_readout"):
            raise InputError(
                f"{cell.model} is fitted in one step, for which {moot[0]} means nothing; "
                "leave the model or the axis out"
            )

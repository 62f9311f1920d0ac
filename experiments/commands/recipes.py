"""Options of every command that trains: one list, made from the fields of `Recipe`."""

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cortexnet.recipe import Recipe
from experiments.commands.options import DEVICE

SAMPLE_RATE = 22050

# What the command line says in another way.
_OWN_WAY = ("segment", "seed")


def _recipe_parameters() -> list[inspect.Parameter]:
    parameters = []
    for field in dataclasses.fields(Recipe):
        if field.name in _OWN_WAY:
            continue
        about, choices = field.metadata["help"], field.metadata.get("choices")
        kind, flag = type(field.default), f"--{field.name.replace('_', '-')}"
        if kind is bool:
            flag += f"/--no-{flag[2:]}"
        elif field.default is not None:
            about += f" Usually {field.default}."
        kind = float if field.default is None else kind
        # Limits are those of `Recipe` itself, which refuses in one line.
        metavar = "|".join(choices) if choices else None
        option = typer.Option(flag, help=about, show_default=False, metavar=metavar)
        parameters.append(_parameter(field.name, kind | None, option, None))
    return parameters


def _parameter(name, kind, option, default) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


_SEGMENT = _parameter(
    "segment_seconds",
    float | None,
    typer.Option(help="Length of a segment. Usually 2.97.", show_default=False),
    None,
)
_OPTIONS = _parameter(
    "option",
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Of the model, such as norm=group or recurrence=false; repeatable.",
    ),
    None,
)
_MACHINE = [
    _parameter(
        "workers",
        int,
        typer.Option(min=0, help="Processes that load segments; 1 is worth it with --augment."),
        0,
    ),
    _parameter(
        "cache",
        Path | None,
        typer.Option(
            help="Folder that keeps what never learns, for other runs. Usually deleted in the end."
        ),
        None,
    ),
    _parameter("device", str, DEVICE, "auto"),
    _parameter(
        "devices",
        int,
        typer.Option(min=1, help="Devices of this kind on each machine, a process each."),
        1,
    ),
    _parameter(
        "tensorboard",
        bool,
        typer.Option("--tensorboard", help="Write losses for TensorBoard too."),
        False,
    ),
]


def with_recipe(command: Callable) -> Callable:
    """Give a command the options of training.

    Parameters
    ----------
    command : callable
        With keywords ``recipe``, ``options`` and ``machine``, which are not options themselves: it
        is called with three dictionaries, of what was given of the fields of `Recipe` (for
        `Recipe.of`), of options of the model, and of how to run (arguments of `train_run` and
        `crossval` that do not change the result).

    Returns
    -------
    callable
        To be registered as a command.
    """
    own = inspect.signature(command)
    of_recipe = _recipe_parameters()

    @functools.wraps(command)
    def run(**given: Any):
        recipe = {p.name: given.pop(p.name) for p in of_recipe}
        seconds = given.pop("segment_seconds")
        if seconds is not None:
            recipe["segment"] = round(seconds * SAMPLE_RATE)
        recipe = {name: value for name, value in recipe.items() if value is not None}
        options = dict(parse_option(text) for text in given.pop("option") or ())
        machine = {p.name: given.pop(p.name) for p in _MACHINE}
        return command(**given, recipe=recipe, options=options, machine=machine)

    kept = [p for p in own.parameters.values() if p.name not in ("recipe", "options", "machine")]
    kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
    parameters = [*kept, *of_recipe, _SEGMENT, _OPTIONS, *_MACHINE]
    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def parse_option(text: str) -> tuple[str, Any]:
    """Key and value of ``KEY=VALUE``; numbers, true, false and null as in JSON, else a word.

    Raises
    ------
    InputError
        If there is no key, or the value is a list or an object.
    """
    from stimuli import InputError

    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise InputError(f"--option '{text}' is not KEY=VALUE, such as norm=group")
    try:
        parsed = json.loads(value)
    except json.JSONDecodeError:
        return key, value
    if isinstance(parsed, list | dict):
        raise InputError(f"--option '{text}': the value must be a number, a word, true or false")
    return key, parsed

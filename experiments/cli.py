"""The command line."""

import sys
import warnings
from typing import Annotated

import typer

from experiments.commands import (
    brain,
    compare,
    models,
    results,
    retrieval,
    rsa,
    run,
    stages,
    stimuli,
    sweep,
    training,
)

app = typer.Typer(
    help="Networks of auditory cortex, baselines, and honest encoding of brain responses.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def settings(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    own: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            help="Code of your own with models: FILE.py or a module, or one of its functions "
            "(FILE.py:FUNCTION), as when the run was trained. Only code you trust: it is run.",
        ),
    ] = None,
) -> None:
    """Settings of all commands."""
    if own:
        from cortexnet.own import import_code, is_own
        from cortexnet.registry import find_model

        for name in own:
            (find_model if is_own(name) else import_code)(name)


for commands in (results, run, models, training, sweep, compare, retrieval, brain, rsa, stages):
    app.registered_commands += commands.app.registered_commands
app.add_typer(stimuli.app, name="stimuli")


def main() -> None:
    """Entry point: input errors become one line and exit code 2."""
    from cortexnet.memory import keep_freed_memory

    keep_freed_memory()
    warnings.showwarning = _show_warning
    try:
        app()
    except (ValueError, OSError) as error:
        if "--debug" in sys.argv or not _is_of_the_input(error):
            raise
        print(f"cortexnet: {error}", file=sys.stderr)
        sys.exit(2)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """One line, without the place in the code."""
    print(f"cortexnet: note: {message}", file=sys.stderr)


def _is_of_the_input(error: Exception) -> bool:
    """Whether the user can mend it; imported late, so that `--help` answers at once."""
    from encoding import InputError as EncodingInputError
    from stimuli import InputError

    return isinstance(error, InputError | EncodingInputError | OSError)

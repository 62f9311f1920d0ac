"""Cells of a comparison: small files, each computed once."""

import json
from collections.abc import Callable
from pathlib import Path

from cortexnet.runs import write_json


def kept(path: Path, compute: Callable[[], dict]) -> dict:
    """What a file holds; computed and written first where there is none.

    Parameters
    ----------
    path : Path
        JSON, appears whole or not at all.
    compute : callable
        Gives a dict of JSON types.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, compute())
    return json.loads(path.read_text(encoding="utf-8"))

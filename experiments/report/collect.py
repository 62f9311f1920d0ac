"""Files of a results folder into records; files are known by their names."""

import dataclasses
import os
from collections import Counter
from pathlib import Path

from experiments.report.parse import PARSERS, RESULTS, parse, read_json
from experiments.report.provenance_tables import command_line
from experiments.report.records import Classifier, Comparison, Retrieval, StageTest, Subject, Sweep
from experiments.report.results import Results
from experiments.report.rsa_records import RSA
from stimuli import InputError

Named = Classifier | Comparison | Retrieval | RSA | StageTest | Subject | Sweep
# Files with pictures, which say what made them.
COMMANDED = (
    "evaluation.json", "crossval.json", "results.json", "nh2015.json", "sweep.json",
    "compare.json", "stages.json",
)  # fmt: skip
SEARCHES = ("search.json", "recommend.json")


def collect(folder: Path) -> Results:
    """Read everything a report can show from a folder and the folders below it.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Results

    Raises
    ------
    InputError
        If there is nothing to report, a file is damaged, or two files tell different truths.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: not a folder; name the one that results were written to")
    files = {
        name: [(path, read_json(path)) for path in paths] for name, paths in _find(folder).items()
    }
    for name in ("evaluation.json", "crossval.json"):
        files[name] = _outside(files[name], files["sweep.json"])
    files["evaluation.json"] = _outside(files["evaluation.json"], files["crossval.json"])
    files["results.json"] = [(p, v) for p, v in files["results.json"] if _is_known(v)]
    for name in ("truth.json", "nh2015.json"):
        files[name] = _same(files[name])
    records = {name: [(p, parse(p, v)) for p, v in files[name]] for name in PARSERS}
    if not any(records[name] for name in PARSERS if name not in ("truth.json", "timings.json")):
        raise InputError(
            f"{folder}: nothing to report; looked in it and below it for evaluation.json, "
            "crossval.json, results.json (of encode or rsa), nh2015.json, models.json, "
            "search.json, recommend.json, retrieval.json, sweep.json, compare.json, stages.json"
        )
    made = files["provenance.json"]
    for name in COMMANDED:
        records[name] = _with_commands(records[name], made)
    truth, note = next((value for _, value in records["truth.json"]), ({}, ""))
    return Results(
        classifiers=_told_apart(records["evaluation.json"] + records["crossval.json"]),
        costs={name: row for _, table in records["models.json"] for name, row in table.items()},
        subjects=_told_apart([row for row in records["results.json"] if type(row[1]) is Subject]),
        rsas=_told_apart([row for row in records["results.json"] if type(row[1]) is RSA]),
        truth=truth,
        truth_note=note,
        benchmark=next((value for _, value in records["nh2015.json"]), None),
        searches=[value for name in SEARCHES for _, value in records[name]],
        retrievals=_told_apart(records["retrieval.json"]),
        sweeps=_told_apart(records["sweep.json"]),
        comparisons=_told_apart(records["compare.json"]),
        stage_tests=_told_apart(records["stages.json"]),
        provenance=[(path.parent.relative_to(folder).as_posix(), value) for path, value in made],
        timings=[row for _, rows in records["timings.json"] for row in rows],
    )


def _find(folder: Path) -> dict[str, list[Path]]:
    """Known files, outermost first, then by name; array stores are not entered."""
    found = {name: [] for name in (*PARSERS, "provenance.json")}
    for where, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".") and not f.endswith(".zarr")]
        for name in set(names) & set(found):
            found[name].append(Path(where) / name)
    for paths in found.values():
        paths.sort(key=lambda path: (len(path.parts), path.as_posix()))
    return found


def _outside(rows: list, whole: list) -> list:
    """Files that are no part of what is reported as a whole: not below the folder of such a one."""
    folders = {path.parent for path, _ in whole}
    return [(path, value) for path, value in rows if not folders & set(path.parent.parents)]


def _is_known(value) -> bool:
    """Whether a results.json holds what is reported: others may write files of that name."""
    return isinstance(value, dict) and value.get("kind") in RESULTS and bool(value.get("layers"))


def _with_commands(records: list, provenance: list) -> list:
    """Records with the command that made them: that of their folder, or of the nearest above."""
    lines = {path.parent: command_line(value) for path, value in provenance}
    found = []
    for path, record in records:
        near = next((lines[folder] for folder in path.parents if folder in lines), None)
        found.append((path, dataclasses.replace(record, command=near)))
    return found


def _same(rows: list) -> list:
    """The outermost of several equal files."""
    for path, value in rows[1:]:
        if value != rows[0][1]:
            raise InputError(
                f"{path}: differs from {rows[0][0]}; report on one of the two folders alone"
            )
    return rows[:1]


def _told_apart(
    rows: list[tuple[Path, Named]],
) -> list:
    """Records by name; one that shares name and test with another gets its folder's name too."""
    used = Counter(_identity(record) for _, record in rows)
    return [
        dataclasses.replace(record, label=f"{record.label} ({path.parent.name})")
        if used[_identity(record)] > 1
        else record
        for path, record in rows
    ]


def _identity(record: Named) -> tuple[str, ...]:
    return record.label, getattr(record, "tested_on", "")

"""The page: records to tables, pictures and sentences, and these into the template."""

import shlex
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import jinja2
from markupsafe import Markup

from experiments.report import (
    benchmark_tables,
    brain_figures,
    brain_tables,
    classification_tables,
    compare_figures,
    compare_tables,
    figures,
    methods,
    notes,
    provenance_tables,
    retrieval_tables,
    rsa_figures,
    rsa_tables,
    stages_figures,
    stages_tables,
    surface_figures,
    surface_view,
    sweep_figures,
    sweep_tables,
    text,
)
from experiments.report.citations import cite
from experiments.report.collect import collect
from experiments.report.export import write_pictures
from experiments.report.paired import Pair, paired
from experiments.report.players import Players
from experiments.report.records import Comparison, StageTest, Subject, Sweep
from experiments.report.recovery import recoveries
from experiments.report.results import Results
from experiments.report.rsa_records import RSA
from experiments.report.svg import Picture
from stimuli.provenance import whole_file

TITLE = "auditory-cortexnet report"


def build_report(folder: Path, title: str | None = None, figures: bool = False) -> Path:
    """Write one self-contained page about a folder of results.

    Parameters
    ----------
    folder : Path
        Read recursively; files are known by their names (``evaluation.json``, ``crossval.json``,
        ``results.json`` of encoding, ``nh2015.json``, ``search.json``, ``recommend.json``,
        ``retrieval.json``, ``sweep.json``, ``compare.json``, ``stages.json``, ``models.json``,
        ``truth.json``, ``timings.json``, ``provenance.json``).
    title : str, optional
        Default: "auditory-cortexnet report".
    figures : bool
        Also write every picture to ``<folder>/figures`` as PDF and PNG.

    Returns
    -------
    Path
        ``<folder>/report.html``; the same folder gives the same bytes.

    Raises
    ------
    stimuli.InputError
        If the folder holds nothing to report or a file is damaged.
    """
    folder = Path(folder)
    results, players = collect(folder), Players()
    content = contents(results, players)
    command = shlex.join(["cortexnet", "report", str(folder), "--figures"])
    page = render(content, players, title or TITLE, command)
    if figures:
        write_pictures(content, folder / "figures")
    path = folder / "report.html"
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def contents(results: Results, players: Players) -> dict:
    """Sentences, tables and pictures of every section; None or empty where there is none."""
    return {
        "summary": text.summary(results),
        "notes": notes.how_to_read(results),
        "classification": _classification(results, players) if results.classifiers else None,
        "sweeps": [_sweep(sweep, f"sweep{i}") for i, sweep in enumerate(results.sweeps)],
        "comparisons": [_comparison(c, f"compare{i}") for i, c in enumerate(results.comparisons)],
        "stages": [_stages(test, f"stages{i}") for i, test in enumerate(results.stage_tests)],
        "brain": _brain(results) if results.subjects else None,
        "rsas": [_rsa(found, results, f"rsa{i}") for i, found in enumerate(results.rsas)],
        "sounds": _sounds(results) if results.benchmark else None,
        "retrieval": _retrieval(results, players)
        if results.searches or results.retrievals
        else None,
        "cost": _cost(results),
        "methods": _methods(results),
        "making": _making(results),
    }


def render(content: dict, players: Players, title: str, command: str) -> str:
    """The page as HTML; `command` is the one that makes it."""
    here = files("experiments.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((here / "template.html.j2").read_text(encoding="utf-8"))
    turning = [test["turning"] for test in content["stages"]]
    return template.render(
        **content,
        turns=any(view and view["page"] for view in turning),  # plotly makes code of text
        title=title,
        style=Markup((here / "style.css").read_text(encoding="utf-8")),
        script=Markup((here / "report.js").read_text(encoding="utf-8")),
        report_command=command,
        sounds_told=text.playable(players),
    )


def _classification(results: Results, players: Players) -> dict:
    tests = text.by_test(results.classifiers)
    rows = [c for group in tests.values() for c in group]
    colours = figures.palette(results.models)
    return {
        "command": "\n".join(dict.fromkeys(c.command for c in rows if c.command)),
        "table": classification_tables.classifiers(rows),
        "accuracy": [
            (test, figures.accuracy(group, colours, f"accuracy{i}"))
            for i, (test, group) in enumerate(tests.items())
        ],
        "confusions": [(c, figures.confusion(c, f"confusion{i}")) for i, c in enumerate(rows)],
        "curves": [
            (c, figures.training_curve(c, f"curve{i}"))
            for i, c in enumerate(rows)
            if c.curve is not None
        ],
        "mistakes": [
            (c, [(sound, players.address(sound)) for sound in c.mistakes])
            for c in rows
            if c.mistakes
        ],
        "details": _filled(
            classification_tables.pairs(_pairs(tests.values())),
            classification_tables.classes(rows),
            classification_tables.folds(rows),
        ),
    }


def _sweep(sweep: Sweep, slug: str) -> dict:
    return {
        "title": sweep.label,
        "command": sweep.command,
        "sentences": sweep.sentences,
        "pictures": [
            (model, sweep_figures.accuracy(sweep, cells, f"{slug}-{i}"))
            for i, (model, cells) in enumerate(sweep_figures.panels(sweep).items())
        ],
        "table": sweep_tables.cells(sweep, slug),
    }


def _comparison(found: Comparison, slug: str) -> dict:
    colours = figures.palette(found.names)
    return {
        "title": found.label,
        "command": found.command,
        "sentences": found.sentences,
        "legend": [(name, colours[name][0], colours[name][2]) for name in found.names],
        "accuracy": figures.accuracy(found.classifiers, colours, f"{slug}-accuracy"),
        "learning": compare_figures.learning(found, colours, f"{slug}-learning"),
        "robustness": compare_figures.robustness(found, colours, f"{slug}-robustness"),
        "confusions": [
            (c, figures.confusion(c, f"{slug}-confusion{i}"))
            for i, c in enumerate(found.classifiers)
        ],
        "similarity": compare_figures.similarity(found, f"{slug}-similarity"),
        "brain": compare_figures.brain(found, colours, f"{slug}-brain"),
        "tables": [
            compare_tables.accuracy(found, slug),
            compare_tables.pairs(found, slug),
            compare_tables.costs(found, slug),
            compare_tables.budgets(found, slug),
        ],
        "details": _filled(
            compare_tables.learning(found, slug),
            compare_tables.robustness(found, slug),
            compare_tables.classes(found, slug),
            compare_tables.similarity(found, slug),
        ),
        "responses": _filled(compare_tables.brain(found, slug)),
    }


def _stages(test: StageTest, slug: str) -> dict:
    drawn = surface_figures.drawable(test.surfaces)
    return {
        "title": test.label,
        "command": test.command,
        "supported": test.supported,
        "verdict": text.verdict(test),
        "ladder": test.ladder,
        "matrix": stages_figures.matrix(test, f"{slug}-matrix"),
        "dots": stages_figures.interactions(test, f"{slug}-dots"),
        "legend": stages_figures.legend(test),
        "surfaces": _surfaces(
            drawn,
            dict.fromkeys(drawn, test.stages),
            "Best stage of each vertex, {}; none where the halves of the clips differ.",
            f"{slug}-surface",
        ),
        "turning": _turning(list(drawn.values()), test.stages),
        "ceilings": stages_tables.ceilings(test),
        "notes": stages_tables.notes(test),
        "tables": _filled(stages_tables.subjects(test, slug)),
        "details": _filled(stages_tables.regions(test, slug), stages_tables.ladder(test, slug)),
    }


def _surfaces(
    drawn: dict, stages: dict[str, list[str]], caption: str, slug: str
) -> list[tuple[str, Picture]]:
    """(caption, picture) of every subject or model; `caption` has a place for its name."""
    return [
        (
            caption.format(name or "subject"),
            surface_figures.stage_map(maps, stages[name], name or "subject", f"{slug}{i}"),
        )
        for i, (name, maps) in enumerate(drawn.items())
    ]


def _turning(subjects: list[dict], stages: list[str]) -> dict | None:
    """Caption and page of the surface that turns; no page without the package that draws it."""
    if not subjects:
        return None
    title = "Best stage of each vertex"
    if len(subjects) > 1:
        title = f"Most frequent best stage of each vertex, {len(subjects)} subjects"
    if not surface_view.can_turn():
        return {"title": title, "page": None}
    maps = surface_figures.most_frequent(subjects)
    return {"title": title, "page": surface_view.turning_map(maps, stages)}


def _pairs(groups) -> list[Pair]:
    """Every two models that were given the same clips."""
    found = [paired(*two) for group in groups for two in combinations(group, 2)]
    return [pair for pair in found if pair]


def _brain(results: Results) -> dict:
    subjects = results.subjects
    colours = figures.palette(results.models)
    models = list(dict.fromkeys(model for s in subjects for model in s.models))
    found = recoveries(results)
    return {
        "simulated": bool(results.truth),
        "note": results.truth_note,
        "ceilings": _ceiling_text(subjects),
        "truth": brain_tables.truth(found) if found else None,
        "heat_maps": [
            (s, brain_figures.by_layer(s, brain_figures.heat_limits(subjects), f"layers{i}"))
            for i, s in enumerate(subjects)
        ],
        "legend": [(model, colours[model][0], colours[model][2]) for model in models],
        "panels": [
            (s, brain_figures.by_model(s, colours, brain_figures.axis_limits(subjects), f"best{i}"))
            for i, s in enumerate(subjects)
        ],
        "tables": _filled(brain_tables.best_of_all(subjects)),
        "details": _filled(
            brain_tables.best_of_models(subjects), brain_tables.all_layers(subjects)
        ),
    }


def _rsa(found: RSA, results: Results, slug: str) -> dict:
    colours = figures.palette(results.models)
    known = found.rdms is not None
    return {
        "title": found.label,
        "sentences": text.similarity(found),
        "command": found.command,
        "matrix": rsa_figures.matrix(found, f"{slug}-matrix"),
        "dots": rsa_figures.subjects(found, colours, f"{slug}-subjects"),
        "legend": [(model, colours[model][0], colours[model][2]) for model in found.models],
        "rdms": rsa_figures.rdms(found, results.labels, f"{slug}-rdm") if known else [],
        "maps": rsa_figures.maps(found, results.labels, f"{slug}-plane") if known else [],
        "notes": found.notes,
        "table": rsa_tables.best(found, slug),
        "details": _filled(
            rsa_tables.layers(found, slug),
            rsa_tables.differences(found, slug),
            rsa_tables.measures(found, slug),
        ),
    }


def _ceiling_text(subjects: list[Subject]) -> str:
    known = [s.ceiling(r) is not None for s in subjects for r in s.regions]
    if not any(known):
        return "No ceiling is known: no clip was repeated."
    some = "" if all(known) else f" It is unknown in {known.count(False)} of {len(known)} cases."
    return f"The ceiling is the highest r that a perfect model could reach, given the noise.{some}"


def _sounds(results: Results) -> dict:
    bench = results.benchmark
    staged = any(bench.by_stage.values())
    return {
        "command": bench.command,
        "table": benchmark_tables.scores(bench),
        "controls": _filled(benchmark_tables.controls(bench)),
        "figure": brain_figures.by_stage(bench.by_stage, benchmark_tables.COMPONENTS, "sounds")
        if staged
        else None,
        "surfaces": _surfaces(
            surface_figures.drawable(bench.surfaces),
            {model: list(stages) for model, stages in bench.by_stage.items()},
            "{}: the stage that predicts best what a vertex responds with. r² of the six "
            "components, weighted by the significance of each at the vertex (group of ten, "
            "p < .001); none where no component is.",
            "sounds-map",
        ),
        "details": _filled(benchmark_tables.best_stages(bench), benchmark_tables.stages(bench)),
        "protocol": _filled(
            provenance_tables.settings(
                "natural-sounds-protocol", "Protocol of the benchmark.", bench.protocol
            )
        ),
    }


def _retrieval(results: Results, players: Players) -> dict:
    searches = [
        {
            "title": search.title,
            "text": text.searched(search),
            "asked": [(sound, players.address(sound)) for sound in search.asked],
            "found": [(sound, players.address(sound)) for sound in search.found],
            "details": _filled(retrieval_tables.neighbours(search, f"neighbours{i}")),
        }
        for i, search in enumerate(results.searches)
    ]
    return {
        "tables": _filled(retrieval_tables.scores(results.retrievals)),
        "details": _filled(*map(retrieval_tables.labels, results.retrievals)),
        "searches": searches,
    }


def _cost(results: Results) -> list:
    return _filled(classification_tables.costs(results), classification_tables.steps(results))


def _methods(results: Results) -> dict:
    texts, references = cite(methods.methods(results))
    return {"texts": texts, "references": references}


def _making(results: Results) -> dict:
    outermost, *others = results.provenance or [("", {})]
    return {
        "command": provenance_tables.command_line(outermost[1]),
        "tables": _filled(
            provenance_tables.settings("provenance", "Provenance.", outermost[1]),
            classification_tables.recipes(results.classifiers),
        ),
        "details": _filled(provenance_tables.parts(others)),
    }


def _filled(*tables) -> list:
    return [table for table in tables if table.rows]

"""Commands about clips: `cortexnet stimuli ...`."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands.options import Json, Seed, progress_bar, show

app = typer.Typer(
    help="Clips: tables, preparation, audit and the embedded data set.", no_args_is_help=True
)

Gtzan = Annotated[
    Path | None, typer.Option(help="GTZAN's folder, for the sounds of an experiment's clips.")
]
Index = Annotated[
    Path | None,
    typer.Option(help="Artists and titles of GTZAN: 'blues.00000.wav ::: artist ::: title'."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Default: one a processor.")]


@app.command(epilog="Example: cortexnet stimuli miniature --out mini")
def miniature(
    out: Annotated[Path, typer.Option(help="New or empty folder.")],
    full: Annotated[bool, typer.Option(help="1000 tracks, 18 runs, five subjects.")] = False,
    seed: Seed = 0,
) -> None:
    """Write the embedded data set: GTZAN layout, BIDS layout, orders, planted truth."""
    from experiments.miniature import write_miniature

    write_miniature(out, "full" if full else "small", seed)
    print(out)


@app.command(epilog="Example: cortexnet stimuli unpack genres.tar.gz --out GTZAN")
def unpack(
    archive: Annotated[Path, typer.Argument(help="A .tar, .tar.gz or .zip file.")],
    out: Annotated[Path, typer.Option(help="New folder.")],
) -> None:
    """Unpack an archive; members that would be written elsewhere are refused."""
    from stimuli.archives import unpack as unpack_archive

    print(unpack_archive(archive, out))


@app.command(epilog="Example: cortexnet stimuli prepare --gtzan GTZAN --bids ds003720 --out clips")
def prepare(
    gtzan: Annotated[Path, typer.Option(help="GTZAN's folder.")],
    out: Annotated[Path, typer.Option(help="New folder, or one to go on in.")],
    bids: Annotated[Path | None, typer.Option(help="BIDS root with the events.")] = None,
    orders: Annotated[
        Path | None, typer.Option(help="Folder with ExpTrnOrder.mat and ExpValOrder.mat.")
    ] = None,
    augment: Annotated[
        bool, typer.Option(help="Also seven augmented copies of every training clip.")
    ] = False,
    sample_rate: Annotated[int, typer.Option(min=8000, help="Hz.")] = 22050,
    fade: Annotated[float, typer.Option(min=0, help="Length of the fades, seconds.")] = 2.0,
    rms: Annotated[float, typer.Option(help="Root mean square; full scale is 1.")] = 0.05,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Cut, fade and level the clips of the experiment; the same command resumes.

    The order of the clips comes from --bids or --orders, or is that of ds003720 as published.
    """
    from experiments.clips import read_presentations
    from stimuli.augment import Augmenter
    from stimuli.prepare import prepare as prepare_clips

    prepared = prepare_clips(
        read_presentations(bids, orders, gtzan),
        out,
        sample_rate,
        fade,
        rms,
        workers,
        progress_bar("clip"),
        Augmenter(seed=seed) if augment else None,
    )
    if as_json:
        show(prepared.summary)
    else:
        counts = prepared.summary["counts"]
        print(
            f"{out}: {counts['clips']} clips ({counts['train']} training, {counts['test']} test), "
            f"{counts['presentations']} presentations, {counts['augmented']} augmented copies; "
            f"{prepared.written} files written, {prepared.kept} kept"
        )
        for problem in prepared.problems:
            print(f"  {problem['path']}: {problem['what']}")
    if prepared.problems:
        raise typer.Exit(1)


@app.command(epilog="Example: cortexnet stimuli manifest genres --out manifest.csv")
def manifest(
    folder: Annotated[Path, typer.Argument(help="Folder of folders: one folder a label.")],
    out: Annotated[Path, typer.Option(help="CSV to write.")],
    index: Index = None,
    fault_filtered: Annotated[
        bool, typer.Option(help="GTZAN: the split of Kereliuk, Sturm & Larsen 2015.")
    ] = False,
    outside: Annotated[
        Path | None,
        typer.Option(help="GTZAN: only tracks whose music this BIDS experiment did not use."),
    ] = None,
) -> None:
    """Make a clip table of a folder of folders (label = folder, group = track or recording)."""
    from experiments.clips import is_gtzan, read_clips
    from stimuli import InputError, ds003720, gtzan, save_clips

    if (fault_filtered or outside is not None or index is not None) and not is_gtzan(folder):
        raise InputError(f"{folder}: no tracks of GTZAN, which these options are about")
    clips = read_clips(folder, index=index)
    if outside is not None:
        clips = gtzan.outside_experiment(clips, ds003720.load(outside))
    if fault_filtered:
        clips = gtzan.fault_filtered(clips)
    save_clips(clips, out)
    print(f"{out}: {len(clips)} clips, {clips['label'].nunique()} labels")


@app.command(epilog="Example: cortexnet stimuli audit manifest.csv")
def audit(
    source: Annotated[
        Path,
        typer.Argument(
            help="Clip table, folder of folders, copy of GTZAN, prepared folder, or BIDS root."
        ),
    ],
    gtzan: Gtzan = None,
    index: Index = None,
    sound: Annotated[
        bool, typer.Option(help="Decode every file and look for replicas in the sound.")
    ] = True,
    artists: Annotated[bool, typer.Option(help="Count an artist on two sides as a leak.")] = False,
    merged: Annotated[
        Path | None, typer.Option(help="CSV to write: the table with related groups merged.")
    ] = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Find leaks, replicas and unusable files; exit code 1 if a split leaks or a file is bad."""
    from experiments.clips import read_clips
    from stimuli import audit as audit_clips
    from stimuli import save_clips
    from stimuli.audit import merge_groups

    clips = read_clips(source, gtzan, index, files=False)
    report = audit_clips(clips, sound, workers, progress_bar("file"), strict_artists=artists)
    if merged is not None:
        save_clips(merge_groups(clips, report), merged)
    if as_json:
        show(report.to_json())
    else:
        print(report.text())
    if not report.ok:
        raise typer.Exit(1)

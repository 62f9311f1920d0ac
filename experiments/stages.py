"""Scores of one or several subjects against regions: tables, maps and the verdict."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import encoding
from cortexnet.runs import write_json
from encoding.maps import target_table, write_maps
from encoding.regions import Regions, assign_regions, hcp_surface, label_targets, read_region_table
from encoding.stages import StageTest, stage_test, summarise_stages
from stimuli import InputError
from stimuli.provenance import whole_file

STORE = "scores.zarr"
HCP = "hcp"


def find_subjects(folder: Path) -> dict[str, Path]:
    """Folders of subjects that `cortexnet encode` wrote: below a folder, or the folder itself.

    Raises
    ------
    InputError
        There is none.
    """
    folder = Path(folder)
    if (folder / STORE).exists():
        return {folder.name: folder}
    found = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{STORE}"))}
    if not found:
        raise InputError(
            f"{folder}: holds no scores of encoding ({STORE}), nor do its folders; give the --out "
            "of `cortexnet encode`"
        )
    return found


def regions_of(
    targets: pd.DataFrame,
    table: dict,
    atlas: Sequence[str] = (),
    names: Path | None = None,
    same_space: bool = False,
    surfaces: Sequence[str] = (),
) -> Regions:
    """Regions of a subject's targets, by their own labels or an atlas.

    Parameters
    ----------
    targets : DataFrame, as `encoding.maps.target_table`
    table : see `encoding.regions.read_region_table`
    atlas : "hcp-mmp1", one label file, or a pair for surfaces; none for the labels of the scores
    names, same_space : see `encoding.regions.label_targets`
    surfaces : left and right surface files, or "hcp"; none for straight distances
    """
    meshes = tuple(surfaces) or None
    if meshes == (HCP,):
        meshes = hcp_surface()
    if meshes is not None and len(meshes) != 2:
        raise InputError(f"--surface was given {len(meshes)} x; name left and right, or hcp")
    if not atlas:
        return assign_regions(targets["region"], table, targets, meshes)
    if len(atlas) > 2:
        raise InputError(f"--atlas was given {len(atlas)} x; name one file, or left and right")
    source = atlas[0] if len(atlas) == 1 else tuple(atlas)
    labels = label_targets(targets, source, names, same_space=same_space)
    return assign_regions(labels, table, targets, meshes)


def run_stages(
    folder: Path,
    out: Path,
    model: str | None = None,
    controls: Sequence[str] | None = None,
    *,
    table: Path | None = None,
    extended: bool = False,
    atlas: Sequence[str] = (),
    names: Path | None = None,
    same_space: bool = False,
    surfaces: Sequence[str] = (),
    n_shuffles: int = 10,
    n_resamples: int = 1000,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Test the order of stages in what `cortexnet encode` wrote, and write what was found.

    Parameters
    ----------
    folder : Path
        Of all subjects, or of one.
    out : Path
        Gets stages.json, stages_regions.csv, stages_interactions.csv and, by subject, maps of the
        best stage and of the soft preference with its interval, where encode wrote maps.
    model, controls, n_shuffles, n_resamples, seed : see `encoding.stage_test`
    table, extended : see `encoding.regions.read_region_table`
    atlas, names, same_space, surfaces : see `regions_of`
    report : callable
        Given a line of text as work goes on.

    Returns
    -------
    dict
        What ``stages.json`` holds.
    """
    own_table = read_region_table(table, extended=extended)
    scores, regions, folders = {}, {}, find_subjects(folder)
    for subject, path in folders.items():
        scores[subject] = encoding.load_scores(path, in_memory=False)
        targets = target_table(scores[subject].dataset)
        regions[subject] = regions_of(targets, own_table, atlas, names, same_space, surfaces)
        present = ", ".join(regions[subject].present)
        report(f"{subject}: {len(targets)} targets; regions with targets: {present}")
    test = stage_test(
        scores, regions, model, controls, n_shuffles=n_shuffles, n_resamples=n_resamples, seed=seed
    )
    out.mkdir(parents=True, exist_ok=True)
    summary = summarise_stages(test)
    for name, rows in (
        ("stages_regions.csv", region_rows(summary)),
        ("stages_interactions.csv", interaction_rows(summary)),
    ):
        with whole_file(out / name) as partial:
            pd.DataFrame(rows).to_csv(partial, index=False)
    for subject, path in folders.items():
        write_stage_maps(test, subject, target_table(scores[subject].dataset), path, out / subject)
    write_json(out / "stages.json", summary)
    return summary


def region_rows(summary: dict) -> list[dict]:
    """A row a subject, region and stage."""
    return [
        {
            "subject": subject,
            "region": region,
            "stage": stage,
            "mean_r": row["mean_r"][stage],
            "low": row["interval"][stage][0],
            "high": row["interval"][stage][1],
            "share_of_best": row["best"][stage],
            "soft_preference": row["soft"],
            "soft_low": row["soft_interval"][0],
            "soft_high": row["soft_interval"][1],
            "halves_agree": row["agreement"],
            "ceiling": row["ceiling"],
            "n_targets": row["n_targets"],
        }
        for subject, one in summary["subjects"].items()
        for region, row in one["regions"].items()
        for stage in summary["stages"]
    ]


def interaction_rows(summary: dict) -> list[dict]:
    """A row a subject and model; the trained one first."""
    return [
        {
            "subject": subject,
            "model": name or summary["model"],
            "kind": summary["controls"].get(name, name.rstrip("0123456789 "))
            if name
            else "trained",
            "interaction": row["value"],
            "low": row["low"],
            "high": row["high"],
            "exceeded": row["exceeded"],
        }
        for subject, one in summary["subjects"].items()
        for name, row in one["interactions"].items()
    ]


def write_stage_maps(
    test: StageTest, subject: str, targets: pd.DataFrame, encoded: Path, out: Path
) -> list[Path]:
    """Maps on the grid or mesh of those that encode wrote; none where it wrote none."""
    reference = find_reference(encoded / "maps")
    if reference is None:
        return []
    one = test.subjects[subject]
    maps = {
        "best_stage": one.best,
        "soft_preference": one.soft,
        "soft_preference_low": one.soft_interval[:, 0],
        "soft_preference_high": one.soft_interval[:, 1],
    }
    return write_maps({k: np.asarray(v, float) for k, v in maps.items()}, targets, reference, out)


def find_reference(maps: Path):
    """The image, or pair of images, that `encoding.save_maps` wrote for the best layer."""
    for suffix in (".nii.gz", ".dscalar.nii"):
        if (maps / f"best_layer{suffix}").is_file():
            return maps / f"best_layer{suffix}"
    pair = [maps / f"best_layer_hemi-{side}.func.gii" for side in "LR"]
    return tuple(pair) if all(path.is_file() for path in pair) else None

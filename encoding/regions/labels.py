"""Labels of targets joined with the table of regions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..errors import InputError
from .distance import coordinates_of, distance_from
from .table import Region, area_name, brodmann_name, read_region_table

BRODMANN_WARNING = (
    "regions were taken from Brodmann labels: volumes of Brodmann areas are misplaced in auditory "
    "cortex (in one common file BA41 holds none of A1); prefer HCP-MMP1"
)


@dataclass(frozen=True)
class Regions:
    """Region of every target.

    Parameters
    ----------
    names : (n_targets,) str
        "" for targets outside all regions.
    table : {name: Region}
    distance : (n_targets,) float, optional
        mm from core, NaN where unknown.
    coordinates : (n_targets, 3) float, optional
        mm, NaN where unknown.
    notes : sentences that belong beside any result

    Attributes
    ----------
    present : names of regions that have targets, by order
    absent : names of regions that have none
    """

    names: np.ndarray
    table: Mapping[str, Region]
    distance: np.ndarray | None = None
    coordinates: np.ndarray | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def present(self) -> list[str]:
        """Regions with targets, by order."""
        found = set(self.names.tolist())
        return [name for name in self.table if name in found]

    @property
    def absent(self) -> list[str]:
        """Regions of the table without a target."""
        return [name for name in self.table if name not in self.present]

    @property
    def primary(self) -> list[str]:
        """Regions present of the lowest order of the table."""
        lowest = min(region.order for region in self.table.values())
        return [name for name in self.present if self.table[name].order == lowest]

    @property
    def non_primary(self) -> list[str]:
        """All other regions present."""
        return [name for name in self.present if name not in self.primary]

    @property
    def order(self) -> np.ndarray:
        """(n_targets,) float order of each target's region, NaN outside all regions."""
        of = {name: float(region.order) for name, region in self.table.items()}
        return np.array([of.get(name, np.nan) for name in self.names.tolist()])


def assign_regions(
    labels,
    table: Mapping[str, Region] | None = None,
    targets: pd.DataFrame | None = None,
    surfaces=None,
) -> Regions:
    """Regions of targets from their labels.

    A label is a region's own name or the name of one of its areas, with or without hemisphere
    ("core", "A1", "L_A1_ROI", "lh.A1"). Labels of Brodmann atlases ("BA41") are understood, with
    a warning: such volumes are misplaced.

    Parameters
    ----------
    labels : (n_targets,) str
        "" for none.
    table : {name: Region}, optional
        Default: `read_region_table()`.
    targets : DataFrame, n_targets rows, optional
        Where targets lie (x, y, z, or hemisphere and vertex): gives their distance from core.
    surfaces : (left, right), optional
        See `distance_from`.

    Returns
    -------
    Regions
        Regions without a target are listed in its notes.

    Raises
    ------
    InputError
        No label belongs to any region.
    """
    table = read_region_table() if table is None else dict(table)
    labels = np.asarray(labels).astype(str)
    if labels.ndim != 1:
        raise InputError(f"labels have shape {labels.shape}, expected one a target")
    if targets is not None and len(targets) != len(labels):
        raise InputError(f"{len(labels)} labels for {len(targets)} targets; give one a target")
    by_area = {area.lower(): name for name, region in table.items() for area in region.areas}
    by_area |= {name.lower(): name for name in table}
    by_brodmann = {area: name for name, region in table.items() for area in region.brodmann}
    found, brodmann = {}, []
    for label in np.unique(labels).tolist():
        area = brodmann_name(label)
        if area in by_brodmann:
            found[label] = by_brodmann[area]
            brodmann.append(label)
        else:
            own = by_area.get(label.lower())
            found[label] = own or by_area.get(area_name(label).lower(), "")
    names = np.array([found[label] for label in labels.tolist()], str)
    if not (names != "").any():
        shown = [label for label in found if label][:6]
        raise InputError(
            f"no target lies in a region of the table ({', '.join(table)}); labels are "
            f"{', '.join(shown) or 'all empty'}. Give an atlas of auditory areas or edit the table"
        )
    notes = []
    if brodmann:
        warnings.warn(BRODMANN_WARNING, stacklevel=2)
        notes.append(BRODMANN_WARNING)
    regions = Regions(names, table)
    empty = [name for name in regions.absent if table[name].areas]
    if empty:
        notes.append(f"no target lies in {', '.join(empty)}")
    distance = coordinates = None
    if targets is not None:
        distance = distance_from(targets, np.isin(names, regions.primary), surfaces)
        coordinates = coordinates_of(targets, surfaces)
    return Regions(names, table, distance, coordinates, tuple(notes))

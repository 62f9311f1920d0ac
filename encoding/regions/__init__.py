"""Where targets lie: regions of auditory cortex, atlases of any kind, distance from core."""

from .atlas import hcp_mmp1, hcp_sulci, hcp_surface, label_targets
from .distance import distance_from, geodesic_distance, read_surface
from .labels import Regions, assign_regions
from .table import Region, read_region_table

__all__ = [
    "Region",
    "Regions",
    "assign_regions",
    "distance_from",
    "geodesic_distance",
    "hcp_mmp1",
    "hcp_sulci",
    "hcp_surface",
    "label_targets",
    "read_region_table",
    "read_surface",
]

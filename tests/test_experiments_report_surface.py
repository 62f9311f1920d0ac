"""Stages on the inflated surface: read, seen from the right side, and named when damaged."""

import nibabel as nib
import numpy as np
import pytest

from experiments.report.surface_figures import N_VERTICES, seen, stage_map
from experiments.report.surface_maps import read_surfaces
from stimuli import InputError


def test_only_subjects_with_both_hemispheres_have_a_picture(tmp_path):
    values = np.full(N_VERTICES, np.nan, np.float32)
    values[:100] = 2
    (tmp_path / "sub-001").mkdir()
    image = nib.gifti.GiftiImage(darrays=[nib.gifti.GiftiDataArray(values)])
    for side in "LR":
        nib.save(image, tmp_path / "sub-001" / f"best_stage_hemi-{side}.func.gii")
    found = read_surfaces(tmp_path, ["sub-001", "sub-002"])
    assert list(found) == ["sub-001"]
    np.testing.assert_array_equal(found["sub-001"]["R"], values)
    picture = stage_map(found["sub-001"], ["A1", "belt"], "sub-001", "map")
    assert picture.description.endswith("vertices: A1 0, belt 200")
    (tmp_path / "sub-001" / "best_stage_hemi-L.func.gii").write_text("no map")
    with pytest.raises(InputError, match=r"hemi-L\.func\.gii: not a GIFTI map"):
        read_surfaces(tmp_path, ["sub-001"])


@pytest.mark.parametrize(("side", "towards"), [("L", -1), ("L", 1), ("R", -1), ("R", 1)])
def test_about_half_of_a_hemisphere_is_seen_once(side, towards):
    triangles, faces = seen(side, towards)
    assert triangles.shape == (len(faces), 3, 2)
    assert 0.35 < len(faces) / 20480 < 0.65
    other = {tuple(face) for face in seen(side, -towards)[1]}
    assert not other & {tuple(face) for face in faces}

"""Stages on the cortical surface: read, seen from the right side, flattened, and turning."""

import re

import numpy as np
import pytest
from stage_results import some_stages, write_stages, write_surface

from experiments.report import build_report, surface_view
from experiments.report.meshes import SIDES, VERTICES, group_mesh, space_of, sulci
from experiments.report.surface_figures import (
    drawable,
    flattened,
    most_frequent,
    seen,
    stage_map,
)
from experiments.report.surface_maps import read_surfaces
from experiments.report.surface_view import turning_map
from stimuli import InputError

STAGES = ["A1", "belt", "parabelt", "T2/T3"]
SPACES = sorted(VERTICES.values())


def maps(n_vertices, seed=0):
    rng = np.random.default_rng(seed)
    return {side: some_stages(n_vertices, rng) for side in "LR"}


def test_only_subjects_with_both_hemispheres_on_a_known_mesh_have_a_picture(tmp_path):
    whole = maps(10242)
    for subject, sides, values in (("a", "LR", whole), ("b", "L", whole), ("c", "LR", maps(500))):
        (tmp_path / subject).mkdir()
        for side in sides:
            write_surface(tmp_path / subject, side, values[side])
    found = read_surfaces(tmp_path, {name: name for name in "abcd"})
    assert list(found) == ["a", "c"] and list(drawable(found)) == ["a"]
    np.testing.assert_array_equal(found["a"]["R"], whole["R"])
    (tmp_path / "a" / "best_stage_hemi-L.func.gii").write_text("no map")
    with pytest.raises(InputError, match=r"hemi-L\.func\.gii: not a map of a surface"):
        read_surfaces(tmp_path, {"a": "a"})
    for elsewhere in ("..", "../a", "/a", "a/b"):
        with pytest.raises(InputError, match="no name of a folder within it"):
            read_surfaces(tmp_path, {"a": elsewhere})


@pytest.mark.parametrize("n_vertices", sorted(VERTICES))
def test_a_picture_says_how_many_vertices_prefer_a_stage(n_vertices, tmp_path):
    picture = stage_map(maps(n_vertices), STAGES, "sub-001", "map")
    assert VERTICES[n_vertices] in picture.description
    assert picture.description.endswith("vertices: A1 200, belt 200, parabelt 200, T2/T3 200")
    assert all(path.stat().st_size > 1e4 for path in picture.save(tmp_path))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(("side", "towards"), [("L", -1), ("L", 1), ("R", -1), ("R", 1)])
def test_about_half_of_a_hemisphere_is_seen_once(space, side, towards):
    triangles, faces = seen(space, side, towards)
    assert triangles.shape == (len(faces), 3, 2)
    n_faces = len(group_mesh(space, "inflated").parts[SIDES[side]].faces)
    assert 0.35 < len(faces) / n_faces < 0.65
    other = {tuple(face) for face in seen(space, side, -towards)[1]}
    assert not other & {tuple(face) for face in faces}


@pytest.mark.parametrize("space", SPACES)
def test_the_flat_map_is_flat_and_does_not_overlap(space):
    triangles, _ = flattened(space, "L")
    one, other = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    area = (one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) / 2
    width, height = np.ptp(triangles.reshape(-1, 2), axis=0)
    # Nearly all turn the same way, and together they fill less than their frame.
    assert abs(np.sign(area).mean()) > 0.97
    assert 0.3 * width * height < abs(area).sum() < width * height


@pytest.mark.parametrize("space", SPACES)
def test_sulci_lie_deeper_than_gyri(space):
    for side in ("left", "right"):
        points = np.asarray(group_mesh(space, "inflated").parts[side].coordinates)
        depth = sulci(space)[side]
        assert len(depth) == len(points) and 0.3 < (depth > 0).mean() < 0.7
    # The middle of the insula, between the lips of the lateral sulcus, is the deepest cortex.
    lateral = np.abs(points[:, 0]) > 0.5 * np.abs(points[:, 0]).max()
    assert depth[lateral].max() > -depth[lateral].min()


def test_the_most_frequent_stage_leaves_out_other_meshes_and_prefers_the_earlier():
    nan = np.nan
    rows = ([1, 2, nan, 1], [2, 2, nan, 2], [2, 1, nan, nan])
    subjects = [{"L": np.array(row), "R": np.array(row[::-1])} for row in rows]
    found = most_frequent([*subjects, {"L": np.ones(3), "R": np.ones(3)}])
    np.testing.assert_array_equal(found["L"], [2, 2, nan, 1])
    np.testing.assert_array_equal(found["R"], found["L"][::-1])


def test_a_page_turns_without_the_network_and_is_named_where_it_cannot_be_made(
    tmp_path, monkeypatch
):
    page = turning_map(maps(10242), STAGES)
    assert "plotly" in page.lower()
    assert not re.search(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=.?[\"']https?:", page)
    write_stages(tmp_path)
    text = build_report(tmp_path).read_text()
    assert text.count("<iframe") == 1 and "Most frequent best stage of each vertex, 2 sub" in text
    monkeypatch.setattr(surface_view, "can_turn", lambda: False)
    text = build_report(tmp_path).read_text()
    assert "<iframe" not in text and "auditory-cortexnet[interactive]" in text
    assert space_of(163842) is None

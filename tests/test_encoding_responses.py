"""Volumes find their clips; arrays and images fit their tables or say why not."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from encoding import InputError, Responses, load_array, load_nifti, samples_from_events
from encoding import repetition_time as tr_of


def events(runs=("Training-01", "Test-01"), n_events=4, duration=15.0):
    rows = []
    for run in runs:
        for k in range(n_events):
            rows.append(
                {
                    "run": run,
                    "onset": duration * k,
                    "duration": duration,
                    "clip_id": f"{run}-{k}",
                    "repeat": 1,
                    "dummy": k == 0,
                    "split": run.split("-")[0].lower().replace("training", "train"),
                    "session": 1,
                }
            )
    return pd.DataFrame(rows)


def test_a_run_of_41_events_has_410_volumes_of_which_400_are_no_dummies():
    samples = samples_from_events(events(n_events=41), 410, 1.5)
    assert len(samples) == 820
    assert list(samples["run"].unique()) == ["Training-01", "Test-01"]
    assert (~samples["dummy"]).sum() == 800
    assert samples.groupby(["run", "clip_id"]).size().eq(10).all()
    np.testing.assert_allclose(samples["time"][:10], 1.5 * np.arange(10))
    assert samples["session"].eq(1).all()
    assert tr_of(samples) == 1.5


def test_a_volume_belongs_to_the_event_that_is_on_when_it_starts():
    table = events(runs=("a-1",), n_events=3, duration=10.0)
    samples = samples_from_events(table, {"a-1": 10}, 3.0)
    for row in range(10):
        assert samples["clip_id"][row] == f"a-1-{int(3.0 * row // 10)}"
        assert samples["time"][row] == pytest.approx(3.0 * row % 10)


def test_floating_point_onsets_do_not_shift_a_volume():
    table = events(runs=("a-1",), n_events=40, duration=0.3)
    table["onset"] = np.cumsum([0.0] + [0.3] * 39)  # accumulates rounding errors
    samples = samples_from_events(table, 120, 0.1)
    assert samples.groupby("clip_id").size().eq(3).all()


def test_volumes_before_the_first_event_are_dummies_without_a_clip():
    table = events(runs=("a-1",), n_events=2)
    table["onset"] += 3.0
    samples = samples_from_events(table, 22, 1.5)
    assert samples["clip_id"].isna().sum() == 2
    assert samples["dummy"][:2].all()


def test_events_that_do_not_fit_the_volumes_name_run_and_counts():
    with pytest.raises(InputError, match=r"Training-01.*found 400 .*expected 410"):
        samples_from_events(events(n_events=41), 400, 1.5)
    with pytest.raises(InputError, match="Test-01"):
        samples_from_events(events(), {"Training-01": 40}, 1.5)
    with pytest.raises(InputError, match="clip_id"):
        samples_from_events(events().drop(columns="clip_id"), 40, 1.5)


def test_a_last_clip_ten_milliseconds_short_is_accepted():
    table = events(runs=("a-1",))
    table.loc[3, "duration"] = 14.99
    assert len(samples_from_events(table, 40, 1.5)) == 40


def test_repeats_are_counted_within_the_run_when_not_given():
    table = events(runs=("a-1",), n_events=5).drop(columns="repeat")
    table["clip_id"] = ["y", "x", "y", "x", "y"]  # the first y is a dummy
    samples = samples_from_events(table, 50, 1.5)
    assert list(samples["repeat"][::10]) == [1, 1, 1, 2, 2]


def test_arrays_come_back_memory_mapped_and_transposed_ones_are_turned_with_a_warning(tmp_path):
    samples = samples_from_events(events(), 40, 1.5)
    data = np.random.default_rng(0).standard_normal((80, 7)).astype(np.float32)
    np.save(tmp_path / "y.npy", data)
    np.save(tmp_path / "t.npy", data.T)
    np.savez(tmp_path / "y.npz", data)
    plain = load_array(tmp_path / "y.npy", samples)
    assert isinstance(plain.data, np.memmap)
    np.testing.assert_array_equal(load_array(tmp_path / "y.npz", samples).data, data)
    with pytest.warns(UserWarning, match="transposed"):
        np.testing.assert_array_equal(load_array(tmp_path / "t.npy", samples).data, data)


def test_arrays_that_do_not_fit_say_what_was_found(tmp_path):
    samples = samples_from_events(events(), 40, 1.5)
    np.save(tmp_path / "y.npy", np.zeros((79, 7), np.float32))
    with pytest.raises(InputError, match=r"y\.npy.*\(79, 7\).*80 rows"):
        load_array(tmp_path / "y.npy", samples)
    bad = np.zeros((80, 7), np.float32)
    bad[3, 5] = np.nan
    np.save(tmp_path / "nan.npy", bad)
    with pytest.raises(InputError, match="target 5"):
        load_array(tmp_path / "nan.npy", samples)
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match=r"object\.npy"):
        load_array(tmp_path / "object.npy", samples)
    np.savez(tmp_path / "two.npz", a=bad, b=bad)
    with pytest.raises(InputError, match="exactly one"):
        load_array(tmp_path / "two.npz", samples)
    with pytest.raises(InputError, match="no such file"):
        load_array(tmp_path / "none.npy", samples)


def test_selection_keeps_data_and_samples_together():
    samples = samples_from_events(events(), 40, 1.5)
    data = np.arange(160, dtype=np.float32).reshape(80, 2)
    responses = Responses(data, samples, pd.DataFrame({"region": ["A1", ""]}))
    kept = responses.select(~samples["dummy"])
    assert kept.data.shape == (60, 2) == (len(kept.samples), len(kept.targets))
    np.testing.assert_array_equal(kept.data, data[~samples["dummy"].to_numpy()])
    with pytest.raises(InputError):
        Responses(data[:-1], samples, responses.targets)


@pytest.fixture
def bids(tmp_path):
    """Two runs of a small brain with drift, labels and one dead voxel."""
    samples = samples_from_events(events(n_events=40), 400, 1.5)
    rng = np.random.default_rng(0)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-4, 6, 8]
    labels = np.zeros((4, 3, 2), np.int16)
    labels[1, :, :] = 1
    labels[2, :, :] = 7
    paths, signals = {}, {}
    for run in ("Training-01", "Test-01"):
        data = rng.standard_normal((4, 3, 2, 400)).astype(np.float32)
        data += 100 + 20 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
        data[1, 0, 0] = 5.0
        signals[run] = data
        paths[run] = tmp_path / f"{run}_bold.nii.gz"
        nib.save(nib.Nifti1Image(data, affine), paths[run])
    regions = tmp_path / "dseg.nii.gz"
    nib.save(nib.Nifti1Image(labels, affine), regions)
    (tmp_path / "dseg.tsv").write_text("index\tname\n1\tA1\n7\tbelt\n")
    return samples, paths, regions, tmp_path / "dseg.tsv", affine, signals


def test_images_become_high_passed_standardised_voxels_with_regions(bids):
    samples, paths, regions, names, affine, signals = bids
    with pytest.warns(UserWarning, match="1 of 12 voxels are constant"):
        responses = load_nifti(paths, samples, regions=regions, region_names=names)
    assert responses.data.shape == (800, 11)
    assert responses.targets["region"].value_counts().to_dict() == {"A1": 5, "belt": 6}
    slow = np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    for run in paths:
        data = responses.data[samples["run"] == run]
        np.testing.assert_allclose(data.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(data.std(0, ddof=1), 1, atol=1e-4)
        assert np.abs(slow @ data / 400).max() < 1e-3  # drift of 20 SD is gone
        # The fast part survives, voxel by voxel, in the order of the coordinates.
        for target in (0, 10):
            xyz = responses.targets.loc[target, ["x", "y", "z"]].to_numpy(float)
            i, j, k = np.round(np.linalg.inv(affine) @ [*xyz, 1])[:3].astype(int)
            raw = np.diff(signals[run][i, j, k])
            assert np.corrcoef(raw, np.diff(data[:, target]))[0, 1] > 0.99


def test_a_mask_chooses_voxels_and_labels_name_them(bids):
    samples, paths, regions, _, affine, _ = bids
    mask = np.zeros((4, 3, 2), np.uint8)
    mask[2:] = 1
    responses = load_nifti(
        paths,
        samples,
        mask=nib.Nifti1Image(mask, affine),
        regions=regions,
        region_names={7: "belt"},
    )
    assert responses.targets["region"].tolist() == ["belt"] * 6 + [""] * 6


def test_images_that_do_not_fit_are_named(bids, tmp_path):
    samples, paths, regions, _, affine, signals = bids
    short = tmp_path / "short.nii.gz"
    nib.save(nib.Nifti1Image(signals["Test-01"][..., :399], affine), short)
    with pytest.raises(InputError, match=r"short\.nii\.gz: 399 volumes, expected 400"):
        load_nifti({**paths, "Test-01": short}, samples, regions=regions)
    with pytest.raises(InputError, match="Training-01"):
        load_nifti({"Test-01": paths["Test-01"]}, samples, regions=regions)
    shifted = affine.copy()
    shifted[0, 3] += 1
    other = nib.Nifti1Image(np.ones((4, 3, 2), np.int16), shifted)
    with pytest.raises(InputError, match="affine"):
        load_nifti(paths, samples, regions=other)
    coarse = nib.Nifti1Image(np.ones((2, 3, 2), np.int16), affine)
    with pytest.raises(InputError, match="grid"):
        load_nifti(paths, samples, regions=coarse)
    probability = nib.Nifti1Image(np.full((4, 3, 2), 0.5, np.float32), affine)
    with pytest.raises(InputError, match="no integers"):
        load_nifti(paths, samples, regions=probability)

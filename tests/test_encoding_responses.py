"""Volumes find their clips; arrays and images fit their tables or say why not."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from encoding import InputError, Responses, load_nifti, samples_from_events
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


def test_the_first_clip_heard_once_more_than_the_others_is_taken_for_an_unmarked_dummy():
    """As in ds003720: a run opens with the last clip of the run before it, or its own last."""
    clips = {"a": "zbcd", "e": "dfgh", "i": "hjkz"}
    table = pd.DataFrame(
        [
            {"run": run, "onset": 15.0 * k, "duration": 15.0, "clip_id": clip}
            for run, order in clips.items()
            for k, clip in enumerate(order)
        ]
    )
    with pytest.raises(InputError, match=r"first clip of every run.*z of a.*dummy"):
        samples_from_events(table, 40, 1.5)
    marked = table.assign(dummy=table["onset"] == 0)
    assert samples_from_events(marked, 40, 1.5)["dummy"].sum() == 30
    assert not samples_from_events(table.assign(dummy=False), 40, 1.5)["dummy"].any()
    once = table.assign(clip_id=[f"c{i}" for i in range(12)])
    assert len(samples_from_events(once, 40, 1.5)) == 120


def test_runs_of_different_length_are_welcome_when_the_events_agree(tmp_path):
    table = pd.concat([events(("a-1",), 4), events(("b-1",), 6)])
    samples = samples_from_events(table, {"a-1": 40, "b-1": 60}, 1.5)
    paths = {}
    rng = np.random.default_rng(0)
    for run, n in (("a-1", 40), ("b-1", 60)):
        paths[run] = tmp_path / f"{run}.nii"
        image = rng.standard_normal((3, 2, 2, n)).astype(np.float32)
        nib.save(nib.Nifti1Image(image, np.eye(4)), paths[run])
    mask = nib.Nifti1Image(np.ones((3, 2, 2), np.uint8), np.eye(4))
    assert load_nifti(paths, samples, mask).data.shape == (100, 12)
    with pytest.raises(InputError, match=r"b-1\.nii: 60 volumes, expected 40"):
        load_nifti({"a-1": paths["b-1"], "b-1": paths["b-1"]}, samples, mask)


def test_the_voxel_of_every_column_is_known(bids):
    samples, paths, regions, _, affine, _ = bids
    with pytest.warns(UserWarning, match="constant"):
        responses = load_nifti(paths, samples, regions=regions)
    ijk = responses.targets[["i", "j", "k"]].to_numpy()
    xyz = responses.targets[["x", "y", "z"]].to_numpy()
    np.testing.assert_allclose(nib.affines.apply_affine(affine, ijk), xyz)
    assert responses.dropped == {"nan": 0, "constant": 1}


def test_nan_voxels_are_left_out_and_counted(bids, tmp_path):
    samples, paths, regions, _, affine, signals = bids
    data = signals["Test-01"].copy()
    data[2, 0, 1, 17] = np.nan
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "nan.nii.gz")
    paths = {**paths, "Test-01": tmp_path / "nan.nii.gz"}
    with (
        pytest.warns(UserWarning, match="1 of 12 voxels hold NaN"),
        pytest.warns(UserWarning, match="constant"),
    ):
        responses = load_nifti(paths, samples, regions=regions)
    assert responses.dropped == {"nan": 1, "constant": 1}
    assert np.isfinite(responses.data).all()
    assert not (responses.targets[["i", "j", "k"]] == [2, 0, 1]).all(axis=1).any()


def test_a_header_or_sidecar_with_another_repetition_time_is_refused(bids, tmp_path):
    samples, paths, regions, _, affine, signals = bids
    image = nib.Nifti1Image(signals["Test-01"], affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((2, 2, 2, 2.0))
    nib.save(image, tmp_path / "slow_bold.nii.gz")
    other = {**paths, "Test-01": tmp_path / "slow_bold.nii.gz"}
    with pytest.raises(InputError, match=r"slow_bold.*2 s in its header.*1\.5 s"):
        load_nifti(other, samples, regions=regions)
    with pytest.warns(UserWarning, match="constant"):
        assert len(load_nifti(other, samples, regions=regions, tr=1.5).data) == 800
    milliseconds = nib.Nifti1Image(signals["Test-01"], affine)
    milliseconds.header.set_xyzt_units("mm", "msec")
    milliseconds.header.set_zooms((2, 2, 2, 1500.0))
    nib.save(milliseconds, tmp_path / "ms_bold.nii.gz")
    with pytest.warns(UserWarning, match="constant"):
        load_nifti({**paths, "Test-01": tmp_path / "ms_bold.nii.gz"}, samples, regions=regions)
    (tmp_path / "ms_bold.json").write_text('{"RepetitionTime": 1.0}')
    with pytest.raises(InputError, match="1 s in its sidecar"):
        load_nifti({**paths, "Test-01": tmp_path / "ms_bold.nii.gz"}, samples, regions=regions)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_images_are_refused_before_anything_is_read(bids, tmp_path, suffix):
    samples, paths, regions, _, affine, signals = bids
    whole = tmp_path / f"whole{suffix}"
    nib.save(nib.Nifti1Image(signals["Test-01"], affine), whole)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=r"cut\.nii.*truncated"):
        load_nifti({**paths, "Test-01": cut}, samples, regions=regions)


def test_compressed_images_in_several_members_are_whole(bids, tmp_path):
    """The last four bytes then count the last member only."""
    import gzip

    samples, paths, regions, _, affine, signals = bids
    plain = nib.Nifti1Image(signals["Test-01"], affine).to_bytes()
    members = tmp_path / "members.nii.gz"
    members.write_bytes(gzip.compress(plain[:5000]) + gzip.compress(plain[5000:]))
    with pytest.warns(UserWarning, match="constant"):
        load_nifti({**paths, "Test-01": members}, samples, regions=regions)


@pytest.mark.parametrize("cached", [True, False])
def test_images_beyond_the_budget_come_back_memory_mapped_and_equal(bids, tmp_path, cached):
    samples, paths, regions, _, _, _ = bids
    cache = tmp_path / "cache" if cached else None
    with pytest.warns(UserWarning, match="constant"):
        small = load_nifti(paths, samples, regions=regions)
        large = load_nifti(paths, samples, regions=regions, memory=1000, cache=cache)
    assert isinstance(large.data, np.memmap) and not isinstance(small.data, np.memmap)
    np.testing.assert_array_equal(large.data, small.data)
    if cached:
        assert [p.suffix for p in cache.iterdir()] == [".npy"]  # nothing half written is left


def test_a_failed_load_leaves_nothing_in_the_cache(bids, tmp_path):
    samples, paths, regions, _, affine, signals = bids
    broken = signals["Test-01"].copy()
    broken[:] = 5
    nib.save(nib.Nifti1Image(broken, affine), tmp_path / "flat.nii.gz")
    with pytest.raises(InputError, match="every one of 12 voxels"):
        load_nifti(
            {**paths, "Test-01": tmp_path / "flat.nii.gz"},
            samples,
            regions=regions,
            memory=0,
            cache=tmp_path / "cache",
        )
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.data
def test_the_experiment_has_7380_volumes_and_its_dummies_are_recognised(data_dir):
    from stimuli import ds003720

    presentations = ds003720.load(data_dir / "ds003720")
    samples = samples_from_events(presentations, 410, 1.5)
    kept = samples[~samples["dummy"]]
    assert len(samples) == 7380
    assert kept["split"].value_counts().to_dict() == {"train": 4800, "test": 2400}
    with pytest.raises(InputError, match="none is marked"):
        samples_from_events(presentations.drop(columns="dummy"), 410, 1.5)

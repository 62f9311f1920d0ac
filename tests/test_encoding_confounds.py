"""fMRIPrep folders: the right confounds, the right runs, volumes before steady state."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from encoding import InputError
from encoding.responses import STRATEGIES, find_runs, load_bids, load_confounds

RIGID = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
N = 80


def confound_table(rng, non_steady=0):
    table = {}
    for name in [*RIGID, "csf", "white_matter", "global_signal"]:
        value = rng.standard_normal(N).cumsum()
        derivative = np.r_[np.nan, np.diff(value)]
        table |= {
            name: value,
            f"{name}_derivative1": derivative,
            f"{name}_power2": value**2,
            f"{name}_derivative1_power2": derivative**2,
        }
    for i in range(non_steady):
        table[f"non_steady_state_outlier{i:02d}"] = np.eye(N)[i]
    return pd.DataFrame(table)


def events():
    return pd.DataFrame(
        [
            {"run": run, "onset": 12.0 * k, "duration": 12.0, "clip_id": f"{run}{k}",
             "dummy": k == 0}
            for run in ("Training-01", "Test-01")
            for k in range(10)
        ]
    )  # fmt: skip


@pytest.fixture
def fmriprep(tmp_path):
    """Two runs in volume, surface and CIFTI space, whose voxels are motion plus noise."""
    rng = np.random.default_rng(0)
    func = tmp_path / "fmriprep" / "sub-01" / "func"
    func.mkdir(parents=True)
    affine = np.diag([3.0, 3, 3, 1])
    signals = {}
    for task, number in (("Training", "1"), ("Test", "1")):
        stem = f"sub-01_task-{task}_run-{number}"
        table = confound_table(rng, non_steady=2)
        table.to_csv(
            func / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a"
        )
        (func / f"{stem}_desc-confounds_timeseries.json").write_text("{}")
        noise = rng.standard_normal((N, 4 * 3 * 2))
        motion = table[RIGID].to_numpy() @ rng.standard_normal((6, 24))
        data = 500 + 5 * motion + noise
        data[:2] += 4000  # T1 relaxation
        signals[f"{task}-01"] = noise
        for space in ("MNI152NLin2009cAsym", "T1w"):
            image = nib.Nifti1Image(data.T.reshape(4, 3, 2, N).astype(np.float32), affine)
            image.header.set_xyzt_units("mm", "sec")
            image.header.set_zooms((3, 3, 3, 1.5))
            name = f"{stem}_space-{space}_desc-preproc_bold"
            nib.save(image, func / f"{name}.nii.gz")
            (func / f"{name}.json").write_text(json.dumps({"RepetitionTime": 1.5}))
            mask = np.ones((4, 3, 2), np.uint8)
            mask[0, 0, 0 if task == "Test" else 1] = 0
            nib.save(
                nib.Nifti1Image(mask, affine),
                func / f"{stem}_space-{space}_desc-brain_mask.nii.gz",
            )
        for hemi, part in (("L", data[:, :10]), ("R", data[:, 10:])):
            arrays = [
                nib.gifti.GiftiDataArray(row.astype(np.float32), "NIFTI_INTENT_TIME_SERIES")
                for row in part
            ]
            nib.save(
                nib.gifti.GiftiImage(darrays=arrays),
                func / f"{stem}_hemi-{hemi}_space-fsaverage5_bold.func.gii",
            )
    return tmp_path, signals


def test_strategies_have_the_columns_of_their_names(fmriprep):
    root, _ = fmriprep
    image = next((root / "fmriprep/sub-01/func").glob("*Training*T1w*preproc_bold.nii.gz"))
    sizes = {name: 0 if name == "none" else load_confounds(image, name)[0].shape[1]
             for name in STRATEGIES}  # fmt: skip
    assert sizes == {
        "none": 0, "motion": 6, "motion24": 24, "motion+wm_csf": 8, "motion24+wm_csf": 26
    }  # fmt: skip
    table, non_steady = load_confounds(image, "motion")
    raw = pd.read_csv(image.parent / "sub-01_task-Training_run-1_desc-confounds_timeseries.tsv",
                      sep="\t")  # fmt: skip
    np.testing.assert_allclose(table[RIGID], raw[RIGID])
    assert list(non_steady) == [0, 1]
    with pytest.raises(InputError, match="'movement' are unknown"):
        load_confounds(image, "movement")


@pytest.mark.parametrize("kind", ["volume", "surface"])
@pytest.mark.filterwarnings("ignore:4 volumes")
def test_a_folder_of_fmriprep_becomes_responses_without_motion(fmriprep, kind):
    root, signals = fmriprep
    options = {"derivatives": root / "fmriprep", "kind": kind, "high_pass": None}
    if kind == "volume":
        options["space"] = "T1w"
    else:
        options["tr"] = 1.5  # GIFTI headers and sidecars here do not say
    cleaned = load_bids(root, "sub-01", events(), confounds="motion", **options)
    raw = load_bids(root, "sub-01", events(), confounds="none", **options)
    assert cleaned.data.shape == (2 * N, 22 if kind == "volume" else 24)
    if kind == "volume":  # outside the mask of one run or the other
        columns = np.ravel_multi_index(cleaned.targets[["i", "j", "k"]].to_numpy().T, (4, 3, 2))
        assert not {0, 1} & set(columns)
    else:
        columns = np.arange(24)
    for run, noise in signals.items():
        rows = np.flatnonzero(cleaned.samples["run"] == run)[2:]
        kept = noise[2:, columns]

        def agreement(responses, rows=rows, kept=kept):
            pairs = zip(responses.data[rows].T, kept.T, strict=True)
            return np.median([np.corrcoef(a, b)[0, 1] for a, b in pairs])

        assert agreement(cleaned) > 0.9 > 0.5 > agreement(raw)


def test_volumes_before_steady_state_are_dummies_and_do_not_rule_the_run(fmriprep):
    root, _ = fmriprep
    late = events().assign(dummy=False)
    with pytest.warns(UserWarning, match="4 volumes are marked as before steady state"):
        responses = load_bids(
            root, "sub-01", late, derivatives=root / "fmriprep", space="T1w", high_pass=None
        )
    assert responses.samples.groupby("run")["dummy"].sum().eq(2).all()
    for run in ("Training-01", "Test-01"):
        data = responses.data[responses.samples["run"] == run]
        assert (data[:2] == 0).all()
        np.testing.assert_allclose(data[2:].std(0, ddof=1), 1, rtol=1e-4)


def test_the_default_takes_24_parameters_of_motion(fmriprep):
    root, _ = fmriprep
    options = {"derivatives": root / "fmriprep", "space": "T1w"}
    default = load_bids(root, "sub-01", events(), **options)
    named = load_bids(root, "sub-01", events(), confounds="motion24", **options)
    np.testing.assert_array_equal(default.data, named.data)


def test_files_that_are_missing_or_ambiguous_are_named(fmriprep):
    root, _ = fmriprep
    folder = root / "fmriprep"
    with pytest.raises(InputError, match=r"2 images of Training-01.*choose a space"):
        find_runs(folder, "sub-01", ["Training-01"], preprocessed=True)
    found = find_runs(folder, "sub-01", ["Training-01"], space="T1w", preprocessed=True)
    assert found["Training-01"].name.startswith("sub-01_task-Training_run-1_space-T1w")
    left, right = find_runs(folder, "sub-01", ["Test-01"], kind="surface")["Test-01"]
    assert "hemi-L" in left.name and "hemi-R" in right.name
    with pytest.raises(InputError, match="0 images of Training-09"):
        find_runs(folder, "sub-01", ["Training-09"], space="T1w")
    with pytest.raises(InputError, match="sub-02"):
        find_runs(folder, "sub-02", ["Test-01"])
    (folder / "sub-01/func/sub-01_task-Test_run-1_desc-confounds_timeseries.tsv").unlink()
    with pytest.raises(InputError, match="no confounds for 'motion24' beside it"):
        load_bids(root, "sub-01", events(), derivatives=folder, space="T1w")


def test_header_and_sidecar_that_disagree_are_refused_until_the_user_decides(fmriprep):
    root, _ = fmriprep
    for sidecar in (root / "fmriprep").rglob("*T1w*bold.json"):
        sidecar.write_text(json.dumps({"RepetitionTime": 2.0}))
    options = {"derivatives": root / "fmriprep", "space": "T1w"}
    with pytest.raises(InputError, match=r"1\.5 s in the header.*2 s in the sidecar"):
        load_bids(root, "sub-01", events(), **options)
    assert len(load_bids(root, "sub-01", events(), tr=1.5, **options).data) == 2 * N


def test_raw_folders_inherit_the_time_of_their_task(tmp_path):
    func = tmp_path / "sub-01" / "ses-a" / "func"
    func.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for run in ("Training_run-01", "Test_run-01"):
        image = nib.Nifti1Image(rng.standard_normal((3, 3, 3, N)).astype(np.float32), np.eye(4))
        nib.save(image, func / f"sub-01_ses-a_task-{run}_bold.nii.gz")
    mask = nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4))
    with pytest.raises(InputError, match="states the repetition time"):
        load_bids(tmp_path, "sub-01", events(), mask=mask)
    for task in ("Training", "Test"):
        (tmp_path / f"task-{task}_bold.json").write_text('{"RepetitionTime": 1.5}')
    assert load_bids(tmp_path, "sub-01", events(), mask=mask).data.shape == (2 * N, 27)

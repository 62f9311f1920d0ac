"""What `cortexnet stages` leaves of simulated subjects, with maps on a surface."""

import nibabel as nib
import numpy as np

import encoding
from encoding.stages.simulation import REGIONS, SNR, STAGES, simulate_scores
from experiments.stages import run_stages


def write_stages(folder, n_vertices=10242):
    """Write the tested stages of two subjects with a planted order; maps are random."""
    planted = dict(zip(REGIONS, STAGES, strict=True))
    simulated = simulate_scores(planted, SNR, n_voxels=4, n_controls=1, n_train=120, seed=1)
    for name in list(simulated)[:2]:
        encoding.save_scores(folder / "encode" / name, simulated[name], {"kind": "encode"})
    out = folder / "stages"
    run_stages(folder / "encode", out, n_shuffles=1, n_resamples=50)
    rng = np.random.default_rng(0)
    for name in list(simulated)[:2]:
        (out / name).mkdir(exist_ok=True)
        for side in "LR":
            write_surface(out / name, side, some_stages(n_vertices, rng))


def some_stages(n_vertices, rng) -> np.ndarray:
    """Every stage at a hundred vertices, none at the others."""
    values = np.full(n_vertices, np.nan, np.float32)
    values[rng.permutation(n_vertices)[: 100 * len(STAGES)]] = np.repeat(
        np.arange(1, len(STAGES) + 1), 100
    )
    return values


def write_surface(folder, side, values):
    """Write a GIFTI map of the best stage as `cortexnet stages` names it."""
    image = nib.gifti.GiftiImage(darrays=[nib.gifti.GiftiDataArray(values)])
    nib.save(image, folder / f"best_stage_hemi-{side}.func.gii")

"""Results of `cortexnet rsa` on disk, written by hand."""

import json

import numpy as np
from scipy.spatial.distance import pdist

REGIONS = ["core", "belt"]
LAYERS = ["net:A1", "net:belt", "other:conv1"]


def write_rsa(folder, *, subjects=("sub-001", "sub-002"), clips=12, runs=3):
    """core is like net:A1, belt like net:belt beyond chance; two labels; pairs in runs left out."""
    rng = np.random.default_rng(0)
    patterns = {layer: rng.standard_normal((clips, 5)) for layer in LAYERS}
    models = np.stack([pdist(patterns[layer]) ** 2 for layer in LAYERS])
    data = np.stack([[models[i] + rng.normal(0, 0.5, models.shape[1]) for _ in subjects]
                     for i in range(len(REGIONS))])  # fmt: skip
    of_clip = np.arange(clips) % runs
    within = pdist(of_clip[:, None]) == 0
    data[..., within] = models[:, within] = np.nan
    names = [f"rock.{i:05d}" if i < clips // 2 else f"jazz.{i:05d}" for i in range(clips)]
    found = {}
    for i, layer in enumerate([*LAYERS, "net:weighted"]):
        found[layer] = {
            region: {
                "mean": (mean := 0.62 if i == k else 0.11 + 0.01 * i),
                "interval": [mean - 0.1, mean + 0.1],
                "n": len(subjects),
                "ceiling": {"lower": 0.7, "upper": 0.8} if len(subjects) > 1 else None,
                "p": 0.0005 if i == k else 0.2,
                "p_max": 0.0015 if i == k else 0.5,
                "subjects": {s: mean + 0.03 * (-1) ** n for n, s in enumerate(subjects)},
            }
            for k, region in enumerate(REGIONS)
        }
    row = {"a": "net:A1", "b": "net:belt", "difference": 0.5, "low": 0.3, "high": 0.7}
    value = {
        "kind": "rsa",
        "method": "rho-a",
        "layers": found,
        "differences": {r: [row | {"p": 0.001, "p_holm": 0.003}] for r in REGIONS},
        "measures": {"whitened-cosine": found},
        "subjects": list(subjects),
        "n_clips": clips,
        "n_pairs": int((~within).sum()),
        "n_repeats": 4,
        "distance": "crossnobis",
        "noise": "diagonal",
        "model_distance": "correlation",
        "within_runs": "drop",
        "n_permutations": 2000,
        "n_resamples": 1000,
        "seed": 0,
        "notes": ["region lost: not in all subjects; left out"],
        "seconds": 1.5,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(value), encoding="utf-8")
    command = "cortexnet rsa --features net.zarr --responses bids --out rsa"
    (folder / "provenance.json").write_text(json.dumps({"command": command}), encoding="utf-8")
    text = {"regions": REGIONS, "subjects": list(subjects), "layers": LAYERS, "clips": names,
            "runs": of_clip.astype(str)}  # fmt: skip
    np.savez(folder / "rdms.npz", data=data, models=models,
             **{key: np.array(names, str) for key, names in text.items()})  # fmt: skip
    return value

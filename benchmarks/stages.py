"""How often a hierarchy is claimed, and how long the tests of a full-size subject take.

python -P benchmarks/stages.py rates [--experiments 40] [--controls 10]
python -P benchmarks/stages.py time [--targets 60000] [--controls 20]

``rates`` simulates experiments of five subjects (`encoding.stages.simulation`): nulls in which all
regions share one stage or hold noise alone, at one SNR or at SNR that differ between regions, and
planted hierarchies. Beside the rule, ``without_snr`` leaves out the two rungs about SNR (the bound
and the matched voxels). ``time`` makes scores of 8 stages, 480 clips of ten volumes, and controls
of 8 stages each, for a tenth of the targets in regions; time is that of the processor.
"""

import argparse
import json
import time

import numpy as np
import pandas as pd
import xarray as xr

from encoding import Scores
from encoding.stages import stage_test
from encoding.stages.simulation import REGIONS, SNR, STAGES, simulate_scores
from encoding.stages.verdict import MATCHED, SNR_ALONE

LEVELS = {
    "usual": SNR,
    "core high": dict(zip(REGIONS, (0.5, 0.1, 0.1, 0.1), strict=True)),
    "core low": dict(zip(REGIONS, (0.1, 0.5, 0.5, 0.5), strict=True)),
    "all low": dict(zip(REGIONS, (0.1, 0.08, 0.06, 0.06), strict=True)),
}
PLANS = {
    "null: stage 1 everywhere": [STAGES[0]] * 4,
    "null: stage 3 everywhere": [STAGES[2]] * 4,
    "null: stage 4 everywhere": [STAGES[3]] * 4,
    "null: noise": [None] * 4,
    "reversed": list(STAGES[::-1]),
    "hierarchy": list(STAGES),
}


def rates(n_experiments: int, n_controls: int) -> None:
    for plan, stages in PLANS.items():
        planted = dict(zip(REGIONS, stages, strict=True))
        for level, snr in LEVELS.items():
            if stages[0] is None and level != "usual":
                continue  # noise has no level
            start, claims, bare, passed = time.process_time(), 0, 0, 0
            for seed in range(n_experiments):
                scores = simulate_scores(planted, snr, n_controls=n_controls, seed=seed)
                result = stage_test(
                    scores, n_shuffles=3, n_resamples=200, n_surrogates=19, seed=seed, n_jobs=1
                )
                claims += result.verdict.supported
                passed += result.verdict.n_exceeding
                others = [
                    all(v for k, v in s.exceeded.items() if k not in (MATCHED, SNR_ALONE))
                    for s in result.subjects.values()
                ]
                bare += sum(others) >= result.verdict.n_needed
            line = {
                "bench": plan,
                "snr": level,
                "claims": claims / n_experiments,
                "without_snr": bare / n_experiments,
                "subjects_passed": round(passed / n_experiments / 5, 3),
                "n": n_experiments,
                "controls": n_controls,
                "cpu_seconds": round(time.process_time() - start, 1),
            }
            print(json.dumps(line), flush=True)


def full_size(n_targets: int, n_controls: int) -> None:
    rng = np.random.default_rng(0)
    n_stages, n_blocks, length = 8, 480, 10
    runs = np.repeat(np.arange(12), n_blocks * length // 12)
    samples = pd.DataFrame({"run": runs, "block": np.repeat(np.arange(n_blocks), length)})
    Y = rng.standard_normal((len(samples), n_targets), dtype=np.float32)
    models = ["net", *(f"net-random-{i}" for i in range(n_controls))]
    layers = [f"{model}:{stage}" for model in models for stage in range(n_stages)]

    class Predictions:
        """Made when they are read, as from a store: noise that knows a little of the response."""

        def __getitem__(self, key):
            layer, _, columns = key
            own = np.random.default_rng((layer, columns.start))
            noise = own.standard_normal(Y[:, columns].shape, dtype=np.float32)
            return 0.1 * Y[:, columns] + noise

    region = np.full(n_targets, "", dtype="<U8")
    region[: n_targets // 10] = np.repeat(REGIONS, -(-n_targets // 40))[: n_targets // 10]
    coordinates = {axis: ("target", rng.uniform(0, 60, n_targets)) for axis in "xyz"}
    dataset = xr.Dataset(
        coords={"layer": layers, "region": ("target", region), **coordinates},
        attrs={"scheme": "leave-one-group-out"},
    )
    start, cpu = time.perf_counter(), time.process_time()
    stage_test(Scores(dataset, Predictions(), Y, samples))
    line = {
        "bench": f"stages v{n_targets} stages8 rows{len(samples)} resamples1000",
        "controls": n_controls,
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("rates", "time"))
    parser.add_argument("--experiments", type=int, default=40)
    parser.add_argument("--controls", type=int)
    parser.add_argument("--targets", type=int, default=60_000)
    given = parser.parse_args()
    if given.what == "rates":
        rates(given.experiments, given.controls or 10)
    else:
        full_size(given.targets, given.controls or 20)


if __name__ == "__main__":
    main()

"""The 165-sound protocol on random features: every stage, the best one, and joint models.

python -P benchmarks/sounds.py [--stages 8 --units 1024 --threads 1]

What `cortexnet nh2015` does with one model once its activations are there: ten random halves,
alphas by leave-one-out, 1000 bootstrap draws of sounds, all stages together and banded. Prints a
JSON line; cpu_seconds is the time of all threads.
"""

import argparse
import json
import time

import numpy as np
from threadpoolctl import threadpool_limits

from encoding import draw_sounds
from experiments.nh2015 import RESAMPLES
from experiments.nh2015_scores import COMPONENTS, score_stages

SOUNDS = 165


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", type=int, default=8)
    parser.add_argument("--units", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    stages = {f"stage {k}": rng.standard_normal((SOUNDS, given.units)) for k in range(given.stages)}
    profiles = rng.standard_normal((SOUNDS, len(COMPONENTS)))
    draws = draw_sounds(SOUNDS, RESAMPLES)
    start, cpu = time.perf_counter(), time.process_time()
    with threadpool_limits(given.threads):
        score_stages(stages, profiles, draws)
    line = {
        "bench": f"165 sounds, {given.stages} stages x {given.units} units",
        "ours_seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "threads": given.threads,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

"""Bootstrap of RDMs over subjects and clips against rsatoolbox's.

python -P benchmarks/rsa.py [--methods rho-a,corr] [--resamples 1000] [--few 10]

Twelve models, five subjects, 60 clips; best of three. rsatoolbox resamples RDMs one after the
other; it does a few resamples without noise ceilings (its ``boot_noise_ceil=False``), whose time
is extrapolated, and the line says so. Ours is timed whole, with draws, three bootstraps (subjects,
clips, both) and intervals; ``dual`` lines compare with rsatoolbox's ``eval_dual_bootstrap``, which
does three bootstraps too, and ceilings. ``max_error``: of the similarities of the few resamples,
for the clips and subjects that rsatoolbox drew (of the first resample for ``dual``, whose generator
also deals folds). Needs rsatoolbox.
"""

import argparse
import json
import time
import warnings
from functools import partial

import numpy as np
from rsatoolbox.inference import eval_bootstrap, eval_dual_bootstrap
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from threadpoolctl import threadpool_limits

from encoding import bootstrap_rdms, rdm
from encoding.rsa.resampled import resampled_similarity

N_CLIPS, N_SUBJECTS, N_MODELS = 60, 5, 12
THEIRS = {"rho-a": "rho-a", "spearman": "spearman", "kendall": "tau-a", "cosine": "cosine",
          "whitened-cosine": "cosine_cov", "corr": "corr"}  # fmt: skip


def material():
    """RDMs of five subjects who share a signal, and of models that hold more and more of it."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((N_CLIPS, 40))
    brains = [base @ rng.standard_normal((40, 100)) + 8 * rng.standard_normal((N_CLIPS, 100))
              for _ in range(N_SUBJECTS)]  # fmt: skip
    models = [base[:, : 10 + 2 * k] for k in range(N_MODELS)]
    return (np.stack([rdm(X, "euclidean") for X in part]) for part in (brains, models))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="rho-a,corr,cosine,whitened-cosine,spearman,kendall")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--few", type=int, default=10, help="resamples of rsatoolbox")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    data, models = material()
    theirs = RDMs(data)
    fixed = [ModelFixed(f"m{k}", model) for k, model in enumerate(models)]
    for method in given.methods.split(","):
        with threadpool_limits(1):
            bootstrap_rdms(data, models, method, n_resamples=10)  # compiled code is loaded
            ours, ours_cpu, _ = best_of(lambda m: bootstrap_rdms(
                data, models, m, n_resamples=given.resamples).interval, method)  # fmt: skip
            for kind, evaluate in (("", eval_bootstrap), (" dual", eval_dual_bootstrap)):
                options = {} if kind else {"boot_noise_ceil": False}
                run = partial(evaluate, fixed, theirs, method=THEIRS[method], N=given.few)
                peer, peer_cpu, result = best_of(run, **options)
                evaluations = np.asarray(result.evaluations)
                both = evaluations if not kind else evaluations[:, :, 0, 0, 0]
                same = 1 if kind else given.few
                error = np.abs(drawn_by_rsatoolbox(data, models, method, same) - both[:same]).max()
                times = given.resamples / given.few
                line = {
                    "bench": f"rsa bootstrap{kind} {method} m{N_MODELS} s{N_SUBJECTS} c{N_CLIPS} "
                    f"resamples{given.resamples}",
                    "ours_seconds": round(ours, 3),
                    "peer": "rsatoolbox",
                    "peer_seconds": round(peer * times, 1),
                    "peer_extrapolated": True,
                    "ratio": round(peer * times / ours, 1),
                    "cpu_ratio": round(peer_cpu * times / ours_cpu, 1),
                    "max_error": float(f"{error:.2e}"),
                    "n": given.resamples,
                    "threads": 1,
                }
                print(json.dumps(line), flush=True)


def best_of(function, *arguments, **options):
    """Seconds and processor seconds of the fastest of three calls from seed 0, and the result."""
    times = []
    for _ in range(3):
        np.random.seed(0)  # noqa: NPY002 (what rsatoolbox draws from)
        start, cpu = time.perf_counter(), time.process_time()
        result = function(*arguments, **options)
        times.append((time.perf_counter() - start, time.process_time() - cpu))
    return *np.min(times, 0), result


def drawn_by_rsatoolbox(data, models, method, n) -> np.ndarray:
    """Mean similarities (n, n_models) in the resamples that rsatoolbox draws from seed 0."""
    np.random.seed(0)  # noqa: NPY002
    subjects, clips = np.zeros((n, N_SUBJECTS)), np.zeros((n, N_CLIPS))
    for i in range(n):
        for counts in (subjects, clips):
            size = counts.shape[1]
            np.add.at(counts[i], np.random.randint(0, size, size=size), 1)  # noqa: NPY002
    known = np.ones(data.shape[1], bool)
    similarity = resampled_similarity(data, models, known, method, clips)
    return np.einsum("rsm,rs->rm", similarity, subjects / N_SUBJECTS)


if __name__ == "__main__":
    main()

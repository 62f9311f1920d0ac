"""Training: cortexnet_s against cnn2d_4l, and both against the modulation baseline.

python -P benchmarks/train.py [--threads 2] [--stimuli manifest.csv --folder DIR [--seeds 0,1,2]]

Prints one JSON line on speed: seconds of training a clip for one epoch (a random segment of
2.97 s, batches of 16, in turns, so that a change of the machine's load meets both alike). Ours
counts the stages that never learn, which are computed once a clip, spread over the epochs of
`--epochs`.

With ``--stimuli`` it goes on to grouped five-fold cross-validation, trained until early stop
(plateau schedule, at most 80 epochs): ours over all seeds, the CNN and the support vector machine
on modulation energy once; then the paired differences with intervals over tracks. That takes hours
on two cores; the folders make it resumable.
"""

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import nn

import cortexnet
from cortexnet.cost import list_costs
from cortexnet.crossval import compare_crossvals, crossval
from cortexnet.memory import keep_freed_memory
from cortexnet.recipe import Recipe
from stimuli import load_clips

OURS, PEER, BASELINE = "cortexnet_s", "cnn2d_4l", "modulation_svm"
BATCH, SEGMENT, CLIP_SECONDS, FIXED_CLIPS = 16, 2**16, 15, 16
TURNS, STEPS = 5, 4  # the first step of a turn finds the other network's memory in the cache


def step(model, forward, x, labels, optimizer) -> float:
    """Seconds of one training step."""
    began = time.perf_counter()
    optimizer.zero_grad()
    nn.functional.cross_entropy(forward(x), labels).backward()
    optimizer.step()
    return time.perf_counter() - began


def speed(epochs: int, threads: int) -> dict:
    """Seconds a clip and epoch of both networks."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    ours, peer = (cortexnet.create_model(name, 10) for name in (OURS, PEER))
    sound = 0.05 * torch.randn(1, CLIP_SECONDS * 22050)
    ours.eval()

    def compute(_):
        with torch.inference_mode():
            return ours.fixed(sound)

    # As `stimuli.cache.FeatureCache` does.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        features = next(pool.map(compute, range(2 * threads)))
        began = time.perf_counter()
        list(pool.map(compute, range(FIXED_CLIPS)))
        fixed = (time.perf_counter() - began) / FIXED_CLIPS
    torch.set_num_threads(threads)
    frames = int(SEGMENT * ours.fixed_rate / ours.sample_rate)
    cached = features[:, :frames].clone().repeat(BATCH, 1, 1)
    waves = sound[:, :SEGMENT].repeat(BATCH, 1)
    labels = torch.arange(BATCH) % 10
    ours.train()
    peer.train()
    optimizers = [torch.optim.AdamW(model.parameters(), fused=True) for model in (ours, peer)]
    times = {OURS: [], PEER: []}
    mine = ours, ours.from_fixed, cached, labels, optimizers[0]
    theirs = peer, peer, waves, labels, optimizers[1]
    for _ in range(TURNS):
        times[OURS] += [step(*mine) for _ in range(STEPS)][1:]
        times[PEER] += [step(*theirs) for _ in range(STEPS)][1:]
    a, b = (statistics.median(times[name]) / BATCH for name in (OURS, PEER))
    a += fixed / epochs
    macs = {row["name"]: row["macs_per_second"] for row in list_costs((OURS, PEER))}
    return {
        "bench": "train", "ours_seconds": round(a, 5), "peer": PEER, "peer_seconds": round(b, 5),
        "ratio": round(b / a, 2), "max_error": None, "n": BATCH, "threads": threads,
        "macs_per_second": macs, "fixed_seconds_a_clip": round(fixed, 4),
    }  # fmt: skip


def accuracy(stimuli: Path, folder: Path, seeds: list[int]) -> None:
    """Cross-validate the three models and print each and the differences of ours."""
    clips = load_clips(stimuli)
    for name, of in ((BASELINE, {}), (OURS, {"seeds": seeds}), (PEER, {})):
        recipe = Recipe.of(name, epochs=80, schedule="plateau")
        result = crossval(name, clips, 5, folder / name, recipe, **of)
        kept = ("model", "clip_accuracy", "clip_interval", "segment_accuracy", "n_clips", "seconds")
        print(json.dumps({"bench": "accuracy"} | {key: result[key] for key in kept}), flush=True)
    for name in (BASELINE, PEER):
        difference = compare_crossvals(folder / OURS, folder / name)
        print(json.dumps({"bench": "difference", "first": OURS, "second": name} | difference))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--stimuli", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    if (given.stimuli is None) != (given.folder is None):
        parser.error("--stimuli and --folder go together")
    keep_freed_memory()
    print(json.dumps(speed(given.epochs, given.threads)), flush=True)
    if given.stimuli is not None:
        accuracy(given.stimuli, given.folder, [int(seed) for seed in given.seeds.split(",")])

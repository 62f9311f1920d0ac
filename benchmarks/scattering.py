"""Scattering: this package against kymatio's torch front-end, same threads, same run.

Prints one line of JSON a measurement. ``max_error`` is the largest difference over the largest
coefficient of its order, over clips, frames and orders 1 and 2 (``inside``: without the quarter of
the frames at each end), on white noise, music-like harmonics, speech-like pulses and clicks.

Parts: ``peer`` (time, error and filters against kymatio), ``clips`` (hours of audio over the cores:
time, memory, equality for any number of workers), ``tensors`` (forward and backward).
"""

import argparse
import gc
import json
import resource
import sys
import time

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from cortexnet.scattering import Scattering1D
from cortexnet.scattering.plan import make_plan

RATE = 22050  # Hz, of the clips


def make_sounds(batch: int, shape: int) -> np.ndarray:
    """White noise, a chord, speech-like pulses and clicks in turn: (batch, shape) float32."""
    rng = np.random.default_rng(0)
    samples = np.arange(shape)
    chord = sum(np.cos(2 * np.pi * k * 0.009 * samples + k) / k for k in range(1, 30))
    chord += np.roll(chord, shape // 3) * np.exp(-(samples % 11025) / 4000)
    # a pulse train of moving pitch through a resonance, in syllables
    pitch = 0.0055 * (1 + 0.2 * np.sin(2 * np.pi * samples / 15000))
    pulses = np.diff(np.floor(np.cumsum(pitch)), prepend=0)
    time_axis = np.arange(800)
    resonance = np.exp(-time_axis / 60) * np.sin(2 * np.pi * 0.03 * time_axis)
    speech = np.convolve(pulses, resonance)[:shape]
    speech *= np.clip(np.sin(2 * np.pi * samples / 5500), 0, 1)
    speech += 0.02 * rng.standard_normal(shape)
    clicks = np.zeros(shape)
    clicks[rng.integers(0, shape, shape // 8192 + 4)] = 1
    kinds = [rng.standard_normal(shape), chord, speech, clicks]
    return np.stack([kinds[i % 4] for i in range(batch)]).astype("float32")


def clock(function):
    """Seconds and result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def errors(result: np.ndarray, expected: np.ndarray, order: np.ndarray) -> float:
    worst = 0.0
    for wanted in (1, 2):
        rows = order == wanted
        peak = np.abs(expected[:, rows]).max(axis=(1, 2))
        worst = max(worst, (np.abs(result - expected)[:, rows].max(axis=(1, 2)) / peak).max())
    return float(f"{worst:.2e}")


def against_peer(J: int, Q: int, options) -> None:
    from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

    shape = options.shape
    sounds = make_sounds(options.batch, shape)
    tensor = torch.from_numpy(sounds)
    Scattering1D(4, 1024)(sounds[:, :1024])  # compiled loops are loaded outside the clock
    peer_build, peer = clock(lambda: ScatteringTorch1D(J=J, shape=shape, Q=Q))
    rows = {}
    for preset in options.preset:
        build, ours = clock(lambda p=preset: Scattering1D(J, shape, Q, preset=p, workers=1))
        again, _ = clock(lambda p=preset: Scattering1D(J, shape, Q, preset=p))
        ours(sounds)
        rows[preset] = {"ours": ours, "cold": build, "cached": again, "seconds": []}
    peer_seconds = []
    with torch.no_grad():
        for _ in range(options.repeats):  # in turn, so that a busy machine slows all alike
            seconds, expected = clock(lambda: peer(tensor).numpy())
            peer_seconds.append(seconds)
            for row in rows.values():
                for _ in range(2):
                    seconds, row["result"] = clock(lambda r=row: r["ours"](sounds))
                    row["seconds"].append(seconds)
    order = peer.meta()["order"]
    inside = slice(expected.shape[-1] // 4, -(expected.shape[-1] // 4))
    for preset, row in rows.items():
        report(
            bench=f"scattering J{J} Q{Q}",
            preset=preset,
            ours_seconds=round(min(row["seconds"]), 4),
            peer="kymatio 0.3.0 torch",
            peer_seconds=round(min(peer_seconds), 4),
            ratio=round(min(peer_seconds) / min(row["seconds"]), 2),
            max_error_inside=errors(row["result"][..., inside], expected[..., inside], order),
            max_error=errors(row["result"], expected, order),
            n=options.batch * shape,
            threads=torch.get_num_threads(),
            filters_cold_seconds=round(row["cold"], 3),
            filters_cached_seconds=round(row["cached"], 4),
            peer_filters_seconds=round(peer_build, 3),
        )


def clips_in_parallel(options) -> None:
    shape = int(options.seconds * RATE)
    base = make_sounds(4, shape)
    level = np.random.default_rng(1).uniform(0.5, 1, (options.clips, 1)).astype("float32")
    sounds = np.empty((options.clips, shape), "float32")
    for i in range(options.clips):
        np.multiply(np.roll(base[i % 4], 997 * i), level[i], out=sounds[i])
    before = peak_megabytes()
    parallel = Scattering1D(13, shape, 8, workers=options.workers)
    parallel(sounds[:4])
    cpu = time.process_time()
    seconds, result = clock(lambda: parallel(sounds))
    cpu = time.process_time() - cpu
    single = Scattering1D(13, shape, 8, workers=1)
    equal = bool(np.array_equal(single(sounds[:12]), result[:12]))
    report(
        bench=f"{options.clips} clips of {options.seconds:g} s, J13 Q8",
        workers=options.workers,
        seconds=round(seconds, 1),
        cpu_seconds=round(cpu, 1),  # of all threads; what a busy machine does not lengthen
        times_real_time=round(options.clips * options.seconds / seconds),
        peak_megabytes=peak_megabytes(),
        of_it_sounds_and_libraries=before,
        equal_to_one_worker=equal,
    )


def tensors(options) -> None:
    from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D

    shape, J = 2**16, 11
    x = torch.from_numpy(make_sounds(2, shape)).requires_grad_()
    peer = ScatteringTorch1D(J=J, shape=shape, Q=8)
    transforms = {"kymatio 0.3.0": peer}
    for preset in ("standard", "strict", "kymatio"):
        transforms[preset] = Scattering1D(J, shape, 8, preset=preset)
    seconds = {name: [] for name in transforms}
    for _ in range(options.repeats):
        for name, transform in transforms.items():
            spent, _ = clock(lambda t=transform: t(x).square().sum().backward())
            seconds[name].append(spent)
            gc.collect()
    best = {name: min(values) for name, values in seconds.items()}
    report(
        bench=f"forward and backward, J{J} Q8, 2 x 2^16",
        seconds={name: round(value, 3) for name, value in best.items()},
        ratio={name: round(best["kymatio 0.3.0"] / value, 2) for name, value in best.items()},
    )


def peak_megabytes() -> int:
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def report(**row) -> None:
    print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", default=["peer", "clips", "tensors"])
    parser.add_argument("--shape", type=int, default=2**18, help="samples of a signal")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--preset", nargs="+", default=["standard", "strict"], help="also kymatio")
    parser.add_argument("--repeats", type=int, default=3, help="of the peer; ours twice as many")
    parser.add_argument("--J", type=int, nargs="+", default=[13, 11])
    parser.add_argument("--Q", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--threads", type=int, default=1, help="of the parts peer and tensors")
    parser.add_argument("--clips", type=int, default=540)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if "clips" in options.part:  # first: the peak of memory is that of the process
        clips_in_parallel(options)
        make_plan.cache_clear()
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        if "peer" in options.part:
            for Q in options.Q:
                for J in options.J:
                    against_peer(J, Q, options)
        if "tensors" in options.part:
            tensors(options)


if __name__ == "__main__":
    main()

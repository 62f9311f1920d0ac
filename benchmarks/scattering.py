"""Scattering: this package against kymatio's torch front-end, one thread each, same run.

Prints one line of JSON a configuration. ``max_error`` is the largest difference over the largest
coefficient of its order, over clips, frames and orders 1 and 2, on white and pink noise, a harmonic
complex and clicks.
"""

import argparse
import json
import time

import numpy as np
import torch
from kymatio.scattering1d.frontend.torch_frontend import ScatteringTorch1D
from threadpoolctl import threadpool_limits

from cortexnet.scattering import Scattering1D


def make_sounds(batch: int, shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    samples = np.arange(shape)
    spectrum = np.fft.rfft(rng.standard_normal(shape)) / np.sqrt(np.arange(shape // 2 + 1) + 1)
    tone = sum(np.cos(2 * np.pi * k * 0.009 * samples + k) / k for k in range(1, 30))
    clicks = np.zeros(shape)
    clicks[rng.integers(0, shape, shape // 8192 + 4)] = 1
    kinds = [rng.standard_normal(shape), np.fft.irfft(spectrum, shape), tone, clicks]
    return np.stack([kinds[i % 4] for i in range(batch)]).astype("float32")


def seconds(function, repeats: int):
    """Best time and last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


def compare(J: int, Q: int, shape: int, batch: int, preset: str, repeats: int) -> dict:
    sounds = make_sounds(batch, shape)
    tensor = torch.from_numpy(sounds)
    Scattering1D(4, 1024)(sounds[:, :1024])  # compiled loops are loaded outside the clock
    ours_build, ours = seconds(lambda: Scattering1D(J, shape, Q, preset=preset), 1)
    peer_build, peer = seconds(lambda: ScatteringTorch1D(J=J, shape=shape, Q=Q), 1)
    ours(sounds)
    ours_seconds, result = seconds(lambda: ours(sounds), repeats)
    with torch.no_grad():
        peer_seconds, expected = seconds(lambda: peer(tensor).numpy(), max(1, repeats // 3))
    order = ours.meta()["order"]
    errors = []
    for wanted in (1, 2):
        peak = np.abs(expected[:, order == wanted]).max(axis=(1, 2))
        difference = np.abs(result - expected)[:, order == wanted].max(axis=(1, 2))
        errors.append((difference / peak).max())
    return {
        "bench": f"scattering J{J} Q{Q}",
        "ours_seconds": round(ours_seconds, 4),
        "peer": "kymatio 0.3.0 torch",
        "peer_seconds": round(peer_seconds, 4),
        "ratio": round(peer_seconds / ours_seconds, 2),
        "max_error": float(f"{max(errors):.2e}"),
        "n": batch * shape,
        "threads": 1,
        "preset": preset,
        "ours_filters_seconds": round(ours_build, 3),
        "peer_filters_seconds": round(peer_build, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, default=2**18, help="samples of a signal")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--preset", default="standard", choices=["standard", "strict"])
    parser.add_argument("--repeats", type=int, default=6, help="of ours; a third of it of the peer")
    parser.add_argument("--J", type=int, nargs="+", default=[13, 11])
    parser.add_argument("--Q", type=int, nargs="+", default=[8, 16])
    options = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for Q in options.Q:
            for J in options.J:
                row = compare(J, Q, options.shape, options.batch, options.preset, options.repeats)
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

"""Preparing sounds: decoding, seven augmentations and log-mel, against a plain loop over librosa.

python -P benchmarks/prepare.py [--clips 100] [--seconds 15] [--steps 8]

Both sides make a mel spectrogram of every clip and of seven copies of it, with the same sizes of
the same kinds. Ours is one pass in two processes; librosa's is one process, free to use two cores.
The clips are taken in small turns, so that a change of the machine's load meets both alike.
``max_error`` is the largest difference of the mel spectrograms of identical sound over the largest
value. ``data_share`` is the time that a training step of cnn2d_4l waits for its batch of freshly
augmented segments, over the whole time of the step.
"""

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

import librosa
import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.utils.data import DataLoader

from cortexnet import create_model
from cortexnet.frontends import LogMel
from stimuli.audio import equalise_rms, write_audio
from stimuli.augment import KINDS, Augmenter, draw
from stimuli.augmented import augment_batch, augmented_clips
from stimuli.clips import load_clips
from stimuli.dataset import TrainSegments
from stimuli.music import render_track

RATE = 22050
PROCESSES = THREADS = 2
TURN = 25  # clips
GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "pop", "rock")


def write_clips(folder: Path, n: int, seconds: float):
    for i, genre in zip(range(n), itertools.cycle(GENRES), strict=False):
        (folder / genre).mkdir(exist_ok=True)
        x = equalise_rms(render_track(genre, i, seconds, RATE))
        x *= min(1, 0.99 / np.abs(x).max())
        write_audio(folder / genre / f"{genre}.{i:05d}.wav", x, RATE)
    return load_clips(folder)


def peer_mel(x: np.ndarray) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=x, sr=RATE, n_fft=1024, hop_length=512, power=1.0, pad_mode="reflect"
    )
    return np.log10(1 + 10 * mel)


def peer_copy(x: np.ndarray, kind: str, size: float, rng) -> np.ndarray:
    if kind == "noise":
        noise = rng.standard_normal(len(x)).astype(np.float32)
        return x + noise * np.float32(np.sqrt(np.mean(x**2)) * 10 ** (-size / 20))
    if kind == "shift":
        return np.roll(x, round(size * RATE))
    if kind == "speed":
        return librosa.effects.time_stretch(x, rate=size)
    if kind == "pitch":
        return librosa.effects.pitch_shift(x, sr=RATE, n_steps=size)
    if kind == "pitch_speed":
        return librosa.resample(x, orig_sr=RATE * size, target_sr=RATE)
    if kind == "gain":
        return np.clip(x * np.float32(10 ** (size / 20)), -1, 1)
    return librosa.effects.percussive(x)


def peer_loop(paths) -> list[np.ndarray]:
    features = []
    for i, path in enumerate(paths):
        x, _ = librosa.load(path, sr=RATE)
        features.append(peer_mel(x))
        for copy, kind in enumerate(KINDS):
            rng = np.random.default_rng([i, copy])
            features.append(peer_mel(peer_copy(x, kind, draw(kind, rng), rng)))
    return features


def timed(function, *given):
    start = time.perf_counter()
    result = function(*given)
    return time.perf_counter() - start, result


class Mel:
    def __init__(self):
        self.frontend = LogMel(RATE)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.frontend(torch.from_numpy(x)[None])[0].numpy()


def compare(clips) -> dict:
    mel, augmenter = Mel(), Augmenter()

    def ours(part):
        table = augmented_clips(part, augmenter)
        return augment_batch(table, augmenter, RATE, feature=mel, workers=PROCESSES)

    # Compiled loops and filter banks are made outside the clock.
    mel(augmenter(np.ones(RATE, np.float32), RATE, "", 1 + KINDS.index("percussive")))
    peer_loop(clips["path"][:1])
    ours_seconds, peer_seconds, error = 0.0, 0.0, 0.0
    for first in range(0, len(clips), TURN):
        part = clips[first : first + TURN]
        seconds, made = timed(ours, part)
        ours_seconds += seconds
        with threadpool_limits(THREADS):
            seconds, expected = timed(peer_loop, part["path"])
        peer_seconds += seconds
        if len(made) != len(expected):
            raise RuntimeError("the two sides made different numbers of spectrograms")
        for path in part["path"]:
            x = librosa.load(path, sr=RATE)[0]
            wanted = peer_mel(x)
            error = max(error, float(np.abs(mel(x) - wanted).max() / wanted.max()))
    return {
        "ours_seconds": round(ours_seconds, 3),
        "peer": f"librosa {librosa.__version__}",
        "peer_seconds": round(peer_seconds, 3),
        "ratio": round(peer_seconds / ours_seconds, 2),
        "max_error": float(f"{error:.2e}"),
        "n": len(clips),
        "threads": THREADS,
    }


def data_share(n_steps: int, workers: int, batch_size=32, segment=2**16) -> dict:
    """Time that training steps wait for their batch, over their whole time."""
    rng = np.random.default_rng(0)
    waves = [render_track(GENRES[i % 8], i, 8, RATE) for i in range(8)]
    waves = [equalise_rms(waves[i % 8]) for i in range(batch_size * (n_steps + 2))]
    labels = rng.integers(8, size=len(waves))
    data = TrainSegments(waves, labels, segment, augment=Augmenter(), sample_rate=RATE)
    loader = DataLoader(data, batch_size, num_workers=workers)
    torch.set_num_threads(THREADS)
    model = create_model("cnn2d_4l", 8).train()
    optimizer = torch.optim.AdamW(model.parameters())
    waited, total = [], []
    batches = iter(loader)
    for _ in range(n_steps + 2):
        start = time.perf_counter()
        x, label, _ = next(batches)
        waited.append(time.perf_counter() - start)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), label).backward()
        optimizer.step()
        total.append(time.perf_counter() - start)
    # The first two steps start the workers and fill torch's caches.
    return {
        "data_share": round(sum(waited[2:]) / sum(total[2:]), 4),
        "step_seconds": round(sum(total[2:]) / n_steps, 3),
        "loading_workers": workers,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--steps", type=int, default=8, help="training steps timed")
    parser.add_argument("--workers", type=int, default=1, help="loading processes in training")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = compare(write_clips(Path(folder), given.clips, given.seconds))
    row = {"bench": f"prepare {given.seconds:g} s"} | row
    print(json.dumps(row | data_share(given.steps, given.workers)))


if __name__ == "__main__":
    main()

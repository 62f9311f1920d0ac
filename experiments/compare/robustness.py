"""What trained runs say of test clips that were disturbed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cortexnet.evaluation import clip_means, predict_segments
from cortexnet.fixed import trained_input, trained_length
from cortexnet.runs import Run
from experiments.compare.parallel import over_clips
from stimuli import augment
from stimuli.dataset import EvalSegments


@dataclass(frozen=True)
class Condition:
    """A disturbance (`stimuli.augment`) of one size, in `unit`."""

    kind: str
    size: float
    unit: str

    @property
    def name(self) -> str:
        """For instance ``noise=10``."""
        return f"{self.kind}={self.size:g}"


CLEAN = Condition("clean", 0.0, "")
CONDITIONS = (
    *(Condition("noise", size, "dB SNR") for size in (20.0, 10.0, 0.0)),
    *(Condition("pitch", size, "semitones") for size in (-2.0, -1.0, 1.0, 2.0)),
    *(Condition("speed", size, "x") for size in (0.9, 1.1)),
    *(Condition("shift", size, "s") for size in (-0.1, 0.1)),
    *(Condition("gain", size, "dB") for size in (-10.0, 10.0)),
)


def disturbed(
    wave: np.ndarray, sample_rate: int, condition: Condition, clip_id: str, seed: int = 0
) -> np.ndarray:
    """A clip under a condition; it depends on clip, condition and seed alone.

    A gain is exact: values above 1 are no clipping in floating point. All others keep the level.

    Parameters
    ----------
    wave : (n_samples,) float32
    sample_rate : int
        Hz.
    condition : Condition
    clip_id : str
    seed : int
    """
    if condition == CLEAN:
        return wave
    if condition.kind == "gain":
        return wave * np.float32(10 ** (condition.size / 20))
    digest = hashlib.sha256(f"{condition.name} {clip_id}".encode("utf-8", "surrogateescape"))
    rng = np.random.default_rng([seed, int.from_bytes(digest.digest()[:8], "big")])
    return augment.apply(wave, sample_rate, condition.kind, condition.size, rng)


def disturb_all(
    waves: dict[str, np.ndarray], sample_rate: int, condition: Condition, seed: int = 0
) -> dict[str, np.ndarray]:
    """`disturbed` for every clip by its clip_id."""
    made = over_clips(lambda one, x: disturbed(x, sample_rate, condition, one, seed), waves)
    return dict(zip(waves, made, strict=True))


def possible(waves: dict[str, np.ndarray], segments: Sequence[int]) -> list[Condition]:
    """Conditions under which every clip is still as long as the longest segment, samples."""
    shortest, longest = min(map(len, waves.values())), max(segments)
    return [
        condition
        for condition in CONDITIONS
        if condition.kind != "speed" or round(shortest / condition.size) >= longest
    ]


def predict(run: Run, waves: dict[str, np.ndarray], device="cpu") -> list[str]:
    """Labels that a run gives to sounds.

    Parameters
    ----------
    run : Run
    waves : {clip_id: (n_samples,) float32}
    device : str or torch.device
        Of what learns; stages that never do stay on the CPU.

    Returns
    -------
    list of str
        As `cortexnet.heldout.evaluate_run`: of each clip the class with the highest mean
        probability over segments.
    """
    recipe, labels, device = run.card["recipe"], run.card["labels"], torch.device(device)
    length = trained_length(run.model, recipe["segment"])

    def label(clip_id: str, wave: np.ndarray) -> str:
        with torch.inference_mode():
            given = trained_input(run.model, torch.from_numpy(wave)[None])[0].numpy()
        segments = EvalSegments([given], [0], length, length, [clip_id])
        probabilities, _, index = predict_segments(
            run.model, segments, recipe["batch_size"], device
        )
        return labels[int(clip_means(probabilities, index)[0].argmax())]

    # Prediction moves the model to the device and back, which one thread does at a time.
    return over_clips(label, waves, workers=0 if device.type == "cpu" else 1)

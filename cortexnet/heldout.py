"""What a run says of clips that it was not trained on."""

import contextlib
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cortexnet.devices import find_device
from cortexnet.evaluation import accuracy_report, clip_means, predict_segments
from cortexnet.fixed import clips_module, has_fixed
from cortexnet.runs import Run, write_json
from stimuli import InputError, load_clips
from stimuli.provenance import whole_file


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a run says of clips.

    Attributes
    ----------
    report : dict
        As `accuracy_report`, with ``model``, ``side`` and ``seconds``.
    clips : DataFrame
        One row a clip: clip_id, label, predicted and the probability of each class.
    segments : (probabilities, labels, clips)
        As `predict_segments`.
    """

    report: dict
    clips: pd.DataFrame
    segments: tuple[np.ndarray, np.ndarray, np.ndarray]

    def save(self, folder: Path) -> None:
        """Write ``predictions.csv`` and ``evaluation.json``."""
        with whole_file(Path(folder) / "predictions.csv") as partial:
            self.clips.to_csv(partial, index=False)
        write_json(Path(folder) / "evaluation.json", self.report)


def evaluate_run(
    run: Run,
    clips: pd.DataFrame | None = None,
    waveforms=None,
    cache: Path | None = None,
    device: str = "auto",
) -> Evaluation:
    """Accuracy of a run on clips it was not trained on.

    Parameters
    ----------
    run : Run
    clips : DataFrame, optional
        Default: the run's own ``test`` rows, or its ``valid`` ones where it has none and nothing
        was fitted to them.
    waveforms : dict of clip_id to array, optional
    cache : Path, optional
        As of `train_run`; default a folder that is deleted in the end.
    device : str
        As `cortexnet.devices.find_device`.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        If a clip shares its group with training or has a label the run does not know.
    """
    known = load_clips(run.folder / "clips.csv")
    if clips is None:
        sides = [side for side in ("test", "valid") if (known["split"] == side).any()]
        # Read-outs and decoders are fitted to the validation clips, too.
        fitted = any(hasattr(run.model, name) for name in ("fit_readout", "fit_decoder"))
        if fitted and "test" not in sides:
            raise InputError(
                f"{run.folder}: no clip was held out; name some with --stimuli or use crossval"
            )
        side, clips = sides[0], known[known["split"] == sides[0]]
    else:
        side = "given"
        used = set(known.loc[known["split"].isin(["train", "valid"]), "group"])
        shared = clips.loc[clips["group"].isin(used), "clip_id"]
        if len(shared):
            raise InputError(
                f"{len(shared)} of {len(clips)} clips share a group with the training of "
                f"{run.folder} (first: {shared.iloc[0]}); evaluate on others or use crossval"
            )
    labels = run.card["labels"]
    strange = sorted(set(clips["label"]) - set(labels))
    if strange:
        raise InputError(f"label '{strange[0]}' is unknown to {run.folder}")
    started = time.perf_counter()
    recipe = run.card["recipe"]
    with contextlib.ExitStack() as stack:
        if cache is None and has_fixed(run.model):
            folder = tempfile.TemporaryDirectory(prefix=".features-", dir=run.folder)
            cache = stack.enter_context(folder)
        kept = run.card["model"], run.card["options"], cache
        data = clips_module(
            run.model, clips.assign(split="test"), recipe["segment"], kept, waveforms=waveforms,
            labels=labels,
        )  # fmt: skip
        predicted = predict_segments(
            run.model, data.segments("test"), recipe["batch_size"], find_device(device)
        )
    report = accuracy_report(*predicted, labels)
    report |= {
        "model": run.card["model"],
        "side": side,
        "seconds": round(time.perf_counter() - started, 2),
    }
    return Evaluation(report, clip_table(clips, labels, *predicted), predicted)


def clip_table(clips, labels, probabilities, _, index) -> pd.DataFrame:
    """Predictions by clip: clip_id, label, predicted, then one probability a class."""
    means, rows = clip_means(probabilities, index)
    table = clips.iloc[rows][["clip_id", "label"]].reset_index(drop=True)
    table["predicted"] = np.asarray(labels)[means.argmax(1)]
    return table.join(pd.DataFrame(means.round(6), columns=[f"p({label})" for label in labels]))

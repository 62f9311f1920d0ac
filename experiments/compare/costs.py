"""What a run costs: size, arithmetic, time and memory."""

import json
import subprocess
import sys
import time
from pathlib import Path

from cortexnet.cost import macs_per_second
from cortexnet.own import is_own
from cortexnet.registry import create_model, find_model
from experiments.compare.entrants import Entrant
from experiments.compare.robustness import predict

N_CLIPS = 10  # that are timed
UNKNOWN = {"peak_megabytes": None, "base_megabytes": None}


def measure_cost(entrant: Entrant, waves: dict, memory: bool = True) -> dict:
    """Cost of training and use.

    Parameters
    ----------
    entrant : Entrant
    waves : {clip_id: (n_samples,) float32}
        Test clips; ten are timed, one after the other, after one that is not.
    memory : bool
        Whether to measure it.

    Returns
    -------
    dict
        ``parameters``, ``macs_per_second`` (of sound, `cortexnet.cost`), ``train_seconds`` (as its
        training measured them), ``seconds_per_clip`` (from sound to label on one
        processor), ``peak_megabytes`` and ``base_megabytes`` (`peak_memory`).
    """
    card = entrant.run.card
    first, *timed = list(waves.items())[: N_CLIPS + 1]
    predict(entrant.run, dict([first]))
    started = time.perf_counter()
    for one in timed or [first]:
        predict(entrant.run, dict([one]))
    seconds = (time.perf_counter() - started) / len(timed or [first])
    options = card["options"] | find_model(card["model"]).countable
    countable = create_model(card["model"], len(card["labels"]), card["sample_rate"], **options)
    return {
        "parameters": card["parameters"],
        "macs_per_second": macs_per_second(countable.eval()),
        "train_seconds": card["seconds"],
        "seconds_per_clip": round(seconds, 4),
        **(peak_memory(entrant) if memory else UNKNOWN),
    }


def peak_memory(entrant: Entrant) -> dict:
    """Resident memory of a process of its own that loads the run and classifies test clips.

    Returns
    -------
    dict
        ``peak_megabytes`` at its highest and ``base_megabytes`` with the libraries loaded and
        nothing else; None where the system does not tell (Linux does) or such a process cannot load
        the model.
    """
    command = [sys.executable, "-m", "experiments.compare.memory", str(entrant.run.folder)]
    if is_own(entrant.run.card["model"]):
        command.append(entrant.run.card["model"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return UNKNOWN
    return json.loads(done.stdout.splitlines()[-1])


def own_peak() -> float | None:
    """Highest resident memory of this process so far in megabytes.

    Read from /proc and not by getrusage, whose value a process inherits from the one it was
    started by.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)

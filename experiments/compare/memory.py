"""A process that loads a run, classifies test clips and prints how much memory that took."""

import json
import sys
from pathlib import Path

from cortexnet.registry import find_model
from cortexnet.runs import load_run
from experiments.compare.costs import N_CLIPS, own_peak
from experiments.compare.robustness import predict
from stimuli import load_clips
from stimuli.dataset import load_waveforms


def main(folder: str, own: str | None = None) -> None:
    """Peak memory before and after, as one line of JSON."""
    base = own_peak()
    if own is not None:
        find_model(own)
    run = load_run(Path(folder))
    clips = load_clips(run.folder / "clips.csv")
    clips = clips[clips["split"] == "test"].sort_values("clip_id").head(N_CLIPS)
    waves = load_waveforms(clips, run.card["sample_rate"])
    predict(run, dict(zip(clips["clip_id"], waves, strict=True)))
    print(json.dumps({"peak_megabytes": own_peak(), "base_megabytes": base}))


if __name__ == "__main__":
    main(*sys.argv[1:])

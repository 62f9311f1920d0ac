"""Several processes train as one; what they log can be read elsewhere."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_networks import RATE

from cortexnet.recipe import Recipe
from cortexnet.runs import train_run
from stimuli import InputError
from stimuli.datamodule import SeededOrder, kept_segments

RECIPE = Recipe(epochs=3, batch_size=6, segment=RATE)
# Nothing of it looks at the rest of a batch, and nothing is drawn: what processes may not share.
PLAIN = {"norm": "group", "dropout": 0.0}


def curve(run):
    return pd.read_csv(run.folder / "log" / "metrics.csv")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny_wave", "tiny_fixed"])
def test_two_processes_train_the_weights_of_one(tiny, tiny_clips, tmp_path, name):
    """gloo on the CPU; sums of gradients differ in their order alone.

    By gradient descent as it is: AdamW divides by gradients that may be mere rounding.
    """
    recipe = dataclasses.replace(RECIPE, optimizer="sgd", learning_rate=0.05)
    one, two = (
        train_run(name, tiny_clips, tmp_path / str(n), recipe, 0.25, RATE, PLAIN, devices=n)
        for n in (1, 2)
    )
    pd.testing.assert_frame_equal(curve(one), curve(two), rtol=1e-4)
    assert one.card["best_epoch"] == two.card["best_epoch"]
    for key, value in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_an_error_in_a_process_is_one_line_here(tiny, tiny_clips, tmp_path):
    wild = Recipe(epochs=3, batch_size=6, segment=RATE, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(InputError, match=r"loss is (nan|inf) in epoch \d") as caught:
        train_run("tiny_wave", tiny_clips, tmp_path, wild, 0.25, RATE, devices=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 6, 7, 8, 20, 25])
def test_batches_of_all_processes_are_those_of_one(n, processes):
    if n < processes:
        with pytest.raises(InputError, match="cannot be dealt out"):
            kept_segments(n, 6, processes)
        return
    kept = kept_segments(n, 6, processes)
    assert kept % processes == 0 and n - kept < 6 and kept > 0
    whole = list(SeededOrder(range(n), 5))
    shares = [list(SeededOrder(range(n), 5, kept, r, processes)) for r in range(processes)]
    assert len({len(share) for share in shares}) == 1
    size = 6 // processes
    for start in range(0, kept // processes, size):
        together = sorted(i for share in shares for i in share[start : start + size])
        assert together == sorted(whole[start * processes : start * processes + 6][: len(together)])
    # No process gets a batch of one, unless there is nothing else.
    assert len(shares[0]) % size != 1 or len(shares[0]) == 1


def test_a_batch_that_cannot_be_dealt_out_is_refused():
    with pytest.raises(InputError, match="batches of 7 cannot be dealt out to 2 processes"):
        kept_segments(20, 7, 2)


def test_tensorboard_reads_the_losses_of_the_log(tiny, tiny_clips, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train_run("tiny_fixed", tiny_clips, tmp_path, RECIPE, 0.25, RATE, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for key in ("train_loss", "valid_loss", "valid_accuracy"):
        found = [event.value for event in events.Scalars(key)]
        np.testing.assert_allclose(found, curve(run)[key], rtol=1e-5)

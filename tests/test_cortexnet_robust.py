"""What goes wrong in training is said in one line and costs nothing that was good."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_networks import RATE, Tiny

from cortexnet.devices import find_device
from cortexnet.recipe import Recipe
from cortexnet.runs import load_run, train_run
from cortexnet.training.checkpoints import read_checkpoint
from stimuli import InputError

RECIPE = Recipe(epochs=3, batch_size=8, segment=RATE)

# The command line with the tiny networks; files may grow to as many bytes as the first argument.
COMMAND = """
import resource, sys
from tiny_networks import registered
from experiments.cli import main
limit = int(sys.argv.pop(1))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
with registered():
    main()
"""


def command(*arguments, limit=0):
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", COMMAND, str(limit), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip


def one_line(done) -> str:
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    return lines[0]


def train(clips, folder, **recipe):
    recipe = Recipe(**{"epochs": 3, "batch_size": 8, "segment": RATE} | recipe)
    return train_run("tiny_wave", clips, folder, recipe, 0.25, RATE)


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_checkpoint_whole_and_the_run_goes_on(
    tiny, tiny_clips, tmp_path
):
    """For real: the process in between may not write a file as large as a checkpoint."""
    recipe = Recipe(epochs=3, segment=22050)
    whole = train_run("tiny_wave", tiny_clips, tmp_path / "whole", recipe, 0.25)
    out = tmp_path / "run"
    tiny.TinyWave.fuse = 2  # a step an epoch
    with pytest.raises(RuntimeError, match="the plug"):
        train_run("tiny_wave", tiny_clips, out, recipe, 0.25)
    tiny.TinyWave.fuse = None
    kept = {path.name: path.read_bytes() for path in (out / "checkpoints").iterdir()}
    assert set(kept) == {"best.ckpt", "last.ckpt"}

    table = Path(tiny_clips["path"].iloc[0]).parent / "clips.csv"
    line = one_line(
        command(
            "train", "--model", "tiny_wave", "--stimuli", table, "--segment-seconds", 1,
            "--valid-fraction", 0.25, "--epochs", 3, "--out", out, limit=8192,
        )
    )  # fmt: skip
    assert "checkpoint could not be written" in line
    assert {path.name: path.read_bytes() for path in (out / "checkpoints").iterdir()} == kept
    again = train_run("tiny_wave", tiny_clips, out, recipe, 0.25)
    assert again.card["weights_sha256"] == whole.card["weights_sha256"]


def test_a_loss_that_is_not_a_number_ends_training_and_says_where(
    tiny, tiny_clips, tmp_path, monkeypatch
):
    whole = train(tiny_clips, tmp_path / "whole")
    steps, forward = [], Tiny.from_fixed

    def burst(self, features):
        if self.training:
            steps.append(1)
        # 18 clips in batches of 8: in the second epoch.
        return forward(self, features) * (float("nan") if len(steps) == 5 else 1.0)

    monkeypatch.setattr(Tiny, "from_fixed", burst)
    with pytest.raises(InputError, match=r"training loss is nan in epoch 1, step 4;") as caught:
        train(tiny_clips, tmp_path / "run")
    assert "\n" not in str(caught.value)
    last = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert last["epoch"] == 0 and all(v.isfinite().all() for v in last["state_dict"].values())
    monkeypatch.setattr(Tiny, "from_fixed", forward)
    assert (
        train(tiny_clips, tmp_path / "run").card["weights_sha256"] == (whole.card["weights_sha256"])
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="states what happens without a GPU")
def test_a_device_that_is_not_there_is_named(tiny, tiny_clips, tmp_path):
    for name in ("cuda", "cuda:3", "mps"):
        with pytest.raises(InputError, match=f"device '{name}': torch finds 0"):
            find_device(name)
    with pytest.raises(InputError, match="device 'quantum' is unknown"):
        find_device("quantum")
    assert find_device("auto") == find_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="use --device cpu or auto"):
        train_run("tiny_wave", tiny_clips, tmp_path, RECIPE, 0.25, RATE, device="cuda")


def test_runs_and_checkpoints_of_others_are_refused(tiny, tiny_clips, tmp_path):
    run = train(tiny_clips, tmp_path / "run", epochs=1)
    checkpoints = tmp_path / "run" / "checkpoints"
    # Another network in the same folder.
    with pytest.raises(InputError, match="begun with other settings"):
        train_run("tiny_fixed", tiny_clips, run.folder, RECIPE, 0.25, RATE)
    # Other classes.
    fewer = tiny_clips[tiny_clips["label"] != "c"]
    with pytest.raises(InputError, match="begun with other settings"):
        train(fewer, run.folder, epochs=1)
    # The checkpoint of a wider network put in place of its own.
    other = Recipe(epochs=3, batch_size=8, segment=RATE)
    wide = train_run("tiny_wave", tiny_clips, tmp_path / "wide", other, 0.25, RATE, {"width": 16})
    (run.folder / "card.json").unlink()
    for name in ("best.ckpt", "last.ckpt"):
        shutil.copy(wide.folder / "checkpoints" / name, checkpoints)
    with pytest.raises(InputError, match=r"last\.ckpt: of another network") as caught:
        train(tiny_clips, run.folder, epochs=1)
    assert "\n" not in str(caught.value)


def test_nothing_in_a_checkpoint_is_executed(tiny, tiny_clips, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "boom"),))

    run = train(tiny_clips, tmp_path / "run", epochs=1)
    last = run.folder / "checkpoints" / "last.ckpt"
    (run.folder / "card.json").unlink()
    for content in (pickle.dumps(Bomb()), b"", last.read_bytes()[:1000]):
        last.write_bytes(content)
        with pytest.raises(InputError, match=r"last\.ckpt: not a whole checkpoint"):
            train(tiny_clips, run.folder, epochs=1)
    torch.save({"course": Bomb()}, last)
    with pytest.raises(InputError, match=r"last\.ckpt: not a whole checkpoint"):
        train(tiny_clips, run.folder, epochs=1)
    assert not (tmp_path / "boom").exists()


def test_a_run_of_another_version_of_a_network_is_refused(tiny, tiny_clips, tmp_path):
    run = train(tiny_clips, tmp_path / "run", epochs=1)
    card = (run.folder / "card.json").read_text()
    for old, new in (('"tiny_wave"', '"tiny_fixed"'), ('"a",', '"a", "b2",'),
                     ('"options": {}', '"options": {"depth": 3}')):  # fmt: skip
        assert old in card
        (run.folder / "card.json").write_text(card.replace(old, new, 1))
        with pytest.raises(InputError, match=str(run.folder)) as caught:
            load_run(run.folder)
        assert "\n" not in str(caught.value)

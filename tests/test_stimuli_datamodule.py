"""Batches depend on the table, the seed and the epoch, not on workers or on interruptions."""

import logging

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from stimuli import InputError, load_clips, write_audio
from stimuli.augment import Augmenter
from stimuli.cache import FeatureCache
from stimuli.clips import waveform
from stimuli.datamodule import ClipsModule, SeededOrder
from stimuli.dataset import TrainSegments

RATE = 8000
SEGMENT = 2000


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(16):
        write_audio(folder / f"{i}.wav", rng.uniform(-0.5, 0.5, 4000 + 300 * i), RATE)
        rows.append((f"{i}.wav", "abc"[i % 3], ("train", "train", "valid", "test")[i // 4]))
    pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(folder / "c.csv", index=False)
    return load_clips(folder / "c.csv")


def _module(clips, **options):
    options = {"segment": SEGMENT, "batch_size": 3, "sample_rate": RATE} | options
    return ClipsModule(clips, **options)


def _epochs(module, epochs=(0, 1)):
    loader, seen = module.train_dataloader(), []
    for epoch in epochs:
        module.set_epoch(epoch)
        seen += [(x.numpy().tobytes(), y.tolist(), c.tolist()) for x, y, c in loader]
    for loader in (module.val_dataloader(), module.test_dataloader()):
        seen += [(x.numpy().tobytes(), y.tolist(), c.tolist()) for x, y, c in loader]
    return seen


def frames(wave, sample_rate):
    return wave[: len(wave) // 40 * 40].reshape(-1, 40)


def test_batches_are_segments_of_their_clips_with_their_labels(clips):
    module = _module(clips)
    assert module.labels == ["a", "b", "c"]
    for side, loader in (
        ("train", module.train_dataloader()),
        ("valid", module.val_dataloader()),
        ("test", module.test_dataloader()),
    ):
        rows, seen = module.sides[side], []
        for x, label, clip in loader:
            assert x.dtype == torch.float32 and x.shape[1:] == (SEGMENT,)
            for segment, y, c in zip(x.numpy(), label.tolist(), clip.tolist(), strict=True):
                row = rows.iloc[c]
                assert module.labels[y] == row["label"]
                wave = waveform(row, RATE)
                assert wave.tobytes().find(segment.tobytes()) >= 0
                seen.append(c)
        assert sorted(set(seen)) == list(range(len(rows)))
        assert side != "train" or len(seen) == len(rows) == 8
        assert side == "train" or seen == sorted(seen)


@pytest.mark.slow
def test_batches_are_the_same_without_and_with_two_workers(clips):
    assert _epochs(_module(clips, workers=2)) == _epochs(_module(clips))


def test_epochs_and_seeds_differ_and_epochs_can_be_visited_in_any_order(clips):
    module = _module(clips)
    forward, backward = _epochs(module, (0, 1)), _epochs(module, (1, 0))
    assert forward[:3] == backward[3:6] and forward[3:6] == backward[:3]
    assert forward[:3] != forward[3:6]
    assert _epochs(_module(clips, seed=1))[:6] != forward[:6]


def test_the_global_random_state_is_left_alone(clips):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    _epochs(_module(clips))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_order_is_a_permutation_of_seed_and_epoch_that_takes_the_segments_along():
    data = TrainSegments([np.arange(50, dtype=np.float32)] * 20, [0] * 20, 5, seed=3)
    order = SeededOrder(data, 3)
    first = list(order)
    assert sorted(first) == list(range(20)) and len(order) == 20 and list(order) == first
    segment = data[0][0]
    order.set_epoch(1)
    assert list(order) != first and not torch.equal(data[0][0], segment)
    order.set_epoch(0)
    assert list(order) == first and torch.equal(data[0][0], segment)
    assert list(SeededOrder(data, 4)) != first


class _Recorder(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.zeros(())), []

    def training_step(self, batch, _):
        x, _, clip = batch
        self.seen.append((self.current_epoch, x[:, 0].tolist(), clip.tolist()))
        return self.weight * 1.0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def _fit(folder, module, epochs, checkpoint=None):
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    recorder = _Recorder()
    trainer.fit(recorder, datamodule=module, ckpt_path=checkpoint)
    trainer.save_checkpoint(folder / "last.ckpt")
    return recorder.seen


@pytest.mark.filterwarnings("ignore")
def test_a_run_resumed_with_a_worker_sees_what_an_unbroken_one_without_sees(clips, tmp_path):
    augmenter = Augmenter(kinds=("gain", "noise"), seed=5)
    whole = _fit(tmp_path, _module(clips, augmenter=augmenter), 3)
    assert len({epoch for epoch, *_ in whole}) == 3
    first = _fit(tmp_path, _module(clips, augmenter=augmenter), 2)
    # Its worker begins to load before the trainer has told any sampler the epoch.
    module = _module(clips, augmenter=augmenter, workers=1)
    rest = _fit(tmp_path, module, 3, tmp_path / "last.ckpt")
    assert first + rest == whole


def test_a_last_batch_of_one_is_dropped(clips):
    module = _module(clips, batch_size=7)
    assert [len(x) for x, _, _ in module.train_dataloader()] == [7]
    assert [len(x) for x, _, _ in _module(clips, batch_size=5).train_dataloader()] == [5, 3]
    one = clips[(clips["split"] != "train") | (clips["clip_id"] == "0")]
    assert [len(x) for x, _, _ in _module(one).train_dataloader()] == [1]


@pytest.mark.parametrize("sides", [("train", "test"), ("train", "valid"), ("valid", "test")])
def test_a_group_on_two_sides_is_refused(clips, sides):
    leaking = clips.copy()
    for side in sides:
        leaking.loc[leaking["split"] == side, "group"] = "song"
    with pytest.raises(InputError, match="group 'song' is on two sides"):
        _module(leaking)


def test_clips_that_leak_into_the_test_are_left_out(clips):
    table = clips.assign(leak=clips["clip_id"].isin(["1", "9", "13"]))
    table.loc[table["clip_id"].isin(["1", "13"]), "group"] = "song"
    module = _module(table)
    assert [len(rows) for rows in module.sides.values()] == [7, 3, 4]


def test_unknown_splits_empty_sides_and_short_clips_are_named(clips):
    with pytest.raises(InputError, match="split '' of clip '0' is none of train"):
        _module(clips.assign(split=""))
    half = clips[clips["split"] == "test"]
    assert _module(half).val_dataloader() == []
    with pytest.raises(InputError, match="no clip has split 'train'"):
        _module(half).train_dataloader()
    with pytest.raises(InputError, match="clip '0' has 4000 samples"):
        _module(clips, segment=4001).train_dataloader()


def test_training_segments_alone_are_augmented_and_by_seed(clips):
    augmenter = Augmenter(kinds=("gain", "noise"), seed=5)
    varied, plain = _epochs(_module(clips, augmenter=augmenter)), _epochs(_module(clips))
    assert _epochs(_module(clips, augmenter=augmenter)) == varied
    # Six training batches; validation and test are of originals.
    assert varied[:6] != plain[:6] and varied[6:] == plain[6:]


def test_cached_features_take_the_place_of_waveforms(clips, tmp_path):
    cache = FeatureCache(tmp_path, "frames", {}, RATE)
    augmenter = Augmenter(kinds=("gain",), copies=1)
    with pytest.raises(InputError, match="build the cache"):
        _module(clips, cache=cache, segment=20).train_dataloader()
    module = _module(clips, cache=cache, segment=20, transform=frames, augmenter=augmenter)
    alone = _epochs(module)
    again = _module(clips, cache=cache, segment=20, augmenter=augmenter)
    assert _epochs(again) == alone
    x, _, clip = next(iter(module.test_dataloader()))
    assert x.shape == (3, 20, 40) and clip[0] == 0
    expected = frames(waveform(module.sides["test"].iloc[0], RATE), RATE)[:20]
    np.testing.assert_array_equal(x[0], expected)
    table = pd.concat([clips, clips.tail(1).assign(clip_id="x", path=str(tmp_path / "x.wav"))])
    (tmp_path / "x.wav").write_text("no sound")
    with pytest.raises(InputError, match=r"x\.wav: not readable"):
        _module(table, cache=cache, segment=20, transform=frames).test_dataloader()

"""Taps: any module's output as (batch, time, unit) on a seconds axis, and no hook left behind."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from cortexnet.registry import create_model
from cortexnet.taps import LayerReader, Taps, frame_ends, main_output, to_frames, usual_time_axis
from stimuli import InputError

RATE = 100


class Small(nn.Module):
    """One module of each kind, on frames of ten samples."""

    areas, sample_rate = ("low", "high"), RATE
    steps: dict = {}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(1, 4, 10, stride=10)
        self.norm = nn.BatchNorm1d(4)
        self.relu = nn.ReLU(inplace=True)
        self.gru = nn.GRU(4, 3, batch_first=True, bidirectional=True)
        self.lstm = nn.LSTM(6, 5)
        self.cell = nn.GRUCell(5, 2)
        self.linear = nn.Linear(5, 7)
        self.map = nn.Conv2d(1, 2, 3, padding=1)  # over (batch, 1, frame, unit): time-major
        self.again = nn.Linear(7, 7)
        self.pool = nn.AdaptiveAvgPool1d(3)
        self.head = nn.Linear(7, 2)
        self.idle = nn.Linear(1, 1)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x[:, None])))
        x = self.gru(x.transpose(1, 2))[0]
        x = self.lstm(x.transpose(0, 1))[0].transpose(0, 1)
        h = None
        for frame in x.unbind(1):
            h = self.cell(frame, h)
        x = self.linear(x)
        self.map(x[:, None])
        for _ in range(3):
            x = self.again(x)
        return self.head(self.pool(x.transpose(1, 2)).mean(2))

    def forward_areas(self, x):
        low = x.unflatten(1, (-1, 10))
        ends = np.arange(1, low.shape[1] + 1) / 10
        return {"low": low, "high": low.mean(2, keepdim=True)}, {"low": ends, "high": ends}


@pytest.fixture(scope="module")
def model():
    return Small().eval()


@pytest.fixture(scope="module")
def sound():
    return torch.randn(2, 2 * RATE, generator=torch.Generator().manual_seed(1))


def read(model, sound, layers, **options):
    with torch.inference_mode():
        return LayerReader(model, layers, **options)(sound)


@pytest.mark.parametrize(
    "layer, n_units",
    [("conv", 4), ("norm", 4), ("relu", 4), ("gru", 6), ("lstm", 5), ("cell", 2), ("linear", 7)],
)
def test_every_kind_of_layer_comes_as_batch_time_unit(model, sound, layer, n_units):
    activity, seconds = read(model, sound, [layer])
    assert activity[layer].shape == (2, 20, n_units)
    np.testing.assert_allclose(seconds[layer], np.arange(1, 21) / 10)


def test_the_frames_are_the_models_own(model, sound):
    activity, _ = read(model, sound, ["conv", "lstm", "linear", "map", "cell"])
    with torch.inference_mode():
        conv = model.conv(sound[:, None])
        np.testing.assert_array_equal(activity["conv"], conv.transpose(1, 2))
        gru = model.gru(torch.relu(model.norm(conv)).transpose(1, 2))[0]
        lstm = model.lstm(gru.transpose(0, 1))[0].transpose(0, 1)
        np.testing.assert_allclose(activity["lstm"], lstm, atol=1e-6)
        linear = model.linear(lstm)
        maps = model.map(linear[:, None])  # (batch, channel, frame, unit)
        assert activity["map"].shape == (2, 20, 14)
        np.testing.assert_allclose(activity["map"][:, :, :7], maps[:, 0], atol=1e-6)
        first = model.cell(lstm[:, 0])
        np.testing.assert_allclose(activity["cell"][:, 0], first, atol=1e-6)


def test_an_output_that_a_later_layer_overwrites_is_kept_as_it_was(model, sound):
    activity, _ = read(model, sound, ["norm", "relu"])
    assert (activity["norm"] < 0).any() and (activity["relu"] >= 0).all()
    np.testing.assert_array_equal(activity["norm"].clamp_min(0), activity["relu"])


def test_a_module_called_several_times_gives_a_layer_a_call(model, sound):
    activity, _ = read(model, sound, ["linear", "again"])
    assert list(activity) == ["linear", "again@0", "again@1", "again@2"]
    with torch.inference_mode():
        np.testing.assert_allclose(activity["again@0"], model.again(activity["linear"]), atol=1e-6)
    alone, _ = read(model, sound, ["again@2"])
    assert list(alone) == ["again@2"]
    np.testing.assert_array_equal(alone["again@2"], activity["again@2"])
    with pytest.raises(InputError, match="'again' is called 3 x"):
        read(model, sound, ["again@3"])


def test_layers_without_frames(model, sound):
    activity, seconds = read(model, sound, ["pool", "head"])
    assert activity["head"].shape == (2, 1, 2) and seconds["head"] == [2.0]
    # Pooled to three values whatever the duration: the type of the module tells.
    assert activity["pool"].shape == (2, 3, 7)
    np.testing.assert_allclose(seconds["pool"], [2 / 3, 4 / 3, 2])


def test_areas_and_modules_mix_and_time_can_be_told(model, sound):
    activity, seconds = read(model, sound, ["high", "map"], time_axis={"map": 3})
    assert activity["high"].shape == (2, 20, 1) and activity["map"].shape == (2, 7, 40)
    _, seconds = read(model, sound, ["conv"], frame_rates={"conv": 8})
    np.testing.assert_allclose(seconds["conv"], np.arange(1, 21) / 8)
    assert list(read(model, sound, None)[0]) == ["low", "high"]


def test_hooks_are_gone_after_use_and_after_an_exception(model, sound):
    def hooks():
        return sum(len(m._forward_hooks) for m in model.modules())

    with Taps(model, ["conv"]) as taps:
        assert hooks() == 1
        model(sound)
    assert hooks() == 0 and len(taps.outputs["conv"]) == 1
    with pytest.raises(RuntimeError), Taps(model, ["conv", "gru"]):
        model(torch.zeros(2, 3, 4, 5))
    assert hooks() == 0


def test_a_model_of_one_length_is_read_by_the_types_of_its_modules():
    class Fixed(nn.Module):
        sample_rate = RATE

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(1, 4, 10, stride=10)
            self.read_out = nn.Linear(4 * 15, 2)

        def forward(self, x):
            return self.read_out(self.conv(x[:, None]).flatten(1))

    activity, _ = read(Fixed().eval(), torch.zeros(1, 150), ["conv", "read_out"])
    assert activity["conv"].shape == (1, 15, 4) and activity["read_out"].shape == (1, 1, 2)


def test_recurrent_steps_of_areas_are_asked_for_by_name():
    class Recurrent(Small):
        steps = {"low": 1, "high": 2}  # noqa: RUF012

        def forward_areas(self, x, steps=False):
            areas, ends = super().forward_areas(x)
            if steps:
                areas["high@0"], ends["high@0"] = 0.5 * areas["high"], ends["high"]
            return areas, ends

    model, x = Recurrent().eval(), torch.ones(1, RATE)
    assert list(read(model, x, None)[0]) == ["low", "high"]
    assert list(read(model, x, None, steps=True)[0]) == ["low", "high", "high@0"]
    activity, _ = read(model, x, ["high@0", "conv"])
    assert list(activity) == ["high@0", "conv"] and (activity["high@0"] == 0.5).all()
    with pytest.raises(InputError, match="no layer 'high@5'; there are low, high, high@0"):
        read(model, x, ["high@5"])


def test_areas_of_the_four_layer_network_are_its_blocks():
    torch.manual_seed(0)
    model, x = create_model("cnn2d_4l", 2).eval(), 0.05 * torch.randn(1, 2**16)
    activity, seconds = read(model, x, ["conv2", "blocks.1", "classifier.1"])
    np.testing.assert_array_equal(activity["conv2"], activity["blocks.1"])
    np.testing.assert_allclose(seconds["conv2"], seconds["blocks.1"], atol=0.05)
    assert activity["classifier.1"].shape == (1, 1, 1024)


def test_what_is_no_layer_is_named_with_what_is(model, sound):
    with pytest.raises(InputError, match=r"no layer 'convv'.*low, high, conv"):
        read(model, sound, ["convv"])
    with pytest.raises(InputError, match="'idle' is not called"):
        read(model, sound, ["idle"])
    with pytest.raises(InputError, match="no axis 5"):
        read(model, sound, ["conv"], time_axis=5)
    with pytest.raises(InputError, match="names no areas"):
        LayerReader(nn.Linear(1, 1), sample_rate=1)
    with pytest.raises(InputError, match="no tensor"):
        main_output("text", "x")
    with pytest.raises(InputError, match="no axis of their own"):
        to_frames(torch.zeros(6, 5), 0, 2, "x")


def test_pure_parts():
    x = torch.arange(24.0).reshape(2, 3, 4)
    packed = pack_padded_sequence(x, [3, 2], batch_first=True)
    assert main_output(packed).shape == (2, 3, 4)
    assert main_output((x, None)) is x and main_output({"a": None, "last_hidden_state": x}) is x
    np.testing.assert_array_equal(to_frames(x, 2, 2)[:, 1], x[:, :, 1])
    np.testing.assert_array_equal(to_frames(x.transpose(0, 1), 0, 2), x)
    assert to_frames(x, None, 2).shape == (2, 1, 12)
    attention = nn.MultiheadAttention(4, 2)
    assert usual_time_axis(attention, 3) == 0 and usual_time_axis(nn.Conv2d(1, 1, 1), 4) == 3
    np.testing.assert_allclose(frame_ends(4, 2.0), [0.5, 1, 1.5, 2])

"""The baselines: sizes as published, any duration, true time axes, and that they can be trained."""

import numpy as np
import pytest
import torch
import torchvision.models as tv
from torch import nn

import cortexnet
from cortexnet.registry import find_model
from stimuli import InputError

# Parameters for eight classes.
ZOO = {
    "cnn1d_5l": 6_819_656, "cnn1d_base": 62_408, "cnn2d_4l": 3_914_376,
    "cnn2d_4l_gru": 5_361_800, "cnn2d_4l_gru_time": 5_361_800, "cnn2d_5l": 1_735_240,
    "samplecnn_basic": 2_372_616, "alexnet": 28_709_576, "vgg11": 59_591_944,
    "vgg13": 59_776_456, "vgg16": 65_086_152, "vgg19": 70_395_848, "googlenet": 21_801_384,
    "resnet34": 21_282_504, "resnet50": 23_518_152, "densenet121": 6_955_784,
}  # fmt: skip
PLAIN = ("alexnet", "vgg11", "vgg13", "vgg16", "vgg19")  # no normalisation unless asked for


def sound(seconds, batch=2, seed=0, rate=22050):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, int(seconds * rate), generator=generator) * 0.05


@pytest.fixture(scope="module", params=sorted(ZOO))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    torch.manual_seed(0)
    return cortexnet.create_model(name, 8).eval()


def test_the_table_is_whole():
    rooms = {f"cortexnet.networks.{room}" for room in ("convnets", "samplecnn", "vision")}
    built = {name for name in cortexnet.list_models() if find_model(name).build.__module__ in rooms}
    assert built == set(ZOO)


def test_parameters(name, model):
    assert sum(p.numel() for p in model.parameters()) == ZOO[name]


@torch.no_grad()
def test_any_duration_gives_logits_and_areas_on_a_seconds_axis(model):
    for seconds in (1.0, 2.5):
        x = sound(seconds)
        areas, axis = model.forward_areas(x)
        assert tuple(areas) == tuple(axis) == model.areas
        for area, activity in areas.items():
            assert activity.shape[:2] == (2, len(axis[area])) and torch.isfinite(activity).all()
            step = model.grids[area].step / model.frame_rate
            np.testing.assert_allclose(np.diff(axis[area]), step)
            middles = axis[area] - step / 2
            # A single frame may be longer than the sound.
            assert len(middles) == 1 or (middles[0] > 0 and middles[-1] < seconds + step / 2)
        torch.testing.assert_close(model.classifier[-1](model.embed(x)), model(x))


@torch.no_grad()
def test_sounds_of_a_batch_do_not_mix_and_every_area_hears_them(model):
    x = sound(1.0, batch=3)
    together, _ = model.forward_areas(x)
    alone, _ = model.forward_areas(x[1:2])
    for area, activity in together.items():
        scale = activity.abs().max()
        assert (activity[0] - activity[1]).abs().max() > 1e-4 * scale
        assert (activity[1:2] - alone[area]).abs().max() < 1e-4 * scale


def test_two_steps_of_training_reach_every_parameter(name, model):
    """The last one with this model, which it changes."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    x, label, losses = sound(1.0), torch.tensor([1, 5]), []
    for step in range(3):
        torch.manual_seed(0)  # the same units are dropped
        loss = nn.functional.cross_entropy(model(x), label)
        losses.append(float(loss.detach()))
        if step < 2:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert np.isfinite(losses).all() and len(set(losses)) == 3
    for key, p in model.named_parameters():
        # A sequence of one has no earlier state: the source's GRU never learns to recur.
        idle = name == "cnn2d_4l_gru" and "weight_hh" in key
        assert torch.isfinite(p.grad).all() and p.grad.any() != idle, key


def spectrum(model, n_frames):
    """Noise in place of the spectrogram."""
    shape = (1, 1, n_frames) if model.frame_rate == model.sample_rate else (1, 1, 128, n_frames)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "kind, n_frames",
    [("cnn1d_5l", 400), ("cnn1d_base", 1200), ("cnn2d_4l", 512), ("cnn2d_5l", 768),
     ("samplecnn_basic", 3**9), ("alexnet", 512), ("vgg11", 512), ("resnet34", 600),
     ("densenet121", 800), ("googlenet", 700)],
)  # fmt: skip
def test_frames_stand_for_the_middle_of_their_receptive_fields(kind, n_frames):
    """Measured: the stretch of the input on which a frame depends."""
    torch.manual_seed(0)
    model, n_measured = cortexnet.create_model(kind, 2).eval(), 0
    x = spectrum(model, n_frames).requires_grad_()
    model.frames = lambda _: x
    areas, seconds = model.forward_areas(None)
    for area, activity in areas.items():
        k = activity.shape[1] // 2
        gradient = torch.autograd.grad(activity[0, k].sum(), x, retain_graph=True)[0]
        field = np.flatnonzero(gradient.reshape(-1, n_frames).abs().sum(0))
        if field[0] > 0 and field[-1] < n_frames - 1:  # else it is cut by the ends of the sound
            middle = seconds[area][k] * model.frame_rate - model.grids[area].step / 2
            assert (field[0] + field[-1] + 1) / 2 == pytest.approx(middle, abs=1e-6), area
            n_measured += 1
    assert n_measured >= 2


@torch.no_grad()
@pytest.mark.parametrize("kind, theirs", [("resnet34", "resnet34"), ("googlenet", "inception_v3")])
def test_cut_into_areas_torchvisions_networks_compute_what_they_did(kind, theirs):
    torch.manual_seed(0)
    ours = cortexnet.create_model(kind, 8).eval()
    options = {"aux_logits": False, "init_weights": False} if kind == "googlenet" else {}
    net = getattr(tv, theirs)(num_classes=8, **options).eval()
    first = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    first.weight = nn.Parameter(first.weight[:, :1])
    weights = (v for k, v in ours.state_dict().items() if not k.startswith("input_norm"))
    net.load_state_dict(dict(zip(net.state_dict(), weights, strict=True)))
    x = sound(2**16 / 22050)
    torch.testing.assert_close(ours(x), net(ours.frames(x)), rtol=1e-3, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("kind", sorted(ZOO.keys() - {"vgg13", "vgg16", "vgg19"}))
def test_normalisation_is_a_choice_and_low_sample_rates_are_none(kind):
    default = find_model(kind).build(2).blocks
    torch.manual_seed(0)
    model = cortexnet.create_model(kind, 2, sample_rate=8000, norm="group").eval()
    batch, group = (
        sum(isinstance(m, layer) for m in blocks.modules())
        for blocks, layer in (
            (default, nn.BatchNorm1d | nn.BatchNorm2d),
            (model.blocks, nn.GroupNorm),
        )
    )
    assert group > 0 and batch == (0 if kind in PLAIN else group)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.blocks.modules())
    assert torch.isfinite(model(sound(1.0, rate=8000))).all()
    with pytest.raises(InputError, match="norm is 'weight'"):
        cortexnet.create_model(kind, 2, norm="weight")


@torch.no_grad()
def test_lengths_of_the_1d_network_are_those_of_the_source():
    model = cortexnet.create_model("cnn1d_5l", 8).eval()
    areas, _ = model.forward_areas(sound(1024 * 512 / 22050))
    assert [x.shape[1] for x in areas.values()] == [339, 111, 109, 107, 35]


@torch.no_grad()
@pytest.mark.parametrize("kind, recurs", [("cnn2d_4l_gru", False), ("cnn2d_4l_gru_time", True)])
def test_only_the_corrected_gru_remembers(kind, recurs):
    torch.manual_seed(0)
    gru = cortexnet.create_model(kind, 2).eval().blocks[-1]
    x = torch.randn(1, 512, 1, 5, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[..., 2] = 0
    same = (gru(x) == gru(changed)).all(1).flatten().tolist()
    assert same == ([False] * 5 if recurs else [True, True, False, True, True])
    assert gru(x).shape == (1, 1024, 1, 5)

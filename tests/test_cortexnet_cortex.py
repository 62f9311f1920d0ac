"""Networks shaped after auditory cortex: causal, hierarchical, recurrent as they say."""

import numpy as np
import pytest
import torch

import cortexnet
from cortexnet.cost import list_costs
from cortexnet.networks.areas import Area
from cortexnet.networks.jitter import random_masks
from cortexnet.networks.norm import NORMS, FittedNorm
from stimuli import InputError

NAMES = ("cortexnet_z", "cortexnet_rt", "cortexnet_s")
PARAMETERS = {"cortexnet_z": 620_488, "cortexnet_rt": 243_848, "cortexnet_s": 687_240}
ABLATIONS = (
    {"recurrence": False},
    {"streams": False},
    {"bypass": True},
    {"bypass": True, "streams": False},
    {"windows": "strict"},
    {"plastic": True},
    {"norm": "layer"},
    {"norm": "none"},
)


def sound(seconds, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, int(seconds * 22050), generator=generator) * 0.05


@pytest.mark.parametrize("name", NAMES)
def test_parameters_for_eight_classes(name):
    model = cortexnet.create_model(name, 8)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


def test_each_stays_within_a_tenth_of_a_billion_multiply_adds_a_second():
    for row in list_costs(NAMES):
        assert 30e6 < row["macs_per_second"] <= 100e6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", ({}, *ABLATIONS), ids=str)
def test_every_ablation_hears_and_learns(name, options):
    torch.manual_seed(0)
    model = cortexnet.create_model(name, 3, **options).train()
    x, labels = sound(1.0, batch=4), torch.tensor([0, 1, 2, 0])
    torch.nn.functional.cross_entropy(model(x), labels).backward()
    for parameter, weight in model.named_parameters():
        assert weight.grad is not None, parameter
        assert torch.isfinite(weight.grad).all(), parameter
    learned = {name.split(".")[0] for name, p in model.named_parameters()}
    assert ("a1" in learned) == options.get("plastic", False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [1.0, 1.7, 4.3])
def test_learned_part_on_fixed_features_is_the_network(name, seconds):
    model = cortexnet.create_model(name, 3).eval()
    x = sound(seconds)
    with torch.no_grad():
        features = model.fixed(x)
        assert abs(features.shape[1] - seconds * model.fixed_rate) < 1
        torch.testing.assert_close(model.from_fixed(features), model(x))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", ({}, {"windows": "strict"}, {"bypass": True}), ids=str)
def test_every_area_at_every_step_is_causal(name, options):
    torch.manual_seed(0)
    model = cortexnet.create_model(name, 5, **options).eval()
    x = sound(3.0, batch=1)
    changed = x.clone()
    changed[:, 2 * 22050 :] = 0
    with torch.no_grad():
        before, seconds = model.forward_areas(x, steps=True)
        after, _ = model.forward_areas(changed, steps=True)
    for layer in before:
        early = seconds[layer] <= 2.0
        torch.testing.assert_close(before[layer][:, early], after[layer][:, early])
        assert not torch.allclose(before[layer][:, ~early], after[layer][:, ~early])


@pytest.mark.parametrize("name", NAMES)
def test_every_area_at_every_step_depends_on_the_sound(name):
    """Unrolling in time must not report an area before the sound has reached it."""
    torch.manual_seed(0)
    model = cortexnet.create_model(name, 5).eval()
    with torch.no_grad():
        a, b = (model.forward_areas(sound(2.0, 1, seed), steps=True)[0] for seed in (0, 1))
    for area, n_steps in model.steps.items():
        for layer in (*(f"{area}@{i}" for i in range(n_steps - 1)), area):
            assert (a[layer] - b[layer]).abs().max() > 1e-3, layer
    assert len(a) == sum(model.steps.values())


def test_steps_of_the_family():
    steps = {name: list(cortexnet.create_model(name, 2).steps.values()) for name in NAMES}
    assert steps["cortexnet_z"] == [1, 1, 1, 1]
    assert steps["cortexnet_s"] == [1, 2, 4, 2]
    single = cortexnet.create_model("cortexnet_rt", 2, recurrence=False)
    assert list(single.steps.values()) == [1, 1, 1, 1]


def test_areas_that_step_together_hear_what_was_said_one_step_earlier():
    """At its first step the parabelt hears the first step of the belt, not the last."""
    torch.manual_seed(0)
    model = cortexnet.create_model("cortexnet_rt", 2).eval()
    x = sound(1.0)
    with torch.no_grad():
        states = model.stages(x)
        expected = model.parabelt(states["belt"][0])[0]
        torch.testing.assert_close(states["parabelt"][0], expected)
        late = model.parabelt(states["belt"][-1])[0]
    assert not torch.allclose(states["parabelt"][0], late)


def test_an_area_equals_its_equation():
    """y_0 = relu(n_0(W x)), y_t = relu(n_t(W x + V y_{t-1})), shared weights, own normalisation."""
    torch.manual_seed(0)
    area = Area(4, 6, (3, 5), steps=3).eval()
    for norm in area.norms:
        torch.nn.init.normal_(norm.weight)
    x = torch.randn(2, 4, 5, 9)
    drive = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (4, 0, 1, 1)), area.drive.weight)
    y = None
    with torch.no_grad():
        for norm, state in zip(area.norms, area(x), strict=True):
            lateral = 0
            if y is not None:
                spread = torch.nn.functional.conv2d(
                    torch.nn.functional.pad(y, (2, 0, 1, 1)), area.reach.weight, groups=6
                )
                lateral = torch.einsum("oi,bift->boft", area.lateral.weight[..., 0, 0], spread)
            y = torch.relu(norm(drive + lateral))
            torch.testing.assert_close(state, y)


@pytest.mark.parametrize("name", NAMES)
def test_no_path_from_a1_to_parabelt_but_through_the_belt(name):
    model = cortexnet.create_model(name, 5).eval()
    x = sound(2.0)
    with torch.no_grad():
        whole = model.stages(x)
        model.belt_norm.register_forward_hook(lambda *args: torch.zeros_like(args[-1]))
        silent = model.stages(x)
    torch.testing.assert_close(whole["A1"][0], silent["A1"][0])
    spread = silent["parabelt"][-1].flatten(2).std(2)[:, :, None]
    assert spread.max() < whole["parabelt"][-1].std() / 10


def test_streams_meet_in_t23_and_not_before():
    """Silencing the caudal fields changes the caudal half of belt and parabelt only."""
    torch.manual_seed(0)
    model = cortexnet.create_model("cortexnet_s", 2).eval()
    half = model.belt_norm.mean.shape[0] // 2

    def without_caudal(_, __, x):
        return torch.cat([torch.zeros_like(x[:, :half]), x[:, half:]], 1)

    x = sound(1.5)
    with torch.no_grad():
        whole = model.stages(x)
        model.belt_norm.register_forward_hook(without_caudal)
        rostral = model.stages(x)
    for area in ("belt", "parabelt"):
        caudal_half, rostral_half = whole[area][-1].chunk(2, 1)
        changed, same = rostral[area][-1].chunk(2, 1)
        torch.testing.assert_close(rostral_half, same)
        assert not torch.allclose(caudal_half, changed)
    assert not torch.allclose(whole["T2/T3"][-1], rostral["T2/T3"][-1])


@pytest.mark.parametrize(("windows", "shared"), [("wide", 0), ("strict", 2)])
def test_caudal_fields_prefer_fast_sweeps_and_coarse_spectra(windows, shared):
    model = cortexnet.create_model("cortexnet_s", 2, windows=windows)
    fields, tuning = model.fields, np.array(model.a1.tuning)
    rate, scale = tuning[:, 0], tuning[:, 1]
    assert set(fields.caudal + fields.rostral) == set(range(len(tuning)))
    assert len(set(fields.caudal) & set(fields.rostral)) == shared
    assert len(fields.caudal) == len(fields.rostral)
    sweep = rate / scale
    assert sweep[fields.caudal].min() >= sweep[fields.rostral].max() / 2
    assert rate[fields.caudal].mean() > rate[fields.rostral].mean()
    assert scale[fields.caudal].mean() < scale[fields.rostral].mean()


def test_strict_windows_have_no_field_longer_than_the_table():
    model = cortexnet.create_model("cortexnet_s", 2, windows="strict")
    longest = {
        "A1": max(model.a1.fast.n_frames / 200, model.a1.slow.n_frames / 50),
        "belt": model.fields.bank.n_frames / 25,
        "parabelt": model.parabelt.drive.kernel_size[1] * 0.08,
    }
    assert longest["A1"] <= 0.1 and longest["belt"] <= 0.2 and longest["parabelt"] <= 0.4


def test_plastic_fields_start_as_the_fixed_ones():
    x = sound(1.2)
    areas = []
    for plastic in (False, True):
        torch.manual_seed(0)
        model = cortexnet.create_model("cortexnet_s", 2, plastic=plastic).eval()
        with torch.no_grad():
            areas.append(model.forward_areas(x)[0])
    for area in areas[0]:
        torch.testing.assert_close(areas[0][area], areas[1][area], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_norms_can_be_chosen_and_others_are_refused(norm):
    model = cortexnet.create_model("cortexnet_s", 2, norm=norm).eval()
    with torch.no_grad():
        assert torch.isfinite(model(sound(1.0))).all()
    with pytest.raises(InputError, match="batch, group, layer, instance, none"):
        cortexnet.create_model("cortexnet_s", 2, norm="batchnorm")


@pytest.mark.parametrize("wrong", [{"windows": "long"}, {"unroll": "space"}, {"width": 31}])
def test_wrong_options_are_refused_with_what_there_is(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        cortexnet.create_model("cortexnet_s", 2, **wrong)


def test_training_varies_features_by_the_global_generator_and_evaluation_does_not():
    model = cortexnet.create_model("cortexnet_s", 2)
    features = model.fixed(sound(2.0, batch=4))

    def run(seed):
        torch.manual_seed(seed)
        with torch.no_grad():
            return model.from_fixed(features)

    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    first = run(0)
    model.load_state_dict(before)
    torch.testing.assert_close(first, run(0))
    model.load_state_dict(before)
    assert not torch.allclose(first, run(1))
    model.eval()
    torch.testing.assert_close(run(0), run(1))


def test_masks_hide_at_most_a_quarter_of_the_frames_and_one_band():
    torch.manual_seed(0)
    masks = random_masks(500, 6, 40, 1.0)[:, 0]
    frames = (masks == 0).all(1).sum(1)
    assert frames.max() <= 10 and len(frames.unique()) > 8
    bands = (masks == 0).all(2).sum(1)
    assert set(bands.tolist()) == {0, 1} and 0.4 < bands.double().mean() < 0.6


def test_fitted_norm_equals_the_moments_of_all_batches():
    rng = torch.Generator().manual_seed(0)
    batches = [torch.randn(n, 4, 3, t, generator=rng) * 3 + 5 for n, t in ((2, 7), (5, 9), (1, 20))]
    norm = FittedNorm(4, 3)
    norm.collecting = True
    for x in batches:
        norm(x)
    norm.collecting = False
    joined = torch.cat([x.permute(1, 2, 0, 3).flatten(2) for x in batches], 2).double()
    np.testing.assert_allclose(norm.mean, joined.mean(2), rtol=1e-9)
    np.testing.assert_allclose(norm.m2 / norm.count, joined.var(2, correction=0), rtol=1e-9)
    everything = torch.cat([norm(x).permute(1, 2, 0, 3).flatten(2) for x in batches], 2)
    torch.testing.assert_close(everything.mean(2), torch.zeros(4, 3), atol=1e-5, rtol=0)


def test_the_decoder_answers_after_its_fit_and_is_kept_in_the_weights():
    torch.manual_seed(0)
    model = cortexnet.create_model("cortexnet_s", 2).eval()
    x = sound(1.0, batch=6)
    x[::2] *= torch.sin(torch.arange(22050) / 22050 * 2 * torch.pi * 8)
    labels = np.array([0, 1, 0, 1, 0, 1])
    with torch.no_grad():
        features, before = model.fixed(x), model(x)
        areas = model.forward_areas(x)[0]
    model.fit_decoder([features[:4], features[4:]], labels)
    with torch.no_grad():
        after = model(x)
        torch.testing.assert_close(after, model.from_fixed(features))
        assert (after.argmax(1).numpy() == labels).all()
        assert not torch.allclose(before, after)
        for name, activity in model.forward_areas(x)[0].items():
            torch.testing.assert_close(activity, areas[name])
        other = cortexnet.create_model("cortexnet_s", 2).eval()
        other.load_state_dict(model.state_dict())
        torch.testing.assert_close(other(x), after)
        # Learning goes by the read-out that gradients reach.
        assert not torch.allclose(model.train().from_fixed(features), after)


@pytest.mark.parametrize("plastic", [False, True])
def test_the_decoder_sees_a1_the_belts_fields_and_what_has_learned(plastic):
    torch.manual_seed(0)
    model = cortexnet.create_model("cortexnet_s", 2, plastic=plastic).eval()
    x = sound(2.0)
    with torch.no_grad():
        parts = model._statistics(model.fixed(x)).split(list(model.decoder.blocks), 1)
        stages = model.stages(x)
        torch.testing.assert_close(parts[2], model.embed(x))
    # A1 at the belt's rate is the mean energy of two frames; the fields are not yet z-scored.
    energy = stages["A1"][0].exp()
    pairs = torch.cat([energy[..., :1], energy[..., :-1]], 3)[..., ::2] + energy[..., ::2]
    pairs[..., 0] = 2 * energy[..., 0]
    expected = (pairs / 2).log().mean(3).flatten(1)
    torch.testing.assert_close(parts[0], expected, rtol=1e-4, atol=1e-4)
    normed = model.belt_norm(model._inputs(model.fixed(x))[0])
    torch.testing.assert_close(stages["fields"][0], normed)

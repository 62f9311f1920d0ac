"""Receptive fields by perturbation, against toys whose windows and bandwidths are known."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from torch.nn import functional as F

import cortexnet
from cortexnet import registry
from cortexnet.probing import band_counts, octave_noise, replace_moment
from cortexnet.receptive_fields import frequency_tuning, shortest_interval, time_windows
from cortexnet.tuning import ripple_tuning, tone_tuning
from experiments import cli
from stimuli import InputError

RATE, HOP = 8000, 40  # frames at 200 Hz


class Leaky(nn.Module):
    """Energy in 5 ms frames, weighted over the past (and `ahead` frames of the future)."""

    areas = ("A1",)
    sample_rate = RATE

    def __init__(self, kernel, ahead=0, every=1):
        super().__init__()
        self.kernel = torch.tensor(np.asarray(kernel)[::-1].copy(), dtype=torch.float32)
        self.ahead, self.every = ahead, every

    def forward_areas(self, waveform):
        energy = F.avg_pool1d(waveform[:, None].square(), HOP)
        padded = F.pad(energy, (len(self.kernel) - 1 - self.ahead, self.ahead))
        x = F.conv1d(padded, self.kernel[None, None])[:, 0, self.every - 1 :: self.every]
        seconds = np.arange(1, x.shape[1] + 1) * self.every * HOP / RATE
        return {"A1": x[..., None]}, {"A1": seconds}


class Octaves(nn.Module):
    """Energy in Gaussian bands of log frequency: units (centre in Hz) of one SD in octaves."""

    areas = ("A1",)
    sample_rate = RATE

    def __init__(self, centres, sd):
        super().__init__()
        self.centres, self.sd = centres, sd

    def forward_areas(self, waveform):
        power = torch.fft.rfft(waveform).abs().square()
        hz = torch.fft.rfftfreq(waveform.shape[1], 1 / RATE).clamp_min(1)
        bank = [torch.exp(-0.5 * (torch.log2(hz / c) / self.sd) ** 2) for c in self.centres]
        x = power @ torch.stack(bank, 1)
        return {"A1": x[:, None]}, {"A1": np.array([waveform.shape[1] / RATE])}


def window_of(model, **options):
    return time_windows(model, after=2.0, n_sounds=8, **options)["A1"]


@pytest.mark.parametrize("every", [1, 8])
def test_a_boxcar_of_100_ms_is_measured_whatever_the_frame_rate(every):
    window = window_of(Leaky(np.ones(20), every=every))
    assert window.width(0.75)[0] == pytest.approx(0.075, abs=0.01)
    assert window.width(0.95)[0] == pytest.approx(0.095, abs=0.015)
    assert window.median()[0] == pytest.approx(0.05, abs=0.01)
    assert window.reach == pytest.approx(0.1, abs=0.01)
    assert window.contained and window.lead == 0


@pytest.mark.parametrize("tau", [0.05, 0.2])
def test_an_exponential_holds_its_share_within_tau_times_the_logarithm(tau):
    age = (np.arange(380) + 0.5) * HOP / RATE
    window = window_of(Leaky(np.exp(-age / tau)))
    for share in (0.75, 0.95):
        expected = tau * math.log(1 / (1 - share))
        assert window.width(share)[0] == pytest.approx(expected, rel=0.1, abs=0.01)


def test_a_late_window_is_as_wide_as_an_early_one_and_has_its_delay():
    kernel = np.r_[np.zeros(40), np.ones(20)]  # looks at the sound 200-300 ms ago
    window = window_of(Leaky(kernel))
    assert window.width(0.75)[0] == pytest.approx(0.075, abs=0.01)
    assert window.median()[0] == pytest.approx(0.25, abs=0.01)
    assert window.reach == pytest.approx(0.3, abs=0.01)


def test_a_response_that_precedes_its_cause_is_caught():
    window = window_of(Leaky(np.ones(20), ahead=10))
    assert window.lead == pytest.approx(0.05, abs=0.01)
    assert window_of(Leaky(np.ones(20))).lead == 0


def test_a_window_longer_than_the_sounds_is_said_to_be():
    assert not window_of(Leaky(np.ones(600))).contained  # 3 s of memory, 2 s of sound


def test_a_unit_that_nothing_moves_is_silent():
    window = window_of(Leaky(np.zeros(5)))
    assert window.silent.all() and np.isnan(window.width(0.75)).all()


@pytest.mark.parametrize("sd", [0.25, 0.75])
def test_bandwidth_and_best_frequency_of_gaussian_bands(sd):
    model = Octaves((300.0, 600.0), sd)
    effect = frequency_tuning(model)["A1"]
    # A Gaussian holds 75 % within 1.150 SD of its centre.
    np.testing.assert_allclose(effect.width(0.75), 2 * 1.1503 * sd, rtol=0.08)
    np.testing.assert_allclose(effect.median(), np.log2(model.centres), atol=0.1)
    best = np.array(tone_tuning(model)["A1"].characteristic())
    np.testing.assert_allclose(np.log2(best / model.centres), 0, atol=0.1)


def test_a_suppressed_unit_is_tuned_to_what_suppresses_it():
    class Suppressed(Octaves):
        def forward_areas(self, waveform):
            areas, seconds = super().forward_areas(waveform)
            return {k: -v for k, v in areas.items()}, seconds

    tuning = tone_tuning(Suppressed((400.0, 900.0), 0.3))["A1"]
    best = np.log2(np.array(tuning.characteristic()) / (400.0, 900.0))
    np.testing.assert_allclose(best, 0, atol=0.1)


def test_an_area_that_prefers_nothing_has_no_best_frequency():
    flat = tone_tuning(Leaky(np.zeros(3)))["A1"]
    assert flat.silent.all() and flat.best() == flat.characteristic() == []


def test_ripples_find_the_rate_of_a_modulation_filter():
    frame = np.arange(200) * HOP / RATE
    envelope = np.hanning(202)[1:-1]
    kernel = envelope * np.cos(2 * np.pi * 8 * frame)

    class Modulated(Leaky):
        def forward_areas(self, waveform):
            areas, seconds = super().forward_areas(waveform)
            return {k: v.square() for k, v in areas.items()}, seconds

    model = Modulated(kernel - envelope * kernel.sum() / envelope.sum())
    tuning = ripple_tuning(model, rates=(2, 4, 8, 16, 32), scales=(0.25,))["A1"]
    assert tuning.best()[0][0] == 8


@given(arrays(float, (7, 3), elements=st.floats(0, 1)), st.sampled_from([0.5, 0.75, 0.95]))
@settings(max_examples=40, deadline=None)
def test_shortest_interval_against_a_search_over_a_fine_grid(weights, fraction):
    widths = shortest_interval(weights, np.arange(8.0), fraction)
    for mass, width in zip(weights.T, widths, strict=True):
        if mass.sum() == 0:
            assert np.isnan(width)
            continue
        grid = np.linspace(0, 7, 281)
        held = np.interp(grid, np.arange(8), np.r_[0, np.cumsum(mass)]) / mass.sum()
        slow = min(
            grid[np.flatnonzero(held >= h + fraction - 1e-9)[0]] - g
            for g, h in zip(grid, held, strict=True)
            if h + fraction <= 1 + 1e-9
        )
        assert width <= slow + 1e-6 and slow - width < 0.06


def test_a_replaced_moment_keeps_its_power_and_the_rest_of_the_sound():
    sounds = octave_noise(2, 1.0, RATE, np.random.default_rng(0))
    mixed = replace_moment(*sounds, 3000, 400)
    np.testing.assert_array_equal(np.delete(mixed, np.s_[3000:3400]),
                                  np.delete(sounds[0], np.s_[3000:3400]))  # fmt: skip
    many = [replace_moment(*octave_noise(2, 1.0, RATE, np.random.default_rng(i)), 2000, 4000)
            for i in range(20)]  # fmt: skip
    inside = np.mean([np.mean(x[2000:6000] ** 2) for x in many])
    assert inside == pytest.approx(np.mean([np.mean(x**2) for x in many]), rel=0.05)


def test_noise_has_equal_power_in_every_octave():
    power = np.abs(np.fft.rfft(octave_noise(8, 2.0, RATE, np.random.default_rng(0)))) ** 2
    hz = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    octaves = [power[:, (hz >= 50 * 2**i) & (hz < 100 * 2**i)].sum() for i in range(6)]
    np.testing.assert_allclose(octaves / np.mean(octaves), 1, atol=0.2)


def test_too_few_or_too_short_sounds_are_refused():
    with pytest.raises(InputError, match=r"longer than 5 s; there are 2 of 3\.00 s"):
        time_windows(Leaky(np.ones(3)), np.zeros((2, 3 * RATE), np.float32))


def test_frequency_axes_are_found_in_networks_that_have_them():
    sample = torch.from_numpy(octave_noise(1, 1.0, 22050, np.random.default_rng(0)))
    counts = band_counts(cortexnet.create_model("cnn2d_4l", 2).eval(), sample)
    assert counts == {"conv1": 64, "conv2": 32, "conv3": 8, "conv4": 2}
    assert band_counts(Leaky(np.ones(3)), sample) == {}


def test_steps_of_a_recurrent_model_are_measured_on_request():
    class Recurrent(Leaky):
        def forward_areas(self, waveform, steps=False):
            areas, seconds = super().forward_areas(waveform)
            if steps:
                areas, seconds = areas | {"A1@1": areas["A1"]}, seconds | {"A1@1": seconds["A1"]}
            return areas, seconds

    model = Recurrent(np.ones(4))
    model.steps = {"A1": 2}
    assert set(time_windows(model, after=1.0, n_sounds=2)) == {"A1"}
    assert set(time_windows(model, after=1.0, n_sounds=2, steps=True)) == {"A1", "A1@1"}


def test_the_command_prints_a_table_and_writes_figures(tmp_path, monkeypatch, capsys):
    toy = registry.Entry(lambda n_classes, sample_rate: Leaky(np.ones(20)), "a toy")
    monkeypatch.setitem(registry._MODELS, "toy", toy)
    line = ["cortexnet", "models", "toy", "--receptive-fields", "--json", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", line)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "receptive_fields.json").read_text())
    (row,) = printed["areas"]
    assert row["area"] == "A1" and row["lead_ms"] == 0
    assert row["window_ms"]["75"][0] == pytest.approx(75, abs=10)
    for name in ("windows", "tuning", "modulation"):
        assert (tmp_path / f"{name}.svg").read_text().lstrip().startswith("<?xml")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "line, message",
    [
        (["--receptive-fields"], "give the name of a model"),
        (["cnn2d_4l", "--steps"], "--steps goes with --receptive-fields"),
        (["no_such_model"], "no model 'no_such_model'"),
        (["no_such_model", "--receptive-fields"], "no model 'no_such_model'"),
    ],
)
def test_wrong_requests_are_one_line_and_exit_code_2(line, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cortexnet", "models", *line])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and message in capsys.readouterr().err

"""Models of a person's own: named on the command line, never imported because a file says so."""

import json
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import cortexnet
from cortexnet import own, registry
from cortexnet.registry import find_model, is_known, list_models, model_label
from experiments.cli import app
from experiments.models import load_source
from stimuli import InputError, load_clips, write_audio

CODE = """
    import torch
    from torch import nn
    from cortexnet import adapt, register_model

    class Net(nn.Module):
        def __init__(self, n_classes, width=4):
            super().__init__()
            self.conv = nn.Conv1d(1, width, 400, stride=200)
            self.gru = nn.GRU(width, width, batch_first=True)
            self.out = nn.Linear(width, n_classes)

        def forward(self, x):
            x = torch.relu(self.conv(x[:, None]))
            return self.out(self.gru(x.transpose(1, 2))[0].mean(1))

    def build(n_classes, sample_rate=22050, **options):
        return adapt(Net(n_classes, **options), sample_rate, ["conv", "gru"], readout="out")

    def bare(n_classes, sample_rate):
        return Net(n_classes)

    @register_model("mine", "by hand")
    def mine(n_classes, sample_rate=22050):
        return build(n_classes, sample_rate)
"""


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """What a test names is forgotten after it."""
    list_models()
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    monkeypatch.setattr(own, "_FILES", {})


@pytest.fixture
def code(tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(textwrap.dedent(CODE))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    rows = []
    for k in range(12):
        label = "ab"[k % 2]
        x = (0.02 + 0.1 * (k % 2)) * rng.standard_normal(22050 * 16 // 5)
        write_audio(root / f"{k}.wav", x.astype(np.float32), 22050)
        rows.append({"path": f"{k}.wav", "label": label, "group": str(k),
                     "split": "test" if k < 4 else "train"})  # fmt: skip
    pd.DataFrame(rows).to_csv(root / "clips.csv", index=False)
    return root / "clips.csv"


def forget():
    registry._MODELS.pop("nets.py:build", None)
    own._FILES.clear()


def test_a_function_of_a_file_or_package_is_a_model(code, monkeypatch):
    model = cortexnet.create_model(f"{code}:build", 3, width=5).eval()
    assert model(torch.zeros(2, 22050)).shape == (2, 3) and model.areas == ("conv", "gru")
    assert model_label(f"{code}:build") == "nets.build"
    monkeypatch.chdir(code.parent)
    assert is_known("nets.py:build") and not is_known("nets:build")
    assert cortexnet.create_model("nets:build", 2).areas == ("conv", "gru")


def test_the_command_line_takes_it_and_its_run_only_if_named_again(code, clips, tmp_path):
    run, cli = tmp_path / "run", CliRunner()
    result = cli.invoke(
        app,
        ["train", "--model", f"{code}:build", "--stimuli", str(clips), "--out", str(run),
         "--epochs", "1", "--batch-size", "4"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads((run / "card.json").read_text())["model"] == f"{code}:build"
    assert load_source(str(run), load_clips(clips)).trained
    forget()
    with pytest.raises(InputError, match="--import") as caught:
        cortexnet.load_run(run)
    assert "\n" not in str(caught.value) and not own._FILES
    again = cli.invoke(app, ["--import", f"{code}:build", "evaluate", str(run), "--json"])
    assert again.exit_code == 0 and json.loads(again.stdout)["n_clips"] == 4


def test_a_source_may_be_own_code(code, clips):
    found = load_source(f"{code}:build", load_clips(clips))
    assert found.name == "nets.build" and not found.trained


def test_importing_a_file_registers_what_it_registers(code):
    assert CliRunner().invoke(app, ["--import", str(code), "models", "--help"]).exit_code == 0
    assert "mine" in list_models() and cortexnet.create_model("mine", 2).areas


@pytest.mark.parametrize(
    "name, message",
    [("nets.py:nothing", "no function 'nothing'"), ("none.py:build", "no such file"),
     ("broken.py:build", "ZeroDivisionError"), ("no_such_package:build", "ModuleNotFoundError"),
     ("nets.py:bare", "without sample_rate and areas and forward_areas"),
     ("shy.py:build", r"must take \(n_classes, sample_rate"), ("restnet34", "did you mean")],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_line(code, monkeypatch, name, message):
    monkeypatch.chdir(code.parent)
    (code.parent / "broken.py").write_text("1 / 0\n")
    (code.parent / "shy.py").write_text("def build():\n    return None\n")
    with pytest.raises(InputError, match=message) as caught:
        cortexnet.create_model(name, 2)
    assert "\n" not in str(caught.value)


def test_two_files_of_one_name_are_not_mixed_up(code, tmp_path):
    find_model(f"{code}:build")
    other = tmp_path / "other" / "nets.py"
    other.parent.mkdir()
    other.write_text("def build(n, rate):\n    raise AssertionError\n")
    with pytest.raises(InputError, match="the same name"):
        find_model(f"{other}:build")


def test_adapted_layers_are_the_networks_own():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(1, 3, 100, stride=100), nn.ReLU(inplace=True),
                            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(3, 2))  # fmt: skip
    model = cortexnet.adapt(
        network, 1000, {"a": "0", "b": "1"}, lambda x: x[:, None], readout="4"
    ).eval()
    x = torch.randn(2, 2500)
    with torch.no_grad():
        areas, seconds = model.forward_areas(x)
        expected = network[0](x[:, None]).transpose(1, 2)
        torch.testing.assert_close(areas["a"], expected)
        torch.testing.assert_close(areas["b"], expected.relu())
        np.testing.assert_allclose(seconds["a"], np.arange(1, 26) / 10)
        torch.testing.assert_close(network[4](model.embed(x)), model(x))
        given = cortexnet.adapt(network, 1000, ["0"], model.frontend, 2, {"0": 5.0}).eval()
        np.testing.assert_allclose(given.forward_areas(x)[1]["0"], np.arange(1, 26) / 5)
        assert given.embed(x).shape == (2, 3)
    with pytest.raises(InputError, match="no layer 'conv9'"):
        cortexnet.adapt(network, 1000, ["conv9"])

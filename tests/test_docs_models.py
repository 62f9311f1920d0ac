"""The page on models: its code runs, its table is the registry's."""

import re
from pathlib import Path

import pytest
import torch

import cortexnet
from cortexnet import registry
from stimuli import InputError

PAGE = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")


@torch.no_grad()
def test_the_network_of_the_page_is_a_model(monkeypatch):
    cortexnet.list_models()
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {})
    model = cortexnet.create_model("two_layers", 3, width=8).eval()
    x = 0.1 * torch.randn(2, 22050)
    areas, seconds = model.forward_areas(x)
    assert {k: v.shape for k, v in areas.items()} == {"low": (2, 44, 8), "high": (2, 44, 8)}
    assert seconds["high"][-1] == pytest.approx(1.0)
    torch.testing.assert_close(model.network[6](model.embed(x)), model(x))
    body = code[code.index("def two_layers") :]
    assert len(body.strip().splitlines()) <= 10
    with pytest.raises(InputError, match="no option 'depth'"):
        cortexnet.create_model("two_layers", 3, depth=2)


def test_the_page_lists_the_baselines():
    rooms = tuple(f"cortexnet.networks.{room}" for room in ("convnets", "samplecnn", "vision"))
    for name in cortexnet.list_models():
        if registry.find_model(name).build.__module__ in rooms:
            assert f"`{name}`" in PAGE

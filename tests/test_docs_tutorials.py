"""The tutorials run as they stand."""

import re
from pathlib import Path

import pytest

from cortexnet import registry

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(path.name for path in FOLDER.glob("*.md")))
def test_the_code_of_the_page_runs(page, monkeypatch, tmp_path):
    import cortexnet

    cortexnet.list_models()
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    text = (FOLDER / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 3
    exec("\n".join(blocks), {"__name__": page})

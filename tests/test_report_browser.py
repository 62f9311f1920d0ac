"""The report in a real browser: it opens, sorts, plays, downloads, fits, and can be used by all."""

import base64
import csv
import importlib.resources
import io
import json
import sys
import time

import chromium
import numpy as np
import pytest
from PIL import Image
from rsa_results import write_rsa
from stage_results import write_stages
from test_experiments_report import GENRES, write_classifier, write_subject
from test_experiments_report_retrieval import clip, found

from experiments.report import build_report

PATH = chromium.find()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PATH is None, reason="no chromium, chromium-browser or google-chrome here"),
    pytest.mark.skipif(sys.platform == "win32", reason="the debugging pipe needs POSIX"),
]
TABLE = "document.querySelector('a[download=\"classification.csv\"]').closest('table')"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("results"), np.random.default_rng(3)
    for model, right in (("cnn2d_4l", 41), ("scattering_svm", 47)):
        write_classifier(folder / "runs" / model, model, right, rng, GENRES)
    write_subject(folder, "sub-001", rng)
    write_rsa(folder / "rsa")
    write_stages(folder)
    (folder / "search").mkdir()
    found(folder / "search", [clip(folder, "a")])
    return build_report(folder)


@pytest.fixture(scope="module")
def tab(page, tmp_path_factory):
    with chromium.browser(PATH, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def wide(tab, page):
    tab.open(page, 1200)
    return tab


def test_opens_without_errors_and_without_the_network(wide):
    assert wide.evaluate("document.readyState") == "complete"
    faults = [e for e in wide.events if e["method"] in ("Runtime.exceptionThrown",
              "Runtime.consoleAPICalled", "Log.entryAdded")]  # fmt: skip
    assert not faults
    asked = [e["params"]["request"]["url"] for e in wide.events
             if e["method"] == "Network.requestWillBeSent"]  # fmt: skip
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)


def test_every_figure_is_drawn_with_its_caption_and_command(wide):
    figures = wide.evaluate("""[...document.querySelectorAll("figure")].map(f => ({
        size: f.querySelector("svg").getBoundingClientRect().width,
        parts: f.querySelectorAll("svg path, svg image").length,
        caption: f.querySelector("figcaption").firstChild.textContent.trim(),
        command: f.querySelector("pre").textContent}))""")
    assert len(figures) == 1 + 2 + 1 + 2 + 8 + 4
    for figure in figures:
        assert figure["size"] > 150 and figure["parts"] > 2 and figure["caption"]
        assert "cortexnet report " in figure["command"]


def test_a_heading_sorts_its_table(wide):
    cells = f"[...{TABLE}.tBodies[0].rows].map(r => +r.cells[5].dataset.key)"
    heading = f"{TABLE}.tHead.rows[0].cells[5]"
    name = wide.evaluate(f"{heading}.textContent")
    assert name == "clips correct"
    for order in ("descending", "ascending"):
        wide.evaluate(f"{heading}.querySelector('button').click()")
        values = wide.evaluate(cells)
        assert values == sorted(values, reverse=order == "descending") and len(set(values)) == 2
        assert wide.evaluate(f"{heading}.getAttribute('aria-sort')") == order


def test_the_link_downloads_the_table(wide, page, tmp_path):
    wide.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path),
              eventsEnabled=True)  # fmt: skip
    wide.evaluate(f"{TABLE}.querySelector('a[download]').click()")
    wide.until("Browser.downloadProgress", state="completed")
    rows = list(csv.DictReader((tmp_path / "classification.csv").open(encoding="utf-8")))
    told = json.loads((page.parent / "runs/cnn2d_4l/evaluation.json").read_text())
    accuracy = {row["model"]: float(row["clips correct"]) for row in rows}
    assert accuracy["cnn2d_4l"] == told["clip_accuracy"]


def test_sounds_play(wide):
    told = wide.evaluate("""new Promise((done, fail) => {
        const sound = document.querySelector("audio");
        const tell = () => done([sound.readyState, sound.duration]);
        sound.onerror = () => fail(sound.error.message);
        if (sound.readyState) tell(); else sound.onloadedmetadata = tell;
        sound.load();
    })""")
    assert told[0] >= 1 and 1.4 < told[1] < 1.8  # a tone of 1.5 s, and MP3's padding


def test_the_surface_shows_its_stages_once_it_is_opened(wide):
    pytest.importorskip("plotly", reason="plotly: pip install 'auditory-cortexnet[interactive]'")
    wide.evaluate("""(frame => { frame.closest("details").open = true; frame.scrollIntoView() })
        (document.querySelector("iframe"))""")
    end = time.monotonic() + chromium.PATIENCE
    yellow = 0  # of the last stage
    while yellow < 100 and time.monotonic() < end:
        told = wide.call("Page.captureScreenshot", format="png")
        picture = Image.open(io.BytesIO(base64.b64decode(told["data"]))).convert("RGB")
        red, green, blue = np.asarray(picture, int).transpose(2, 0, 1)
        yellow = int(((red > 180) & (green > 150) & (blue < 90)).sum())
    assert yellow >= 100
    assert not {"Runtime.exceptionThrown", "Log.entryAdded"} & {e["method"] for e in wide.events}


def test_a_telephone_needs_no_sideways_scroll(tab, page):
    tab.open(page, 390, 844)
    assert tab.evaluate("innerWidth") == 390
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [1200, 390])
def test_no_serious_fault_of_accessibility(tab, page, width):
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python: pip install it")
    tab.open(page, width)
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    tab.evaluate((importlib.resources.files(axe) / "axe.min.js").read_text("utf-8") + "\n0")
    faults = tab.evaluate("""axe.run({resultTypes: ["violations"], iframes: false})
        .then(r => r.violations.filter(v => ["serious", "critical"].includes(v.impact))
        .map(v => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 200)]))""")
    assert faults == []

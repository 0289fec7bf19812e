"""The report of an evaluation in a real Chromium: it shows, asks for nothing, and prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pipelines.evaluate.run import evaluate
from pipelines.evaluate.settings import EvaluationSettings, SourceSettings
from pipelines.metrics.bootstrap import Bootstrap
from pipelines.report.document import write_report
from tests.conftest import MakeRecords

from .conftest import screenshot

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, made_records: MakeRecords) -> Path:
    """The report of two sites, scored by the shipped default and a rule."""
    folder = tmp_path_factory.mktemp("report")
    sources = tuple(
        SourceSettings("cinc2019", made_records(folder / site, 40, first=first), site)
        for site, first in (("A", 0), ("B", 300))
    )
    settings = EvaluationSettings(
        sources, ("default", "news2"), bootstrap=Bootstrap(draws=10), shuffles=2, horizon_hours=6
    )
    evaluate(settings, folder / "out")
    return write_report(folder / "out")


@pytest.fixture
def page(report: Path, chromium: Browser) -> Iterator[Page]:
    """The page, with everything it asked for and complained about."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    yield page
    page.close()
    assert complaints == []
    assert asked == [report.as_uri()]


def test_every_section_has_something_to_show(page: Page) -> None:
    sections = [one.get_attribute("id") for one in page.query_selector_all("section")]
    assert sections == [
        *("summary", "cohort", "ranking-section", "alarms", "equity", "cases", "leakage"),
        *("drift-section", "quality", "card", "configuration"),
    ]
    for link in page.query_selector_all("nav a"):
        assert page.query_selector(link.get_attribute("href") or "none")
    for drawing in page.query_selector_all("figure svg"):
        box = drawing.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 100
        assert box["x"] + box["width"] <= 1280
    assert "not a certified medical device" in page.inner_text("header")
    assert "None" not in page.inner_text("#summary")
    screenshot(page, "report")


def test_every_word_of_a_drawing_lies_in_it(page: Page) -> None:
    beyond = page.evaluate(
        """() => [...document.querySelectorAll("figure svg")].flatMap((drawing) => {
            const edge = drawing.getBoundingClientRect();
            return [...drawing.querySelectorAll("text")].filter((text) => {
                const box = text.getBoundingClientRect();
                return box.left < edge.left - 1 || box.right > edge.right + 1;
            }).map((text) => text.textContent);
        })"""
    )
    assert beyond == []


def test_what_is_drawn_and_the_card_are_of_the_model_that_was_evaluated(page: Page) -> None:
    assert page.query_selector("#miss_1, #false_alarm_1")
    assert "what the Gaussian process believed hour by hour" in page.inner_text("#cases")
    version = page.inner_text("header code >> nth=0")
    assert f"version {version}" in page.inner_text("#card h3")


def test_each_figure_is_a_file_too(page: Page, report: Path) -> None:
    shown = {one.get_attribute("id") for one in page.query_selector_all("figure")}
    for suffix in ("png", "svg"):
        assert {path.stem for path in (report.parent / "figures").glob(f"*.{suffix}")} == shown


def test_on_paper_no_table_or_figure_is_cut_off(page: Page) -> None:
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 without its margins, at 96 dots an inch
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")

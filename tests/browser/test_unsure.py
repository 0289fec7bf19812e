"""A model that says how sure it is: its spread, what moved the score, what would help most."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from playwright.sync_api import expect
from pydantic import HttpUrl

from models.base import Influence, Inquiry, Measurement
from models.clinical.score import ScoreSeries
from models.clinical.stay import Stay
from models.rules import NEWS2
from service.settings import Settings
from service.worker import Worker
from tests.ports import HOST

from .conftest import CALM, SICK, Desk, Service, screenshot, until

pytestmark = pytest.mark.browser

BED = "31"


class Unsure(NEWS2):
    """A rule that says how sure it is."""

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """What the rule says, with a spread; none at the fourth hour."""
        plain = super().score(stay, end)
        stated = np.where(np.arange(len(plain)) == 3, np.nan, plain.value)
        return replace(plain, low=stated * 0.6, high=np.minimum(stated * 1.3 + 0.08, 1.0))

    def inquire(self, stay: Stay, time: datetime) -> Inquiry:
        """The newest of what the rule counts, some of it a relief; two measurements, one of no use."""
        counted = self.explain(stay, time).contributions
        found = [
            Influence(one.variable, one.time, one.value, one.share or -0.05)
            for one in counted
            if one.time is not None and one.value is not None
        ]
        return Inquiry(time, tuple(found), (Measurement("lactate", 0.12), Measurement("wbc", 0.001)))


@pytest.fixture(scope="module")
def unsure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A web process, a real worker with the model above in a thread of this one, and a sick stay."""
    service = Service(tmp_path_factory.mktemp("unsure"))
    service.start("serve")
    settings = Settings(
        database_url=f"sqlite:///{service.folder / 'ward.db'}",
        scoring_url=HttpUrl(f"http://{HOST}:{service.scoring_port}"),
        model="news2",
    )
    until(service.is_live, f"the web process; its log is in {service.folder}")
    stop = threading.Event()
    thread = threading.Thread(target=Worker(settings, Unsure()).work, args=(stop,))
    thread.start()
    until(service.is_ready, "the worker")
    stay = service.admit(BED, hours_ago=12)
    for hours in range(1, 12):
        signs = CALM | {"respiratory_rate": (15 + (hours * 7) % 10, "1/min")}
        service.observe(stay, signs, minutes_ago=60 * hours)
    service.observe(stay, SICK)
    until(lambda: service.tile(stay)["alert"] is not None, "the alert of what came last")
    yield service
    stop.set()
    thread.join()
    service.stop("serve")


def test_the_spread_stands_where_the_number_is_explained(unsure: Service, desk: Desk) -> None:
    stay = f"stay-{BED}"
    score = unsure.tile(stay)["score"]
    words = f"{score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})"
    page = desk.open(unsure.url)
    tile = page.locator(f".tile[data-stay={stay}]")
    expect(tile.locator(".score")).to_have_text(f"{score['value']:.2f}")
    expect(tile.locator(".score")).to_have_attribute("title", words)
    assert words in (tile.get_attribute("aria-label") or "")
    expect(tile.locator(".sparkline .spread")).to_have_count(1)
    screenshot(page, "board-spread")
    page.goto(f"{unsure.url}/#/stay/{stay}")
    expect(page.locator(".now-score")).to_contain_text(words)
    figure = page.locator(".evidence-charts figure").first
    expect(figure.locator("output")).to_contain_text(words)
    expect(figure.locator("figcaption")).to_contain_text("10th to 90th percentile")
    screenshot(page, "stay-spread")


def test_the_reasons_are_asked_for_when_they_are_opened(unsure: Service, desk: Desk) -> None:
    page = desk.open(f"{unsure.url}/#/stay/stay-{BED}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/explanation" in request.url else None)
    reasons = page.locator(".why .reasons")
    expect(reasons.locator("h3")).to_have_count(0)
    assert asked == []
    page.get_by_text("More reasons").click()
    expect(reasons.get_by_role("heading")).to_have_text(["What moved it", "What would help most"])
    moved, helps = reasons.locator("ul").first.locator("li"), reasons.locator("ul").last.locator("li")
    expect(moved.first).to_contain_text("Respiratory rate")
    expect(moved.first).to_contain_text("29 ↑ /min at")
    expect(moved.first).to_contain_text("0.15 lower without it")
    expect(moved.last).to_contain_text("0.05 higher without it")
    expect(helps).to_have_count(1)
    expect(helps).to_contain_text("Lactate")
    expect(helps).to_contain_text("would narrow the score's spread by about 0.12")
    expect(reasons).to_contain_text("not an order")
    assert len(asked) == 1
    page.get_by_role("button", name="Light").click()
    reasons.get_by_text("not an order").scroll_into_view_if_needed()
    screenshot(page, "stay-reasons")
    page.set_viewport_size({"width": 390, "height": 844})
    until(lambda: page.evaluate("document.documentElement.scrollWidth") <= 390, "the narrow page")


def test_the_reasons_of_a_past_score_are_those_of_its_hour(unsure: Service, desk: Desk) -> None:
    stay = f"stay-{BED}"
    page = desk.open(f"{unsure.url}/#/stay/{stay}")
    page.get_by_role("link", name="As known 1 h ago").click()
    page.locator(".as-of").wait_for()
    page.get_by_text("More reasons").click()
    heart = page.locator(".reasons li", has_text="Heart rate")
    expect(heart).to_contain_text("72 /min")


def test_a_model_that_names_nothing_says_so(service: Service, desk: Desk) -> None:
    stay = service.admit("92")
    service.observe(stay, SICK)
    service.wait_scored(stay)
    page = desk.open(f"{service.url}/#/stay/{stay}")
    page.get_by_text("More reasons").click()
    expect(page.locator(".reasons").get_by_text("The model names none.")).to_have_count(2, timeout=20_000)


def test_reasons_that_cannot_be_had_are_said_to_be_missing(service: Service, desk_with_trouble: Desk) -> None:
    stay = service.admit("93")
    service.observe(stay, SICK)
    service.wait_scored(stay)
    page = desk_with_trouble.open(f"{service.url}/#/stay/{stay}")
    page.get_by_text("More reasons").wait_for()
    page.route("**/explanation?*", lambda route: route.fulfill(status=503, json={"detail": "no worker"}))
    page.get_by_text("More reasons").click()
    expect(page.locator(".reasons .reason")).to_have_text("The model cannot be asked: no worker (503)")
    page.unroute("**/explanation?*")
    page.get_by_text("More reasons").click()
    page.get_by_text("More reasons").click()
    expect(page.locator(".reasons h3")).to_have_count(2)
    expect(page.locator(".reasons .reason")).to_have_count(0)

"""Patients like this one: asked for when the panel is opened, with faint lines in the charts while it is."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pydantic import HttpUrl

from models import registry
from models.base import Likening
from models.warm import example
from service.settings import Settings
from service.worker import Worker
from tests.ports import HOST

from .conftest import CALM, SICK, Desk, Service, screenshot, until

pytestmark = pytest.mark.browser

BED = "35"
PLOTTED = "(figure) => figure.querySelector('canvas').toDataURL()"


@pytest.fixture(scope="module")
def likened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A web process, a real worker that scores by past stays in a thread of this one, and a sick stay."""
    model, stay = registry.load("dtw"), example()
    assert isinstance(model, Likening)
    model.patients_like(stay, stay.last_known_at)  # no question waits for the compiler
    service = Service(tmp_path_factory.mktemp("likened"))
    service.start("serve")
    settings = Settings(
        database_url=f"sqlite:///{service.folder / 'ward.db'}",
        scoring_url=HttpUrl(f"http://{HOST}:{service.scoring_port}"),
        model="dtw",
    )
    until(service.is_live, f"the web process; its log is in {service.folder}")
    stop = threading.Event()
    thread = threading.Thread(target=Worker(settings, model).work, args=(stop,))
    thread.start()
    until(service.is_ready, "the worker")
    bed = service.admit(BED, hours_ago=16)
    for hours in range(1, 16):
        signs = CALM | {
            "heart_rate": (118 - 2.5 * hours, "1/min"),
            "temperature": (38.9 - 0.1 * hours, "degC"),
        }
        service.observe(bed, signs, minutes_ago=60 * hours)
    service.observe(bed, SICK)
    service.wait_scored(bed)
    yield service
    stop.set()
    thread.join()
    service.stop("serve")


def heart_rate(page: Page) -> Any:
    """The picture of a chart."""
    return page.locator("figure[data-variable=heart_rate]").evaluate(PLOTTED)


def test_past_stays_are_asked_for_and_drawn_while_the_panel_is_open(likened: Service, desk: Desk) -> None:
    page = desk.open(f"{likened.url}/#/stay/stay-{BED}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/similar" in request.url else None)
    summary = page.get_by_text("Patients like this one")
    page.locator("figure[data-variable=heart_rate] canvas").wait_for()
    closed = heart_rate(page)
    assert asked == []
    summary.focus()
    page.keyboard.press("Enter")
    panel = page.locator(".similar")
    rows = panel.locator("li")
    expect(rows).to_have_count(5)
    expect(panel.locator("b").first).to_contain_text("of 5 became septic")
    expect(rows.first).to_contain_text("Stands for")
    expect(rows.first).to_contain_text("of it ")
    expect(panel).to_contain_text("72 became septic, more than on a ward: not a probability")
    expect(page.locator(".legend")).to_contain_text("past stays that became septic")
    assert len(asked) == 1
    assert heart_rate(page) != closed
    screenshot(page, "stay-similar")
    page.get_by_role("button", name="Light").click()
    screenshot(page, "stay-similar-light")
    page.set_viewport_size({"width": 420, "height": 900})
    until(lambda: page.evaluate("document.documentElement.scrollWidth") <= 420, "the narrow page")
    panel.scroll_into_view_if_needed()
    screenshot(page, "stay-similar-narrow")
    summary.click()
    expect(page.locator(".legend")).not_to_contain_text("past stays that became septic")


def test_past_stays_that_cannot_be_had_are_said_to_be_missing(
    likened: Service, desk_with_trouble: Desk
) -> None:
    page = desk_with_trouble.open(f"{likened.url}/#/stay/stay-{BED}")
    page.route("**/similar?*", lambda route: route.fulfill(status=503, json={"detail": "no worker"}))
    page.get_by_text("Patients like this one").click()
    expect(page.locator(".similar .reason")).to_have_text("Past stays cannot be asked for: no worker (503)")

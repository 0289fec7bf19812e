"""A model that says how sure it is: its spread on the tile and in the stay view."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from playwright.sync_api import expect
from pydantic import HttpUrl

from models.clinical.score import ScoreSeries
from models.clinical.stay import Stay
from models.rules import NEWS2
from service.settings import Settings
from service.worker import Worker

from .conftest import CALM, HOST, SICK, Desk, Service, screenshot, until

pytestmark = pytest.mark.browser

BED = "31"


class Unsure(NEWS2):
    """A rule that says how sure it is."""

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """What the rule says, with a spread; none at the fourth hour."""
        plain = super().score(stay, end)
        stated = np.where(np.arange(len(plain)) == 3, np.nan, plain.value)
        return replace(plain, low=stated * 0.6, high=np.minimum(stated * 1.3 + 0.08, 1.0))


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

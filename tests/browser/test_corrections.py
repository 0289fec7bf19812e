"""A withdrawn value on the board: crossed, no longer the newest, and the score without it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from .conftest import CALM, SICK, Desk, Service, screenshot, until

pytestmark = pytest.mark.browser


def known(minutes_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()


def test_a_withdrawn_point_is_crossed_and_the_score_is_made_without_it(service: Service, desk: Desk) -> None:
    stay = service.admit("77", hours_ago=6)
    service.observe(stay, CALM, minutes_ago=100)
    service.observe(stay, {"troponin_i": ("<0.3", "ng/mL")}, minutes_ago=90)  # type: ignore[dict-item]
    rows = [
        {"stay_id": stay, "time": known(50), "known_at": known(49), "variable": name, "value": value,
         "unit": unit, "identifier": f"m-{name}"}
        for name, (value, unit) in SICK.items()
    ]  # fmt: skip
    service.post("observations", {"observations": rows})
    service.wait_scored(stay)
    until(lambda: (service.tile(stay)["score"]["value"] or 0) > 0.25, "the high score")
    page = desk.open(f"{service.url}/#/stay/{stay}")
    heart = page.locator("figure[data-variable=heart_rate]")
    expect(heart.locator("output")).to_contain_text("124 ↑")
    expect(page.locator("figure[data-variable=troponin_i] output")).to_contain_text("<0.3")
    before = service.tile(stay)["score"]["value"]
    taken = service.post(
        "observations",
        {"observations": [row | {"status": "entered-in-error", "known_at": known(20)} for row in rows]},
    )
    assert taken["withdrawn"] == len(rows)
    expect(heart.locator("output")).to_contain_text("72")
    label = re.compile("^Heart rate: 2 observations, 1 of them corrected or withdrawn, newest 72")
    expect(heart.get_by_role("img")).to_have_accessible_name(label)
    until(lambda: service.tile(stay)["score"]["value"] < before, "the score without what was withdrawn")
    expect(page.locator(".legend")).to_contain_text("corrected or withdrawn")
    page.locator(".now-score b", has_text="0.00").wait_for()
    expect(page.locator(".evidence-charts figure output").first).to_contain_text("0.00")
    screenshot(page, "withdrawn")

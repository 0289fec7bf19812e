"""A seizure on the board: it appears by itself with place and length, is opened and acknowledged."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from .conftest import Desk, Service, screenshot

pytestmark = pytest.mark.browser

CALM, SEIZURE = 0.3, 0.9


def send(service: Service, stay: str, first: datetime, values: list[float | None]) -> None:
    """A score each 5 s from `first` on."""
    rows: list[dict[str, Any]] = [
        {
            "time": (first + timedelta(seconds=5 * number)).isoformat(),
            "value": value,
            "status": "indeterminate" if value is None else "present",
            "reason": "3 of 4 channels without signal" if value is None else "",
            "channels": ["LA4", "LA3", "LA5"] if value == SEIZURE else [],
        }
        for number, value in enumerate(values)
    ]
    names = ("LA3", "LA4", "LA5", "LB1")
    channels = [
        {"name": name, "bad": name == "LB1", "reason": "flat" if name == "LB1" else ""} for name in names
    ]
    detector = {"detector": "line-length", "version": "1", "segment_seconds": 5}
    service.post(f"stays/{stay}/segment-scores", {**detector, "channels": channels, "segments": rows})


def test_a_seizure_appears_is_opened_and_acknowledged(service: Service, desk: Desk) -> None:
    stay = service.admit("E7", hours_ago=0)
    began = datetime.now(UTC) - timedelta(seconds=45)
    send(service, stay, began, [CALM] * 10)
    page = desk.open(service.url)
    row, tile = f"[data-row={stay}]", f".tile[data-stay={stay}]"
    expect(page.locator(f"{tile} .kind")).to_have_text("seizure")
    expect(page.locator(tile)).not_to_have_class(re.compile("is-high"))

    send(service, stay, began + timedelta(seconds=50), [SEIZURE] * 4)
    expect(page.locator(f"{row} .headline")).to_have_text("Seizure")
    expect(page.locator(f"{row} .evidence")).to_contain_text("LA3\N{EN DASH}LA5, 20 s so far")
    screenshot(page, "board-seizure")
    page.locator(row).get_by_role("link", name="Open bed E7").click()
    expect(page.locator(".why")).to_contain_text("LB1")
    expect(page.locator(".why")).to_contain_text("flat")
    expect(page.get_by_role("img", name="Seizure score of the last minutes")).to_be_visible()
    screenshot(page, "stay-seizure")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".history")).to_contain_text("acknowledged by JK")
    assert service.tile(stay)["alert"]["acknowledged_by"] == "JK"


def test_missing_signal_is_a_technical_mark_with_its_reason(service: Service, desk: Desk) -> None:
    stay = service.admit("E8", hours_ago=0)
    send(service, stay, datetime.now(UTC) - timedelta(seconds=20), [CALM, CALM, None])
    page = desk.open(service.url)
    expect(page.locator(f".tile[data-stay={stay}] .reason")).to_have_text("3 of 4 channels without signal")
    expect(page.locator(f".tile[data-stay={stay}] .score")).to_have_text("—")

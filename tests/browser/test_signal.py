"""The signal of a live recording on its stay view: rows, gaps, bad channels, what was not foreseen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from models.clinical.recording import Channel, Samples
from models.line_length import LineLengthConfig, LineLengthDetector
from pipelines.bedside import BedsideStay
from pipelines.live_recording import LiveBed, segment_body
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg

from .conftest import Desk, Service, screenshot

pytestmark = pytest.mark.browser

RATE_HZ = 128.0
SECONDS = 300.0
NAMES = tuple(f"{shaft}{contact}" for shaft in ("LA", "LH") for contact in range(1, 6))
SILENT, CUT = "LH5", (150.0, 165.0)  # a flat channel; seconds in which nothing came


class Damaged:
    """A simulated recording whose last channel is flat and which pauses for a quarter of a minute."""

    def __init__(self) -> None:
        channels = tuple(Channel(name, RATE_HZ) for name in NAMES)
        config = IEEGConfig(SECONDS, rate_hz=RATE_HZ, channels=channels, seizure_onsets=(225.0,))
        self._recording = simulate_ieeg(1, 2, config).recording
        self.channels, self.seconds = self._recording.channels, SECONDS

    def window(self, start_seconds: float, stop_seconds: float) -> Samples:
        """Values (C, n) in microvolt."""
        values = self._recording.window(start_seconds, stop_seconds).copy()
        times = start_seconds + np.arange(values.shape[1]) / RATE_HZ
        values[-1] = 0.0
        values[:, (times >= CUT[0]) & (times < CUT[1])] = np.nan
        return values


def bed() -> LiveBed:
    """E9, of which five minutes have just passed."""
    began = datetime.now(UTC) - timedelta(seconds=SECONDS + 1)
    stay = BedsideStay("stay-E9", "subject-E9", began, None, (), bed="E9", care_unit="iEEG", synthetic=True)
    detector = LineLengthDetector(LineLengthConfig(rate_hz=RATE_HZ))
    return LiveBed(stay, Damaged(), detector, {})


def sent(surprised: bool) -> dict[str, Any]:
    """What a detector process posts of it; a surprise that grows from shaft to shaft, where it has any."""
    live = bed()
    body: dict[str, Any] = segment_body(live, list(live.scores(datetime.now(UTC), 60)))
    assert len(body["segments"]) == SECONDS / 5
    for number, segment in enumerate(body["segments"]):
        for row, trace in enumerate(segment["signal"]):
            here = surprised and number and trace["channel"] != SILENT and trace["low"][0] is not None
            trace["surprise"] = round(0.1 + 0.06 * row + 0.5 * (number > 44), 3) if here else None
    return body


def open_stay(service: Service, desk: Desk, name: str, surprised: bool, **options: Any) -> Page:
    admitted = {"admitted_at": bed().stay.admitted_at.isoformat(), "bed": name, "synthetic": True}
    stay = {"stay_id": f"stay-{name}", "subject_id": f"subject-{name}", "care_unit": "iEEG"}
    service.post("stays", stay | admitted)
    service.post(f"stays/stay-{name}/segment-scores", sent(surprised))
    return desk.open(f"{service.url}/#/stay/stay-{name}", **options)


def inked(page: Page, figure: str) -> int:
    """Pixels that are drawn on a figure's canvas."""
    count: int = page.locator(f"{figure} canvas").evaluate(
        "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
        ".data.filter((value, place) => place % 4 === 3 && value > 0).length"
    )
    return count


def test_signal_with_gaps_bad_channels_and_surprise(service: Service, desk: Desk) -> None:
    page = open_stay(service, desk, "E20", surprised=True, height=1000)
    signal = page.get_by_role("img", name="Signal, last 5 min of 10 channels, bad: LH5")
    expect(signal).to_be_visible()
    expect(page.get_by_role("img", name="Forecast surprise of each channel")).to_be_visible()
    assert inked(page, ".electrodes") > 5_000
    assert inked(page, ".surprise") > 5_000
    size = signal.bounding_box()
    assert size is not None
    row = (size["height"] - 20) / len(NAMES)
    right = size["width"] - 40
    signal.hover(position={"x": right, "y": row / 2})
    expect(page.locator(".electrodes .reading")).to_contain_text("LA1, surprise 0.60")
    signal.hover(position={"x": right, "y": 9.5 * row})
    expect(page.locator(".electrodes .reading")).to_contain_text("LH5, flat")
    signal.hover(position={"x": 54 + (size["width"] - 64) * 157 / SECONDS, "y": row / 2})
    expect(page.locator(".electrodes .reading")).to_contain_text("LA1")
    screenshot(page, "stay-signal")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390), ("light", 390)])
def test_signal_in_every_theme_and_width(service: Service, desk: Desk, theme: str, width: int) -> None:
    page = open_stay(service, desk, f"E{theme}{width}", surprised=True, width=width, height=1000)
    if theme == "light":
        page.get_by_role("button", name="Light").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.get_by_role("img", name="Signal, last 5 min")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("img", name="Signal, last 5 min").scroll_into_view_if_needed()
    screenshot(page, f"stay-signal-{theme}-{width}")


def test_a_detector_that_forecasts_nothing_shows_no_surprise(service: Service, desk: Desk) -> None:
    page = open_stay(service, desk, "E21", surprised=False)
    expect(page.get_by_role("img", name="Signal, last 5 min")).to_be_visible()
    expect(page.get_by_role("img", name="Forecast surprise")).to_have_count(0)

"""The page of alarm policies in a real browser: its figures are Python's, to the last bit; it asks nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from models.clinical.alarm import AlarmPolicy
from pipelines.metrics.alarms import MICROSECONDS_AN_HOUR, Events, Watched
from pipelines.metrics.burden import BurdenFigures, Ward, burden_figures, by_hour_of_day, by_unit, simulate
from pipelines.report.burden_page import burden_page

pytestmark = pytest.mark.browser

HOUR = timedelta(hours=1)
WINDOW = 6 * HOUR
MINUTE = MICROSECONDS_AN_HOUR // 60
OPENED = AlarmPolicy(0.6, 0.5, 2, 3, 4 * HOUR)
POLICIES = [
    OPENED,
    AlarmPolicy(0.5),
    AlarmPolicy(0.7, 0.2, refractory=0 * HOUR),
    AlarmPolicy(0.123456789, 0.1, 3, 5, 12 * HOUR, on_delay=1.5 * HOUR, off_delay=2 * HOUR),
    AlarmPolicy(0.4, 0.4, 1, 4, 1 * HOUR, off_delay=3 * HOUR),
    AlarmPolicy(0.9, 0.0, 2, 2, 24 * HOUR, on_delay=HOUR / 4),
    AlarmPolicy(0.0),
    AlarmPolicy(1.0),
]


def ward(steps: tuple[int, ...], kind: type, dated: bool) -> Ward:
    """Stays with missing scores and none to two events each; rows are `steps` minutes apart.

    Dates lie on both sides of 1970, as those that were shifted to hide them may.
    """
    rng = np.random.default_rng(len(steps))
    rows = rng.integers(1, 90, 60)
    count = rng.integers(0, 3, 60)
    start = np.repeat(rng.integers(-(10**6), 10**6, 60) * MINUTE if dated else np.zeros(60, np.int64), rows)
    time = np.concatenate([np.cumsum(rng.choice(steps, n)) for n in rows]) * MINUTE + start
    first = np.cumsum(rows) - rows
    lasts = np.maximum(time[first + rows - 1] - time[first], MINUTE)
    share = [np.sort(rng.choice(np.arange(1, 60), n, replace=False)) / 50 for n in count]
    onset = np.concatenate(
        [(lasts[s] * one).astype(np.int64) + time[first[s]] for s, one in enumerate(share)]
    )
    score = rng.random(rows.sum()).astype(kind).astype(np.float64)
    score[rng.random(len(score)) < 0.1] = np.nan
    return Ward(
        Watched(rows, time, score),
        Events(count, onset, onset + rng.integers(0, 9, len(onset)) * MICROSECONDS_AN_HOUR),
        tuple(f"p{stay}" for stay in range(60)),
        tuple(rng.choice(["north", "south <b>"], 60)),
        dated,
    )


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that complains of nothing."""
    page, complaints = chromium.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    yield page
    page.close()
    assert complaints == []


def opened(page: Page, folder: Path, here: Ward) -> None:
    file = folder / "burden.html"
    file.write_text(burden_page(here, OPENED, WINDOW, "a <test> ward", budget=1.0), encoding="utf-8")
    page.goto(file.as_uri())
    expect(page.locator("#curve svg")).to_be_visible()


def choose(page: Page, policy: AlarmPolicy) -> None:
    """Set every field, and tell the page once."""
    page.evaluate(
        """facts => {
            for (const [name, value] of Object.entries(facts)) document.getElementById(name).value = value;
            document.getElementById("k").dispatchEvent(new Event("change"));
        }""",
        policy.as_json(),
    )


def shown(page: Page) -> dict[str, float | None]:
    read: dict[str, str] = page.evaluate("() => ({...document.body.dataset})")
    return {name: number(value) for name, value in read.items()}


def number(text: str | None) -> float | None:
    assert text is not None
    return None if text == "null" else float(text)


def expected(found: BurdenFigures) -> dict[str, float | None]:
    outside, quartiles = found.outside, found.outside.lead_time_hours_quartiles or (None, None)
    return {
        "alarms_per_bed_day": found.alarms_per_bed_day,
        "precision": outside.precision,
        "recall": outside.recall,
        "lead_time_hours": outside.lead_time_hours,
        "lead_low": quartiles[0],
        "lead_high": quartiles[1],
        "false_alarms_per_patient_day": outside.false_alarms_per_patient_day,
        "workup_to_detection": outside.workup_to_detection,
        "alarms": outside.alarms,
        "late": found.late,
        "true_alarms": outside.true_alarms,
        "events": outside.events,
        "events_detected": outside.events_detected,
        "days": outside.patient_days,
    }


@pytest.mark.parametrize(
    ("steps", "kind", "dated"),
    [((60,), np.float32, True), ((60,), np.float64, False), ((5, 5, 7, 60), np.float64, True)],
    ids=["hourly", "hourly, double", "irregular"],
)
def test_every_figure_is_pythons(
    page: Page, tmp_path: Path, steps: tuple[int, ...], kind: type, dated: bool
) -> None:
    here = ward(steps, kind, dated)
    opened(page, tmp_path, here)
    for policy in POLICIES:
        choose(page, policy)
        burden = simulate(here, policy, WINDOW)
        assert shown(page) == expected(burden_figures(burden)), policy
        for name, one in by_unit(here, burden).items():
            row = page.locator(f"tr[data-unit='{name}']")
            assert number(row.get_attribute("data-recall")) == one.outside.recall
            assert number(row.get_attribute("data-precision")) == one.outside.precision
            assert number(row.get_attribute("data-alarms_per_bed_day")) == one.alarms_per_bed_day
        if dated:
            rates = json.loads(page.locator("#hours").get_attribute("data-rates") or "")
            by_hour = by_hour_of_day(here, burden)
            assert by_hour is not None
            assert rates == np.nan_to_num(by_hour).tolist()


def test_sliders_move_the_figures_and_keep_the_policy_possible(page: Page, tmp_path: Path) -> None:
    here = ward((60,), np.float64, False)
    opened(page, tmp_path, here)
    slide = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"
    page.locator("[data-slide=k]").evaluate(slide, 5)
    assert page.locator("#n").input_value() == "5"
    page.locator("[data-slide=n]").evaluate(slide, 1)
    assert page.locator("#k").input_value() == "1"
    page.locator("[data-slide=threshold]").evaluate(slide, 40)
    page.locator("[data-slide=release]").evaluate(slide, 50)
    page.locator("[data-slide=refractory_hours]").evaluate(slide, 9)
    link = page.locator("#save").get_attribute("href") or ""
    saved = AlarmPolicy.from_json(
        json.loads(page.evaluate("text => decodeURIComponent(text)", link.split(",", 1)[1]))
    )
    assert (saved.k, saved.n, saved.refractory) == (1, 1, 9 * HOUR)
    assert saved.released_below == pytest.approx(saved.threshold / 2, rel=1e-3)
    assert shown(page) == expected(burden_figures(simulate(here, saved, WINDOW)))
    page.locator("#reset").click()
    assert shown(page) == expected(burden_figures(simulate(here, OPENED, WINDOW)))


def test_a_slider_stands_where_its_threshold_is_or_at_that_end(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, ward((60,), np.float64, False))
    slider = page.locator("[data-slide=threshold]")
    choose(page, AlarmPolicy(1.0))
    assert slider.input_value() == "0"
    choose(page, AlarmPolicy(0.0))
    assert slider.input_value() == slider.get_attribute("max")


def test_stays_without_any_score_are_a_page_too(page: Page, tmp_path: Path) -> None:
    here = ward((60,), np.float64, True)
    silent = Watched(here.watched.rows, here.watched.time, np.full_like(here.watched.score, np.nan))
    opened(page, tmp_path, replace(here, watched=silent))
    assert shown(page)["alarms"] == 0


def test_a_click_on_the_curve_takes_its_threshold(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, ward((60,), np.float64, False))
    before = page.locator("#threshold").input_value()
    page.locator("#curve rect.touch").click(position={"x": 5, "y": 5})
    assert page.locator("#threshold").input_value() != before


def test_the_page_asks_nobody_and_shows_names_as_text(page: Page, tmp_path: Path) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    opened(page, tmp_path, ward((60,), np.float64, False))
    assert asked == [(tmp_path / "burden.html").as_uri()]
    expect(page.get_by_text("a <test> ward")).to_be_visible()
    expect(page.get_by_role("cell", name="south <b>")).to_be_visible()

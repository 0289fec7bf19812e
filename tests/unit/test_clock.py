"""The service clock: wall time, or simulated time that every process agrees on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.clock import Clock, wall_now
from service.settings import Settings

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


def test_without_settings_it_is_the_wall_clock() -> None:
    clock = Clock.of(Settings())
    before, shown, after = wall_now(), clock.now(), wall_now()
    assert before <= shown <= after
    assert not clock.simulated


def test_a_simulated_clock_runs_from_its_anchor_at_its_speed() -> None:
    clock = Clock.of(Settings(clock_start=START, clock_anchor=ANCHOR, clock_speed=360))
    assert clock.simulated
    assert clock.at(ANCHOR) == START
    assert clock.at(ANCHOR + timedelta(seconds=10)) == START + timedelta(hours=1)
    assert clock.at(ANCHOR - timedelta(seconds=10)) == START - timedelta(hours=1)


def test_two_processes_with_equal_settings_agree() -> None:
    settings = Settings(clock_start=START, clock_anchor=ANCHOR, clock_speed=7.5)
    wall = ANCHOR + timedelta(days=3, microseconds=1)
    assert Clock.of(settings).at(wall) == Clock.of(settings.model_copy()).at(wall)

"""The worst misses and false alarms: those that show most of the model, whatever the order they came in."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pytest

from models.clinical.alarm import AlarmPolicy
from models.clinical.stay import Stay, observation_table
from pipelines.evaluate.parts import Chunk, Part
from pipelines.evaluate.worst import WorstStays
from pipelines.ingest.source import IngestedStay
from pipelines.report.material import Material
from pipelines.report.trajectories import draw_all

HOURS = 24
NONE = observation_table([], [], [], [])


def kept(stays: dict[str, tuple[list[float], float | None]], most: int = 2) -> WorstStays:
    """The worst of stays by name: scores of hours 1, 2, ..., NaN for none, and the onset."""
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    read = tuple(IngestedStay(Stay(name, name, begun, NONE, source="table"), 0) for name in stays)
    facts = [
        {"hours": len(score), "onset_hour": onset, "onset_told": onset is not None}
        for score, onset in stays.values()
    ]
    value = np.concatenate([score for score, _ in stays.values()])
    nothing = np.full(len(value), np.nan)
    hour = np.concatenate([np.arange(1, len(score) + 1) for score, _ in stays.values()])
    columns = {"model": ["m"] * len(value), "hour": hour, "value": value, "low": nothing, "high": nothing}
    found = WorstStays("m", AlarmPolicy(0.5), 8.0, most, most)
    found.add(Chunk(0, "A", read), Part(pa.table(columns), pa.Table.from_pylist(facts), pa.table({})))
    return found


def rising(calm: float, high: float, since: int) -> list[float]:
    return [calm] * (since - 1) + [high] * (HOURS - since + 1)


STAYS = {
    "low": (rising(0.1, 0.9, 20), 20.0),
    "lower": (rising(0.05, 0.9, 21), 20.5),
    "higher": (rising(0.4, 0.9, 20), 20.0),
    "foretold": (rising(0.1, 0.9, 15), 20.0),
    "before any score": ([0.1] * HOURS, 0.7),
    "silent before it": ([0.2] * 5 + [np.nan] * 14 + [0.2] * 5, 20.0),
    "false": (rising(0.1, 0.7, 4), None),
    "falser": (rising(0.1, 0.8, 9), None),
    "true calm": ([0.1] * HOURS, None),
}


@pytest.mark.parametrize("order", [1, -1])
def test_the_lowest_scores_before_an_onset_and_the_highest_without_one(order: int) -> None:
    worst = kept(dict(list(STAYS.items())[::order])).worst
    told = [(one.kind, one.stay.stay_id) for one in worst]
    assert told == [
        *[("miss", "lower"), ("miss", "low")],
        *[("false alarm", "falser"), ("false alarm", "false")],
    ]
    assert [one.alarms for one in worst] == [(21,), (20,), (9,), (4,)]


def test_an_event_that_no_score_preceded_shows_nothing_of_the_model() -> None:
    told = [one.stay.stay_id for one in kept(STAYS, most=9).worst if one.kind == "miss"]
    assert told == ["lower", "low", "higher"]


def test_the_onset_is_told_to_a_tenth_of_an_hour(tmp_path: Path) -> None:
    one: dict[str, Any] = {
        "kind": "miss",
        "site": "A",
        "stay_id": "s",
        "sex": None,
        "age_years": None,
        "care_unit": None,
    }
    one |= {"hour": [1, 2], "value": [0.1, 0.2], "low": [None] * 2, "high": [None] * 2, "alarms": []}
    policy = {"name": "own", "threshold": 0.5}
    record = {
        "settings": {"policies": [policy], "window_hours": 8.0},
        "cohorts": [{"models": [{"threshold": 0.5}]}],
    }
    for onset, said in ((1.27, "Onset at 1.3 h."), (2.0, "Onset at 2 h.")):
        told = json.dumps([one | {"onset_hour": onset, "variables": []}])
        (tmp_path / "trajectories.json").write_text(told, encoding="utf-8")
        assert said in draw_all(Material(tmp_path, record))["miss"][0].caption

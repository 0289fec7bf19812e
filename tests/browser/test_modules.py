"""The board's pure modules, run where they run: what a stay asks for, the order, the drawing, the sound."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page

from .conftest import Desk, Service

pytestmark = pytest.mark.browser

Run = Callable[[str, str, Any], Any]
NOW = 1_800_000_000_000  # milliseconds
MINUTE, HOUR = 60_000, 3_600_000

ALERT: dict[str, Any] = {
    "alert_id": 1,
    "priority": "high",
    "raised_at": NOW - HOUR,
    "acknowledged_by": None,
    "acknowledged_at": None,
    "acknowledgement_expires_at": None,
    "evaluation": "pending",
    "suppression": "none",
    "shelved_until": None,
    "closed_at": None,
}
TILE: dict[str, Any] = {
    "stay_id": "a",
    "bed": "1",
    "last_data_at": NOW - 5 * MINUTE,
    "usual_gap_minutes": 10,
    "score": {"time": NOW - HOUR / 2, "value": 0.1, "status": "present", "reason": ""},
    "alert": None,
}
TIMES = ("raised_at", "acknowledged_at", "acknowledgement_expires_at", "shelved_until", "closed_at")


@pytest.fixture(scope="module")
def page(service: Service, chromium: Any) -> Page:
    desk = Desk(chromium)
    page: Page = desk.open(f"{service.url}/icon.svg")
    return page


@pytest.fixture
def run(page: Page) -> Run:
    """Call `expression` over everything a module exports and `given`; times go in as milliseconds."""

    def call(module: str, expression: str, given: Any) -> Any:
        return page.evaluate(
            f"async (given) => {{ const it = await import('/js/{module}.js'); return ({expression}); }}",
            given,
        )

    return call


def text(milliseconds: float | None) -> str | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def alert(**changes: Any) -> dict[str, Any]:
    told = ALERT | changes
    return told | {name: text(told[name]) for name in TIMES}


def tile(**changes: Any) -> dict[str, Any]:
    told = TILE | changes
    score = told["score"] and told["score"] | {"time": text(told["score"]["time"])}
    return told | {"last_data_at": text(told["last_data_at"]), "score": score}


def read(run: Run, given: dict[str, Any], speed: float = 1) -> Any:
    return run("attention", "it.attention(...given)", [given, NOW, speed])


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, True),
        ({"acknowledged_at": NOW - 1, "acknowledgement_expires_at": NOW + 1}, False),
        ({"acknowledged_at": NOW - HOUR, "acknowledgement_expires_at": NOW - 1}, True),
        ({"evaluation": "refuted"}, False),
        ({"suppression": "shelved", "shelved_until": NOW + 1}, False),
        ({"suppression": "shelved", "shelved_until": NOW - 1}, True),
        ({"suppression": "out_of_service"}, False),
        ({"closed_at": NOW - 1}, False),
    ],
)
def test_every_acknowledgement_and_shelf_ends(run: Run, changes: dict[str, Any], needed: bool) -> None:
    assert read(run, tile(alert=alert(**changes)))["needsAnswer"] is needed


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        (None, "not scored yet"),
        (TILE["score"] | {"value": None, "status": "absent", "reason": "no data"}, "no data"),
        (TILE["score"] | {"time": NOW - 3 * HOUR}, "not renewed since"),
    ],
)
def test_no_score_or_an_old_one_is_technical(run: Run, score: Any, reason: str) -> None:
    found = read(run, tile(score=score))
    assert found["mark"] == "technical"
    assert reason in found["reason"]


@pytest.mark.parametrize(("minutes", "speed", "stale"), [(20, 1, False), (21, 1, True), (21, 360, False)])
def test_stale_is_older_than_twice_the_usual_gap(run: Run, minutes: float, speed: float, stale: bool) -> None:
    assert read(run, tile(last_data_at=NOW - minutes * MINUTE), speed)["stale"] is stale


def test_order_unanswered_then_answered_then_unscored_then_by_score(run: Run) -> None:
    answered = alert(acknowledged_at=NOW - 1, acknowledgement_expires_at=NOW + HOUR)
    tiles = [
        tile(stay_id="low"),
        tile(stay_id="unscored", score=None),
        tile(stay_id="answered", alert=answered),
        tile(stay_id="older", alert=alert(raised_at=NOW - 2 * HOUR)),
        tile(stay_id="higher", score=TILE["score"] | {"value": 0.2}),
        tile(stay_id="newer", alert=alert()),
    ]
    items = [{"tile": one, "attention": read(run, one)} for one in tiles]
    order = run("order", "given.sort(it.byRisk).map((item) => item.tile.stay_id)", items)
    assert order == ["newer", "older", "answered", "unscored", "higher", "low"]


def test_a_held_order_keeps_its_places_and_puts_the_new_on_top(run: Run) -> None:
    shown, wanted = ["a", "b", "c"], ["c", "new", "a"]
    assert run("order", "it.held(...given)", [shown, wanted]) == ["new", "a", "c"]


def test_a_sparkline_has_gaps_where_there_is_no_score(run: Run) -> None:
    points = [[text(NOW - hours * HOUR), value] for hours, value in ((3, 0.1), (2, None), (1, 0.2), (0, 0.3))]
    drawing = run("sparkline", "it.sparkline(...given)", [points, 0.3, NOW, {"value": 0.3}])
    assert drawing["path"].count("M") == 2
    assert len(drawing["dots"]) == 1
    assert drawing["threshold"] == "14.0"
    assert drawing["spread"] is None


@pytest.mark.parametrize(("high", "ends"), [(0.45, ["22.0", "8.0"]), (0.9, ["22.0", "2.0"])])
def test_a_sparkline_ends_in_the_spread_of_the_newest_score(run: Run, high: float, ends: list[str]) -> None:
    newest = {"value": 0.2, "low": 0.1, "high": high}
    drawing = run("sparkline", "it.sparkline(...given)", [[[text(NOW), 0.2]], 0.3, NOW, newest])
    assert (drawing["spread"], drawing["threshold"]) == (ends, "14.0")


def test_a_score_chart_has_gaps_where_there_is_no_spread(run: Run) -> None:
    scores = [
        {"time": text(NOW), "value": 0.3, "low": 0.2, "high": 0.4},
        {"time": text(NOW + HOUR), "value": 0.3, "low": None, "high": None},
        {"time": text(NOW + 2 * HOUR), "value": None},
    ]
    span = {"from": NOW - HOUR, "to": NOW + 3 * HOUR}
    _, low, high, value = run("align", "it.scoreColumns(...given)", [scores, span])
    assert low == [None, 0.2, None, None, None]
    assert high == [None, 0.4, None, None, None]
    assert value == [None, 0.3, 0.3, None, None]


@pytest.mark.parametrize(
    ("score", "words"),
    [
        ({"value": 0.32, "low": 0.21, "high": 0.45}, "0.32 (0.21 to 0.45)"),
        ({"value": 0.32, "low": None, "high": None}, "0.32"),
        ({"value": 0.32}, "0.32"),
        ({"value": None}, "—"),
    ],
)
def test_a_score_is_told_with_its_spread(run: Run, score: dict[str, Any], words: str) -> None:
    assert run("format", "it.scoreAndSpread(...given)", [score, 0.25]) == words


def test_observations_do_not_cut_the_band_and_late_and_withdrawn_ones_are_apart(run: Run) -> None:
    seen = [
        {"time": text(NOW), "known_at": text(NOW), "value": 1},
        {"time": text(NOW + MINUTE), "known_at": text(NOW + 2 * HOUR), "value": 2},
        {
            "time": text(NOW + MINUTE),
            "known_at": text(NOW + MINUTE),
            "known_until": text(NOW + HOUR),
            "value": 9,
        },
    ]
    band = {"time": [text(NOW - 1000)], "mean": [5], "low": [4], "high": [6]}
    columns = run(
        "align",
        "it.variableColumns(...given).map((cells) => cells.map((it) => it === undefined ? 'skip' : it))",
        [seen, band, {"from": NOW - HOUR, "to": NOW + HOUR}],
    )
    assert columns[3] == [None, 5, "skip", "skip", "skip", None]
    assert columns[4] == [None, None, 1, None, None, None]
    assert columns[5] == [None, None, None, 2, None, None]
    assert columns[6] == [None, None, None, None, 9, None]


@pytest.mark.parametrize(
    ("value", "sign", "words"), [(0.01, "<", "<0.01"), (50, ">", ">50"), (1234.5, "", "1235")]
)
def test_a_result_beyond_a_limit_is_shown_with_its_sign(
    run: Run, value: float, sign: str, words: str
) -> None:
    assert run("format", "it.measured(...given)", [value, sign]) == words


@pytest.mark.parametrize(("paused_at", "sounds"), [("high", False), ("medium", True), (None, True)])
def test_a_paused_sound_is_broken_only_by_a_higher_priority(
    run: Run, paused_at: str | None, sounds: bool
) -> None:
    did = run(
        "sound",
        "(() => { const s = it.createSound(); s.toggle(); s.pause(given);"
        " return [s.state().pausedSeconds, s.alert('medium'), s.alert('high')]; })()",
        paused_at,
    )
    assert did == [120, False, sounds]


def test_sound_is_off_until_somebody_switches_it_on(run: Run) -> None:
    assert run("sound", "it.createSound().alert('high')", None) is False


@pytest.mark.parametrize(
    ("value", "threshold", "words"),
    [(0.034, 0.03, "0.034"), (0.5, 0.25, "0.50"), (None, 0.25, "—"), (0, 0.25, "0.00")],
)
def test_a_score_has_the_decimals_its_threshold_needs(
    run: Run, value: float | None, threshold: float, words: str
) -> None:
    assert run("format", "it.scoreText(...given)", [value, threshold]) == words


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        ({"count": 5, "septic": 3, "hours_to_onset": [2, 6]}, "3 of 5 became septic, 2 to 6 h later."),
        ({"count": 5, "septic": 1, "hours_to_onset": [4, 4]}, "1 of 5 became septic, 4 h later."),
        ({"count": 4, "septic": 1, "hours_to_onset": [0, 0]}, "1 of 4 became septic, in that very hour."),
        ({"count": 5, "septic": 0, "hours_to_onset": None}, "None of 5 became septic."),
    ],
)
def test_what_became_of_past_stays_is_one_sentence(run: Run, summary: dict[str, Any], words: str) -> None:
    assert run("similar", "it.sentence(given, [])", summary) == words


def test_of_some_past_stays_nobody_knows_when(run: Run) -> None:
    similar = [{"septic": True, "hours_to_onset": hours} for hours in (2, None)]
    given = {"summary": {"count": 5, "septic": 2, "hours_to_onset": [2, 2]}, "similar": similar}
    told = run("similar", "it.sentence(given.summary, given.similar)", given)
    assert told == "2 of 5 became septic, 2 h later where it is told."


def test_past_courses_are_columns_of_their_own_by_outcome(run: Run) -> None:
    similar = {
        "hours": [text(NOW - HOUR), text(NOW)],
        "similar": [
            {"septic": False, "course": {"lactate": [1, None]}},
            {"septic": True, "course": {"lactate": [3, 4]}},
            {"septic": True, "course": {}},
        ],
    }
    span = {"from": NOW - 2 * HOUR, "to": NOW + HOUR}
    columns = run(
        "align",
        "it.variableColumns([], null, given[1], it.pastCourses(given[0], 'lactate'))"
        ".map((cells) => cells.map((it) => it === undefined ? 'skip' : it))",
        [similar, span],
    )
    assert len(columns) == 17
    assert sorted(cell for cell in columns[1] if cell != "skip" and cell is not None) == [3, 4]
    assert [cell for cell in columns[6] if cell != "skip"] == [None, 1, None, None]
    assert [cell for cell in columns[2][1:-1] if cell != "skip"] == []

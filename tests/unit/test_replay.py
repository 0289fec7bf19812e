"""Replay: the order of events, the pace, and what becomes of every row when the service has trouble."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.stay import Stay, observation_table
from pipelines.bedside import BedsideStay, Reading
from pipelines.client import ServiceClient, ServiceRefused, ServiceTime, ServiceUnreachable
from pipelines.replay import ROWS_PER_REQUEST, AtSpeed, Progress, WithService, replay
from pipelines.timeline import Admitted, Discharged, Known, from_stay, into_beds, shifted, timeline

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
Answer = Callable[[httpx.Request], httpx.Response]


def reading(hour: float, name: str = "heart_rate", value: float | str = 80.0, lag: float = 0.0) -> Reading:
    return Reading(START + hour * HOUR, START + (hour + lag) * HOUR, name, value, "1/min")


def bedside(stay_id: str, *readings: Reading, discharged: float | None = None) -> BedsideStay:
    end = None if discharged is None else START + discharged * HOUR
    return BedsideStay(stay_id, stay_id, START, end, readings)


class Ward:
    """A service in memory that keeps what it was told, behind faults that a test puts before it."""

    def __init__(self, *faults: Answer) -> None:
        self.faults = list(faults)
        self.stays: list[dict[str, object]] = []
        self.requests: list[list[dict[str, object]]] = []

    def client(self, patience: timedelta = timedelta(seconds=30)) -> ServiceClient:
        http = httpx.Client(base_url="http://ward", transport=httpx.MockTransport(self.answer))
        return ServiceClient(http, patience)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.faults:
            return self.faults.pop(0)(request)
        if request.url.path == "/v1/stays":
            self.stays.append(json.loads(request.content))
            return httpx.Response(201, json={})
        rows = json.loads(request.content)["observations"]
        known = {json.dumps(row) for request_rows in self.requests for row in request_rows}
        self.requests.append(rows)
        verdicts = [{"status": "duplicate" if json.dumps(row) in known else "accepted"} for row in rows]
        return httpx.Response(200, json={"rows": verdicts})

    @property
    def rows(self) -> list[dict[str, object]]:
        return [row for request_rows in self.requests for row in request_rows]


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


def busy(status: int, **headers: str) -> Answer:
    return lambda _: httpx.Response(status, headers=headers)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that sleeping moves, so that no test waits."""
    waits: list[float] = []
    monkeypatch.setattr("time.monotonic", lambda: 1000.0 + sum(waits))
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


def test_events_are_merged_by_known_at_and_one_instant_stays_together() -> None:
    late = reading(1, "lactate", 2.0, lag=1.0)
    first = bedside("a", reading(1), late, reading(2, "temperature", 37.0), discharged=3)
    second = bedside("b", reading(1.5))
    events = [(type(event), event.at - START, event.stay.stay_id) for event in timeline([first, second])]
    assert events == [
        (Admitted, 0 * HOUR, "a"),
        (Admitted, 0 * HOUR, "b"),
        (Known, 1 * HOUR, "a"),
        (Known, 1.5 * HOUR, "b"),
        (Known, 2 * HOUR, "a"),
        (Discharged, 3 * HOUR, "a"),
    ]
    (together,) = [
        event for event in timeline([first]) if isinstance(event, Known) and event.at == START + 2 * HOUR
    ]
    assert together.readings == first.readings[1:]


def test_only_as_many_stays_as_fit_are_held() -> None:
    held: list[str] = []

    def source() -> Iterator[BedsideStay]:
        for name in "abc":
            held.append(name)
            yield bedside(name, reading(1), reading(2))

    events = timeline(source(), capacity=1)
    assert [next(events).stay.stay_id for _ in range(3)] == ["a", "a", "a"]
    assert held == ["a", "b"]
    assert [event.stay.stay_id for event in events] == ["b"] * 3 + ["c"] * 3


def test_a_stay_is_shifted_as_a_whole() -> None:
    stay = replace(bedside("a", reading(1, lag=0.5), discharged=2), hospital_admitted_at=START - HOUR)
    offset = timedelta(days=3000, microseconds=1)
    moved = shifted(stay, offset)
    assert shifted(moved, -offset) == stay
    assert moved.readings[0].known_at - moved.admitted_at == stay.readings[0].known_at - stay.admitted_at
    assert moved.hospital_admitted_at == START - HOUR + offset


def test_past_stays_share_beds_one_after_the_other() -> None:
    stays = [bedside(str(i), reading(1 + i % 3)) for i in range(9)]
    moved = list(into_beds(stays, 2, START, backfill=4 * HOUR))
    assert [stay.stay_id for stay in moved] == [str(i) for i in range(9)]
    assert [stay.admitted_at for stay in moved[:2]] == [START - 4 * HOUR, START - 2 * HOUR]
    assert [stay.admitted_at for stay in moved] == sorted(stay.admitted_at for stay in moved)
    for bed in ("01", "02"):
        here = [stay for stay in moved if stay.bed == bed]
        assert all(came.admitted_at >= left.ends_at for left, came in pairwise(here))


def test_a_checked_stay_is_sent_as_it_is() -> None:
    table = observation_table([START, START], [START, START + HOUR], ["ph", "heart_rate"], [0.1 + 7.2, 81.0])
    ward = Ward()
    progress = replay([from_stay(Stay("a", "s", START, table))], ward.client(), AtSpeed(math.inf))
    assert ward.rows == [
        {
            "stay_id": "a",
            "time": "2026-11-22T08:00:00+00:00",
            "known_at": f"2026-11-22T0{hour}:00:00+00:00",
            "variable": name,
            "value": value,
            "unit": unit,
        }
        for hour, name, value, unit in ((8, "ph", 0.1 + 7.2, "pH"), (9, "heart_rate", 81.0, "1/min"))
    ]
    assert (progress.admitted, progress.accepted, progress.discharged) == (1, 2, 0)


def test_what_was_corrected_or_withdrawn_is_sent_as_its_sender_would() -> None:
    table = observation_table(
        [START] * 5,
        [START, START, START + HOUR, START, START + HOUR],
        ["lactate", "lactate", "lactate", "heart_rate", "ph"],
        [9.1, 0.05, 2.0, 81.0, 7.3],
        known_until=[START + HOUR, START + 2 * HOUR, None, None, START + HOUR],
        censored=["", "<", "", "", ""],
    )
    readings = from_stay(Stay("a", "s", START, table)).readings
    told = [((one.known_at - START) // HOUR, one.variable, one.value, one.status) for one in readings]
    assert told == [
        (0, "heart_rate", 81.0, "final"),
        (0, "lactate", "<0.05", "final"),
        (0, "lactate", 9.1, "final"),
        (1, "lactate", 2.0, "corrected"),
        (1, "ph", 7.3, "final"),
        (1, "ph", 7.3, "entered-in-error"),
        (2, "lactate", "<0.05", "entered-in-error"),
    ]
    names = [one.identifier for one in readings]
    assert names[0] == ""
    assert names[1] == names[6] != names[2] == names[3]
    ward = Ward()
    replay([from_stay(Stay("a", "s", START, table))], ward.client(), AtSpeed(math.inf))
    sent = {(row["known_at"], row["value"]): row.get("status") for row in ward.rows}
    assert sent["2026-11-22T10:00:00+00:00", "<0.05"] == "entered-in-error"


def test_large_replays_are_cut_between_instants_never_within() -> None:
    size = ROWS_PER_REQUEST * 2 // 5
    stays = [bedside(name, *(reading(1) for _ in range(size))) for name in "abc"]
    ward = Ward()
    assert replay(stays, ward.client(), AtSpeed(math.inf)).rows == 3 * size
    assert [[row["stay_id"] for row in request] for request in ward.requests] == [
        ["a"] * size + ["b"] * size,
        ["c"] * size,
    ]


def test_trouble_that_passes_loses_nothing(slept: list[float]) -> None:
    ward = Ward(broken, broken, busy(503), busy(429, **{"Retry-After": "3"}))
    heard: list[Progress] = []
    progress = replay([bedside("a", reading(1))], ward.client(), AtSpeed(math.inf), heard.append)
    assert (len(ward.stays), len(ward.rows), progress.accepted) == (1, 1, 1)
    assert slept == [0.1, 0.2, 0.4, 3.0]
    assert heard[-1].accepted == 1


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    """The rows are stored, then the connection breaks: the second try comes back as duplicates."""
    ward = Ward()

    def stored_but_lost(request: httpx.Request) -> httpx.Response:
        ward.answer(request)
        raise httpx.ReadError("connection reset", request=request)

    ward.faults += [lambda _: httpx.Response(201, json={}), stored_but_lost]
    progress = replay([bedside("a", reading(1), reading(2))], ward.client(), AtSpeed(math.inf))
    assert (progress.accepted, progress.duplicate) == (0, 2)


def test_patience_ends(slept: list[float]) -> None:
    client = Ward(*[broken] * 100).client(patience=timedelta(seconds=20))
    with pytest.raises(
        ServiceUnreachable, match=r"POST http://ward/v1/stays: ConnectError: connection refused"
    ):
        replay([bedside("a", reading(1))], client, AtSpeed(math.inf))
    assert sum(slept) <= 20


def test_a_refused_stay_is_named_and_the_others_go_on() -> None:
    ward = Ward(lambda _: httpx.Response(409, text="admitted_at contradicts"))
    stays = [bedside("a", reading(1)), bedside("b", reading(1))]
    progress = replay(stays, ward.client(), AtSpeed(math.inf))
    assert "409 admitted_at contradicts" in progress.refused[0]
    assert [row["stay_id"] for row in ward.rows] == ["b"]


def test_a_refused_batch_is_an_error_not_a_loss() -> None:
    ward = Ward(lambda _: httpx.Response(201, json={}), lambda _: httpx.Response(413, text="too large"))
    with pytest.raises(ServiceRefused, match="413 too large"):
        replay([bedside("a", reading(1))], ward.client(), AtSpeed(math.inf))


def test_rejections_are_counted_by_reason() -> None:
    rejected = {"status": "rejected", "reason": "implausible", "detail": "heart_rate 900"}
    answer = {"rows": [{"status": "accepted"}, rejected]}
    ward = Ward(lambda _: httpx.Response(201, json={}), lambda _: httpx.Response(200, json=answer))
    progress = replay([bedside("a", reading(1), reading(2, value=900.0))], ward.client(), AtSpeed(math.inf))
    assert (progress.accepted, dict(progress.rejected), progress.rows) == (1, {"implausible": 1}, 2)


def test_speed_spreads_events_over_time(slept: list[float]) -> None:
    ward = Ward()
    replay([bedside("a", reading(1), reading(3), discharged=4)], ward.client(), AtSpeed(3600.0))
    assert [len(request) for request in ward.requests] == [1, 1]
    assert sum(slept) == pytest.approx(4.0)
    assert ward.stays[-1]["discharged_at"] == "2026-11-22T12:00:00+00:00"


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_speed_that_never_arrives_is_refused(speed: float) -> None:
    with pytest.raises(InvalidInput, match="must be above 0"):
        AtSpeed(speed)


def test_with_the_service_past_rows_go_at_once_and_the_rest_when_its_clock_is_there(
    slept: list[float],
) -> None:
    now = {"now": (START + 5 * HOUR).isoformat(), "clock": {"speed": 360.0, "simulated": True}}
    ward = Ward(lambda _: httpx.Response(200, json=now))
    client = ward.client()
    replay([bedside("a", reading(1), reading(4), reading(6))], client, WithService(client))
    assert [len(request) for request in ward.requests] == [2, 1]
    assert sum(slept) == pytest.approx(10.0)


def test_a_row_that_came_too_early_is_sent_again_when_the_clock_is_there(slept: list[float]) -> None:
    def clock(hours: float) -> Answer:
        now = (START + hours * HOUR).isoformat()
        return lambda _: httpx.Response(200, json={"now": now, "clock": {"speed": 360.0, "simulated": True}})

    early = {"rows": [{"status": "rejected", "reason": "in_future"}, {"status": "accepted"}]}
    stepped_back = [
        clock(3),
        lambda _: httpx.Response(201, json={}),
        lambda _: httpx.Response(200, json=early),
    ]
    ward = Ward(*stepped_back, clock(1))
    client = ward.client()
    progress = replay([bedside("a", reading(2), reading(1))], client, WithService(client))
    assert (progress.accepted, progress.rejected.total()) == (2, 0)
    assert [row["time"] for row in ward.rows] == ["2026-11-22T10:00:00+00:00"]
    assert sum(slept) == pytest.approx(10.0)


def test_the_service_clock_is_never_taken_to_be_ahead_of_itself() -> None:
    read = ServiceTime(START, speed=360.0, simulated=True, read_at=50.0)
    assert read.at(50.0) == START
    assert read.at(60.0) == START + HOUR

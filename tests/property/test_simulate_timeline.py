"""The time line loses nothing, tears nothing apart and keeps the order, whatever stays it is given."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.bedside import BedsideStay, Reading
from pipelines.timeline import Admitted, Discharged, Event, Known, into_beds, timeline

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
MINUTES = st.integers(0, 20).map(lambda minutes: timedelta(minutes=minutes))
QUICK = settings(max_examples=60)


@st.composite
def wards(draw: st.DrawFn) -> list[BedsideStay]:
    """Stays by admission, with few distinct instants, so that ties are common."""
    stays = []
    for number, admitted in enumerate(sorted(draw(st.lists(MINUTES, max_size=6)))):
        begin = START + admitted
        pairs = draw(st.lists(st.tuples(MINUTES, MINUTES), max_size=8))
        readings = [
            Reading(begin + time, begin + time + lag, "heart_rate", float(row), "1/min")
            for row, (time, lag) in enumerate(pairs)
        ]
        readings.sort(key=lambda reading: (reading.known_at, reading.time))
        end = begin + timedelta(minutes=40) if draw(st.booleans()) else None
        stays.append(BedsideStay(f"s{number}", f"p{number}", begin, end, tuple(readings)))
    return stays


@QUICK
@given(stays=wards(), capacity=st.integers(1, 7))
def test_every_stay_comes_whole_and_in_its_own_order(stays: list[BedsideStay], capacity: int) -> None:
    events = list(timeline(stays, capacity))
    for stay in stays:
        own = [event for event in events if event.stay is stay]
        assert isinstance(own[0], Admitted)
        assert isinstance(own[-1], Discharged) == (stay.discharged_at is not None)
        known = [event for event in own if isinstance(event, Known)]
        assert tuple(reading for event in known for reading in event.readings) == stay.readings
        assert max(Counter(event.at for event in known).values(), default=1) == 1
        assert [event.at for event in own] == sorted(event.at for event in own)


@QUICK
@given(stays=wards())
def test_with_room_for_all_the_whole_line_is_in_order(stays: list[BedsideStay]) -> None:
    times = [event.at for event in timeline(stays)]
    assert times == sorted(times)


@QUICK
@given(stays=wards(), capacity=st.integers(1, 7))
def test_no_more_stays_than_fit_are_open_at_once(stays: list[BedsideStay], capacity: int) -> None:
    def last_event(stay: BedsideStay, events: list[Event]) -> int:
        return max(index for index, event in enumerate(events) if event.stay is stay)

    events = list(timeline(stays, capacity))
    ends = {stay.stay_id: last_event(stay, events) for stay in stays}
    open_now: set[str] = set()
    for index, event in enumerate(events):
        open_now.add(event.stay.stay_id)
        assert len(open_now) <= capacity
        open_now = {stay_id for stay_id in open_now if ends[stay_id] > index}


@QUICK
@given(stays=wards(), beds=st.integers(1, 4))
def test_a_bed_is_never_shared_and_a_stay_only_moves(stays: list[BedsideStay], beds: int) -> None:
    moved = list(into_beds(stays, beds, START))
    free: dict[str | None, datetime] = {}
    for before, after in zip(stays, moved, strict=True):
        assert after.admitted_at >= free.get(after.bed, after.admitted_at)
        free[after.bed] = after.ends_at
        offset = after.admitted_at - before.admitted_at
        assert after.readings == tuple(reading.shifted(offset) for reading in before.readings)
    assert len(free) <= beds

"""The contract of a score: what comes later, what else is scored and how rows are ordered change no bit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import registry
from models.clinical.score import ScoreSeries
from models.clinical.stay import Stay, observation_table
from models.clinical.variables import CATALOGUE
from models.mgp_tcn import MGPTCN

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
QUICK = settings(max_examples=25)


@cache
def shipped() -> MGPTCN:
    model = registry.load("mgp-tcn")
    assert isinstance(model, MGPTCN)
    return model


def bits(series: ScoreSeries, hours: int | None = None) -> bytes:
    """The first `hours` scores and their spreads, bit for bit."""
    return b"".join(one[:hours].tobytes() for one in (series.value, series.low, series.high))


@st.composite
def stays(draw: st.DrawFn, longest_hours: int = 90, most_rows: int = 400) -> Stay:
    """Stays with late, simultaneous and repeated measurements, some withdrawn; long, short and empty ones."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.sampled_from([0, 1, 2, 63, 64, 65, 130, most_rows]))
    hours = draw(st.integers(1, longest_hours))
    minutes = random.uniform(-30, 60 * hours, rows)
    if draw(st.booleans()):
        minutes = np.floor(minutes / 60) * 60  # charted on the hour: ties, and values on the grid itself
    lag = random.choice([0.0, 0.0, 5.0, 60.0, 60.0 * hours], rows)
    names = random.choice(list(CATALOGUE), rows, p=_often_vital())
    values = [random.uniform(*CATALOGUE[name].plausible) for name in names]
    times = [ADMITTED + timedelta(microseconds=round(minute * 60e6)) for minute in minutes]
    known = [time + timedelta(minutes=float(wait)) for time, wait in zip(times, lag, strict=True)]
    gone = random.random(rows) < draw(st.sampled_from([0.0, 0.0, 0.02, 0.3]))
    stood = random.choice([0.0, 30.0, 300.0], rows)
    until = [
        one + timedelta(minutes=float(wait)) if end else None
        for one, wait, end in zip(known, stood, gone, strict=True)
    ]
    return Stay(
        "s",
        "p",
        ADMITTED,
        observation_table(times, known, names, values, known_until=until),
        age_years=draw(st.none() | st.floats(18, 100)),
        sex=draw(st.sampled_from([None, "female", "male"])),
        care_unit=draw(st.sampled_from([None, "MICU", "4B"])),
        hospital_admitted_at=draw(st.sampled_from([None, ADMITTED - timedelta(hours=31)])),
    )


def _often_vital() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    weight = np.array([8.0 if row.kind == "vital" else 1.0 for row in CATALOGUE.values()])
    return np.asarray(weight / weight.sum())


@QUICK
@given(stays(), st.integers(0, 120), st.integers(0, 59))
def test_cutting_a_stay_changes_no_earlier_score(stay: Stay, hour: int, minute: int) -> None:
    cut = ADMITTED + timedelta(hours=hour, minutes=minute)
    end = max(cut, stay.last_known_at)
    whole = shipped().score(stay, end)
    part = shipped().score(stay.until(cut), cut)
    upto = ADMITTED + timedelta(hours=hour)  # the cut hour itself still lacks what becomes known later in it
    assert bits(part.until(upto)) == bits(whole.until(upto))
    assert part.until(upto).status == whole.until(upto).status
    assert part.until(upto).reason == whole.until(upto).reason


def test_a_two_week_stay_with_late_results_is_cut_like_any_other() -> None:
    random = np.random.default_rng(8)
    time = [ADMITTED + timedelta(minutes=float(minute)) for minute in random.uniform(0, 336 * 60, 1500)]
    known = [
        one + timedelta(hours=float(wait))
        for one, wait in zip(time, random.exponential(2, 1500), strict=True)
    ]
    names = random.choice(list(CATALOGUE), 1500, p=_often_vital())
    values = [random.uniform(*CATALOGUE[name].normal) for name in names]
    stay = Stay("s", "p", ADMITTED, observation_table(time, known, names, values))
    whole = shipped().score(stay)
    for hours in (1, 31, 32, 33, 200, 335):
        cut = ADMITTED + timedelta(hours=hours)
        assert bits(shipped().score(stay.until(cut), cut)) == bits(whole.until(cut))


@QUICK
@given(stays(), st.integers(0, 400))
def test_the_end_of_the_grid_changes_no_score(stay: Stay, hours: int) -> None:
    default, asked = shipped().score(stay), shipped().score(stay, ADMITTED + timedelta(hours=hours))
    shared = min(len(default), len(asked))
    assert bits(default, shared) == bits(asked, shared)


@QUICK
@given(stays(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_score(stay: Stay, random: object) -> None:
    table = stay.observations.sample(frac=1.0, random_state=random.randint(0, 2**31))  # type: ignore[attr-defined]
    rows = {column: table[column] for column in table.columns}
    shuffled = replace(stay, observations=observation_table(**rows))
    assert bits(shipped().score(shuffled)) == bits(shipped().score(stay))


@QUICK
@given(stays(), st.timedeltas(timedelta(days=-4000), timedelta(days=4000)))
def test_moving_a_stay_in_time_changes_no_score(stay: Stay, shift: timedelta) -> None:
    table = stay.observations
    moved = replace(
        stay,
        admitted_at=stay.admitted_at + shift,
        hospital_admitted_at=stay.hospital_admitted_at and stay.hospital_admitted_at + shift,
        observations=observation_table(
            table["time"] + shift,
            table["known_at"] + shift,
            table["variable"],
            table["value"],
            known_until=table["known_until"] + shift,
        ),
    )
    assert bits(shipped().score(moved)) == bits(shipped().score(stay))


@QUICK
@given(stays(), st.sampled_from([1, 2]))
def test_threads_and_other_stays_change_no_score(stay: Stay, threads: int) -> None:
    first = shipped().score(stay)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        shipped().score(replace(stay, observations=stay.observations.iloc[::2]))
        again = shipped().score(stay)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert bits(again) == bits(first)


@QUICK
@given(stays(), st.integers(0, 90))
def test_the_posterior_of_an_hour_ignores_what_becomes_known_later(stay: Stay, hours: int) -> None:
    cut = ADMITTED + timedelta(hours=hours)
    whole = shipped().posterior(stay, ["heart_rate", "lactate"], max(cut, stay.last_known_at))
    part = shipped().posterior(stay.until(cut), ["heart_rate", "lactate"], cut)
    for name in ("heart_rate", "lactate"):
        for found, full in ((part.mean, whole.mean), (part.low, whole.low), (part.high, whole.high)):
            assert found[name].tobytes() == full[name][:hours].tobytes()


@QUICK
@given(stays())
def test_every_hour_has_a_finite_score_or_a_reason(stay: Stay) -> None:
    series = shipped().score(stay)
    assert len(series) == len(stay.grid())
    for score in series:
        assert (score.value is None) == (score.status != "present") == bool(score.reason)
        assert (score.value is None) == (score.low is None) == (score.high is None)

"""What holds for every rule on every stay: causality, order, time shift, and shares that add up."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.score import ScoreSeries
from models.clinical.stay import Stay, observation_table
from models.rules import NEWS2, QSOFA, SIRS

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)
VARIABLES = ("respiratory_rate", "heart_rate", "systolic_pressure", "oxygen_saturation", "temperature",
             "fio2", "paco2", "wbc", "glucose")  # fmt: skip
# small whole numbers of minutes collide often: ties and corrections are the hard cases
ROW = st.tuples(
    st.integers(0, 60),
    st.integers(0, 30),
    st.sampled_from(VARIABLES),
    st.integers(0, 130),
    st.none() | st.integers(0, 9),
)
ROWS = st.lists(ROW, max_size=40)
Rows = list[tuple[int, int, str, int, int | None]]

rules = pytest.mark.parametrize("rule", [NEWS2(), QSOFA(), SIRS()], ids=lambda rule: rule.name)
quick = settings(max_examples=40)


def stay_of(rows: Rows, admitted: datetime = ADMITTED) -> Stay:
    time = [admitted + timedelta(minutes=30 * row[0]) for row in rows]
    known_at = [at + timedelta(minutes=30 * row[1]) for at, row in zip(time, rows, strict=True)]
    until = [
        None if row[4] is None else known + timedelta(minutes=30 * row[4])
        for known, row in zip(known_at, rows, strict=True)
    ]
    names, values = [row[2] for row in rows], [row[3] for row in rows]
    return Stay("s", "s", admitted, observation_table(time, known_at, names, values, known_until=until))


def assert_same(left: ScoreSeries, right: ScoreSeries) -> None:
    np.testing.assert_array_equal(left.value, right.value)
    assert (left.status, left.reason) == (right.status, right.reason)


@rules
@quick
@given(rows=ROWS, minutes=st.integers(0, 45 * 60))
def test_a_score_never_depends_on_what_was_known_later(
    rule: NEWS2 | QSOFA | SIRS, rows: Rows, minutes: int
) -> None:
    stay, now = stay_of(rows), ADMITTED + timedelta(minutes=minutes)
    assert_same(rule.score(stay.until(now), now).until(now), rule.score(stay, now).until(now))


@rules
@quick
@given(rows=ROWS, seed=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rule: NEWS2 | QSOFA | SIRS, rows: Rows, seed: object) -> None:
    shuffled = list(rows)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert_same(rule.score(stay_of(rows)), rule.score(stay_of(shuffled)))


@rules
@quick
@given(rows=ROWS, days=st.integers(-30_000, 30_000))
def test_a_shift_in_time_changes_nothing(rule: NEWS2 | QSOFA | SIRS, rows: Rows, days: int) -> None:
    shifted = stay_of(rows, ADMITTED + timedelta(days=days))
    assert_same(rule.score(stay_of(rows)), rule.score(shifted))


@rules
@quick
@given(rows=ROWS)
def test_shares_add_up_to_the_score(rule: NEWS2 | QSOFA | SIRS, rows: Rows) -> None:
    stay = stay_of(rows)
    for score in list(rule.score(stay))[::7]:
        shares = [item.share for item in rule.explain(stay, score.time).contributions]
        assert shares == sorted(shares, reverse=True)
        if score.value is not None:
            assert sum(shares) == pytest.approx(score.value, abs=1e-12)

"""Stretches: where a stay is cut, and what each piece knows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import Stay, observation_table
from models.revisions import score_as_known, stretches
from models.rules import NEWS2

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)


def stay(*ends: float | None) -> Stay:
    """A heart rate each hour from the first on, 100 + its number, withdrawn at these hours."""
    times = [ADMITTED + timedelta(hours=number) for number in range(len(ends))]
    until = [None if end is None else ADMITTED + timedelta(hours=end) for end in ends]
    values = [100.0 + number for number in range(len(ends))]
    return Stay(
        "s",
        "p",
        ADMITTED,
        observation_table(times, times, ["heart_rate"] * len(ends), values, known_until=until),
    )


@pytest.mark.parametrize(
    ("ends", "pieces"),
    [
        ((None, None, None, None), [(0, 3, 4)]),
        ((2.0, None, None, None), [(0, 1, 4), (1, 3, 3)]),  # gone at the second grid hour itself
        ((1.5, 1.8, None, None), [(0, 1, 4), (1, 3, 2)]),  # one hour, two withdrawals, one piece
        ((0.5, None, 2.5, None), [(0, 2, 3), (2, 3, 2)]),  # withdrawn before the first hour: never known
        ((None, None, None, 9.0), [(0, 3, 4)]),  # withdrawn after the end asked for
    ],
)
def test_a_stay_is_cut_at_the_first_hour_that_no_longer_knows_a_row(
    ends: tuple[float | None, ...], pieces: list[tuple[int, int, int]]
) -> None:
    one = stay(*ends)
    found = list(stretches(one, one.grid()))
    assert [(piece.first, piece.stop, len(piece.known.observations)) for piece in found] == pieces
    assert [piece.end for piece in found] == [one.grid()[piece.stop - 1] for piece in found]


def test_a_stay_without_corrections_is_scored_once_and_as_it_is() -> None:
    asked: list[Stay] = []

    def score(one: Stay, end: datetime | None) -> ScoreSeries:
        asked.append(one)
        return NEWS2().score(one, end)

    whole = stay(None, None)
    score_as_known(whole, None, score)
    assert len(asked) == 1
    assert asked[0] is whole


def test_each_hour_has_the_spread_of_what_stood_then() -> None:
    def score(one: Stay, end: datetime | None) -> ScoreSeries:
        plain = NEWS2().score(one, end)
        value, known = np.full(len(plain), 0.5), len(one.observations)
        status = (ScoreStatus.PRESENT,) * len(plain)
        return replace(plain, value=value, status=status, low=value - known / 10, high=value + known / 20)

    found = score_as_known(stay(2.0, None, None, None), None, score)
    np.testing.assert_allclose(found.low, [0.1, 0.2, 0.2])
    np.testing.assert_allclose(found.high, [0.7, 0.65, 0.65])


def test_an_end_before_the_first_hour_has_no_scores() -> None:
    assert len(NEWS2().score(stay(0.5, 1.5), ADMITTED - timedelta(hours=1))) == 0
    assert len(NEWS2().score(Stay("s", "p", ADMITTED))) == 0

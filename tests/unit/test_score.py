"""Score series: a number or a reason, never both, never neither; a spread only beside a number."""

import numpy as np
import pandas as pd
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.score import ScoreSeries, ScoreStatus

TIMES = pd.date_range("2026-01-01", periods=2, freq="h", tz="UTC")
PRESENT, ABSENT = ScoreStatus.PRESENT, ScoreStatus.ABSENT


def series(values: list[float], status: list[ScoreStatus], reason: list[str]) -> ScoreSeries:
    return ScoreSeries("s", "m", TIMES, np.array(values), tuple(status), tuple(reason))


def spread_of(low: list[float], high: list[float]) -> ScoreSeries:
    """A score at the first hour and none at the second, with this spread."""
    words = (PRESENT, ABSENT), ("", "no data")
    return ScoreSeries("s", "m", TIMES, np.array([0.3, np.nan]), *words, np.array(low), np.array(high))


def test_iterates_as_scores_and_cuts_by_time() -> None:
    both = series([0.25, np.nan], [PRESENT, ABSENT], ["", "no observation yet"])
    assert [score.value for score in both] == [0.25, None]
    assert [score.value for score in both.until(TIMES[0].to_pydatetime())] == [0.25]


@pytest.mark.parametrize(
    ("values", "status", "reason", "named"),
    [
        ([0.5, 1.5], [PRESENT, PRESENT], ["", ""], r"1\.5"),
        ([0.5, np.nan], [PRESENT, PRESENT], ["", ""], "None"),
        ([0.5, np.nan], [PRESENT, ABSENT], ["", ""], "needs a reason"),
        ([0.5, 0.1], [PRESENT, ABSENT], ["", "stale"], "no value"),
        ([0.5], [PRESENT, PRESENT], ["", ""], "differ in length"),
    ],
)
def test_silence_and_numbers_cannot_be_confused(
    values: list[float], status: list[ScoreStatus], reason: list[str], named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        series(values, status, reason)


def test_a_model_that_states_no_spread_has_none() -> None:
    both = series([0.25, np.nan], [PRESENT, ABSENT], ["", "no observation yet"])
    assert [(score.low, score.high) for score in both] == [(None, None)] * 2
    assert np.isnan([both.low, both.high]).all()


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.5), (0.0, 1.0), (0.3, 0.3), (0.4, 0.5)])
def test_a_spread_goes_with_its_score(low: float, high: float) -> None:
    both = spread_of([low, np.nan], [high, np.nan])
    assert [(score.low, score.high) for score in both] == [(low, high), (None, None)]
    assert [(score.low, score.high) for score in both.until(TIMES[0].to_pydatetime())] == [(low, high)]


@pytest.mark.parametrize(
    ("low", "high", "named"),
    [
        ([0.5, np.nan], [0.2, np.nan], "0.5 to 0.2"),
        ([-0.1, np.nan], [0.2, np.nan], "-0.1 to"),
        ([0.1, np.nan], [1.1, np.nan], "to 1.1"),
        ([0.1, np.nan], [np.nan, np.nan], "to None"),
        ([np.nan, np.nan], [0.2, np.nan], "None to"),
        ([0.1, 0.1], [0.2, 0.2], "of score None"),
        ([0.1], [0.2], "differ in length"),
    ],
)
def test_an_impossible_spread_is_refused(low: list[float], high: list[float], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        spread_of(low, high)

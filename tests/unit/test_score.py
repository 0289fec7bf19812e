"""Score series: a number or a reason, never both, never neither."""

import numpy as np
import pandas as pd
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.score import ScoreSeries, ScoreStatus

TIMES = pd.date_range("2026-01-01", periods=2, freq="h", tz="UTC")
PRESENT, ABSENT = ScoreStatus.PRESENT, ScoreStatus.ABSENT


def series(values: list[float], status: list[ScoreStatus], reason: list[str]) -> ScoreSeries:
    return ScoreSeries("s", "m", TIMES, np.array(values), tuple(status), tuple(reason))


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

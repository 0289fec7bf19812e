"""At one budget a model warns as often as it can on the way down from its highest score, and no further."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from models.clinical.alarm import AlarmPolicy
from pipelines.evaluate.budget import within_budget
from pipelines.evaluate.scored import Evidence, Scores

STAYS, HOURS = 30, 240
NO_TIME = timedelta(0)
PLAIN = AlarmPolicy(0.5, refractory=NO_TIME)


def evidence(score: np.ndarray, onset_hour: float = np.nan) -> Evidence:
    """Long stays (S, H) without an event, or each with one from `onset_hour` on."""
    rows = np.full(len(score), score.shape[1])
    stays = pd.DataFrame({"site": "A", "subject_id": [f"p{n}" for n in range(len(score))]})
    stays = stays.assign(stay_id=stays["subject_id"], onset_hour=onset_hour, care_unit=None)
    hour = np.tile(np.arange(1, score.shape[1] + 1), len(score))
    value = score.ravel()
    return Evidence(stays, rows, hour, np.zeros(len(value), dtype=np.int8), {"model": Scores(value, value)})


def alarms(score: np.ndarray, threshold: float) -> int:
    """Hours where the score newly reaches `threshold`; no refractory time swallows one here."""
    reached = score >= threshold
    return int((reached[:, 1:] & ~reached[:, :-1]).sum() + reached[:, 0].sum())


@pytest.fixture(scope="module")
def peaks() -> np.ndarray:
    """Scores that lie near 0.02 and rise to a height of their own every twelve hours."""
    random = np.random.default_rng(5)
    score = random.uniform(0.01, 0.03, (STAYS, HOURS))
    score[:, ::12] = random.uniform(0.1, 0.9, (STAYS, HOURS // 12))
    return score


def test_a_threshold_that_everybody_is_above_for_ever_is_not_taken(peaks: np.ndarray) -> None:
    days = STAYS * HOURS / 24
    assert alarms(peaks, peaks.min()) / days == pytest.approx(0.1)  # one a stay: it would keep to the budget
    found = within_budget(evidence(peaks), "model", PLAIN, 0.5)
    assert found is not None
    assert found.alarms_per_bed_day == pytest.approx(0.5)
    assert found.policy.threshold == np.sort(peaks.ravel())[-int(0.5 * days)]  # to the very score


def test_nor_is_it_where_no_threshold_exceeds_the_budget(peaks: np.ndarray) -> None:
    found = within_budget(evidence(peaks), "model", PLAIN, 50.0)
    assert found is not None
    tried = {one: alarms(peaks, one) for one in np.unique(peaks).tolist()}
    assert found.alarms_per_bed_day == pytest.approx(max(tried.values()) / (STAYS * HOURS / 24), rel=0.03)
    assert 0.015 < found.policy.threshold < 0.025  # where the many low scores cross it most often


def test_what_lies_below_the_first_excess_does_not_count() -> None:
    """Points: six alarms at the lowest would keep to the budget, but those above it alarm forty times."""
    score = np.full((1, HOURS), 0.25)
    score[0, 10:210:5] = 0.5
    score[0, 10:40:10] = 0.75
    score[0, 3:220:50] = 0.0
    counted = {one: alarms(score, one) for one in (0.75, 0.5, 0.25)}
    assert counted == {0.75: 3, 0.5: 40, 0.25: 6}
    found = within_budget(evidence(score), "model", PLAIN, 6 / 10)
    assert found is not None
    assert found.policy.threshold == 0.75
    assert found.alarms_per_bed_day == pytest.approx(0.3)


def test_alarms_during_events_take_of_the_budget_and_are_no_use_of_it() -> None:
    """Before their onset stays score 0.3 twice; afterwards, known to be ill, 0.9 every five hours."""
    score = np.full((STAYS, HOURS), 0.1)
    score[:, 100::5] = 0.9
    score[:, [40, 80]] = 0.3
    assert (alarms(score, 0.9), alarms(score, 0.3)) == (28 * STAYS, 30 * STAYS)
    found = within_budget(evidence(score, onset_hour=90.0), "model", PLAIN, 3.0)
    assert found is not None
    assert found.policy.threshold == 0.3
    assert found.alarms_per_bed_day == pytest.approx(3.0)
    held = within_budget(evidence(score, onset_hour=90.0), "model", PLAIN, 2.9)
    assert held is not None
    assert held.policy.threshold == 0.9
    assert held.alarms_per_bed_day == pytest.approx(2.8)


def test_many_alarms_during_events_do_not_hide_fewer_that_warn() -> None:
    """At 0.5 the ill alarm again and again; at 0.2 they alarm once, and so does everybody before."""
    score = np.full((STAYS, HOURS), 0.25)
    score[:, :60] = 0.1
    score[:, 50] = 0.2
    score[:, 100::5] = 0.5
    found = within_budget(evidence(score, onset_hour=90.0), "model", PLAIN, 3.0)
    assert found is not None
    assert found.policy.threshold == 0.2
    assert found.alarms_per_bed_day == pytest.approx(0.2)


def test_a_model_whose_highest_score_alarms_too_often_has_none() -> None:
    assert within_budget(evidence(np.full((2, 24), 0.5)), "model", PLAIN, 0.9) is None
    assert within_budget(evidence(np.full((2, 24), np.nan)), "model", PLAIN, 0.9) is None

"""Figures before onset: onsets, matching and scores against a plain loop, areas against scikit-learn."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score  # type: ignore[import-untyped]

from pipelines.metrics.bootstrap import Bootstrap, Interval
from pipelines.metrics.horizon import at_horizons, match, onsets, scores_at


@dataclass(frozen=True)
class Rows:
    """Rows of all stays end to end."""

    rows: npt.NDArray[np.int64]
    hour: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    score: npt.NDArray[np.float64]

    @property
    def last_hour(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.hour[np.cumsum(self.rows) - 1], dtype=np.int64)


def drawn(seed: int, stays: int = 60) -> Rows:
    """Stays that begin late, lack hours, turn positive at any row, and score higher when they do."""
    rng = np.random.default_rng(seed)
    hours, labels = [], []
    for _ in range(stays):
        hour = 1 + np.flatnonzero(rng.random(int(rng.integers(2, 40))) < 0.8)
        hour = hour if len(hour) else np.array([3])
        first = rng.integers(0, len(hour)) if rng.random() < 0.3 else len(hour)
        hours.append(hour)
        labels.append((np.arange(len(hour)) >= first).astype(np.int8))
    label = np.concatenate(labels)
    score = np.asarray(rng.random(len(label)) * 0.8 + 0.2 * label, dtype=np.float64).round(
        1
    )  # rounded, so that scores tie
    return Rows(np.array([len(hour) for hour in hours]), np.concatenate(hours), label, score)


def looped(one: Rows, stay: int, at: int) -> float:
    """The last score of a stay by hour `at`, the slow way."""
    start = int(one.rows[:stay].sum())
    score = 0.0
    for row in range(start, start + int(one.rows[stay])):
        if one.hour[row] <= at:
            score = float(one.score[row])
    return score


def test_onset_is_six_hours_after_the_first_positive_row() -> None:
    rows, hour = np.array([3, 2, 4, 1]), np.array([2, 5, 9, 1, 2, 4, 5, 6, 7, 3])
    found = onsets(rows, hour, np.array([0, 0, 1, 1, 1, 0, 0, 0, 0, 0], dtype=np.int8))
    assert found.case.tolist() == [True, False, False, False]
    assert found.untold.tolist() == [False, True, False, False]  # positive from its first row
    assert found.control.tolist() == [False, False, True, True]
    assert found.hour[0] == 9 + 6


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), span=st.integers(0, 12))
def test_matching_and_scores_keep_the_protocol(seed: int, span: int) -> None:
    one = drawn(seed)
    found = onsets(one.rows, one.hour, one.label)
    matched = match(found, one.last_hour, seed=seed, controls=4)
    outlasting = [int((found.control & (one.last_hour >= onset)).sum()) for onset in found.hour]
    full = found.case & (np.array(outlasting) >= 4)
    assert sorted(matched.stay[matched.case]) == np.flatnonzero(full).tolist()
    assert found.control[matched.stay[~matched.case]].all()
    assert (one.last_hour[matched.stay] >= matched.onset)[~matched.case].all()
    begins = np.flatnonzero(matched.case)
    for begin, end in zip(begins, [*begins[1:], len(matched.stay)], strict=True):
        own = matched.stay[begin + 1 : end]
        eligible = found.control & (one.last_hour >= matched.onset[begin])
        assert len(set(own)) == len(own) == 4
        assert (matched.onset[begin:end] == found.hour[matched.stay[begin]]).all()
        before = set(matched.stay[:begin])
        unused = set(np.flatnonzero(eligible)) - before
        assert not set(own) & before or unused <= set(own)  # again only where no other is left
    at = matched.onset - span
    asked = scores_at(one.rows, one.hour, one.score, matched.stay, at)
    assert list(asked) == [looped(one, s, h) for s, h in zip(matched.stay, at, strict=True)]


def test_areas_are_those_of_scikit_learn_on_the_looped_scores() -> None:
    one = drawn(3, stays=300)
    matched = match(onsets(one.rows, one.hour, one.label), one.last_hour, seed=1)
    subjects = [f"p{stay}" for stay in range(300)]
    quick = Bootstrap(draws=30)
    figures = at_horizons(one.rows, one.hour, one.score, matched, subjects, hours=(0, 7), bootstrap=quick)
    for figure, before in zip(figures, (0, 7), strict=True):
        kept = matched.onset - before >= 1
        case = matched.case[kept]
        score = [
            looped(one, s, h - before) for s, h in zip(matched.stay[kept], matched.onset[kept], strict=True)
        ]
        assert (figure.hours, figure.cases, figure.controls) == (before, case.sum(), (~case).sum())
        assert figure.auroc == pytest.approx(roc_auc_score(case, score), abs=1e-12)
        assert figure.auprc == pytest.approx(average_precision_score(case, score), abs=1e-12)
        own = np.split(np.array(score), np.flatnonzero(case)[1:])  # each case, then its controls
        pairs = [(one[0] > one[1:]) + 0.5 * (one[0] == one[1:]) for one in own]
        assert figure.concordance == pytest.approx(np.concatenate(pairs).mean(), abs=1e-12)
        for interval in (figure.auroc_interval, figure.auprc_interval, figure.concordance_interval):
            assert interval.low is not None
            assert interval.high is not None
            assert interval.low < interval.high


def test_intervals_are_those_of_subjects_drawn_anew() -> None:
    one = drawn(5, stays=120)
    matched = match(onsets(one.rows, one.hour, one.label), one.last_hour, seed=1)
    subjects = [f"p{stay // 2:03}" for stay in range(120)]  # two stays each
    quick = Bootstrap(draws=20, seed=4)
    (figure,) = at_horizons(one.rows, one.hour, one.score, matched, subjects, hours=[2], bootstrap=quick)
    kept = matched.onset - 2 >= 1
    stay, at = matched.stay[kept], matched.onset[kept] - 2
    score = np.array([looped(one, s, h) for s, h in zip(stay, at, strict=True)])
    case, pairs = matched.case[kept], []
    rng, areas = np.random.default_rng(4), []
    for _ in range(20):
        times = np.bincount(rng.integers(0, 60, 60), minlength=60)[stay // 2]
        again = np.repeat(np.arange(len(stay)), times)
        areas.append(average_precision_score(case[again], score[again]))
        own, won, total = 0, 0.0, 0.0
        for place in range(len(stay)):
            own = place if case[place] else own
            won += (not case[place]) * times[own] * times[place] * (score[own] > score[place])
            won += (not case[place]) * times[own] * times[place] * (score[own] == score[place]) / 2
            total += (not case[place]) * times[own] * times[place]
        pairs.append(won / total)
    for found, drawn_figures in ((figure.auprc_interval, areas), (figure.concordance_interval, pairs)):
        ends = tuple(np.quantile(drawn_figures, (0.025, 0.975)))
        assert (found.low, found.high) == pytest.approx(ends, abs=1e-12)


def test_a_case_before_its_admission_is_left_out_with_its_controls() -> None:
    rows, hour = np.array([5, 20]), np.concatenate([np.arange(1, 6), np.arange(1, 21)])
    label = np.zeros(25, dtype=np.int8)
    label[1:5] = 1  # onset at hour 8
    matched = match(onsets(rows, hour, label), np.array([5, 20]), seed=0, controls=1)
    figures = at_horizons(rows, hour, np.linspace(0, 1, 25), matched, ["a", "b"], hours=(7, 8))
    assert [(figure.cases, figure.controls) for figure in figures] == [(1, 1), (0, 0)]
    assert (figures[1].auprc, figures[1].auprc_interval) == (None, Interval(None, None))


def test_without_a_case_nothing_is_matched() -> None:
    rows, hour = np.array([2]), np.array([1, 2])
    matched = match(onsets(rows, hour, np.zeros(2, dtype=np.int8)), np.array([2]), seed=0)
    (figure,) = at_horizons(rows, hour, np.array([0.1, 0.2]), matched, ["a"], hours=[0])
    assert (figure.cases, figure.auroc, figure.auprc) == (0, None, None)

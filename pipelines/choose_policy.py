"""The alarm policy that fits what a staff can bear: chosen on validation stays, reported on test stays.

Of a grid of policies, the one with the highest recall among those that stay within the budget of alarms a bed
and day; among equals the one of highest positive predictive value, then of longest lead time, then the first,
which is the simplest. Who validates and who tests is `pipelines.split`, by subject: test stays have no say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import product
from math import ceil, isfinite
from typing import Any

import numpy as np

from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import InvalidInput
from pipelines.metrics.bootstrap import Bootstrap, Interval, interval, subject_weights
from pipelines.metrics.burden import Burden, BurdenFigures, Ward, burden_figures, simulate
from pipelines.split import split_of

MAXIMISED = "recall"
_HOUR = timedelta(hours=1)
_THRESHOLDS = 40
_REACHED = np.geomspace(0.5, 1e-3, _THRESHOLDS)  # the share of scores at or above each threshold
_RELEASES = (1.0, 0.75)  # of the threshold
_COUNTS = ((1, 1), (2, 3))
_REFRACTORY = (6 * _HOUR, 12 * _HOUR, 24 * _HOUR)
_ON_DELAYS = (0 * _HOUR, _HOUR)
_OFF_DELAYS = (0 * _HOUR, 2 * _HOUR)


@dataclass(frozen=True)
class Uncertain:
    """95 % intervals over subjects."""

    alarms_per_bed_day: Interval
    precision: Interval
    recall: Interval


@dataclass(frozen=True)
class Choice:
    """The policy chosen for a budget, with its figures on validation and on test stays."""

    policy: AlarmPolicy
    budget: float
    window: timedelta
    tried: int
    validation: BurdenFigures
    test: BurdenFigures
    test_intervals: Uncertain

    def as_json(self) -> dict[str, Any]:
        """The policy file: what `AlarmPolicy.from_json` reads, and how it was chosen."""
        return self.policy.as_json() | {
            "chosen": {
                "alarms_per_bed_day": self.budget,
                "maximised": MAXIMISED,
                "window_hours": self.window / _HOUR,
                "policies_tried": self.tried,
                "validation": asdict(self.validation),
                "test": asdict(self.test),
                "test_intervals": asdict(self.test_intervals),
            }
        }


def choose_policy(ward: Ward, budget: float, window: timedelta) -> Choice:
    """The best policy within `budget` alarms a bed and day.

    Raises InvalidInput for a budget that is none or within which no policy foretells an event, and where
    validation or test stays are lacking, or events among the former.
    """
    if not 0 < budget < np.inf:
        raise InvalidInput(
            f"a budget of {budget:g} alarms a bed and day; expected > 0 alarms a bed and day, finite",
            value=budget,
            bound="> 0",
            unit="alarms a bed and day",
        )
    validation, test = (part(ward, name) for name in ("validation", "test"))
    if not validation.events.count.any():
        raise InvalidInput("no event among the validation stays: recall has no meaning")
    best: tuple[tuple[float, float, float], AlarmPolicy, BurdenFigures] | None = None
    tried, least = 0, np.inf
    for policy in candidates(validation):
        tried += 1
        found = burden_figures(simulate(validation, policy, window))
        if not found.outside.recall:
            continue
        alarms = found.alarms_per_bed_day or 0.0
        least = min(least, alarms)
        if alarms <= budget and (best is None or _worth(found) > best[0]):
            best = _worth(found), policy, found
    if best is None:
        raise _no_event_foretold(budget, tried, least)
    burden = simulate(test, best[1], window)
    return Choice(
        best[1], budget, window, tried, best[2], burden_figures(burden), uncertain(test, burden, Bootstrap())
    )


def _no_event_foretold(budget: float, tried: int, least: float) -> InvalidInput:
    """`least` alarms a bed and day are the fewest with which a policy foretells one, inf where none does."""
    enough = f"it takes {ceil(1e4 * least) / 1e4:g}" if isfinite(least) else "nor does any beyond it"
    return InvalidInput(
        f"none of {tried} policies foretells an event of the validation stays within {budget:g} alarms a bed "
        f"and day; {enough}",
        value=budget,
        bound=f">= {least:g}",
        unit="alarms a bed and day",
    )


def part(ward: Ward, name: str) -> Ward:
    """The stays whose subjects are in one part of the split. Raises InvalidInput without any."""
    held = np.array([split_of(subject) == name for subject in ward.subject])
    if not held.any():
        raise InvalidInput(
            f"no {name} stay among {len(held)}: score every subject (prodrome score, or evaluate with "
            "--subjects all)",
            value=name,
        )
    return ward.only(held)


def candidates(ward: Ward) -> Iterator[AlarmPolicy]:
    """The policies that are tried, simple ones first; thresholds are quantiles of the scores outside events,
    where an alarm can foretell one.
    """
    scores = ward.watched.score[~np.isnan(ward.watched.score) & ~ward.inside]
    if not len(scores):
        raise InvalidInput("no score outside events among the validation stays")
    thresholds = np.unique(np.quantile(scores, 1 - _REACHED, method="higher").round(4)).tolist()
    others = product(_ON_DELAYS, _OFF_DELAYS, _COUNTS, _RELEASES, _REFRACTORY)
    for (on_delay, off_delay, (k, n), share, refractory), threshold in product(others, thresholds):
        yield AlarmPolicy(
            threshold,
            round(share * threshold, 4),
            k,
            n,
            refractory,
            on_delay=on_delay,
            off_delay=off_delay,
        )


def uncertain(ward: Ward, burden: Burden, bootstrap: Bootstrap) -> Uncertain:
    """Intervals of the figures of `burden`, by drawing whole subjects."""
    weights, judged = subject_weights(ward.subject, bootstrap), burden.judged
    days = weights @ (judged.exposed.watched / _HOUR.total_seconds() / 1e6 / 24)
    alarms, true = weights @ judged.alarms, weights @ judged.true_alarms
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (
            (alarms + weights @ burden.late) / days,
            true / alarms,
            (weights @ judged.detected) / (weights @ judged.events),
        )
    return Uncertain(*(interval(one, bootstrap.level) for one in drawn))


def report(chosen: Choice) -> Iterator[str]:
    """The choice in lines for people."""
    policy, test, ends = chosen.policy, chosen.test, chosen.test_intervals
    yield (
        f"of {chosen.tried} policies the one with the highest {MAXIMISED} within {chosen.budget:g} alarms "
        "a bed and day on validation stays:"
    )
    yield "  " + ", ".join(f"{name} {value:g}" for name, value in policy.as_json().items())
    yield f"{'':<24} {'validation':>12} {'test':>12}   test, 95 % interval"
    for name, left, right, end in (
        (
            "alarms a bed and day",
            chosen.validation.alarms_per_bed_day,
            test.alarms_per_bed_day,
            ends.alarms_per_bed_day,
        ),
        ("predictive value", chosen.validation.outside.precision, test.outside.precision, ends.precision),
        ("recall", chosen.validation.outside.recall, test.outside.recall, ends.recall),
        (
            "lead time, hours, median",
            chosen.validation.outside.lead_time_hours,
            test.outside.lead_time_hours,
            None,
        ),
    ):
        spread = "" if end is None or end.low is None else f"   {_figure(end.low)} to {_figure(end.high)}"
        yield f"{name:<24} {_figure(left):>12} {_figure(right):>12}{spread}"
    yield f"{'events, bed-days':<24} {_extent(chosen.validation):>12} {_extent(test):>12}"


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3g}"


def _extent(found: BurdenFigures) -> str:
    return f"{found.outside.events}, {found.outside.patient_days:.0f}"


def _worth(found: BurdenFigures) -> tuple[float, float, float]:
    outside = found.outside
    return outside.recall or 0.0, outside.precision or 0.0, outside.lead_time_hours or 0.0

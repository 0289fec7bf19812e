"""Suspicion of infection: when somebody began to treat and to look for one.

    antibiotic, then a culture within 24 h   -> the time of the antibiotic
    culture, then an antibiotic within 72 h  -> the time of the culture

Both bounds are inclusive, and every antibiotic and culture that starts such a pair is a suspicion of its own.

Source: Seymour et al. 2016, doi:10.1001/jama.2016.0288; the antibiotics-only rules after Bennett et al. 2023
(ricu), doi:10.1093/gigascience/giad041, and Reyna et al. 2020, doi:10.1097/CCM.0000000000004145.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.clinical.errors import InvalidInput
from models.clinical.interventions import InterventionKind
from models.clinical.stay import Stay
from pipelines.label.hours import HOUR, Values

SuspicionRule = Literal["and", "antibiotics", "and_72h", "antibiotics_72h"]
Hours = Sequence[float] | npt.NDArray[np.float64] | npt.NDArray[np.int64]

CULTURE_AFTER_ANTIBIOTIC_HOURS = 24.0
ANTIBIOTIC_AFTER_CULTURE_HOURS = 72.0
REPEATED_HOURS = 24.0  # a second antibiotic within these makes a treatment of the first
CONTINUED_HOURS = 72.0
LONGEST_GAP_HOURS = 24.0  # the longest usual interval between two doses


def hours(
    antibiotic_hours: Hours,
    culture_hours: Hours,
    rule: SuspicionRule = "and",
    *,
    antibiotic_end_hours: Hours | None = None,
) -> list[float]:
    """The hours of suspicion, increasing and unique, from hours since admission (negative before it).

    `rule` is one of

    - `and`: an antibiotic followed by a culture within 24 h, or a culture followed by one within 72 h;
    - `antibiotics`: an antibiotic followed by another within 24 h, for sources without cultures;
    - `and_72h`: as `and`, of antibiotics that were continued for 72 h;
    - `antibiotics_72h`: any antibiotic that was continued for 72 h.

    *Continued*: from this antibiotic on, no more than 24 h passed without one, up to 72 h after it.
    `antibiotic_end_hours` says until when each antibiotic was given, by default only at its hour. Raises
    InvalidInput for an unknown rule, an hour that is not finite, or ends that do not match.
    """
    if rule not in get_args(SuspicionRule):
        raise InvalidInput(
            f"suspicion rule {rule!r} is unknown; expected one of {', '.join(get_args(SuspicionRule))}",
            value=rule,
            bound=", ".join(get_args(SuspicionRule)),
        )
    antibiotics, ends = _courses(antibiotic_hours, antibiotic_end_hours)
    if rule.endswith("_72h"):
        antibiotics = antibiotics[_continued(antibiotics, ends)]
    if rule == "antibiotics":
        antibiotics = antibiotics[_repeated(antibiotics, ends)]
    if rule.startswith("antibiotics"):
        return [float(hour) for hour in antibiotics]
    return _paired(antibiotics, np.unique(_finite(culture_hours, "culture")))


def times(stay: Stay, rule: SuspicionRule = "and") -> pd.DatetimeIndex:
    """The stay's suspicions of infection (S,) in UTC, increasing, from its antibiotics and cultures.

    An antibiotic counts when it starts: an order of several days is one decision to treat. That it went on is
    read by the rules that ask for it: an order that ran for 24 h or longer is a repeated antibiotic.
    """
    table = stay.interventions
    kind = table["kind"].to_numpy(dtype=object)
    antibiotic, culture = kind == InterventionKind.ANTIBIOTIC, kind == InterventionKind.CULTURE
    start, end = stay.hours(table["start"]), stay.hours(table["end"])
    # an order without an end is known to have been given once
    given_until = np.fmax(start, end)[antibiotic]
    found = hours(start[antibiotic], start[culture], rule, antibiotic_end_hours=given_until)
    elapsed = np.round(np.asarray(found, dtype=np.float64) * HOUR).astype(np.int64)
    return pd.Timestamp(stay.admitted_at).tz_convert("UTC") + pd.to_timedelta(elapsed, unit="us")


def _finite(given: Hours, what: str) -> Values:
    values = np.asarray(given, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise InvalidInput(f"{what} hour {wrong} is not finite", value=float(wrong), bound="finite", unit="h")
    return values


def _courses(start: Hours, end: Hours | None) -> tuple[Values, Values]:
    """Start hours, increasing and unique, and until when the longest that started then was given."""
    starts = _finite(start, "antibiotic")
    ends = starts if end is None else _finite(end, "antibiotic end")
    if len(ends) != len(starts):
        raise InvalidInput(f"{len(starts)} antibiotics but {len(ends)} ends", value=len(ends))
    unique, index = np.unique(starts, return_inverse=True)
    longest = unique.copy()
    np.maximum.at(longest, index, ends)
    return unique, longest


def _repeated(start: Values, end: Values) -> npt.NDArray[np.bool_]:
    following = np.append(start[1:], np.inf)
    return np.asarray((following - start <= REPEATED_HOURS) | (end - start >= REPEATED_HOURS))


def _continued(start: Values, end: Values) -> npt.NDArray[np.bool_]:
    """Which antibiotics (n,) begin 72 h without a gap of more than 24 h."""
    covered = end.copy()  # until when the course of each runs
    later: list[int] = []  # the courses after it, the next one last; what joins another is gone for good
    for index in range(len(start) - 1, -1, -1):
        while later and start[later[-1]] - covered[index] <= LONGEST_GAP_HOURS:
            covered[index] = max(covered[index], covered[later.pop()])
        later.append(index)
    return np.asarray(covered + LONGEST_GAP_HOURS >= start + CONTINUED_HOURS)


def _paired(antibiotics: Values, cultures: Values) -> list[float]:
    treated = antibiotics[_followed(antibiotics, cultures, CULTURE_AFTER_ANTIBIOTIC_HOURS)]
    sampled = cultures[_followed(cultures, antibiotics, ANTIBIOTIC_AFTER_CULTURE_HOURS)]
    return [float(hour) for hour in np.union1d(treated, sampled)]


def _followed(first: Values, second: Values, within_hours: float) -> npt.NDArray[np.bool_]:
    """Which of `first` (n,) have one of `second` (m,) at the same hour or at most `within_hours` later."""
    following = np.append(second, np.inf)[np.searchsorted(second, first, side="left")]
    return np.asarray(following - first <= within_hours)

"""Cohorts: which stays take part in a study of early recognition, and why the others do not.

`hourly` keeps every eligible stay with its onset, for models that score each hour. `matched` is the
case-control cohort of Moor et al. 2019: each case with onset at hour h of its stay gets controls that stayed
at least h hours and are cut at h as well, so that length of stay says nothing about the class; data are the
window from onset - 48 h to onset - horizon. Splits are by subject; controls are matched within their case's
split, one a round, so that every case has some where controls are few.

Every exclusion is a step of the attrition table. Source: Moor et al. 2019, PMLR 106:2-26 (their cohort: at
least 15 years old, charted in MetaVision, onset not before hour 7 in intensive care, controls without sepsis
by label and without its billing codes, about ten controls a case).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from pipelines.ingest.source import IngestedStay

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

# billing codes that say sepsis in so many words; ICD-9: septicaemia, sepsis, severe sepsis, septic shock;
# ICD-10: the same, and sepsis of the newborn, obstetric, postprocedural and of named organisms
SEPSIS_ICD9 = ("038", "99591", "99592", "78552", "77181")
SEPSIS_ICD10 = (
    *("A40", "A41", "R6520", "R6521", "P36", "O85", "O0337", "O0387", "O0487", "O0737", "O0882", "O8604"),
    *("T8112", "T8144", "A021", "A227", "A267", "A327", "A427", "A5486", "B377"),
)


@dataclass(frozen=True)
class CohortOptions:
    """Who is eligible, and how cases are matched; hours count from the admission to the unit."""

    youngest_years: float = 15.0
    charting: str | None = "metavision"  # used where the source names its systems; None for any
    earliest_onset_hour: float = 7.0  # an earlier onset was brought in, not missed by the unit
    controls_per_case: int = 10
    window_hours: float = 48.0
    horizon_hours: float = 0.0
    seed: int = 2019


@dataclass(frozen=True)
class Candidate:
    """What a cohort needs of a stay; `onset_hour` is None without sepsis."""

    stay: str
    subject: str
    age_years: float | None
    charting: str | None
    length_hours: float
    observed: bool
    onset_hour: float | None
    sepsis_coded: bool

    @classmethod
    def of(cls, ingested: IngestedStay, onset_hour: float | None) -> Candidate:
        """The candidate a stay with this onset makes."""
        stay = ingested.stay
        end = stay.discharged_at or stay.last_known_at
        return cls(
            stay.stay_id,
            stay.subject_id,
            stay.age_years,
            ingested.charting,
            max((end - stay.admitted_at) / timedelta(hours=1), 0.0),
            not stay.observations.empty,
            onset_hour,
            any(sepsis_coded(code) for code in ingested.diagnoses),
        )


@dataclass(frozen=True)
class Step:
    """One line of the attrition table: who was left after `name`."""

    name: str
    stays: int
    subjects: int
    cases: int
    removed: int


@dataclass(frozen=True)
class Cohort:
    """`members` has one row a stay: stay, subject, split, case (bool), onset_hour (a control's is that of its
    case), matched_to (the case, for a control), begin_hour and end_hour of the data that may be used.
    """

    name: str
    members: pd.DataFrame
    attrition: tuple[Step, ...]


def sepsis_coded(code: str) -> bool:
    """Whether a billing code, ICD-9 or ICD-10 with or without its point, says sepsis."""
    plain = code.replace(".", "").strip().upper()
    return plain.startswith(SEPSIS_ICD9 if plain[:1].isdigit() else SEPSIS_ICD10)


def split_of(subject: str) -> Split:
    """80 in a hundred subjects train, 10 validate, 10 test, by a hash of the subject."""
    place = int.from_bytes(sha256(f"sepsis3:{subject}".encode()).digest()[:8], "big") % 100
    return "train" if place < 80 else "validation" if place < 90 else "test"  # noqa: PLR2004  stated above


def hourly(candidates: Iterable[Candidate], options: CohortOptions | None = None) -> Cohort:
    """Every eligible stay from its beginning: cases to the horizon before onset, others to their end."""
    chosen = options or CohortOptions()
    eligible, attrition = _eligible(list(candidates), chosen)
    rows = [_row(one, one.onset_hour, "", chosen, whole=True) for one in eligible]
    return Cohort("hourly", _table(rows), attrition)


def matched(candidates: Iterable[Candidate], options: CohortOptions | None = None) -> Cohort:
    """Cases with `controls_per_case` controls each, cut at the onset hour of their case; see the module."""
    chosen = options or CohortOptions()
    eligible, attrition = _eligible(list(candidates), chosen)
    left = _Funnel(eligible, list(attrition))
    left.keep(
        "controls without billing codes of sepsis",
        lambda one: one.onset_hour is not None or not one.sepsis_coded,
    )
    rows = [row for split in SPLITS for row in _pairs(left.stays, split, chosen)]
    members = {row[0] for row in rows}
    left.keep("cases, and controls matched to one", lambda one: one.stay in members)
    return Cohort("moor2019", _table(rows), tuple(left.steps))


COHORTS: Mapping[str, Callable[[Iterable[Candidate], CohortOptions | None], Cohort]] = MappingProxyType(
    {"moor2019": matched, "hourly": hourly}
)


class _Funnel:
    """The candidates that are left, and the steps that led here."""

    def __init__(self, stays: Sequence[Candidate], steps: list[Step] | None = None) -> None:
        self.stays = list(stays)
        self.steps = steps if steps is not None else [self._step("all stays", 0)]

    def keep(self, name: str, fits: Callable[[Candidate], bool]) -> None:
        before = len(self.stays)
        self.stays = [one for one in self.stays if fits(one)]
        self.steps.append(self._step(name, before - len(self.stays)))

    def _step(self, name: str, removed: int) -> Step:
        subjects = len({one.subject for one in self.stays})
        cases = sum(one.onset_hour is not None for one in self.stays)
        return Step(name, len(self.stays), subjects, cases, removed)


def _eligible(
    candidates: list[Candidate], options: CohortOptions
) -> tuple[list[Candidate], tuple[Step, ...]]:
    left = _Funnel(sorted(candidates, key=lambda one: one.stay))
    left.keep("observed at all", lambda one: one.observed)
    years = options.youngest_years
    left.keep(f"age known and at least {years:g} years", lambda one: (one.age_years or -1.0) >= years)
    system = options.charting
    if system is not None and any(one.charting for one in candidates):
        left.keep(f"charted in {system}", lambda one: one.charting == system)
    hour = options.earliest_onset_hour
    left.keep(
        f"onset, if any, at hour {hour:g} or later and within the stay",
        lambda one: one.onset_hour is None or hour <= one.onset_hour <= max(one.length_hours, hour),
    )
    return left.stays, tuple(left.steps)


_Row = tuple[str, str, Split, bool, float | None, str, float, float]
_COLUMNS = ("stay", "subject", "split", "case", "onset_hour", "matched_to", "begin_hour", "end_hour")


def _pairs(stays: Sequence[Candidate], split: Split, options: CohortOptions) -> list[_Row]:
    """Cases with their controls, dealt one a round so that where controls are few no case takes them all.

    Cases come by falling onset hour: those who can be matched by few choose first.
    """
    inside = [one for one in stays if split_of(one.subject) == split]
    pool = [one for one in inside if one.onset_hour is None]
    cases = sorted(
        (one for one in inside if one.onset_hour is not None),
        key=lambda one: (-(one.onset_hour or 0), one.stay),
    )
    random = np.random.default_rng([options.seed, SPLITS.index(split)])
    drawn: dict[str, list[Candidate]] = {case.stay: [] for case in cases}
    for _ in range(options.controls_per_case):
        pool = _dealt(cases, pool, drawn, random)
    rows: list[_Row] = []
    for case in cases:
        rows.append(_row(case, case.onset_hour, "", options))
        rows += [_row(one, case.onset_hour, case.stay, options) for one in drawn[case.stay]]
    return rows


def _dealt(
    cases: Sequence[Candidate],
    pool: Sequence[Candidate],
    drawn: Mapping[str, list[Candidate]],
    random: np.random.Generator,
) -> list[Candidate]:
    """Give each case, by falling onset hour, one more control that stayed as long; the rest of the pool."""
    longest_first = sorted(pool, key=lambda one: (-one.length_hours, one.stay))
    fitting: list[Candidate] = []
    considered = 0
    for case in cases:
        while considered < len(longest_first) and longest_first[considered].length_hours >= (
            case.onset_hour or 0
        ):
            fitting.append(longest_first[considered])
            considered += 1
        if fitting:
            index = int(random.integers(len(fitting)))
            fitting[index], fitting[-1] = fitting[-1], fitting[index]
            drawn[case.stay].append(fitting.pop())
    return [*fitting, *longest_first[considered:]]


def _row(
    one: Candidate, onset_hour: float | None, matched_to: str, options: CohortOptions, *, whole: bool = False
) -> _Row:
    end = one.length_hours if onset_hour is None else max(onset_hour - options.horizon_hours, 0.0)
    begin = 0.0 if whole or onset_hour is None else max(onset_hour - options.window_hours, 0.0)
    case = one.onset_hour is not None
    return one.stay, one.subject, split_of(one.subject), case, onset_hour, matched_to, begin, end


def _table(rows: Sequence[_Row]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=list(_COLUMNS))
    return table.astype({"case": bool, "onset_hour": float, "begin_hour": float, "end_hour": float})

"""How early a model knows: areas at h hours before onset, each case among controls of the same hour.

    S  stays     N  rows of all stays, end to end     P  entries, a case or a control of one each

A case is scored at (onset - h) h. Each case gets controls, stays that never turn positive, which are given
the case's hour of onset and last at least that long, so that a model gains nothing from knowing how long a
stay has lasted. With ten controls a case, chance has an AUPRC of 1/11.

The areas pool all cases, as in the paper: a model whose scores rise with the hour whoever the patient is pays
for it, because early cases are then ranked below late controls. `concordance` does not: it is how often a
case outranks its own controls, at the same hour, ties counting half.

The onset of a CinC 2019 stay is its first positive row + 6 h, because the challenge labels from 6 h before
it. A stay that is positive from its first row does not tell its onset, and is left out. A score is the newest
by the hour asked for, 0 before the first row: in the end of a record as in `StayPrediction.probability`.

Source: Moor et al. 2019, arXiv:1902.01659. Ours draws controls at random under an explicit seed, and gives
no control to two cases while another lasts long enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.metrics.bootstrap import Bootstrap, Interval, interval, subject_weights
from pipelines.metrics.classification import RankedRows, auprc, auroc

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

LABELLED_BEFORE = 6  # hours from the challenge's first positive row to its onset
CONTROLS_A_CASE = 10


@dataclass(frozen=True)
class Onsets:
    """`hour` (S,) of onset, meaningful where `case` (S,); `untold` (S,) are positive from their first row."""

    hour: Integers
    case: Booleans
    untold: Booleans

    @property
    def control(self) -> Booleans:
        """(S,) stays that never turn positive."""
        return ~self.case & ~self.untold


@dataclass(frozen=True)
class Matched:
    """Entries (P,): whose `stay` (index), the hour `onset` of its case, and whether it is the `case`.

    Each case is followed by its controls.
    """

    stay: Integers
    onset: Integers
    case: Booleans


@dataclass(frozen=True)
class Horizon:
    """The figures `hours` before onset; an area or interval is None where it is undefined."""

    hours: int
    cases: int
    controls: int
    auroc: float | None
    auprc: float | None
    concordance: float | None
    auroc_interval: Interval
    auprc_interval: Interval
    concordance_interval: Interval


def onsets(rows: Integers, hour: Integers, label: npt.NDArray[np.int8]) -> Onsets:
    """When each stay's sepsis begins; `rows` (S,) each at least 1, `hour` and `label` (N,)."""
    starts = np.cumsum(rows) - rows
    row = np.arange(len(label))
    first = np.minimum.reduceat(np.where(label, row, len(label)), starts)
    septic = first < len(label)
    told = septic & (first > starts)
    return Onsets(
        hour=np.where(septic, hour[np.minimum(first, len(hour) - 1)] + LABELLED_BEFORE, 0),
        case=told,
        untold=septic & ~told,
    )


def match(found: Onsets, last_hour: Integers, *, seed: int, controls: int = CONTROLS_A_CASE) -> Matched:
    """Cases with `controls` controls each that last to their onset; `last_hour` (S,) of each stay.

    A case that fewer stays outlast is left out, so that chance is the same everywhere. No control serves
    twice while another is left that lasts long enough, and none twice for one case; the latest onsets choose
    first, because the fewest stays last that long. The order of the stays decides which are drawn, so give
    them in a fixed one.
    """
    waiting = np.random.default_rng(seed).permutation(np.flatnonzero(found.control))
    cases = np.flatnonzero(found.case)
    stays: list[Integers] = []
    for case in cases[np.argsort(-found.hour[cases], kind="stable")]:
        chosen = waiting[last_hour[waiting] >= found.hour[case]][:controls]
        if len(chosen) < controls:
            continue
        waiting = np.concatenate([waiting[~np.isin(waiting, chosen)], chosen])  # who served goes to the back
        stays.append(np.array([case, *chosen], dtype=np.int64))
    if not stays:
        return Matched(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))
    onset = np.concatenate([np.full(len(entry), found.hour[entry[0]]) for entry in stays])
    stay = np.concatenate(stays)
    return Matched(stay, onset, found.case[stay])


def scores_at(rows: Integers, hour: Integers, score: Floats, stay: Integers, at: Integers) -> Floats:
    """The newest score of each of `stay` (P,) by hour `at` (P,), 0 before its first row: (P,).

    `hour` (N,) is at least 1 and increases in a stay.
    """
    starts = np.cumsum(rows) - rows
    span = int(hour.max()) + 1
    place = np.repeat(np.arange(len(rows)), rows) * span + hour  # increases from row to row
    found = np.searchsorted(place, stay * span + np.clip(at, 0, span - 1), side="right") - 1
    return np.where(found >= starts[stay], score[np.maximum(found, 0)], 0.0)


def at_horizons(
    rows: Integers,
    hour: Integers,
    score: Floats,
    matched: Matched,
    subjects: Sequence[str],
    *,
    hours: Sequence[int] = range(8),
    bootstrap: Bootstrap | None = None,
) -> list[Horizon]:
    """The figures at each of `hours` before onset, with intervals over `subjects` (S,).

    A case whose (onset - h) h lies before its admission is left out at h, with its controls.
    """
    bootstrap = bootstrap or Bootstrap()
    weights = subject_weights(subjects, bootstrap)
    figures = []
    for before in hours:
        kept = matched.onset - before >= 1
        stay, case = matched.stay[kept], matched.case[kept].astype(np.int8)
        asked = scores_at(rows, hour, score, stay, matched.onset[kept] - before)
        figures.append(_horizon(before, case, asked, stay=stay, weights=weights, level=bootstrap.level))
    return figures


def _horizon(
    before: int,
    case: npt.NDArray[np.int8],
    score: Floats,
    *,
    stay: Integers,
    weights: Integers,
    level: float,
) -> Horizon:
    drawn = np.full((len(weights), 3), np.nan)
    own, control = _pairs(case)
    ahead = (score[own] > score[control]) + 0.5 * (score[own] == score[control])
    if len(case):
        ranked = RankedRows.of(case, score, stay)
        drawn[:, :2] = ranked.areas(weights)
        for row, weight in zip(drawn, weights, strict=True):
            row[2] = _mean(ahead, weight[stay[own]] * weight[stay[control]])
    return Horizon(
        hours=before,
        cases=int(case.sum()),
        controls=len(control),
        auroc=auroc(case, score),
        auprc=auprc(case, score),
        concordance=float(ahead.mean()) if len(ahead) else None,
        auroc_interval=interval(drawn[:, 0], level),
        auprc_interval=interval(drawn[:, 1], level),
        concordance_interval=interval(drawn[:, 2], level),
    )


def _pairs(case: npt.NDArray[np.int8]) -> tuple[Integers, Integers]:
    """Of each control the place of its case, and its own, among entries (P,): (Q,) each."""
    control = np.flatnonzero(case == 0)
    own = np.maximum.accumulate(np.where(case == 1, np.arange(len(case)), 0))
    return own[control], control


def _mean(values: Floats, weight: Integers) -> float:
    return float(values @ weight / weight.sum()) if weight.any() else np.nan

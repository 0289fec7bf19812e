"""Scoring every stay of a source, hour by hour, with one or several models, over processes.

A prediction holds the truth: a number, or no number and why. `StayPrediction.probability` is the form that
the CinC 2019 challenge wants, a number in every row: an hour without a score repeats the last score of the
stay, because silence is not recovery; before the first score it is the model's prior, how often such hours
were positive where the model learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models import registry
from models.base import EarlyWarningModel
from models.clinical.errors import InvalidInput, ScoringFailed
from models.clinical.score import GRID_STEP, ScoreStatus
from models.clinical.stay import Stay
from pipelines.engines import mapped
from pipelines.ingest.source import IngestedStay

Progress = Callable[[int], None]  # called with the number of stays just done

_CHUNK = 16  # stays a task: enough to hide the cost of sending them, few enough to hold in memory


@dataclass(frozen=True)
class StayPrediction:
    """One stay's rows as one model scores them.

    `hour` (R,) int64 after admission, increasing; `value` (R,) in [0, 1], NaN for no score; `low` and `high`
    (R,) its spread, NaN where the model states none; `status` and `reason` (R,) say which silence it is;
    `prior` the model's, the probability before a first score; `label` (R,) int8 in {0, 1} and `care_unit`
    where the source has one.
    """

    stay_id: str
    subject_id: str
    admitted_at: datetime
    hour: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    status: tuple[ScoreStatus, ...]
    reason: tuple[str, ...]
    prior: float
    label: npt.NDArray[np.int8] | None = None
    care_unit: str | None = None

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """(R,) a number in every row: the last score so far, or the prior before the first."""
        return carried(self.value, self.prior)

    def predicted(self, threshold: float) -> npt.NDArray[np.int8]:
        """(R,) 1 where the probability reaches `threshold`."""
        return (self.probability >= threshold).astype(np.int8)


def carried(value: npt.NDArray[np.float64], prior: float) -> npt.NDArray[np.float64]:
    """Scores (R,) with an hour without one, NaN, repeating the last, or `prior` before the first."""
    latest = np.maximum.accumulate(np.where(np.isnan(value), -1, np.arange(len(value))))
    return np.where(latest >= 0, value[latest], prior)


_Scores = tuple[
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    npt.NDArray[np.float64],
    tuple[ScoreStatus, ...],
    tuple[str, ...],
]
Names = tuple[str | Path, ...]
Predictions = tuple[StayPrediction, ...]


def predict(model: EarlyWarningModel, ingested: IngestedStay) -> StayPrediction:
    """Score the rows of one stay: the score of hour h is the one at admission + h hours.

    A source without hourly rows is scored on every hour of the stay's grid. A stay the model fails on has
    no score in any row and the failure as reason, so that one stay does not end a batch.
    """
    stay, hour = ingested.stay, ingested.hour
    if hour is None:
        hour = np.arange(1, len(stay.grid()) + 1, dtype=np.int64)
    if len(hour) and hour[0] < 1:
        raise InvalidInput(
            f"stay {stay.stay_id}: row hour {hour[0]} is before the first grid hour",
            value=hour[0],
            bound=">= 1",
        )
    value, low, high, status, reason = _scores(model, stay, hour)
    return StayPrediction(
        stay_id=stay.stay_id,
        subject_id=stay.subject_id,
        admitted_at=stay.admitted_at,
        hour=hour,
        value=value,
        low=low,
        high=high,
        status=status,
        reason=reason,
        prior=model.prior,
        label=ingested.label,
        care_unit=stay.care_unit,
    )


def predict_all(
    stays: Iterable[IngestedStay],
    models: Sequence[str | Path],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Iterator[tuple[StayPrediction, ...]]:
    """Every stay's predictions, one a model, in the order given, holding a few chunks of stays at a time.

    `models` are registered names or folders; with `workers` > 1 each process loads them once. The result does
    not depend on `workers`. Raises UnknownModel, and ScoringFailed if a process ends early.
    """
    names = tuple(models)
    work = partial(predict_chunk, names) if workers > 1 else partial(_predict_chunk, _load(names))
    for predictions in mapped(work, _chunks(stays), workers=workers):
        yield from predictions
        if progress is not None:
            progress(len(predictions))


def _scores(model: EarlyWarningModel, stay: Stay, hour: npt.NDArray[np.int64]) -> _Scores:
    """Value, low, high, status and reason of each row."""
    none = np.full(len(hour), np.nan)
    if not len(hour):
        return none, none, none, (), ()
    try:
        series = model.score(stay, stay.admitted_at + int(hour[-1]) * GRID_STEP)
    except ScoringFailed as failure:
        absent = (ScoreStatus.ABSENT,) * len(hour)
        return none, none, none, absent, (f"scoring failed: {failure}",) * len(hour)
    at = (hour - 1).tolist()
    status, reason = (tuple(words[i] for i in at) for words in (series.status, series.reason))
    return series.value[at], series.low[at], series.high[at], status, reason


def _chunks(stays: Iterable[IngestedStay]) -> Iterator[list[IngestedStay]]:
    remaining = iter(stays)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def _load(models: Names) -> tuple[EarlyWarningModel, ...]:
    return tuple(registry.load(model) for model in models)


_load_once = cache(_load)  # filled in the worker processes only


def predict_chunk(models: Names, chunk: Sequence[IngestedStay]) -> list[Predictions]:
    """Every stay's predictions, one a model; the process it runs in loads the models once."""
    return _predict_chunk(_load_once(models), chunk)


def _predict_chunk(models: tuple[EarlyWarningModel, ...], chunk: Sequence[IngestedStay]) -> list[Predictions]:
    return [tuple(predict(model, ingested) for model in models) for ingested in chunk]

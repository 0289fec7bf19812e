"""Patients like this one: which past stays a stay is like, and what became of them, as JSON."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from models import registry
from models.base import EarlyWarningModel, Likening
from models.clinical.errors import UnknownModel, UnreadableSource
from models.clinical.score import GRID_STEP
from models.clinical.stay import Stay
from service.answers import Json, instant, named
from service.problems import NotFound

if TYPE_CHECKING:
    from models.dtw.likeness import Likeness

_log = logging.getLogger(__name__)

_SHARES = 5  # of the distance, a past stay: behind the fifth variable none is worth saying


class PastStays:
    """Whom a worker compares with: the model that scores if it remembers stays, else the one set."""

    def __init__(self, scoring: EarlyWarningModel, name_or_folder: str) -> None:
        self._model: Likening | None = scoring if isinstance(scoring, Likening) else None
        self._name = name_or_folder
        self._lock = threading.Lock()

    def model(self) -> Likening:
        """The model, loaded when it is first asked for. Raises NotFound where there is none."""
        with self._lock:
            if self._model is None:
                self._model = _loaded(self._name)
            return self._model


def _loaded(name_or_folder: str) -> Likening:
    """The path stays in the log: it is nobody's business outside."""
    try:
        found = registry.load(name_or_folder)
    except (UnknownModel, UnreadableSource) as error:
        _log.error("PRODROME_LIKENESS_MODEL: %s", error)
        found = None
    if not isinstance(found, Likening):
        raise NotFound(
            "no past stays to compare with: PRODROME_LIKENESS_MODEL names no model that remembers any"
        )
    return found


def similar_stays(model: Likening, stay: Stay, hour: datetime) -> Json:
    """The past stays most like `stay` at the grid hour `hour`; none where too little is known."""
    found = model.patients_like(stay, hour)
    references, septic = model.remembered()
    clock = _clock(found, stay.admitted_at, hour)
    return {
        "time": instant(hour),
        "model": {"name": model.name, "version": model.version},
        "references": {"count": references, "septic": septic},
        "summary": _summary(found),
        "hours": [instant(moment) for moment in clock],
        "similar": [_similar(one, len(clock)) for one in found],
    }


def _clock(found: Sequence[Likeness], admitted_at: datetime, hour: datetime) -> list[datetime]:
    """The grid hours on which the past stays are laid, those before admission left out."""
    if not found:
        return []
    last = found[0].pairs[-1][0]
    hours = [hour - (last - place) * GRID_STEP for place in range(last + 1)]
    return [moment for moment in hours if moment > admitted_at]


def _summary(found: Sequence[Likeness]) -> Json:
    """How many became septic, and the earliest and latest onset in hours from `time`."""
    onsets = [one.onset_hours for one in found if one.onset_hours is not None]
    septic = sum(one.outcome for one in found)
    return {
        "count": len(found),
        "septic": septic,
        "share": septic / len(found) if found else None,
        "hours_to_onset": [min(onsets), max(onsets)] if onsets else None,
    }


def _similar(one: Likeness, hours: int) -> Json:
    """`alignment` in hours before the end of either: [of the stay, of the past stay], 0 the newest."""
    newest = one.pairs[-1][0]
    end = max(past for _, past in one.pairs)
    return {
        "septic": one.outcome,
        "hours_to_onset": one.onset_hours,
        "stays": one.stays,
        "distance": one.distance,
        "shares": [named(name) | {"share": share} for name, share in one.shares[:_SHARES]],
        "alignment": [[now - newest, past - end] for now, past in one.pairs if newest - now < hours],
        "course": {
            name: [value if math.isfinite(value) else None for value in course[-hours:].tolist()]
            for name, course in one.course.items()
        },
    }

"""DTW: a stay is laid on past stays by time warping, and those most like it vote.

    observations -> last values, hour by hour -> excerpt of the last H hours -> distances to the references,
    row by row -> evidence of each group of rows -> weighted sum -> calibrated score

The references are the H hours before some hour near the onset of cases, and before any hour of stays without
an onset. Every hour is scored by itself, from what was known by it: `score(stay.until(t))` equals
`score(stay)` up to t in every bit.

    T  grid hours     V  variables     H  hours of an excerpt     N  references     G  groups of rows
    R  rows that are compared: values, when each variable was measured, hour of stay and patient

Source: Moor 2019 arXiv:1902.01659. They compare values of whole stays up to the onset, once a stay; ours
compares excerpts hour by hour, lets carried values fade, compares also when what was measured, and learns how
much each row counts in a distance and how much each group's vote is worth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.base import Explanation
from models.calibration import Calibration
from models.channels import patient
from models.clinical.errors import InvalidInput, ScoringFailed
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import LabelledStay, Stay
from models.contributions import contributions
from models.dtw import index as index_files
from models.dtw.ensemble import CASE, Voting
from models.dtw.excerpts import CarriedCourse, measured
from models.dtw.index import Index
from models.dtw.likeness import Likeness, likeness
from models.dtw.series import Series
from models.dtw_votes import MEASURED, ROWS, WIDE_GROUPS, Votes
from models.feed import last_values
from models.folder import check_saved_for, read_description, version_of, write_folder
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES, Standardisation
from models.revisions import as_at, score_as_known
from models.sufficiency import SufficiencyRule

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DTWConfig:
    """What is compared and who votes."""

    hours: int = 8  # of an excerpt
    fading_hours: float = 12.0  # at this age a carried value counts half
    single: bool = True  # a group for the values, and one for the times, of each variable by itself
    wide: tuple[str, ...] = tuple(WIDE_GROUPS)  # and these
    voting: Voting = field(default_factory=lambda: Voting(100, 1, combination="root_mean_square"))
    sufficiency: SufficiencyRule = field(default_factory=SufficiencyRule)

    def __post_init__(self) -> None:
        for name, value, least in (("hours", self.hours, 2), ("fading_hours", self.fading_hours, 1e-3)):
            if value < least:
                raise InvalidInput(
                    f"{name} {value}: at least {least} h", value=value, bound=f">= {least}", unit="h"
                )
        if self.voting.combination != "root_mean_square":
            raise InvalidInput(
                f"combination {self.voting.combination}: rows are weighed by a metric of squares",
                value=self.voting.combination,
                bound="root_mean_square",
            )
        if not self.single and not self.wide:
            raise InvalidInput("nobody votes: neither single variables nor a wide group")
        if unknown := set(self.wide) - set(WIDE_GROUPS):
            raise InvalidInput(f"no group {sorted(unknown)}; there are {', '.join(WIDE_GROUPS)}")

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """From `as_json` or TOML; what is left out keeps its default. Raises TypeError for other names."""
        chosen = dict(fields)
        chosen["wide"] = tuple(chosen.get("wide", WIDE_GROUPS))
        chosen["voting"] = replace(cls().voting, **chosen.get("voting", {}))
        chosen["sufficiency"] = SufficiencyRule(**chosen.get("sufficiency", {}))
        return cls(**chosen)

    def as_json(self) -> dict[str, Any]:
        """Every field, nested."""
        return asdict(self)

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The rows of each group: single ones first."""
        alone = tuple((name,) for name in VARIABLES + MEASURED) if self.single else ()
        return (*alone, *(WIDE_GROUPS[name] for name in self.wide))


@dataclass(frozen=True)
class Learnt:
    """The references, as excerpts; how much each row counts in a distance, `metric` (R,); the worth (G,) of
    each group's evidence, and what makes a score of it; `training` says how, as JSON.
    """

    index: Index
    standardisation: Standardisation
    metric: Floats
    worth: Floats
    calibration: Calibration
    threshold: float
    training: dict[str, Any]


@dataclass(frozen=True)
class _Asked:
    """The last grid hour not after the time asked for, the stay then, its excerpt where it has a score."""

    at: datetime
    known: Stay
    query: Series | None


class DTWKNN:
    """The model that `models.registry.load("dtw")` gives; immutable once built."""

    name = "dtw"

    def __init__(self, config: DTWConfig, learnt: Learnt) -> None:
        self.config, self.learnt = config, learnt
        self.votes = Votes(config.groups(), learnt.index, learnt.metric, config.voting)
        if len(learnt.worth) != len(config.groups()):
            raise InvalidInput(
                f"{len(learnt.worth)} weights for {len(config.groups())} groups", value=len(learnt.worth)
            )
        self._version = version_of(self._description(), index_files.fingerprint(learnt.index))

    @property
    def version(self) -> str:
        """A hash of configuration, references and weights: equal versions give equal scores."""
        return self._version

    @property
    def threshold(self) -> float:
        """The score at or above which an hour is called positive."""
        return self.learnt.threshold

    @property
    def prior(self) -> float:
        """The probability of an hour before a stay's first score."""
        return self.learnt.calibration.prior

    @property
    def training(self) -> Mapping[str, Any]:
        """How it was learnt: data, split, figures on validation."""
        return self.learnt.training

    def fit(self, train: Sequence[LabelledStay], validation: Sequence[LabelledStay]) -> Self:
        """A new model of this configuration: references from `train`, weights and calibration from
        `validation`.
        """
        # training is not loaded to score
        from models.dtw_learning import learn  # noqa: PLC0415
        from models.dtw_recruiting import Recipe  # noqa: PLC0415

        return type(self)(self.config, learn(self.config, train, validation, Recipe()))

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """The scores on `stay.grid(end)`, each from what stood at its time.

        INDETERMINATE where the sufficiency rule is not met, ABSENT before the first observation.
        Raises ScoringFailed on a numerical failure, InvalidInput for an observation that is not finite.
        """
        return score_as_known(stay, end, self._score)

    def _score(self, stay: Stay, end: datetime | None) -> ScoreSeries:
        time = stay.grid(end)
        course = course_of(stay, self.learnt.standardisation, len(time))
        status, reason = self.config.sufficiency.judge_all(course.age_hours)
        value = np.full(len(time), np.nan)
        for place, one in enumerate(status):
            if one is ScoreStatus.PRESENT:
                query = self._excerpt(course, place + 1)
                value[place] = self._score_of(query, self.votes.distances(query))
        present = np.array([one is ScoreStatus.PRESENT for one in status], dtype=bool)
        if not np.isfinite(value[present]).all():
            raise ScoringFailed(f"stay {stay.stay_id}: the votes gave a score that is not finite")
        return ScoreSeries(stay.stay_id, self.name, time, value, status, reason)

    def _score_of(self, query: Series, distances: Floats) -> float:
        weighed = weigh(self.votes.evidence(query, distances), self.learnt.worth)
        return float(self.learnt.calibration(np.array([weighed]))[0])

    def _excerpt(self, course: CarriedCourse, hour: int) -> Series:
        return course.excerpt(hour, self.config.hours, self.config.fading_hours)

    def explain(self, stay: Stay, time: datetime) -> Explanation:
        """How much lower the score of the last grid hour not after `time` would be without each variable.

        Empty where there is no score. Raises InvalidInput if `time` lies before the first grid hour.
        """
        asked = self._asked(stay, time)
        if asked.query is None:
            return Explanation(asked.at, ())
        distances, gone = self.votes.distances(asked.query), _emptied(asked.query, range(len(VARIABLES)))
        absent, whole = self.votes.distances(gone), self._score_of(asked.query, distances)
        share = {}
        for v, name in enumerate(VARIABLES):
            if asked.query.mean_weight[v] > 0.0:
                left, rows = distances.copy(), [v, ROWS.index(measured(name))]
                left[rows] = absent[rows]
                share[name] = whole - self._score_of(_emptied(asked.query, [v]), left)
        return Explanation(asked.at, contributions(share, asked.known))

    def patients_like(self, stay: Stay, time: datetime, count: int = 5) -> tuple[Likeness, ...]:
        """The references nearest to the stay at `time` over all rows, and what became of them; courses in
        canonical units.

        Empty where there is no score. Raises InvalidInput if `time` lies before the first grid hour.
        """
        query = self._asked(stay, time).query
        if query is None:
            return ()
        learnt, distances = self.learnt, self.votes.distances(query)
        alignment = self.config.voting.alignment()
        nearest = likeness(query, learnt.index, distances, learnt.metric, alignment, count)
        backward = learnt.standardisation.backward
        return tuple(
            replace(one, course={name: backward(VARIABLES.index(name), x) for name, x in one.course.items()})
            for one in nearest
        )

    def remembered(self) -> tuple[int, int]:
        """How many references there are, and how many of them had an onset."""
        outcome = self.learnt.index.outcome
        return len(outcome), int((outcome == CASE).sum())

    def _asked(self, stay: Stay, time: datetime) -> _Asked:
        at, hour, known = as_at(stay, time)
        course = course_of(known, self.learnt.standardisation, hour)
        enough = self.config.sufficiency.judge(course.age_hours[-1])[0] is ScoreStatus.PRESENT
        return _Asked(at, known, self._excerpt(course, hour) if enough else None)

    def save(self, folder: Path) -> None:
        """Write `model.json` and the index, `index.json` and `index.safetensors`."""
        index_files.save(self.learnt.index, folder)
        write_folder(folder, self._description(), {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises UnknownModel without it, UnreadableSource for a damaged index."""
        fields = read_description(folder)
        check_saved_for(folder, fields, variables=[*VARIABLES], rows=[*ROWS])
        learnt = Learnt(
            index_files.load(folder),
            Standardisation(*(np.array(column, dtype=np.float64) for column in fields["standardisation"])),
            np.array(fields["metric"], dtype=np.float64),
            np.array(fields["worth"], dtype=np.float64),
            Calibration(**fields["calibration"]),
            fields["threshold"],
            fields["training"],
        )
        return cls(DTWConfig.from_json(fields["config"]), learnt)

    def _description(self) -> str:
        learnt = self.learnt
        columns = asdict(learnt.standardisation).values()
        fields = {
            "model": self.name,
            "variables": VARIABLES,
            "rows": ROWS,
            "config": self.config.as_json(),
            "metric": learnt.metric.tolist(),
            "worth": learnt.worth.tolist(),
            "calibration": asdict(learnt.calibration),
            "threshold": learnt.threshold,
            "training": learnt.training,
            "standardisation": [
                [None if np.isnan(one) else one for one in column.tolist()] for column in columns
            ],
        }
        return json.dumps(fields, indent=1)


def course_of(stay: Stay, standardisation: Standardisation, hours: int) -> CarriedCourse:
    """What each of the first `hours` grid hours knew. Raises InvalidInput for a value not finite."""
    encoded = encode(stay, standardisation, hours)
    columns = (encoded.time_hours, encoded.variable, encoded.value, encoded.known)
    values = last_values(*columns, len(VARIABLES))
    return CarriedCourse(values, encoded.since_hours, _who(stay), VARIABLES)


def weigh(evidence: Floats, worth: Floats) -> float:
    """The sum of the evidence (G,), each group by its worth; who abstains adds nothing."""
    return float((np.nan_to_num(evidence, nan=0.0) * worth).sum())


def _who(stay: Stay) -> Floats:
    """The rows PATIENT: each about as wide as a standardised variable, 0 where nothing is known."""
    age, _, female, male, waited, unheard, medical, surgical = patient(stay)[:8]
    return np.array([age, male - female, 0.0 if unheard else waited, medical - surgical])


def _emptied(excerpt: Series, variables: Iterable[int]) -> Series:
    """The excerpt as if these variables had never been measured."""
    values, weights = excerpt.values.copy(), np.array(excerpt.weights)
    values[list(variables)] = weights[list(variables)] = 0.0
    return Series(values, weights, excerpt.variables)

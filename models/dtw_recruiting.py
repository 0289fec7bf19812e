"""Whom the DTW ensemble remembers, and how much each row counts in a distance, both from training stays.

N  references     Q  hours of training     R  rows that are compared     H  hours of an excerpt
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.stay import GRID_STEP, LabelledStay
from models.dtw.distances import per_variable
from models.dtw.excerpts import CarriedCourse, compared, scaled
from models.dtw.index import Index, coded
from models.dtw.prototypes import Comparison, Part, condensed
from models.dtw.series import Series, references
from models.dtw_knn import DTWConfig, course_of
from models.dtw_metric import Descent, LabelledDistances, learnt_metric
from models.mgp.standardise import VARIABLES, Standardisation

Floats = npt.NDArray[np.float64]
Place = tuple[int, int]  # number of a stay, hour of it

LABEL_LEAD_HOURS = 6  # a label of CinC 2019 rises so long before the onset


@dataclass(frozen=True)
class Recipe:
    """Who becomes a reference, and how many hours are looked at to learn what a vote is worth."""

    onset_hours: tuple[int, ...] = (0, 2, 4, 6)  # an excerpt of a case for each, so long before its onset
    cases: int = 2000  # excerpts at most
    controls: int = 4000  # excerpts that end at hours as they occur, of stays without onset
    prototype_stays: int = 0  # references become barycentres of at least so many stays; 0 keeps them
    metric_hours: int = 2000  # of training, half of them positive
    metric_references: int = 2500
    descent: Descent = field(default_factory=Descent)
    tuning_hours: int = 6000  # of validation, beside every positive one
    penalty: float = 1e-3  # on the squared worth, against groups that say the same
    seed: int = 2019

    def __post_init__(self) -> None:
        for name, least in (("cases", 1), ("controls", 1), ("tuning_hours", 1), ("metric_hours", 2)):
            if getattr(self, name) < least:
                raise InvalidInput(
                    f"{name} {getattr(self, name)}: at least {least}",
                    value=getattr(self, name),
                    bound=f">= {least}",
                )
        if self.metric_references < 2 or self.prototype_stays < 0 or self.prototype_stays == 1:  # noqa: PLR2004
            raise InvalidInput(
                f"metric_references {self.metric_references}: at least 2; prototype_stays "
                f"{self.prototype_stays}: 0 for none, or at least 2",
                value=(self.metric_references, self.prototype_stays),
                bound=">= 2",
            )
        if len(set(self.onset_hours)) != len(self.onset_hours) or min(self.onset_hours, default=-1) < 0:
            raise InvalidInput(
                f"onset_hours {self.onset_hours}: each once, none before 0",
                value=self.onset_hours,
                bound=">= 0",
                unit="h",
            )


@dataclass(frozen=True)
class Memory:
    """The references, and how much each row counts in a distance to them, (R,)."""

    index: Index
    metric: Floats


def remembered(
    config: DTWConfig, train: Sequence[LabelledStay], standardisation: Standardisation, recipe: Recipe
) -> Memory:
    """What is kept of training stays. Raises InvalidInput without a case or a control.

    The weights are learnt among single stays even where what is remembered are prototypes.
    """
    recruiter = _Recruiter(config, standardisation, recipe, np.random.default_rng(recipe.seed))
    cases = recruiter.cases(train)
    controls = recruiter.controls(train)
    if not cases or not controls:
        counts = f"{len(cases)} cases and {len(controls)} controls"
        raise InvalidInput(f"{counts}: at least one each", bound=">= 1")
    metric = learnt_metric(
        recruiter.labelled_distances(train, [*cases, *controls]), recipe.descent, recipe.seed
    )
    if recipe.prototype_stays:
        comparison = Comparison(config.voting.alignment(), lambda one: scaled(one, metric))
        parts = _alike([*cases, *controls])
        return Memory(condensed(parts, recipe.prototype_stays, comparison, seed=recipe.seed), metric)
    return Memory(_kept_as_they_are(cases, controls), metric)


@dataclass(frozen=True, eq=False)
class _Excerpt:
    """It ends with hour `last` of the stay numbered `stay`; a case's so many hours before the onset that its
    label implies, which is `told` where the stay was negative before.
    """

    series: Series
    stay: int
    last: int
    case: bool = False
    lead_hours: int = 0
    told: bool = False

    @property
    def onset_hours(self) -> float:
        """From the last hour to the onset, NaN where there is none or none is told."""
        return float(self.lead_hours) if self.told else float("nan")

    def label_in(self, train: Sequence[LabelledStay]) -> int:
        """The label of its last hour."""
        one = train[self.stay]
        return int(one.label[np.searchsorted(one.hour, self.last)])


@dataclass(frozen=True, eq=False)
class _Recruiter:
    """Draws excerpts of training stays."""

    config: DTWConfig
    standardisation: Standardisation
    recipe: Recipe
    random: np.random.Generator

    def cases(self, train: Sequence[LabelledStay]) -> list[_Excerpt]:
        """Excerpts that end some hours before the onset, where the stay has such an hour. A stay that is
        positive from its first row on tells no onset: it is a case at like hours, its onset unknown.
        """
        places = [
            (number, _onset(one) - lead)
            for number, one in enumerate(train)
            if one.label.any()
            for lead in sorted(self.recipe.onset_hours, reverse=True)
            if 1 <= _onset(one) - lead <= one.hour[-1]
        ]
        chosen = np.sort(self.random.permutation(len(places))[: self.recipe.cases])
        found = self._excerpts(train, [places[place] for place in chosen])
        return [
            replace(
                one,
                case=True,
                lead_hours=_onset(train[one.stay]) - one.last,
                told=not train[one.stay].label[0],
            )
            for one in found
        ]

    def controls(self, train: Sequence[LabelledStay]) -> list[_Excerpt]:
        """Excerpts of stays without onset that end at hours as they occur; at most one of a stay where they
        go into prototypes.
        """
        calm = _hours(train, 0)
        never = np.array([not one.label.any() for one in train], bool)
        mixed = self.random.permutation(calm[never[calm[:, 0]]])
        if self.recipe.prototype_stays:
            mixed = mixed[np.sort(np.unique(mixed[:, 0], return_index=True)[1])]
        places = [(number, hour) for number, hour in mixed[: self.recipe.controls].tolist()]
        return self._excerpts(train, sorted(places))

    def labelled_distances(
        self, train: Sequence[LabelledStay], many: Sequence[_Excerpt]
    ) -> LabelledDistances:
        """Hours of training, half of them positive, against some of the references, row by row."""
        half = self.recipe.metric_hours // 2
        drawn = [self.random.permutation(_hours(train, label))[:half].tolist() for label in (0, 1)]
        asked = self._excerpts(train, sorted((number, hour) for one in drawn for number, hour in one))
        some = np.sort(self.random.permutation(len(many))[: self.recipe.metric_references])
        chosen = [many[place] for place in some.tolist()]
        rows, alignment = references([compared(one.series) for one in chosen]), self.config.voting.alignment()
        own = np.array([one.stay for one in asked])[:, None] == np.array([one.stay for one in chosen])
        asked = [one for one, alone in zip(asked, own.all(axis=1), strict=True) if not alone]
        distances = np.empty((rows.values.shape[1], len(asked), len(chosen)), np.float16)
        for place, one in enumerate(asked):
            distances[:, place] = per_variable(compared(one.series), rows, alignment)
        return LabelledDistances(
            distances,
            label=np.array([one.label_in(train) for one in asked], np.int8),
            outcome=np.array([one.case for one in chosen], np.int8),
            own=own[~own.all(axis=1)],
        )

    def _excerpts(self, train: Sequence[LabelledStay], places: Sequence[Place]) -> list[_Excerpt]:
        """Those that end at `places`, in order of stays; what knows nothing is left out."""
        found = []
        for number, own in groupby(places, key=lambda place: place[0]):
            course = labelled_course(train[number], self.standardisation)
            for _, hour in own:
                series = course.excerpt(hour, self.config.hours, self.config.fading_hours)
                found.append(_Excerpt(series, number, hour))
        return [one for one in found if one.series.mean_weight[: len(VARIABLES)].any()]


def _hours(train: Sequence[LabelledStay], label: int) -> npt.NDArray[np.int64]:
    """(stay, hour) of every hour of a label, (n, 2)."""
    places = [
        (number, hour) for number, one in enumerate(train) for hour in one.hour[one.label == label].tolist()
    ]
    return np.array(places, np.int64).reshape(-1, 2)


def _onset(one: LabelledStay) -> int:
    """The hour of a septic stay that its label implies."""
    return int(one.hour[np.argmax(one.label)]) + LABEL_LEAD_HOURS


def _alike(many: Sequence[_Excerpt]) -> list[Part]:
    """Excerpts by outcome and hours to the onset: in each part a stay is once."""
    keys = [(one.case, one.told, one.lead_hours) for one in many]
    parts = [[one for one, own in zip(many, keys, strict=True) if own == key] for key in sorted(set(keys))]
    return [(int(own[0].case), own[0].onset_hours, [one.series for one in own]) for own in parts]


def _kept_as_they_are(cases: Sequence[_Excerpt], controls: Sequence[_Excerpt]) -> Index:
    both = [*cases, *controls]
    return Index(
        references([coded(one.series) for one in both]),
        np.array([1] * len(cases) + [0] * len(controls), np.int8),
        np.array([one.onset_hours for one in both], np.float32),
        np.ones(len(both), np.int32),
    )


def labelled_course(one: LabelledStay, standardisation: Standardisation) -> CarriedCourse:
    """A labelled stay as it stood in its last labelled hour."""
    hours = int(one.hour[-1])
    known = one.stay.standing(one.stay.admitted_at + hours * GRID_STEP)
    return course_of(known, standardisation, hours)

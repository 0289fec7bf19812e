"""The ensemble: several models asked about the same stay, their answers weighed, and silence where they part.

    members' scores -> logits (of a rule: points) -> weighted sum (models/stacking.py) -> calibrated score

**Status.** The first member leads: where it has no score there is none, for its reason.

**Spread.** A member that states a spread moves the ensemble's score between its own low and high, all at
once; members that state none stay where they are.

**Abstention.** Members that read the same patient very differently know less than their mean suggests. The
disagreement of an hour is the widest gap between the logits of members that claim probabilities; an hour is
indeterminate where it exceeds `Conformal.limit`, the conformal quantile of the validation stays' largest
disagreements: of exchangeable stays at least the share `Conformal.coverage` never meets it.

Weights, calibration, threshold and limit come from validation subjects, whom no member learnt from. Every
step is hour by hour, so the ensemble is as causal as its members.

    T  grid hours     J  members     M  variables

Sources: Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1; conformal prediction with stays as the exchangeable
unit: Vovk, Gammerman and Shafer 2005, doi:10.1007/b106715.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models import registry
from models.base import EarlyWarningModel, Explanation, Inquiry
from models.calibration import CLOSEST, Calibration, logit_of
from models.charted import Charting, charted
from models.clinical.errors import InvalidInput
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import LabelledStay, Stay
from models.contributions import contributions
from models.folder import read_description, version_of, write_folder
from models.mgp_tcn import MGPTCN, FilteredPosterior
from models.revisions import as_at, score_as_known
from models.stacking import Stacking

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Conformal:
    """An hour is indeterminate where members' logits lie further apart than `limit`; `coverage` in (0, 1) is
    the least share of stays that never meets it.
    """

    limit: float
    coverage: float


@dataclass(frozen=True)
class Learnt:
    """What validation subjects taught; `training` says how, as JSON."""

    stacking: Stacking
    calibration: Calibration
    conformal: Conformal
    threshold: float
    training: dict[str, Any]


class Ensemble:
    """The model that `models.registry.load("ensemble")` gives; immutable once built.

    Its first member is an MGP-TCN: it says when there is a score and how wide its spread is.
    Raises InvalidInput unless each member comes once and has a weight.
    """

    name = "ensemble"

    def __init__(self, members: Sequence[EarlyWarningModel], learnt: Learnt) -> None:
        names, weights = [member.name for member in members], len(learnt.stacking.weight)
        if len(set(names)) != len(names) or len(names) != weights or not isinstance(members[0], MGPTCN):
            raise InvalidInput(
                f"members {names} with {weights} weights",
                value=names,
                bound="an MGP-TCN first, each name once, a weight each",
            )
        self.members, self.learnt = tuple(members), learnt
        scale = self.leader.standardisation
        reading_alike = (
            one for one in self.members if isinstance(one, Charting) and one.standardisation.equals(scale)
        )
        self._charting = {one.name: one for one in reading_alike}
        told = "".join(member.version for member in members) + self._description()
        self._version = version_of(told, b"")

    @property
    def version(self) -> str:
        """A hash of the members' versions and of what weighs them: equal versions give equal scores."""
        return self._version

    @property
    def threshold(self) -> float:
        """The score at or above which an hour is called positive."""
        return self.learnt.threshold

    @property
    def leader(self) -> MGPTCN:
        """The first member."""
        first = self.members[0]
        assert isinstance(first, MGPTCN)  # checked when it was built
        return first

    @property
    def prior(self) -> float:
        """The probability of an hour before a stay's first score."""
        return self.learnt.calibration.prior

    @property
    def training(self) -> Mapping[str, Any]:
        """How it was learnt: data, split, figures on validation."""
        return self.learnt.training

    def fit(self, train: Sequence[LabelledStay], validation: Sequence[LabelledStay]) -> Self:
        """A new ensemble of members fitted anew on `train` and weighed on `validation`."""
        from models.ensemble_learning import weigh  # noqa: PLC0415  learning is not loaded to score

        members = [member.fit(train, validation) for member in self.members]
        return type(self)(members, weigh(members, validation, self.learnt.conformal.coverage))

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """The scores on `stay.grid(end)`, each from what stood at its time, with their spread.

        INDETERMINATE or ABSENT where the first member is, INDETERMINATE where the members disagree too much.
        Raises what the members raise.
        """
        return score_as_known(stay, end, self._score)

    def _score(self, stay: Stay, end: datetime | None) -> ScoreSeries:
        series = self._told(stay, end)
        x, low, high = (self.inputs(series, side) for side in ("value", "low", "high"))
        value = self._calibrated(np.concatenate([x, low, high])).reshape(3, len(x))
        value[1:] = np.sort(value[1:], axis=0)
        value[1:, np.isnan(series[0].low)] = np.nan
        status, reason = self._judged(series, x)
        value[:, [one is not ScoreStatus.PRESENT for one in status]] = np.nan
        return ScoreSeries(stay.stay_id, self.name, series[0].time, value[0], status, reason, *value[1:])

    def _told(self, stay: Stay, end: datetime | None) -> list[ScoreSeries]:
        """Each member's scores of a stay without corrections, charted once for those that read alike."""
        chart, own = charted(stay, end, self.leader.standardisation), self._charting
        return [
            own[one.name].score_charted(chart) if one.name in own else one.score(stay, end)
            for one in self.members
        ]

    def inputs(self, series: Sequence[ScoreSeries], side: str = "value") -> Floats:
        """What each member says, (T, J), NaN where nothing: `value`, or the `low` or `high` of its spread
        where it states one.
        """
        columns = [np.where(np.isnan(getattr(one, side)), one.value, getattr(one, side)) for one in series]
        return said(self.members, columns)

    def _calibrated(self, x: Floats) -> Floats:
        return self.learnt.calibration(self.learnt.stacking.logit(x))

    def _judged(
        self, series: Sequence[ScoreSeries], x: Floats
    ) -> tuple[tuple[ScoreStatus, ...], tuple[str, ...]]:
        status, reason = list(series[0].status), list(series[0].reason)
        for hour in np.flatnonzero(disagreement(self.members, x) > self.learnt.conformal.limit):
            if status[hour] is ScoreStatus.PRESENT:
                status[hour], reason[hour] = ScoreStatus.INDETERMINATE, self._disagreeing(series, int(hour))
        return tuple(status), tuple(reason)

    def _disagreeing(self, series: Sequence[ScoreSeries], hour: int) -> str:
        told = [
            f"{one.model} {one.value[hour]:.2f}"
            for one in series
            if one.model not in registry.RULES and not np.isnan(one.value[hour])
        ]
        usual = f"{self.learnt.conformal.coverage:.0%}"
        return f"the models disagree more than in {usual} of stays: {', '.join(told)}"

    def explain(self, stay: Stay, time: datetime) -> Explanation:
        """What each variable adds to the score of the last grid hour not after `time`, over all members.

        A member's shares become shares of its logit by the slope of the curve at its score, are weighed, and
        become shares of the ensemble's score likewise: what raises and what lowers a low score are then seen
        alike. Empty where there is no score. Raises InvalidInput if `time`
        lies before the first grid hour.
        """
        at, _, known = as_at(stay, time)
        scores = [member.score(known, at).value[-1] for member in self.members]
        if np.isnan(scores[0]):
            return Explanation(at, ())
        x = said(self.members, [np.array([one]) for one in scores])
        scale = self.learnt.calibration.slope * _steepness(float(self._calibrated(x)[0]))
        share: dict[str, float] = defaultdict(float)
        for member, score, weight in zip(self.members, scores, self.learnt.stacking.weight, strict=True):
            if weight == 0.0 or np.isnan(score):
                continue
            own = 1.0 if member.name in registry.RULES else _steepness(float(score))
            for one in member.explain(known, at).contributions:
                share[one.variable] += scale * weight * one.share / own
        return Explanation(at, contributions(share, known))

    def inquire(self, stay: Stay, time: datetime) -> Inquiry:
        """The observations that moved the score at `time` most, and what to measure next to narrow it."""
        from models.inquiry import influences, latest_logit, next_measurements  # noqa: PLC0415

        at, hour, known = as_at(stay, time)
        x = self.inputs([member.score(known, at) for member in self.members])[-1:]
        if np.isnan(x[0, 0]):
            return Inquiry(at)

        def led(told: Floats, logit: Floats) -> Floats:
            """The scores, were the leader's logits `logit` (D,), and the others' what is `told` (1, J)."""
            changed = np.repeat(told, len(logit), axis=0)
            changed[:, 0] = logit_of(self.leader.calibration(logit))
            return self._calibrated(changed)

        def score_of(changed: Stay) -> float:
            others = [member.score(changed, at).value[-1:] for member in self.members[1:]]
            told = said(self.members, [np.array([np.nan]), *others])
            return float(led(told, latest_logit(self.leader, changed, hour))[0])

        measurements = next_measurements(self.leader, known, hour, lambda logit: led(x, logit))
        return Inquiry(at, influences(score_of, known), measurements)

    def posterior(
        self, stay: Stay, variables: Sequence[str], end: datetime | None = None
    ) -> FilteredPosterior:
        """What the first member's process says, see `MGPTCN.posterior`."""
        return self.leader.posterior(stay, variables, end)

    def save(self, folder: Path) -> None:
        """Write model.json to `folder` and each member to a folder of its name in it."""
        write_folder(folder, self._description(), {})
        for member in self.members:
            member.save(folder / member.name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises UnknownModel if a file is missing."""
        fields = read_description(folder)
        members = [registry.load(folder / name) for name in fields["members"]]
        told = fields["stacking"]
        learnt = Learnt(
            Stacking(tuple(told["weight"]), tuple(told["centre"]), told["intercept"]),
            Calibration(**fields["calibration"]),
            Conformal(**fields["conformal"]),
            fields["threshold"],
            fields["training"],
        )
        return cls(members, learnt)

    def _description(self) -> str:
        fields = {
            "model": self.name,
            "members": [member.name for member in self.members],
            **asdict(self.learnt),
        }
        return json.dumps(fields, indent=2)


def said(members: Sequence[EarlyWarningModel], scores: Sequence[Floats]) -> Floats:
    """What is stacked of members' `scores` (T,) each: logits, of a rule the share of its points; (T, J)."""
    columns = [
        score if member.name in registry.RULES else logit_of(score)
        for member, score in zip(members, scores, strict=True)
    ]
    return np.stack(columns, axis=-1)


def disagreement(members: Sequence[EarlyWarningModel], x: Floats) -> Floats:
    """The widest gap between logits in x (T, J) of members that claim probabilities, 0 where fewer than two
    say something: (T,).
    """
    claims = x[:, [member.name not in registry.RULES for member in members]]
    widest = np.fmax.reduce(claims, axis=1) - np.fmin.reduce(claims, axis=1)
    return np.asarray(np.nan_to_num(widest, nan=0.0))


def _steepness(score: float) -> float:
    """By how much a score rises for a unit of its logit; no less than at the closest score to 0 and 1."""
    return max(score * (1.0 - score), CLOSEST)

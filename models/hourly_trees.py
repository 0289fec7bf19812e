"""Hourly trees: boosted trees that read one hour of a stay at a time.

    what an hour knows (models/channels.py) -> trees -> logit -> calibrated score

They remember nothing: whatever of the past matters has to be in the hour's channels, last values, changes,
extremes, counts and clocks. They fit thresholds and the clock better than a network does, and are the member
of the ensemble that sees least of a stay's course and most of its state.

    T  grid hours     C  channels     M  variables

Source: Friedman 2001 doi:10.1214/aos/1013203451; grown by scikit-learn's histogram gradient boosting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from models.base import Explanation
from models.calibration import Calibration
from models.channels import CHANNELS, channels, of_variable
from models.charted import Charted, charted
from models.clinical.errors import InvalidInput
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import LabelledStay, Stay
from models.contributions import contributions
from models.folder import check_saved_for, read_description, version_of, write_folder
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES, Standardisation
from models.revisions import as_at, score_as_known
from models.sufficiency import SufficiencyRule
from models.trees import Trees

WEIGHTS = "trees.safetensors"


@dataclass(frozen=True)
class HourlyTreesConfig:
    """How the trees grow, and when too little is known for a score."""

    trees: int = 120  # of each forest; 300 ranked those of another hospital worse
    forests: int = 3  # each grows on every third hour, from the first, the second and the third on
    rate: float = 0.04
    leaves: int = 31
    smallest_leaf: int = 170  # hours; a septic stay has about three positive ones among every third
    l2: float = 10.0
    channels_a_split: float = 0.3
    seed: int = 2019
    sufficiency: SufficiencyRule = field(default_factory=SufficiencyRule)

    def __post_init__(self) -> None:
        if min(self.trees, self.forests, self.leaves - 1) < 1:
            raise InvalidInput(
                f"{self.forests} forests of {self.trees} trees with {self.leaves} leaves",
                value=(self.forests, self.trees, self.leaves),
                bound="at least one forest, one tree and two leaves",
            )

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """From `asdict` or TOML; what is left out keeps its default. Raises TypeError for other names."""
        chosen = dict(fields)
        return cls(**chosen | {"sufficiency": SufficiencyRule(**chosen.get("sufficiency", {}))})


@dataclass(frozen=True)
class Learnt:
    """The trees, the scale of what they read, and what makes a score of a logit; `training` says how."""

    trees: Trees
    standardisation: Standardisation
    calibration: Calibration
    threshold: float
    training: dict[str, Any]


class HourlyTrees:
    """The model that `models.registry.load("hourly-trees")` gives; immutable once built."""

    name = "hourly-trees"

    def __init__(self, config: HourlyTreesConfig, learnt: Learnt) -> None:
        self.config, self.learnt = config, learnt
        self._version = version_of(self._description(), self._weights())

    @property
    def version(self) -> str:
        """A hash of configuration and trees: equal versions give equal scores."""
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

    @property
    def standardisation(self) -> Standardisation:
        """The scale of what the trees read."""
        return self.learnt.standardisation

    def fit(self, train: Sequence[LabelledStay], validation: Sequence[LabelledStay]) -> Self:
        """New trees of this configuration grown on `train`, calibrated on `validation`."""
        from models.hourly_trees_learning import learn  # noqa: PLC0415  growing is not loaded to score

        return type(self)(self.config, learn(self.config, train, validation))

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """The scores on `stay.grid(end)`, each from what stood at its time.

        INDETERMINATE where the sufficiency rule is not met, ABSENT before the first observation.
        Raises InvalidInput for an observation that is not finite.
        """
        return score_as_known(stay, end, self._score)

    def _score(self, stay: Stay, end: datetime | None) -> ScoreSeries:
        return self.score_charted(charted(stay, end, self.standardisation))

    def score_charted(self, chart: Charted) -> ScoreSeries:
        """The scores on the chart's grid."""
        status, reason = self.config.sufficiency.judge_all(chart.encoded.since_hours)
        value = self.learnt.calibration(self.learnt.trees.logit(chart.channels))
        value[[one is not ScoreStatus.PRESENT for one in status]] = np.nan
        return ScoreSeries(chart.stay.stay_id, self.name, chart.time, value, status, reason)

    def explain(self, stay: Stay, time: datetime) -> Explanation:
        """What each variable adds to the score of the last grid hour not after `time` along the trees' paths:
        its share of the logit, times the slope of the curve at the score. What patient, clock and charting
        add is nobody's.

        Empty where there is no score. Raises InvalidInput if `time` lies before the first grid hour.
        """
        at, hour, known = as_at(stay, time)
        encoded = encode(known, self.standardisation, hour)
        if self.config.sufficiency.judge(encoded.since_hours[hour - 1])[0] is not ScoreStatus.PRESENT:
            return Explanation(at, ())
        row = channels(known, encoded, self.standardisation.learnt)[-1:]
        added = self.learnt.trees.contributions(row)[0]
        (score,) = self.learnt.calibration(self.learnt.trees.logit(row))
        own = np.array([added[of_variable(m)].sum() for m in range(len(VARIABLES))])
        share = self.learnt.calibration.slope * score * (1.0 - score) * own
        return Explanation(at, contributions(dict(zip(VARIABLES, share.tolist(), strict=True)), known))

    def save(self, folder: Path) -> None:
        """Write model.json and trees.safetensors to `folder`."""
        write_folder(folder, self._description(), {WEIGHTS: self._weights()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises UnknownModel if a file is missing or made for another catalogue."""
        fields = read_description(folder, WEIGHTS)
        check_saved_for(folder, fields, variables=[*VARIABLES], channels=CHANNELS)
        arrays = load_arrays((folder / WEIGHTS).read_bytes())
        standardisation = Standardisation.taken_from(arrays)
        learnt = Learnt(
            Trees.from_arrays(arrays),
            standardisation,
            Calibration(**fields["calibration"]),
            fields["threshold"],
            fields["training"],
        )
        return cls(HourlyTreesConfig.from_json(fields["config"]), learnt)

    def _description(self) -> str:
        fields = {
            "model": self.name,
            "variables": VARIABLES,
            "channels": CHANNELS,
            "config": asdict(self.config),
            "calibration": asdict(self.learnt.calibration),
            "threshold": self.learnt.threshold,
            "training": self.learnt.training,
        }
        return json.dumps(fields, indent=2)

    def _weights(self) -> bytes:
        return save_arrays(self.learnt.trees.arrays() | self.learnt.standardisation.arrays())

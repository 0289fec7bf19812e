"""MGP-TCN: a multi-task Gaussian process feeds a causal temporal convolutional network.

    observations -> what the process says at each grid hour -> network -> logit -> calibrated score

Three ways to feed the network, each honouring both clocks (`MGPTCNConfig.feed`): filtered, smoothed, carried.
The same network reads the posterior mean for the score and `draws` joint draws of the process for its spread:
what the score would be, had the truth been measured.

`score(stay.until(t))` equals `score(stay)` up to t in every bit: the process goes observation by observation,
and the network reads blocks of hours of one shape.

    T  grid hours     M  variables     F  inputs     D  draws

Source: Moor 2019 arXiv:1902.01659; Futoma 2017 arXiv:1706.04152. They smooth over the whole window with a
dense factorisation, normalise over time and score once a stay.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from models.base import Explanation, Inquiry
from models.calibration import Calibration
from models.channels import channels
from models.charted import Charted, charted
from models.clinical.errors import ScoringFailed
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import LabelledStay, Stay
from models.clinical.variables import variable as catalogued
from models.feed import Course, HourInputs, course_of, smoothed_course
from models.folder import check_saved_for, read_description, version_of, write_folder
from models.mgp.encoding import EncodedStay, encode
from models.mgp.hourly import HourlyPath
from models.mgp.kernel import Kernel
from models.mgp.posterior import filtered
from models.mgp.standardise import VARIABLES, Standardisation
from models.mgp.statespace import state_space
from models.network import MGPTCNConfig, MGPTCNNetwork
from models.reading import reader_of
from models.revisions import as_at, score_as_known, stretches
from models.threads import one_thread

Floats = npt.NDArray[np.float64]

WEIGHTS = "weights.safetensors"
SHARED_HOURS = 720  # 8 MB of draws from the prior are kept; a longer stay makes its own
DRAW_SEED = 2019  # of the common random numbers behind the draws
SPREAD = (10.0, 90.0)  # percentiles of the score over draws


@dataclass(frozen=True)
class FilteredPosterior:
    """What the process says each grid hour, from what was known by it, in canonical units.

    `time` (T,) UTC; for each variable `mean`, `low` and `high` (T,): the middle and the 95 % band of the
    quantity itself, measurement noise left out.
    """

    time: pd.DatetimeIndex
    mean: dict[str, Floats]
    low: dict[str, Floats]
    high: dict[str, Floats]


@dataclass(frozen=True)
class Learnt:
    """What training found; `training` says how, as JSON: data, split, recipe, figures."""

    network: MGPTCNNetwork
    standardisation: Standardisation
    calibration: Calibration
    threshold: float
    training: dict[str, Any]


class MGPTCN:
    """The model that `models.registry.load("mgp-tcn")` gives; immutable once built."""

    name = "mgp-tcn"

    def __init__(self, config: MGPTCNConfig, learnt: Learnt) -> None:
        self.config = config
        self.network = learnt.network.eval()
        self.standardisation = learnt.standardisation
        self.calibration = learnt.calibration
        self.training = learnt.training
        self._threshold = learnt.threshold
        with torch.no_grad():
            self._kernel = self.network.hyperparameters.kernel()
        self.reader = reader_of(self.network)
        self._drawn: HourlyPath | None = None
        self._version = version_of(self._description(), self._weights())

    @property
    def version(self) -> str:
        """A hash of configuration and weights: equal versions give equal scores."""
        return self._version

    @property
    def threshold(self) -> float:
        """The score that gains most CinC 2019 utility on validation subjects."""
        return self._threshold

    @property
    def prior(self) -> float:
        """The probability of an hour before a stay's first score."""
        return self.calibration.prior

    @property
    def kernel(self) -> Kernel:
        """The learnt covariance on the standardised scale."""
        return self._kernel

    def fit(self, train: Sequence[LabelledStay], validation: Sequence[LabelledStay]) -> Self:
        """A new model of this configuration learnt from `train`, stopped and calibrated on `validation`."""
        from models.fitting import Recipe, learn  # noqa: PLC0415  training is not loaded to score

        return type(self)(self.config, learn(self.config, train, validation, Recipe()))

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """The scores on `stay.grid(end)`, each from what was known by its time, with their spread.

        INDETERMINATE where the sufficiency rule is not met, ABSENT before the first observation.
        Raises ScoringFailed on a numerical failure, InvalidInput for an observation that is not finite.
        """
        return score_as_known(stay, end, self._score)

    def _score(self, stay: Stay, end: datetime | None) -> ScoreSeries:
        return self.score_charted(charted(stay, end, self.standardisation))

    def score_charted(self, chart: Charted) -> ScoreSeries:
        """The scores on the chart's grid. Raises ScoringFailed on a numerical failure."""
        logits = self.logits(chart.encoded, torch.from_numpy(chart.channels), self.config.draws)
        return self.judged(chart.stay.stay_id, chart.time, chart.encoded.since_hours, logits)

    def judged(
        self, stay_id: str, time: pd.DatetimeIndex, since_hours: Floats, logits: Tensor
    ) -> ScoreSeries:
        """Logits (1 + D, T), of the mean and of the draws, as scores, where enough is known for one.

        `since_hours` (T, M) since each variable was measured, as known at each hour.
        """
        value = self.calibration(logits.double().numpy())  # (1 + D, T)
        if not np.isfinite(value).all():
            raise ScoringFailed(f"stay {stay_id}: the network gave a score that is not finite")
        status, reason = self.config.sufficiency.judge_all(since_hours)
        absent = np.array([one is not ScoreStatus.PRESENT for one in status], dtype=bool)
        low, high = np.percentile(value[1:], SPREAD, axis=0) if len(value) > 1 else (value[0] * np.nan,) * 2
        for one in (value[0], low, high):
            one[absent] = np.nan
        return ScoreSeries(stay_id, self.name, time, value[0], status, reason, low=low, high=high)

    def explain(self, stay: Stay, time: datetime) -> Explanation:
        """What each variable adds to the score of the last grid hour not after `time`.

        Integrated gradients against a patient with the same statics and typical observations: the shares sum
        to score minus reference score (to about 0.001). Empty where there is no score. Raises InvalidInput
        if `time` lies before the first grid hour.
        """
        from models.attribution import attribute  # noqa: PLC0415  scoring does not need it

        at, hour, known = as_at(stay, time)
        encoded = encode(known, self.standardisation, hour)
        if self.config.sufficiency.judge(encoded.since_hours[hour - 1])[0] is not ScoreStatus.PRESENT:
            return Explanation(at, ())
        window = self.inputs(known, encoded, 0)[0, -self.config.reader.receptive_hours :]
        with one_thread():
            return Explanation(at, attribute(self.network, self.calibration, window, known))

    def inquire(self, stay: Stay, time: datetime) -> Inquiry:
        """The observations that moved the score at `time` most, and what to measure next to narrow it."""
        from models.inquiry import influences, latest_logit, next_measurements  # noqa: PLC0415  scoring does not need it

        at, hour, known = as_at(stay, time)
        encoded = encode(known, self.standardisation, hour)
        if self.config.sufficiency.judge(encoded.since_hours[hour - 1])[0] is not ScoreStatus.PRESENT:
            return Inquiry(at)

        def score_of(changed: Stay) -> float:
            return float(self.calibration(latest_logit(self, changed, hour))[0])

        measurements = next_measurements(self, known, hour, self.calibration)
        return Inquiry(at, influences(score_of, known), measurements)

    def posterior(
        self, stay: Stay, variables: Sequence[str], end: datetime | None = None
    ) -> FilteredPosterior:
        """The process on `stay.grid(end)`, each hour from what stood at it. Raises UnknownVariable."""
        time = stay.grid(end)
        wanted = [VARIABLES.index(catalogued(name).name) for name in variables]
        parts = [
            [band[:, one.first : one.stop] for band in self._bands(one.known, one.stop, wanted)]
            for one in stretches(stay, time)
        ] or [[np.empty((len(wanted), 0))] * 3]
        bands = [
            {VARIABLES[m]: hours for m, hours in zip(wanted, np.hstack(band), strict=True)}
            for band in zip(*parts, strict=True)
        ]
        return FilteredPosterior(time, *bands)

    def _bands(self, stay: Stay, hours: int, wanted: Sequence[int]) -> list[Floats]:
        """Mean, low and high of the variables with the indices `wanted`, canonical units: (M', T) each."""
        found = filtered(self._kernel, [encode(stay, self.standardisation, hours)])[0]
        mean, spread = found.mean.double().numpy(), 1.96 * found.variance.double().sqrt().numpy()
        return [
            np.array(
                [self.standardisation.backward(m, mean[:, m] + side * spread[:, m]) for m in wanted]
            ).reshape(len(wanted), hours)
            for side in (0.0, -1.0, 1.0)
        ]

    def latest(self, stay: Stay, encoded: EncodedStay, draws: int) -> tuple[Tensor, Tensor]:
        """The last encoded hour: the process's mean and draws (1 + D, M), and their logits (1 + D,)."""
        with one_thread(), torch.inference_mode():
            course = self._course(encoded, draws)
            inputs = course.hour_inputs(self.network, self.beside(stay, encoded))
            if self.config.feed == "smoothed":
                inputs = inputs.hours(slice(-self.config.reader.receptive_hours, None))
            return course.process[:, -1], self._read(inputs)[:, -1]

    def inputs(self, stay: Stay, encoded: EncodedStay, draws: int) -> Tensor:
        """The network's inputs as they look from the last encoded hour: (1 + D, T, F)."""
        return self._course(encoded, draws).inputs(self.network, self.beside(stay, encoded))

    def _course(self, encoded: EncodedStay, draws: int) -> Course:
        """The process as it looks from the last encoded hour."""
        path = self._path(encoded, draws)
        return course_of(self.config.feed, self._kernel, encoded, draws=draws, seed=DRAW_SEED, path=path)

    def _path(self, encoded: EncodedStay, draws: int) -> HourlyPath | None:
        """The prior's draws that stays of usual length share."""
        shared = draws == self.config.draws and encoded.hours <= SHARED_HOURS
        if not shared or self.config.feed != "filtered" or (encoded.time_hours < 0.0).any():
            return None
        if self._drawn is None:
            self._drawn = HourlyPath(state_space(self._kernel), draws, DRAW_SEED)
        return self._drawn

    def beside(self, stay: Stay, encoded: EncodedStay) -> Tensor:
        """The channels (T, C)."""
        return torch.from_numpy(channels(stay, encoded, self.standardisation.learnt))

    def logits(self, encoded: EncodedStay, beside: Tensor, draws: int) -> Tensor:
        """Logits of every encoded hour with the channels `beside` (T, C), from the posterior mean and then
        from each draw: (1 + D, T).
        """
        if encoded.hours == 0:
            return torch.empty(1, 0)
        with one_thread(), torch.inference_mode():
            if self.config.feed == "smoothed":
                return self._read_windows(encoded, beside, draws)
            return self._read(self._course(encoded, draws).hour_inputs(self.network, beside))

    def _read_windows(self, encoded: EncodedStay, beside: Tensor, draws: int) -> Tensor:
        """For each hour the window behind it, as it looks from there, through the network: (1 + D, T)."""
        reach, found = self.config.reader.receptive_hours, []
        for hour in range(1, encoded.hours + 1):
            course = smoothed_course(self._kernel, encoded.until(hour), hour, draws, DRAW_SEED)
            inputs = course.hour_inputs(self.network, beside[:hour])
            found.append(self._read(inputs.hours(slice(-reach, None)))[:, -1])
        return torch.stack(found, dim=1)

    def _read(self, inputs: HourInputs) -> Tensor:
        """Inputs from their first hour through the network: the score's logits, (1 + D, T)."""
        return self.reader.read(inputs, self.reader.start(inputs.process.shape[0]))[0]

    def save(self, folder: Path) -> None:
        """Write model.json and weights.safetensors to `folder`."""
        write_folder(folder, self._description(), {WEIGHTS: self._weights()})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises UnknownModel if a file is missing or made for another catalogue."""
        fields = read_description(folder, WEIGHTS)
        check_saved_for(folder, fields, variables=[*VARIABLES])
        tensors = load_tensors((folder / WEIGHTS).read_bytes())
        standardisation = Standardisation.taken_from(tensors)
        config = MGPTCNConfig.from_json(fields["config"])
        network = MGPTCNNetwork(config, torch.from_numpy(standardisation.learnt))
        network.load_state_dict(tensors)
        calibration = Calibration(**fields["calibration"])
        return cls(
            config, Learnt(network, standardisation, calibration, fields["threshold"], fields["training"])
        )

    def _description(self) -> str:
        fields = {
            "model": self.name,
            "variables": VARIABLES,
            "config": self.config.as_json(),
            "calibration": asdict(self.calibration),
            "threshold": self._threshold,
            "training": self.training,
        }
        return json.dumps(fields, indent=2)

    def _weights(self) -> bytes:
        scale = {name: torch.from_numpy(column) for name, column in self.standardisation.arrays().items()}
        state = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        return save_tensors(state | scale)

"""MGP-TCN: hourly sepsis risk from irregular observations.

    observations -> multi-task Gaussian process -> causal TCN -> logit -> calibrated score in [0, 1]

At grid hour t the process is conditioned on what stood at t (the filtered posterior): a late result enters at
its measured time, a withdrawn one leaves, and no earlier score is rewritten. Kernel and network are trained
end to end.

    u_t = [ mean_t (M) | measured in the last hour (M) | recency (M) | statics (11) ]
    score_t = 1 / (1 + exp(-(slope * logit_t(u_1 .. u_t) + intercept)))

    n  observations     T  grid hours     M  variables     F  input channels, 3 M + 11     B  batch

Source: Moor 2019 arXiv:1902.01659; Futoma 2017 arXiv:1706.04152. Ours differs: the filtered posterior mean
instead of draws from a smoothed one, normalisation that never looks along time, missingness as channels, and
one result however a stay is cut or batched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from models.base import Explanation
from models.clinical.errors import InvalidInput, ScoringFailed, UnknownModel
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import GRID_STEP, LabelledStay, Stay
from models.clinical.variables import variable as catalogued
from models.mgp.encoding import STATIC_CHANNELS, EncodedStay, encode, side_channels
from models.mgp.hyperparameters import Hyperparameters
from models.mgp.kernel import Kernel
from models.mgp.posterior import mean, pad, variance
from models.mgp.standardise import VARIABLES, Standardisation
from models.mgp.tiles import Factor, factorise
from models.revisions import score_as_known, stretches
from models.sufficiency import SufficiencyRule
from models.tcn import TCN, TCNConfig
from models.threads import one_thread

Floats = npt.NDArray[np.float64]

BLOCK_HOURS = 32  # grid hours are computed in blocks of this length, whole ones, whatever a stay's end


@dataclass(frozen=True)
class MGPTCNConfig:
    """What is fixed before training."""

    lengthscale_hours: tuple[float, ...] = (4.0, 72.0)  # where training starts: a nurse's round, a stay
    rank: int = 8  # shared factors a time scale: a quarter of a full covariance's parameters
    tcn: TCNConfig = field(default_factory=TCNConfig)
    sufficiency: SufficiencyRule = field(default_factory=SufficiencyRule)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> MGPTCNConfig:
        """Read what `dataclasses.asdict` and JSON made of a configuration."""
        tcn = dict(fields["tcn"])
        tcn["dilations"] = tuple(tcn["dilations"])
        return cls(
            lengthscale_hours=tuple(fields["lengthscale_hours"]),
            rank=fields["rank"],
            tcn=TCNConfig(**tcn),
            sufficiency=SufficiencyRule(**fields["sufficiency"]),
        )


class MGPTCNNetwork(nn.Module):
    """Kernel parameters and convolutions: everything that gradients reach.

    `typical` (F,) holds the mean input channels over the training hours, the reference of `explain`.
    """

    learnt: Tensor
    typical: Tensor

    def __init__(self, config: MGPTCNConfig, learnt: Tensor) -> None:
        super().__init__()
        variables = len(VARIABLES)
        self.hyperparameters = Hyperparameters(variables, config.lengthscale_hours, config.rank)
        self.hyperparameters.separate(learnt)
        self.tcn = TCN(3 * variables + len(STATIC_CHANNELS), config.tcn)
        self.register_buffer("learnt", learnt.float())
        self.register_buffer("typical", torch.zeros(3 * variables + len(STATIC_CHANNELS)))

    def inputs(self, posterior_mean: Tensor, side: Tensor) -> Tensor:
        """Posterior means (B, T, M) and side channels (B, T, 2 M + 11) side by side: (B, T, F).

        A variable that training never saw is masked: the network has no knowledge of it.
        """
        mask = torch.cat([self.learnt, self.learnt, self.learnt, self.learnt.new_ones(len(STATIC_CHANNELS))])
        return torch.cat([posterior_mean, side], dim=-1) * mask

    def forward(self, inputs: Tensor) -> Tensor:
        """Whole stays from their first hour, (B, T, F), to logits (B, T)."""
        logits: Tensor = self.tcn(inputs, self.tcn.start(len(inputs)))[0]
        return logits


@dataclass(frozen=True)
class Calibration:
    """Platt scaling of the logit; `slope` > 0, so it never changes an order."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, logit: Floats) -> Floats:
        """Scores in [0, 1]."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * logit + self.intercept))))


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
            self._kernel = self.network.hyperparameters.kernel().to(torch.float64)
        self._version = hashlib.sha256(self._description().encode() + self._weights()).hexdigest()[:12]

    @property
    def version(self) -> str:
        """A hash of configuration and weights: equal versions give equal scores."""
        return self._version

    @property
    def threshold(self) -> float:
        """The score that gains most CinC 2019 utility on validation subjects."""
        return self._threshold

    @property
    def kernel(self) -> Kernel:
        """The learnt covariance, in float64, on the standardised scale."""
        return self._kernel

    def fit(self, train: Sequence[LabelledStay], validation: Sequence[LabelledStay]) -> Self:
        """A new model of this configuration learnt from `train`, stopped and calibrated on `validation`."""
        from models.fitting import Recipe, learn  # noqa: PLC0415  training is not loaded to score

        return type(self)(self.config, learn(self.config, train, validation, Recipe()))

    def score(self, stay: Stay, end: datetime | None = None) -> ScoreSeries:
        """The scores on `stay.grid(end)`, each from what was known by its time.

        INDETERMINATE where the sufficiency rule is not met, ABSENT before the first observation.
        Raises ScoringFailed on a numerical failure, InvalidInput for an observation that is not finite.
        """
        return score_as_known(stay, end, self._score)

    def _score(self, stay: Stay, end: datetime | None) -> ScoreSeries:
        time = stay.grid(end)
        encoded = self._encoded(stay, len(time))
        value = self.calibration(self._logits(encoded)[: len(time)])
        if not np.isfinite(value).all():
            raise ScoringFailed(f"stay {stay.stay_id}: the network gave a score that is not finite")
        judged = [self.config.sufficiency.judge(since) for since in encoded.since_hours[: len(time)]]
        status, reason = zip(*judged, strict=True) if judged else ((), ())
        present = np.array([one is ScoreStatus.PRESENT for one in status], dtype=bool)
        return ScoreSeries(stay.stay_id, self.name, time, np.where(present, value, np.nan), status, reason)

    def explain(self, stay: Stay, time: datetime) -> Explanation:
        """What each variable adds to the score of the last grid hour not after `time`.

        Integrated gradients against a patient with the same statics and typical observations: the shares sum
        to score minus reference score (to about 0.001). Empty where there is no score. Raises InvalidInput
        if `time` lies before the first grid hour.
        """
        from models.attribution import attribute  # noqa: PLC0415  scoring does not need it

        hour = int((time - stay.admitted_at) // GRID_STEP)
        if hour < 1:
            raise InvalidInput(f"stay {stay.stay_id}: no score at {time} yet", value=time, bound=">= 1 h in")
        at = stay.admitted_at + timedelta(hours=hour)
        stay = stay.standing(at)
        encoded = self._encoded(stay, hour)
        status, _ = self.config.sufficiency.judge(encoded.since_hours[hour - 1])
        if status is not ScoreStatus.PRESENT:
            return Explanation(at, ())
        with one_thread():
            inputs = self._inputs(encoded)[:hour][-self.config.tcn.receptive_hours :]
            return Explanation(at, attribute(self.network, self.calibration, inputs, stay.until(at)))

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
        encoded = self._encoded(stay, hours)
        with one_thread():
            factor = self._factor(encoded)
            means = self._means(encoded, factor)
            spread = {m: 1.96 * np.sqrt(self._variances(encoded, factor, m)) for m in wanted}
        return [
            np.array(
                [self.standardisation.backward(m, means[:, m] + side * spread[m])[:hours] for m in wanted]
            ).reshape(len(wanted), hours)
            for side in (0.0, -1.0, 1.0)
        ]

    def save(self, folder: Path) -> None:
        """Write model.json and weights.safetensors to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").write_text(self._description() + "\n", encoding="utf-8")
        (folder / "weights.safetensors").write_bytes(self._weights())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises UnknownModel if a file is missing or made for another catalogue."""
        description, weights = folder / "model.json", folder / "weights.safetensors"
        if not (description.is_file() and weights.is_file()):
            raise UnknownModel(f"{folder}: expected model.json and weights.safetensors")
        fields = json.loads(description.read_text(encoding="utf-8"))
        if tuple(fields["variables"]) != VARIABLES:
            raise UnknownModel(f"{folder}: its weights belong to other variables than the catalogue's")
        tensors = load_tensors(weights.read_bytes())
        standardisation = Standardisation(
            *(
                tensors.pop(f"standardisation.{part}").numpy()
                for part in ("location", "scale", "offset", "learnt")
            )
        )
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
            "config": asdict(self.config),
            "calibration": asdict(self.calibration),
            "threshold": self._threshold,
            "training": self.training,
        }
        return json.dumps(fields, indent=2)

    def _weights(self) -> bytes:
        standardisation = {
            f"standardisation.{part}": torch.from_numpy(values)
            for part, values in asdict(self.standardisation).items()
        }
        state = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        return save_tensors(state | standardisation)

    def _encoded(self, stay: Stay, hours: int) -> EncodedStay:
        """A stay encoded on whole blocks of hours, so that every shape below is the same for any end."""
        return encode(stay, self.standardisation, -(-hours // BLOCK_HOURS) * BLOCK_HOURS)

    def _factor(self, encoded: EncodedStay) -> Factor:
        columns = (encoded.time_hours, encoded.variable, encoded.value)
        rows = ([torch.from_numpy(column)] for column in columns)
        try:
            return factorise(self._kernel, pad(len(VARIABLES), *rows))
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            raise ScoringFailed(f"the covariance of the observations is not definite: {error}") from error

    def _means(self, encoded: EncodedStay, factor: Factor) -> Floats:
        """Posterior means on the standardised scale, block by block: (T, M)."""
        blocks = [mean(self._kernel, factor, *block)[0] for block in _blocks(encoded)]
        return torch.cat(blocks).numpy() if blocks else np.empty((0, len(VARIABLES)))

    def _variances(self, encoded: EncodedStay, factor: Factor, m: int) -> Floats:
        """Posterior variances of variable `m` on the standardised scale: (T,)."""
        blocks = [variance(self._kernel, factor, m, *block)[0] for block in _blocks(encoded)]
        return torch.cat(blocks).numpy() if blocks else np.empty(0)

    def _inputs(self, encoded: EncodedStay) -> Tensor:
        """The network's inputs, (T, F)."""
        means = torch.from_numpy(self._means(encoded, self._factor(encoded))).float()
        return self.network.inputs(means, torch.from_numpy(side_channels(encoded)))

    def _logits(self, encoded: EncodedStay) -> Floats:
        """Hourly logits, (T,), from blocks of hours that hand on the tails of every layer."""
        if encoded.hours == 0:
            return np.empty(0)
        logits = []
        with one_thread(), torch.inference_mode():
            tails = self.network.tcn.start(1)
            for block in torch.split(self._inputs(encoded), BLOCK_HOURS):
                block_logits, tails = self.network.tcn(block.unsqueeze(0), tails)
                logits.append(block_logits[0])
        return torch.cat(logits).double().numpy()


def _blocks(encoded: EncodedStay) -> Iterator[tuple[Tensor, Tensor]]:
    """Grid hours and known counts of each block, (1, 32) each."""
    grid = torch.arange(1, encoded.hours + 1, dtype=torch.float64)
    known = torch.from_numpy(encoded.known)
    yield from zip(grid.view(-1, 1, BLOCK_HOURS), known.view(-1, 1, BLOCK_HOURS), strict=True)

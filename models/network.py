"""Everything that gradients reach: the process's kernel and the network that reads its posterior.

inputs[t] = [posterior mean, posterior deviation, channels][t]           the network gives a logit a horizon
P(onset within q hours)[t] = sigmoid(y_q[t]),   y rising with q by construction:
y_q = y_6 + sum of softplus steps from 6 up to q, or minus those from q up to 6

B  batch     T  grid hours     M  variables     F  inputs     K  horizons
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from models.channels import CHANNELS, measured_in_the_hour, of_variable
from models.clinical.errors import InvalidInput
from models.gru import GRU, GRUConfig
from models.mgp.hyperparameters import Hyperparameters
from models.mgp.standardise import VARIABLES
from models.mvpa.grid import Columns, GridMVPA, GridMVPAConfig
from models.sufficiency import SufficiencyRule
from models.tcn import TCN, State, TCNConfig

Feed = Literal["filtered", "smoothed", "carried"]
INPUTS = 2 * len(VARIABLES) + CHANNELS
_READERS = {"tcn": TCNConfig, "gru": GRUConfig, "mvpa": GridMVPAConfig}


@dataclass(frozen=True)
class MGPTCNConfig:
    """What is fixed before training.

    `feed` says how the process reaches the network: `filtered` (each hour's posterior as it was then),
    `smoothed` (at each scoring hour the posterior of the whole window behind it, as the paper does) or
    `carried` (no process: last values carried forward, the paper's plain network). `reader` is the network
    itself.
    """

    feed: Feed = "filtered"
    temporal: tuple[str, ...] = ("matern12", "matern12")
    lengthscale_hours: tuple[float, ...] = (4.0, 72.0)  # where training starts: a nurse's round, a stay
    deviation: bool = True  # whether the network reads how sure the process is, too
    rank: int = 8  # shared factors a time scale: a quarter of a full covariance's parameters
    reader: TCNConfig | GRUConfig | GridMVPAConfig = field(default_factory=TCNConfig)
    horizons_hours: tuple[int, ...] = (0, 2, 4, 6, 9, 12)
    horizon_hours: int = 6  # the score's: CinC 2019 labels hours from 6 h before the onset
    draws: int = 20  # courses behind a score's spread: its 10th and 90th percentile rest on two of them
    sufficiency: SufficiencyRule = field(default_factory=SufficiencyRule)

    def __post_init__(self) -> None:
        if self.feed not in get_args(Feed):
            raise InvalidInput(f"no feed {self.feed!r}", value=self.feed, bound=str(get_args(Feed)))
        hours = self.horizons_hours
        if self.horizon_hours not in hours or sorted(set(hours)) != list(hours):
            raise InvalidInput(
                f"the score's horizon {self.horizon_hours} h and the horizons {hours}",
                value=hours,
                bound="rising, the score's among them",
                unit="h",
            )

    @property
    def primary(self) -> int:
        """Which horizon is the score."""
        return self.horizons_hours.index(self.horizon_hours)

    def as_json(self) -> dict[str, Any]:
        """Numbers, names and lists, for `from_json`."""
        return asdict(self) | {
            "network": next(name for name, kind in _READERS.items() if type(self.reader) is kind)
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> MGPTCNConfig:
        """Read what `as_json` wrote, or a part of it; the rest keeps its default.

        Raises TypeError if a name is unknown, InvalidInput if a value means nothing.
        """
        chosen = dict(fields)
        reader = dict(chosen.pop("reader", {}))
        network = chosen.pop("network", "tcn")
        if network not in _READERS:
            raise InvalidInput(f"no network {network!r}", value=network, bound=", ".join(_READERS))
        if "dilations" in reader:
            reader["dilations"] = tuple(reader["dilations"])
        for name in ("temporal", "lengthscale_hours", "horizons_hours"):
            if name in chosen:
                chosen[name] = tuple(chosen[name])
        sufficiency = SufficiencyRule(**chosen.pop("sufficiency", {}))
        return cls(**chosen, reader=_READERS[network](**reader), sufficiency=sufficiency)


class MGPTCNNetwork(nn.Module):
    """Kernel parameters and the reader of its posterior.

    `learnt` (M,) says which variables training saw; `typical` (F,) holds the mean inputs over the training
    hours, the reference of `explain`.
    """

    learnt: Tensor
    typical: Tensor
    mask: Tensor

    def __init__(self, config: MGPTCNConfig, learnt: Tensor) -> None:
        super().__init__()
        variables = len(VARIABLES)
        self.primary = config.primary
        self.hyperparameters = Hyperparameters(
            variables, config.temporal, config.lengthscale_hours, config.rank
        )
        self.hyperparameters.separate(learnt)
        outputs = len(config.horizons_hours)
        self.reader = _reader(config, learnt, outputs)
        self.register_buffer("learnt", learnt.float())
        self.register_buffer("typical", torch.zeros(INPUTS))
        self.register_buffer("mask", _mask(learnt, deviation=config.deviation), persistent=False)

    def inputs(self, mean: Tensor, deviation: Tensor, channels: Tensor) -> Tensor:
        """Posterior means and deviations (B, T, M) and channels (B, T, C) side by side: (B, T, F).

        A variable that training never saw is masked: the network has no knowledge of it.
        """
        return torch.cat([mean, deviation, channels], dim=-1) * self.mask

    def start(self, stays: int) -> State:
        """What the reader remembers before the first hour."""
        return self.reader.start(stays)

    def forward(self, inputs: Tensor, past: State) -> tuple[Tensor, State]:
        """Inputs (B, T, F) and what is remembered to logits (B, T, K), rising over K, and what to keep.

        The process is computed on the processor; the reader may live elsewhere while it learns.
        """
        raw, after = self.reader(inputs.to(self.reader.device), past)
        return rising(raw.to(inputs.device), self.primary), after


def rising(raw: Tensor, primary: int) -> Tensor:
    """Logits (..., K) that rise over the horizons, from one free logit and K - 1 steps."""
    steps = nn.functional.softplus(raw)
    above = raw[..., primary : primary + 1] + steps[..., primary + 1 :].cumsum(-1)
    below = raw[..., primary : primary + 1] - steps[..., :primary].flip(-1).cumsum(-1).flip(-1)
    return torch.cat([below, raw[..., primary : primary + 1], above], dim=-1)


def inputs_of(variable: int) -> list[int]:
    """The inputs, in [0, F), that are made of one variable's measurements alone."""
    variables = len(VARIABLES)
    return [variable, variables + variable, *(2 * variables + of_variable(variable)).tolist()]


def _mask(learnt: Tensor, *, deviation: bool) -> Tensor:
    mask = torch.ones(INPUTS)
    mask[len(VARIABLES) : 2 * len(VARIABLES)] = float(deviation)
    for variable in torch.nonzero(learnt == 0).flatten().tolist():
        mask[inputs_of(variable)] = 0.0
    return mask


def _columns(learnt: Tensor) -> Columns:
    """Whose the inputs are: of each variable that training saw, and of everybody."""
    own = [tuple(inputs_of(variable)) for variable in range(len(VARIABLES))]
    seen = torch.nonzero(learnt).flatten().tolist()
    measured = [2 * len(VARIABLES) + measured_in_the_hour(variable) for variable in seen]
    patient = set(range(INPUTS)).difference(*own)
    return Columns(tuple(own[one] for one in seen), tuple(measured), tuple(sorted(patient)))


def _reader(config: MGPTCNConfig, learnt: Tensor, outputs: int) -> TCN | GRU | GridMVPA:
    if isinstance(config.reader, GridMVPAConfig):
        return GridMVPA(_columns(learnt), outputs, config.reader)
    if isinstance(config.reader, GRUConfig):
        return GRU(INPUTS, outputs, config.reader)
    return TCN(INPUTS, outputs, config.reader)

"""Multi-variate parallel attention on the hourly grid: variables are the channels, hours the segments.

    x_0[t, c] = V_c u_c[t],   x_0[t, patient] = V u_p[t]    u_c what is known of variable c, u_p of the stay
    x_{l+1} = layer(x_l),     y[t] = W rmsnorm(mean over c of x_L[t, c])

Each hour asks the last `hours` hours, itself the last of them. A variable is somebody's key in the hours it
was measured in, and missing in the others; it asks in every hour. Before the admission everything is
missing. What an hour asks of is kept, so hours may come one by one.

    B  batch     F  inputs     C  variables and one more, the patient     T  hours of a block     D  width
    N  `hours`     K  outputs     KV d  width of the keys

Source: Carzaniga 2025, arXiv:2506.20354, of the layer; there channels are electrodes, and none is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from models.mvpa.config import MVPAConfig
from models.mvpa.encoder import EPSILON
from models.mvpa.layer import Layer

State = list[Tensor]


@dataclass(frozen=True)
class GridMVPAConfig:
    """Sizes, regularisation, and how many `hours` an hour asks, itself among them."""

    width: int = 32
    layers: int = 2
    query_heads: int = 2
    key_heads: int = 2
    inner: int = 64
    hours: int = 16
    dropout: float = 0.1
    input_dropout: float = 0.1

    @property
    def receptive_hours(self) -> int:
        """How many hours, the present one included, a score can depend on through the layers."""
        return 1 + self.layers * (self.hours - 1)

    def attention(self, channels: int) -> MVPAConfig:
        """The layers' own configuration: every hour an hour asks is compared by content."""
        return MVPAConfig(
            width=self.width,
            layers=self.layers,
            query_heads=self.query_heads,
            key_heads=self.key_heads,
            inner=self.inner,
            positions=self.hours,
            channels=channels,
            segment_samples=1,
            content_window=self.hours,
        )


@dataclass(frozen=True)
class Columns:
    """Which inputs, in [0, F), belong to whom: `variables` a row each, `measured` of each the one that says
    it was measured in the hour, `patient` those of the stay, the patient and the clock.
    """

    variables: tuple[tuple[int, ...], ...]
    measured: tuple[int, ...]
    patient: tuple[int, ...]

    @property
    def owners(self) -> tuple[tuple[int, ...], ...]:
        """Those of every channel, the patient last."""
        return (*self.variables, self.patient)


class GridMVPA(nn.Module):
    """Hourly outputs from hourly inputs."""

    def __init__(self, columns: Columns, outputs: int, config: GridMVPAConfig) -> None:
        super().__init__()
        self.config, self.columns = config, columns
        self.input_dropout = nn.Dropout1d(config.input_dropout)
        self.enter = nn.ModuleList(nn.Linear(len(own), config.width) for own in columns.owners)
        whole = config.attention(len(self.enter))
        self.positional_embedding = nn.Embedding(whole.positions, config.width)
        self.channel_embedding = nn.Embedding(whole.channels, config.width)
        self.h = nn.ModuleList(Layer(whole) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.RMSNorm(config.width, eps=EPSILON)
        self.leave = nn.Linear(config.width, outputs)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.leave.weight.device

    @property
    def layers(self) -> list[Layer]:
        """All layers, the first first."""
        return [cast(Layer, one) for one in self.h]

    def start(self, stays: int) -> State:
        """Nobody to ask before the first hour: absences (B, N - 1, C), then keys of each layer, all 0."""
        past = stays, self.config.hours - 1, len(self.enter)
        keys = 2 * self.config.attention(len(self.enter)).key_width
        missing = torch.ones(past, device=self.device)
        return [missing, *(torch.zeros(*past, keys, device=self.device) for _ in self.layers)]

    def forward(self, inputs: Tensor, past: State) -> tuple[Tensor, State]:
        """Inputs (B, T, F) and what is remembered to outputs (B, T, K) and what to keep."""
        known = self.input_dropout(inputs.mT).mT
        owners = zip(self.enter, self.columns.owners, strict=True)
        x = torch.stack([enter(known[..., own]) for enter, own in owners], dim=2)  # (B, T, C, D)
        absent = torch.cat([past[0], self._absent(known)], dim=1)
        after = [self._kept(absent)]
        for layer, before in zip(self.layers, past[1:], strict=True):
            x, both = self._layer(layer, x, before, absent > 0.0)
            after.append(self._kept(both))
        outputs: Tensor = self.leave(self.dropout(self.norm(x.mean(dim=2))))
        return outputs, after

    def _absent(self, known: Tensor) -> Tensor:
        """1 where a variable was not measured in the hour, (B, T, C); the patient is always there."""
        absent = (known[..., self.columns.measured] <= 0.0).to(known.dtype)
        return torch.cat([absent, torch.zeros_like(absent[..., :1])], dim=-1)

    def _layer(self, layer: Layer, x: Tensor, before: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, C, D) to the next layer's, and keys and values (B, N - 1 + T, C, 2 KV d) of all hours."""
        own = layer.project(x, x.shape[1])
        both = torch.cat([before, own.both], dim=1)
        seen = [
            layer.attn.attend(
                own.query[:, hour : hour + 1],
                both[:, hour : hour + self.config.hours],
                self.positional_embedding.weight,
                self.channel_embedding.weight,
                missing[:, hour : hour + self.config.hours],
            )
            for hour in range(x.shape[1])
        ]
        return own.x + self.dropout(torch.cat(seen, dim=1) + own.inner), both

    def _kept(self, hours: Tensor) -> Tensor:
        return hours[:, hours.shape[1] - (self.config.hours - 1) :]

"""Multi-variate parallel attention on the hourly grid: variables are the channels, hours the segments.

    x_0[t, c] = V_c u_c[t],   x_0[t, patient] = V u_p[t]    u_c what is known of variable c, u_p of the stay
    x_{l+1} = layer(x_l),     y[t] = W rmsnorm(mean over the tokens of t of x_L[t, c])

A variable has a token in the hours it was measured in, the patient in every hour. A token asks those of the
last `hours` hours, its own the last of them. Before the admission there is none. What an hour asks of is
kept, so hours may come one by one.

    B  batch     F  inputs     C  variables and one more, the patient     T  hours of a block     D  width
    N  `hours`     K  outputs     KV d  width of the keys

Source: Carzaniga 2025, arXiv:2506.20354, of the layer; there channels are electrodes, and none is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from models.mvpa.asking import ask
from models.mvpa.attention import MVPAttention
from models.mvpa.config import MVPAConfig
from models.mvpa.encoder import EPSILON
from models.mvpa.layer import Layer
from models.mvpa.tokens import attend

State = list[Tensor]

HOURS_AT_ONCE = (
    12  # while learning: fewer would cost calls, more would compare hours that do not see each other
)


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
        """Nobody to ask before the first hour: presences (B, N - 1, C), then keys of each layer, all 0."""
        past = stays, self.config.hours - 1, len(self.enter)
        keys = 2 * self.config.attention(len(self.enter)).key_width
        return [
            torch.zeros(past, device=self.device),
            *(torch.zeros(*past, keys, device=self.device) for _ in self.layers),
        ]

    def forward(self, inputs: Tensor, past: State) -> tuple[Tensor, State]:
        """Inputs (B, T, F) and what is remembered to outputs (B, T, K) and what to keep."""
        known = self.input_dropout(inputs.mT).mT
        owners = zip(self.enter, self.columns.owners, strict=True)
        x = torch.stack([enter(known[..., own]) for enter, own in owners], dim=2)  # (B, T, C, D)
        here = torch.cat([past[0], self._here(known)], dim=1)
        after = [self._kept(here)]
        for layer, before in zip(self.layers, past[1:], strict=True):
            x, both = self._layer(layer, x, before, here > 0.0)
            after.append(self._kept(both))
        share = nn.functional.normalize(here[:, self.config.hours - 1 :], p=1.0, dim=-1)
        outputs: Tensor = self.leave(self.dropout(self.norm((x * share[..., None]).sum(dim=2))))
        return outputs, after

    def _here(self, known: Tensor) -> Tensor:
        """1 where a variable was measured in the hour, (B, T, C); the patient is always there."""
        here = (known[..., self.columns.measured] > 0.0).to(known.dtype)
        return torch.cat([here, torch.ones_like(here[..., :1])], dim=-1)

    def _layer(self, layer: Layer, x: Tensor, before: Tensor, here: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, C, D) to the next layer's, and keys and values (B, N - 1 + T, C, 2 KV d) of all hours."""
        own = layer.project(x, x.shape[1])
        both = torch.cat([before, own.both], dim=1)
        scoring = self.device.type == "cpu" and not torch.is_grad_enabled()
        attention = self._scoring if scoring else self._learning
        seen = layer.attn.c_proj(attention(layer.attn, own.query, both, here))
        return own.x + self.dropout(seen + own.inner), both

    def _learning(self, attention: MVPAttention, query: Tensor, both: Tensor, here: Tensor) -> Tensor:
        """What queries (B, T, C, D) see, some hours of all stays at once."""
        codebooks, seen = (self.positional_embedding.weight, self.channel_embedding.weight), []
        for hour in range(0, query.shape[1], HOURS_AT_ONCE):
            asking = query[:, hour : hour + HOURS_AT_ONCE]
            asked = slice(hour, hour + self.config.hours - 1 + asking.shape[1])
            seen.append(attend(attention, asking, both[:, asked], *codebooks, here[:, asked]))
        return torch.cat(seen, dim=1)

    def _scoring(self, attention: MVPAttention, query: Tensor, both: Tensor, here: Tensor) -> Tensor:
        """The same on a processor without gradients, every stay and hour alone."""
        nets = attention.position_net, attention.channel_net
        books = self.positional_embedding.weight, self.channel_embedding.weight
        heads = attention.config.key_heads
        tables = [net(book).view(len(book), heads, -1) for net, book in zip(nets, books, strict=True)]
        bias = attention.attn_bias.view(3, heads, -1)
        by_head = query.view(*query.shape[:3], attention.config.query_heads, -1)
        key, value = both.view(*both.shape[:3], 2, heads, -1).unbind(3)
        seen = torch.zeros_like(by_head)
        for stay in range(len(query)):
            rows = by_head[stay], key[stay], value[stay], *tables, bias, here[stay], seen[stay]
            ask(*(one.numpy() for one in rows))
        return seen.flatten(-2)

    def _kept(self, hours: Tensor) -> Tensor:
        return hours[:, hours.shape[1] - (self.config.hours - 1) :]

"""A causal temporal convolutional network that reads hour by hour.

    x_0 = W u;   x_{l+1}[t] = x_l[t] + V_l relu(sum_j C_l[j] norm(x_l)[t - j d_l]),  d_l = 1, 2, 4, ...
    y[t] = w relu(norm(x_L)[t])

Norm is over the channels of one hour: nothing is averaged over time, so no hour sees a later one. A network
carries the tail of each layer's input from one block of hours to the next; reading a stay in blocks of equal
length gives each hour the same bits however long the stay becomes.

    B  batch     F  input channels     C  hidden channels     T  hours of a block     d  dilation
    K  outputs

Source: Bai 2018 arXiv:1803.01271; Moor 2019 arXiv:1902.01659. They normalise weights or, in Moor's code, over
the batch and time; channel-wise layer normalisation needs neither and keeps the score of one stay its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = list[Tensor]


@dataclass(frozen=True)
class TCNConfig:
    """Width, depth and regularisation; `receptive_hours` follows."""

    channels: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    kernel: int = 3
    dropout: float = 0.3
    input_dropout: float = (
        0.15  # of an input for a whole stay: no score may hang on one test having been ordered
    )

    @property
    def receptive_hours(self) -> int:
        """How many hours, the present one included, a score can depend on through the convolutions."""
        return 1 + (self.kernel - 1) * sum(self.dilations)


class CausalBlock(nn.Module):
    """One residual block: norm, dilated causal convolution, rectifier, pointwise convolution."""

    def __init__(self, config: TCNConfig, dilation: int) -> None:
        super().__init__()
        self.dilation, self.taps = dilation, config.kernel
        self.norm = nn.LayerNorm(config.channels)
        self.dilated = nn.Linear(config.kernel * config.channels, config.channels)
        self.pointwise = nn.Linear(config.channels, config.channels)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, C) and the tail before it (B, reach, C) to the output (B, T, C) and the next tail."""
        extended = torch.cat([past, self.norm(x)], dim=1)  # (B, reach + T, C)
        hours, reach = x.shape[1], past.shape[1]
        # a convolution as one matrix product over its taps: on blocks this small twice as fast as conv1d
        taps = [extended[:, tap * self.dilation :][:, :hours] for tap in range(self.taps)]
        hidden = self.dropout(torch.relu(self.dilated(torch.cat(taps, dim=-1))))
        return x + self.pointwise(hidden), extended[:, -reach:]


class TCN(nn.Module):
    """Hourly outputs from hourly inputs."""

    def __init__(self, inputs: int, outputs: int, config: TCNConfig) -> None:
        super().__init__()
        self.channels = config.channels
        self.reaches = [(config.kernel - 1) * dilation for dilation in config.dilations]
        self.input_dropout = nn.Dropout1d(config.input_dropout)
        self.enter = nn.Linear(inputs, config.channels)
        self.blocks = nn.ModuleList(CausalBlock(config, dilation) for dilation in config.dilations)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.channels)
        self.leave = nn.Linear(config.channels, outputs)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.leave.weight.device

    def start(self, stays: int) -> State:
        """The tails before the first hour: nothing was there."""
        return [torch.zeros(stays, reach, self.channels, device=self.device) for reach in self.reaches]

    def forward(self, inputs: Tensor, past: State) -> tuple[Tensor, State]:
        """Inputs (B, T, F) and the tails before them to outputs (B, T, K) and the tails for the next."""
        x = self.dropout(self.enter(self.input_dropout(inputs.mT).mT))  # (B, T, C)
        tails = []
        for block, tail in zip(self.blocks, past, strict=True):
            x, after = block(x, tail)
            tails.append(after)
        outputs: Tensor = self.leave(torch.relu(self.norm(x)))
        return outputs, tails

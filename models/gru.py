"""A gated recurrent network that reads hour by hour: the peer of the convolutions (MGP-RNN).

    x[t] = W u[t];   h[t] = GRU(h[t-1], x[t]);   y[t] = w relu(norm(x[t] + h[t]))

    B  batch     F  input channels     C  hidden channels     T  hours of a block     K  outputs

Source: Futoma 2017 arXiv:1706.04152, who use an LSTM on the same adapter; the gates of Cho 2014
arXiv:1406.1078 need a quarter fewer weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = list[Tensor]


@dataclass(frozen=True)
class GRUConfig:
    """Width, regularisation, and how far back a window must reach where one is cut (`receptive_hours`)."""

    channels: int = 96
    dropout: float = 0.3
    input_dropout: float = 0.15
    receptive_hours: int = 63  # a recurrent network forgets slowly; as far as the convolutions look


class GRU(nn.Module):
    """Hourly outputs from hourly inputs."""

    def __init__(self, inputs: int, outputs: int, config: GRUConfig) -> None:
        super().__init__()
        self.channels = config.channels
        self.input_dropout = nn.Dropout1d(config.input_dropout)
        self.enter = nn.Linear(inputs, config.channels)
        self.recurrent = nn.GRU(config.channels, config.channels, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.channels)
        self.leave = nn.Linear(config.channels, outputs)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.leave.weight.device

    def start(self, stays: int) -> State:
        """The hidden state before the first hour."""
        return [torch.zeros(1, stays, self.channels, device=self.device)]

    def forward(self, inputs: Tensor, past: State) -> tuple[Tensor, State]:
        """Inputs (B, T, F) and the state before them to outputs (B, T, K) and the state for the next."""
        x = self.dropout(self.enter(self.input_dropout(inputs.mT).mT))
        hidden, after = self.recurrent(x, past[0])
        outputs: Tensor = self.leave(torch.relu(self.norm(x + self.dropout(hidden))))
        return outputs, [after]

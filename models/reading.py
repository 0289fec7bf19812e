"""A learnt network read hour by hour without gradients, in fewer and larger operations than its own.

The sums are the network's own, but

    once an hour         what the process does not say (deviations, channels) is the same for the mean and
                         every draw: the first layer, W u = W_process u_process + W_rest u_rest, does it once
    once a layer         normalising, shifting and rectifying see all hours at once
    once a block         a product, or an exponential, sees BLOCK_HOURS hours: one of another shape rounds
                         otherwise, and an hour must have the same bits however long its stay becomes

    S  sides, the mean and the draws     T  grid hours     F  inputs     M  variables     C  hidden channels
    K  horizons
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from models.mgp.standardise import VARIABLES
from models.network import MGPTCNNetwork, rising
from models.tcn import TCN, CausalBlock, State

BLOCK_HOURS = 8  # the network reads whole blocks of this length, whatever a stay's end


class HourReader(Protocol):
    """Reads inputs (S, T, F) whose sides differ in the process alone."""

    def start(self, sides: int) -> State:
        """What is remembered before the first hour."""

    def read(self, inputs: Tensor, past: State) -> tuple[Tensor, State]:
        """Logits (S, T, K) from what is remembered, and what is remembered after the last whole block."""


def reader_of(network: MGPTCNNetwork) -> HourReader:
    """How `network`, whose weights stay as they are, is read."""
    return (
        ConvolutionReader(network, network.reader)
        if isinstance(network.reader, TCN)
        else BlockReader(network)
    )


class _Layer(NamedTuple):
    """A residual block's `dilation`, its `taps`, and weights and biases in order of their use."""

    dilation: int
    taps: int
    norm: tuple[Tensor, Tensor]
    dilated: tuple[Tensor, Tensor]
    pointwise: tuple[Tensor, Tensor]


class ConvolutionReader:
    """A network of causal convolutions; an hour's sides lie side by side, (T S, C)."""

    def __init__(self, network: MGPTCNNetwork, reader: TCN) -> None:
        weight, variables = reader.enter.weight.detach(), len(VARIABLES)
        self._process = weight[:, :variables].T.contiguous()
        self._rest = weight[:, variables:].T.contiguous()
        self._entered = reader.enter.bias.detach().clone()
        self._layers = [_layer(block) for block in reader.blocks if isinstance(block, CausalBlock)]
        self._norm = reader.norm.weight.detach().clone(), reader.norm.bias.detach().clone()
        self._leave = _transposed(reader.leave)
        self._primary, self._horizons = network.primary, reader.leave.out_features

    def start(self, sides: int) -> State:
        """The tails before the first hour: nothing was there, (reach S, C) each."""
        channels = len(self._entered)
        reaches = [(layer.taps - 1) * layer.dilation for layer in self._layers]
        return [torch.zeros(reach * sides, channels) for reach in reaches]

    def read(self, inputs: Tensor, past: State) -> tuple[Tensor, State]:
        """As `HourReader.read`."""
        sides, hours = inputs.shape[:2]
        if not hours:
            return inputs.new_empty(sides, 0, self._horizons), past
        padded = functional.pad(inputs, (0, 0, 0, -hours % BLOCK_HOURS))
        x = self._enter(padded)  # (T S, C)
        whole, tails = hours // BLOCK_HOURS * BLOCK_HOURS * sides, []
        for layer, before in zip(self._layers, past, strict=True):
            x, extended = _through(layer, x, before, sides)
            tails.append(extended[whole : whole + len(before)])
        out = _product(torch.relu_(_normalised(x, self._norm)), self._leave, sides)  # (T S, K)
        blocks = out.view(-1, BLOCK_HOURS, sides, self._horizons)
        # by blocks: the end of a vectorised loop rounds differently, and where it falls depends on the length
        logits = [rising(block, self._primary) for block in blocks]
        return torch.cat(logits)[:hours].transpose(0, 1), tails

    def _enter(self, inputs: Tensor) -> Tensor:
        """Inputs (S, T, F), of whole blocks, through the first layer: (T S, C)."""
        sides, variables = len(inputs), len(self._process)
        process = inputs[:, :, :variables].transpose(0, 1).reshape(-1, variables)  # (T S, M)
        rest = _product(inputs[0, :, variables:].contiguous(), (self._rest, self._entered), 1)  # (T, C)
        nothing = torch.zeros_like(self._entered)
        x = _product(process, (self._process, nothing), sides).view(len(rest), sides, len(nothing))
        return x.add_(rest.unsqueeze(1)).view(len(rest) * sides, -1)


class BlockReader:
    """Any network, a block of hours after the other."""

    def __init__(self, network: MGPTCNNetwork) -> None:
        self._network, self._horizons = network, network.reader.leave.out_features

    def start(self, sides: int) -> State:
        """What the network remembers before the first hour."""
        return self._network.start(sides)

    def read(self, inputs: Tensor, past: State) -> tuple[Tensor, State]:
        """As `HourReader.read`."""
        hours, found, whole = inputs.shape[1], [], past
        padded = functional.pad(inputs, (0, 0, 0, -hours % BLOCK_HOURS))
        for block in torch.split(padded, BLOCK_HOURS, dim=1) if hours else ():
            whole = past
            # a view would be multiplied in another order
            logits, past = self._network(block.contiguous(), past)
            found.append(logits)
        none = inputs.new_empty(len(inputs), 0, self._horizons)
        return torch.cat([none, *found], dim=1)[:, :hours], whole if hours % BLOCK_HOURS else past


def _layer(block: CausalBlock) -> _Layer:
    norm = block.norm.weight.detach().clone(), block.norm.bias.detach().clone()
    return _Layer(block.dilation, block.taps, norm, _transposed(block.dilated), _transposed(block.pointwise))


def _transposed(linear: torch.nn.Linear) -> tuple[Tensor, Tensor]:
    return linear.weight.detach().T.contiguous(), linear.bias.detach().clone()


def _through(layer: _Layer, x: Tensor, before: Tensor, sides: int) -> tuple[Tensor, Tensor]:
    """One residual block over x (T S, C), which changes, and the tail before it: x, and what it looked at."""
    extended = torch.cat([before, _normalised(x, layer.norm)])  # ((reach + T) S, C)
    shift, rows = layer.dilation * sides, len(x)
    taps = torch.cat([extended[tap * shift :][:rows] for tap in range(layer.taps)], dim=1)
    hidden = torch.relu_(_product(taps, layer.dilated, sides))
    return x.add_(_product(hidden, layer.pointwise, sides)), extended


def _normalised(x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    return functional.layer_norm(x, x.shape[1:], *norm)


def _product(x: Tensor, weights: tuple[Tensor, Tensor], sides: int) -> Tensor:
    """x (T S, k) by the weights (k, C), biases added, BLOCK_HOURS hours at a time."""
    weight, bias = weights
    out, rows = x.new_empty(len(x), weight.shape[1]), BLOCK_HOURS * sides
    for first in range(0, len(x), rows):
        torch.addmm(bias, x[first : first + rows], weight, out=out[first : first + rows])
    return out

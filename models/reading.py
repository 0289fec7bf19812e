"""A learnt network read hour by hour without gradients, in fewer and larger operations than its own.

The sums are the network's own, but

    once an hour         what the process does not say (deviations, channels) is the same for the mean and
                         every draw: the first layer, W u = W_process u_process + W_rest u_rest, does it once
    one horizon          the score's; the logits of the others are steps from it that nobody asks for here
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

from models.feed import HourInputs
from models.mgp.standardise import VARIABLES
from models.network import MGPTCNNetwork
from models.tcn import TCN, CausalBlock, State

BLOCK_HOURS = 8  # the network reads whole blocks of this length, whatever a stay's end


class HourReader(Protocol):
    """Reads hour after hour for the score's horizon."""

    def start(self, sides: int) -> State:
        """What is remembered before the first hour."""

    def read(self, inputs: HourInputs, past: State) -> tuple[Tensor, State]:
        """Logits (S, T) from what is remembered, and what is remembered after the last whole block."""


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
        self._nothing = torch.zeros_like(self._entered)
        self._layers = [_layer(block) for block in reader.blocks if isinstance(block, CausalBlock)]
        self._norm = reader.norm.weight.detach().clone(), reader.norm.bias.detach().clone()
        self._leave = _transposed(reader.leave)
        self._primary = network.primary

    def start(self, sides: int) -> State:
        """The tails before the first hour: nothing was there, (reach S, C) each."""
        channels = len(self._entered)
        reaches = [(layer.taps - 1) * layer.dilation for layer in self._layers]
        return [torch.zeros(reach * sides, channels) for reach in reaches]

    def read(self, inputs: HourInputs, past: State) -> tuple[Tensor, State]:
        """As `HourReader.read`."""
        sides, hours = inputs.process.shape[:2]
        if not hours:
            return inputs.process.new_empty(sides, 0), past
        x = self._enter(_whole_blocks(inputs))  # (T S, C)
        whole, tails = hours // BLOCK_HOURS * BLOCK_HOURS * sides, []
        for layer, before in zip(self._layers, past, strict=True):
            x, extended = _through(layer, x, before, sides)
            tails.append(extended[whole : whole + before.shape[0]])
        out = _product(torch.relu_(_normalised(x, self._norm)), self._leave, sides)  # (T S, K)
        return out[:, self._primary].view(-1, sides)[:hours].T, tails

    def _enter(self, inputs: HourInputs) -> Tensor:
        """Inputs of whole blocks through the first layer: (T S, C)."""
        sides, hours, variables = inputs.process.shape
        process = inputs.process.transpose(0, 1).reshape(-1, variables)  # (T S, M)
        rest = _product(inputs.rest, (self._rest, self._entered), 1)  # (T, C)
        x = _product(process, (self._process, self._nothing), sides).view(hours, sides, -1)
        return x.add_(rest.unsqueeze(1)).view(hours * sides, -1)


class BlockReader:
    """Any network, a block of hours after the other."""

    def __init__(self, network: MGPTCNNetwork) -> None:
        self._network = network

    def start(self, sides: int) -> State:
        """What the network remembers before the first hour."""
        return self._network.start(sides)

    def read(self, inputs: HourInputs, past: State) -> tuple[Tensor, State]:
        """As `HourReader.read`."""
        hours, found, whole = inputs.process.shape[1], [inputs.process[:, :0, 0]], past
        for block in torch.split(_whole_blocks(inputs).whole(), BLOCK_HOURS, dim=1) if hours else ():
            whole = past
            # a view would be multiplied in another order
            logits, past = self._network(block.contiguous(), past)
            found.append(logits[..., self._network.primary])
        return torch.cat(found, dim=1)[:, :hours], whole if hours % BLOCK_HOURS else past


def _whole_blocks(inputs: HourInputs) -> HourInputs:
    """The same hours, and nothing in those that the last block lacks."""
    lacking = (0, 0, 0, -inputs.process.shape[1] % BLOCK_HOURS)
    return HourInputs(*(functional.pad(one, lacking) for one in inputs))


def _layer(block: CausalBlock) -> _Layer:
    norm = block.norm.weight.detach().clone(), block.norm.bias.detach().clone()
    return _Layer(block.dilation, block.taps, norm, _transposed(block.dilated), _transposed(block.pointwise))


def _transposed(linear: torch.nn.Linear) -> tuple[Tensor, Tensor]:
    return linear.weight.detach().T.contiguous(), linear.bias.detach().clone()


def _through(layer: _Layer, x: Tensor, before: Tensor, sides: int) -> tuple[Tensor, Tensor]:
    """One residual block over x (T S, C), which changes, and the tail before it: x, and what it looked at."""
    extended = torch.cat([before, _normalised(x, layer.norm)])  # ((reach + T) S, C)
    shift, rows = layer.dilation * sides, x.shape[0]
    taps = torch.cat([extended[tap * shift :][:rows] for tap in range(layer.taps)], dim=1)
    hidden = torch.relu_(_product(taps, layer.dilated, sides))
    return x.add_(_product(hidden, layer.pointwise, sides)), extended


def _normalised(x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
    return functional.layer_norm(x, x.shape[1:], *norm)


def _product(x: Tensor, weights: tuple[Tensor, Tensor], sides: int) -> Tensor:
    """x (T S, k) by the weights (k, C), biases added, BLOCK_HOURS hours at a time."""
    weight, bias = weights
    out, rows = x.new_empty(x.shape[0], weight.shape[1]), BLOCK_HOURS * sides
    for block, product in zip(_blocks(x, rows), _blocks(out, rows), strict=True):
        torch.addmm(bias, block, weight, out=product)
    return out


def _blocks(x: Tensor, rows: int) -> tuple[Tensor, ...]:
    """x (n rows, k) as n times (rows, k)."""
    return x.view(-1, rows, x.shape[1]).unbind()

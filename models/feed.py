"""How the process reaches the network.

filtered   hour h as it was known at h; an hour never changes afterwards, so a new hour costs one hour
smoothed   every hour of the stay as it looks from the last one, as in the paper; a new hour changes them all
carried    no process: last values, carried forward

T  grid hours     M  variables     C  channels     F  inputs     D  draws
S  sides, the mean and the draws
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.compiled import compiled
from models.mgp.encoding import EncodedStay
from models.mgp.hourly import HourlyPath
from models.mgp.kernel import Kernel
from models.mgp.posterior import Filtered, Observed, filtered, posterior
from models.mgp.standardise import VARIABLES
from models.network import Feed, MGPTCNNetwork

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Channels = npt.NDArray[np.float32]


class HourInputs(NamedTuple):
    """What the network reads: `process` (S, T, M), each side its own, and `rest` (T, F - M), told to all."""

    process: Tensor
    rest: Tensor

    def whole(self) -> Tensor:
        """The inputs of each side: (S, T, F)."""
        return torch.cat([self.process, self.rest.expand(self.process.shape[0], -1, -1)], dim=-1)

    def hours(self, chosen: slice) -> HourInputs:
        """Those of some hours."""
        return HourInputs(self.process[:, chosen], self.rest[chosen])

    def and_then(self, later: HourInputs) -> HourInputs:
        """These hours and then those."""
        return HourInputs(torch.cat([self.process, later.process], 1), torch.cat([self.rest, later.rest]))


@dataclass(frozen=True)
class Course:
    """`process` (1 + D, T, M), its posterior mean and then draws, and its `deviation` (T, M)."""

    process: Tensor
    deviation: Tensor

    def inputs(self, network: MGPTCNNetwork, channels: Tensor) -> Tensor:
        """The network's inputs with `channels` (T, C): (1 + D, T, F)."""
        return self.hour_inputs(network, channels).whole()

    def hour_inputs(self, network: MGPTCNNetwork, channels: Tensor) -> HourInputs:
        """The same, with what the mean and all draws share said once."""
        rest, variables = torch.cat([self.deviation, channels], dim=-1), self.process.shape[-1]
        return HourInputs(self.process * network.mask[:variables], rest * network.mask[variables:])


def course_of(
    feed: Feed, kernel: Kernel, encoded: EncodedStay, *, draws: int, seed: int, path: HourlyPath | None = None
) -> Course:
    """What the encoded hours look like from the last of them. `carried` has no draws; `path`: `filtered`."""
    if feed == "filtered":
        return filtered_course(kernel, encoded, draws, seed, path)
    if feed == "smoothed":
        return smoothed_course(kernel, encoded, encoded.hours, draws, seed)
    return carried_course(encoded)


def carried_course(encoded: Observed) -> Course:
    """Last values in the place of the process, 0 where nothing is known yet, and no deviation."""
    time, value = np.asarray(encoded.time_hours), np.asarray(encoded.value)
    variable, known = np.asarray(encoded.variable), np.asarray(encoded.known)
    last = torch.from_numpy(last_values(time, variable, value, known, len(VARIABLES)))
    return Course(last.unsqueeze(0), torch.zeros_like(last))


@compiled
def last_values(
    time_hours: Floats, variable: Integers, value: Floats, known: Integers, variables: int
) -> Channels:
    """The value measured last of each variable, of the first `known` (T,) rows (n,) in each hour: (T, M)."""
    held, newest = np.zeros(variables, np.float32), np.full(variables, -np.inf)
    out, row = np.zeros((len(known), variables), np.float32), 0
    for hour in range(len(known)):
        while row < known[hour]:
            m = variable[row]
            if time_hours[row] >= newest[m]:
                held[m], newest[m] = value[row], time_hours[row]
            row += 1
        out[hour] = held
    return out


def filtered_course(
    kernel: Kernel, encoded: Observed, draws: int, seed: int, path: HourlyPath | None = None
) -> Course:
    """Each hour from what was known by it."""
    return fed(filtered(kernel, [encoded], draws, seed, path=path)[0])


def fed(found: Filtered) -> Course:
    """A filtered posterior as the network takes it."""
    return _course(torch.cat([found.mean.unsqueeze(0), found.draws]), found.variance)


def smoothed_course(kernel: Kernel, encoded: Observed, hours: int, draws: int, seed: int) -> Course:
    """Grid hours 1 .. `hours`, each from everything in `encoded`."""
    grid = torch.arange(1, hours + 1, dtype=torch.float64)
    found = posterior(kernel, encoded.time_hours, encoded.variable, encoded.value, grid)
    mean = found.mean.unsqueeze(0)
    if draws:
        mean = torch.cat([mean, found.sample(draws, torch.Generator().manual_seed(seed))])
    return _course(mean, found.variance)


def _course(process: Tensor, variance: Tensor) -> Course:
    return Course(process.float(), variance.clamp_min(0.0).sqrt().float())

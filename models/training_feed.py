"""What a network in training reads: the three feeds of `models.feed`, batch by batch.

fixed    filtered or carried, made once: the mean and a few draws of each stay, one of them at random an epoch
moving   filtered, made anew for each batch, so that the loss's gradient reaches the kernel
windows  smoothed: a few hours of each stay at random, each with the window behind it as it looked from there

B  batch     T  grid hours     M  variables     F  inputs     K  horizons     D  draws
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.feed import Course, carried_course, filtered_course, smoothed_course
from models.mgp.posterior import Observations, filtered
from models.network import MGPTCNConfig, MGPTCNNetwork
from models.training_stays import TrainingStay, side_by_side

WINDOWS = 3  # scoring hours of a stay an epoch, where each costs a pass over a window
Batch = tuple[Tensor, Tensor, Tensor]


class TrainingFeed(Protocol):
    """Inputs, targets and masks of batches of stays, given as indices."""

    def begin(self, seed: Sequence[int]) -> None:
        """An epoch begins; its random choices follow from `seed`."""

    def batch(self, network: MGPTCNNetwork, batch: Sequence[int]) -> Batch:
        """Inputs (B, T, F), targets (B, T, K) and which hours are labelled (B, T)."""

    def whole(self, network: MGPTCNNetwork, batch: Sequence[int]) -> list[Tensor]:
        """Logits of every hour of the stays, as scoring computes them from the mean, (T, K) each."""

    def inputs(self, network: MGPTCNNetwork, stay: int) -> Tensor:
        """Inputs of one stay as they look from its last hour, from the mean: (T, F)."""


def training_feed(
    config: MGPTCNConfig,
    network: MGPTCNNetwork,
    stays: Sequence[TrainingStay],
    draws: int,
    *,
    moving: bool,
    seed: int,
) -> TrainingFeed:
    """The feed of `config`; `moving` where the kernel learns too, which only the filtered one can."""
    if config.feed == "smoothed":
        return WindowFeed(network, stays, config.reader.receptive_hours)
    if moving and config.feed == "filtered":
        return MovingFeed(stays)
    if config.feed == "carried":
        return FixedFeed(stays, [carried_course(one) for one in stays])
    with torch.no_grad():
        kernel = network.hyperparameters.kernel()
        return FixedFeed(stays, [filtered_course(kernel, one, draws, seed) for one in stays])


class FixedFeed:
    """Courses (1 + D, T, M) that stay as they are."""

    def __init__(self, stays: Sequence[TrainingStay], courses: Sequence[Course]) -> None:
        self._stays, self._courses = stays, courses
        self._side = np.zeros(len(stays), dtype=np.int64)

    def begin(self, seed: Sequence[int]) -> None:
        sides = len(self._courses[0].process)
        self._side = np.random.default_rng([*seed, 1]).integers(sides, size=len(self._stays))

    def batch(self, network: MGPTCNNetwork, batch: Sequence[int]) -> Batch:
        inputs = side_by_side([self._inputs(network, stay, self._side[stay]) for stay in batch])
        return inputs, *_targets([self._stays[stay] for stay in batch])

    def whole(self, network: MGPTCNNetwork, batch: Sequence[int]) -> list[Tensor]:
        return _read(network, [self.inputs(network, stay) for stay in batch])

    def inputs(self, network: MGPTCNNetwork, stay: int) -> Tensor:
        return self._inputs(network, stay, 0)

    def _inputs(self, network: MGPTCNNetwork, stay: int, side: int) -> Tensor:
        course = self._courses[stay]
        return network.inputs(course.process[side], course.deviation, self._stays[stay].channels)


class MovingFeed:
    """The filtered posterior mean under the kernel of the moment."""

    def __init__(self, stays: Sequence[TrainingStay]) -> None:
        self._stays = stays

    def begin(self, seed: Sequence[int]) -> None:
        """Nothing is drawn."""

    def batch(self, network: MGPTCNNetwork, batch: Sequence[int]) -> Batch:
        stays = [self._stays[stay] for stay in batch]
        return side_by_side(self._inputs(network, stays)), *_targets(stays)

    def whole(self, network: MGPTCNNetwork, batch: Sequence[int]) -> list[Tensor]:
        return _read(network, self._inputs(network, [self._stays[stay] for stay in batch]))

    def inputs(self, network: MGPTCNNetwork, stay: int) -> Tensor:
        return self._inputs(network, [self._stays[stay]])[0]

    def _inputs(self, network: MGPTCNNetwork, stays: Sequence[TrainingStay]) -> list[Tensor]:
        found = filtered(network.hyperparameters.kernel(), stays)
        # below 1e-6 a deviation is none, and its root has no slope
        return [
            network.inputs(one.mean, one.variance.clamp_min(1e-6).sqrt(), stay.channels)
            for one, stay in zip(found, stays, strict=True)
        ]


class WindowFeed:
    """Hours to score, each with the window of `reach` hours behind it, smoothed from there."""

    def __init__(self, network: MGPTCNNetwork, stays: Sequence[TrainingStay], reach: int) -> None:
        self._stays, self._reach = stays, reach
        with torch.no_grad():
            self._kernel = network.hyperparameters.kernel()
        self._draw = np.random.default_rng(0)

    def begin(self, seed: Sequence[int]) -> None:
        self._draw = np.random.default_rng([*seed, 1])

    def batch(self, network: MGPTCNNetwork, batch: Sequence[int]) -> Batch:
        """Each sampled hour is a row of its own, (B * WINDOWS, reach, F); only its last hour is labelled."""
        windows, targets, labelled = [], [], []
        for stay in batch:
            one = self._stays[stay]
            hours = torch.nonzero(one.labelled).flatten().numpy()
            for hour in self._draw.choice(hours, size=min(WINDOWS, len(hours)), replace=False):
                window = self._window(network, one, int(hour) + 1)
                windows.append(window)
                last = torch.zeros(len(window), dtype=torch.bool)
                last[-1] = True
                labelled.append(last)
                targets.append(one.target[hour + 1 - len(window) : hour + 1])
        return side_by_side(windows), side_by_side(targets), side_by_side(labelled)

    def whole(self, network: MGPTCNNetwork, batch: Sequence[int]) -> list[Tensor]:
        found = []
        for stay in batch:
            one = self._stays[stay]
            windows = [self._window(network, one, hour + 1) for hour in range(len(one.label))]
            found.append(torch.stack([logits[-1] for logits in _read(network, windows)]))
        return found

    def inputs(self, network: MGPTCNNetwork, stay: int) -> Tensor:
        one = self._stays[stay]
        return self._smoothed(one, len(one.label)).inputs(network, one.channels)[0]

    def _window(self, network: MGPTCNNetwork, one: TrainingStay, hours: int) -> Tensor:
        course = self._smoothed(one, hours)
        return course.inputs(network, one.channels[:hours])[0, -self._reach :]

    def _smoothed(self, one: TrainingStay, hours: int) -> Course:
        rows = int(one.known[hours - 1])
        seen = Observations(one.time_hours[:rows], one.variable[:rows], one.value[:rows])
        return smoothed_course(self._kernel, seen, hours, 0, 0)


def _read(network: MGPTCNNetwork, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Logits (T, K) of inputs (T, F), side by side."""
    together = side_by_side(inputs)
    logits, _ = network(together, network.start(len(together)))
    return [one[: len(own)] for one, own in zip(logits, inputs, strict=True)]


def _targets(stays: Sequence[TrainingStay]) -> tuple[Tensor, Tensor]:
    return side_by_side([one.target for one in stays]), side_by_side([one.labelled for one in stays])

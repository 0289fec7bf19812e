"""Many small nearest-neighbour members that vote: their evidence for one outcome.

A member looks at one group of variables and at one sample of the references: all cases, and every S-th
control. Its distance to a reference is the weighted mean over the group's variables that do not abstain, and
its k nearest references vote:

    e = log (c + a p) / (n - c + a (1 - p)) - log p / (1 - p)

c of the n votes are cases', p is the share of cases in the sample, and a as many votes as are assumed
beforehand. e is the evidence for the outcome as a log ratio of odds: 0 where neighbours are as references at
large are. A group's evidence is the mean over its S members; a group all of whose variables are unknown
abstains (NaN).

Source: Moor 2019 arXiv:1902.01659 (k nearest neighbours by time warping of each variable, an ensemble over
subsampled controls). Ours adds groups, weights and the prior.

    V  variables     N  references     G  groups     S  samples
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.compiled import compiled
from models.dtw.distances import per_variable
from models.dtw.index import Index
from models.dtw.series import Series
from models.dtw.windows import Alignment, Full, SakoeChiba

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

EVERY_SAMPLE = -1
CLOSENESS, COMBINATION = ("equal", "reciprocal"), ("mean", "root_mean_square")
CASE = 1


@dataclass(frozen=True)
class Voting:
    """How members compare and vote."""

    neighbours: int = 25
    samples: int = 4  # of controls: each member sees one of so many parts of them
    prior_votes: float = 4.0  # keeps a member whose neighbours all agree from being certain
    closeness: Literal["equal", "reciprocal"] = "equal"  # how much a nearer neighbour's vote counts more
    combination: Literal["mean", "root_mean_square"] = "mean"  # of the variables of a group
    radius_hours: int | None = 3  # of a Sakoe-Chiba window; None for a full one
    open_begin: bool = False  # lay the stay on any part of a reference; needs a full window

    def __post_init__(self) -> None:
        for name in ("neighbours", "samples"):
            if getattr(self, name) < 1:
                raise InvalidInput(
                    f"{name} {getattr(self, name)}: at least 1", value=getattr(self, name), bound=">= 1"
                )
        for name, choices in (("closeness", CLOSENESS), ("combination", COMBINATION)):
            if getattr(self, name) not in choices:
                raise InvalidInput(
                    f"{name} {getattr(self, name)!r}: one of {', '.join(choices)}",
                    value=getattr(self, name),
                    bound=" or ".join(choices),
                )
        self.alignment()
        if self.prior_votes <= 0.0:
            raise InvalidInput(
                f"prior_votes {self.prior_votes}: above 0", value=self.prior_votes, bound="> 0"
            )

    def alignment(self) -> Alignment:
        """How a query is laid on a reference."""
        window = Full() if self.radius_hours is None else SakoeChiba(self.radius_hours)
        return Alignment(window, open_begin=self.open_begin, open_end=self.open_begin)


class Ensemble:
    """The members over one index; immutable."""

    def __init__(self, index: Index, groups: Doubles, voting: Voting) -> None:
        """`groups` (G, V), the weight of each variable in each group. Raises InvalidInput for an index of one
        outcome, and for a group of nothing.
        """
        if len(np.unique(index.outcome)) != 2:  # noqa: PLR2004  cases and controls
            raise InvalidInput("an index of one outcome: cases and controls are needed", value=1, bound="2")
        if not (groups.sum(axis=1) > 0.0).all() or (groups < 0.0).any():
            raise InvalidInput("a group's weights: none negative, at least one above 0")
        self.index, self.groups, self.voting = index, np.ascontiguousarray(groups), voting
        self.sample = _samples(index.outcome, voting.samples)
        self.case = index.outcome == CASE
        self.prior = _prior(self.sample, voting.samples)

    def distances(self, query: Series, threads: int = 1) -> Doubles:
        """Of each variable to each reference, (V, N): NaN where it abstains."""
        if not query.mean_weight.any():
            return np.full((len(query.values), self.index.references.count), np.nan)
        return per_variable(query, self.index.references, self.voting.alignment(), threads=threads)

    def grouped(self, distances: Doubles) -> Doubles:
        """Of each group to each reference, (G, N), from those of variables (V, N)."""
        return combined(distances, self.groups, self.voting.combination == "root_mean_square")

    def evidence(self, distances: Doubles, strangers: Booleans | None = None) -> Doubles:
        """For the outcome, of each group (G,), from distances (V, N); NaN where it abstains. `strangers` (G,
        N) are references that do not vote in a group.
        """
        voting, grouped = self.voting, self.grouped(distances)
        if strangers is not None:
            grouped[strangers] = np.nan
        return voted(
            grouped,
            self.case,
            self.sample,
            self.prior,
            min(voting.neighbours, int(self.case.sum())),
            voting.prior_votes,
            voting.closeness == "reciprocal",
        )


def group_weights(groups: Sequence[Sequence[str]], variables: Sequence[str]) -> Doubles:
    """Groups of variable names as weights (G, V), each variable counting alike. Raises InvalidInput for
    others.
    """
    found = np.zeros((len(groups), len(variables)))
    for row, group in zip(found, groups, strict=True):
        for name in group:
            if name not in variables:
                raise InvalidInput(f"{name} of a group is no variable of the index", value=name)
            row[list(variables).index(name)] = 1.0
    return found


def _samples(outcome: npt.NDArray[np.int8], samples: int) -> Integers:
    """Which sample each reference belongs to, (N,); a case to every one."""
    case = outcome == CASE
    return np.where(case, EVERY_SAMPLE, (np.cumsum(~case) - 1) % samples)


def _prior(sample: Integers, samples: int) -> Doubles:
    """The share of cases in each sample, (S,). Raises InvalidInput for one without controls."""
    cases, controls = (sample == EVERY_SAMPLE).sum(), np.bincount(sample[sample >= 0], minlength=samples)
    if not controls.all():
        raise InvalidInput(
            f"{samples} samples of {controls.sum()} controls: at least one each", value=samples
        )
    return np.asarray(cases / (cases + controls))


@compiled
def combined(distances: Doubles, groups: Doubles, squared: bool) -> Doubles:
    """The weighted mean over a group's variables, or the root of that of squares, for (V, N) and (G, V): (G,
    N).
    """
    found = np.full((groups.shape[0], distances.shape[1]), np.nan)
    for g in range(groups.shape[0]):
        total, weight = np.zeros(distances.shape[1]), np.zeros(distances.shape[1])
        for v in range(groups.shape[1]):
            if groups[g, v] > 0.0:
                for n in range(distances.shape[1]):
                    d = distances[v, n]
                    if not np.isnan(d):
                        total[n] += groups[g, v] * (d * d if squared else d)
                        weight[n] += groups[g, v]
        for n in range(distances.shape[1]):
            if weight[n] > 0.0:
                found[g, n] = np.sqrt(total[n] / weight[n]) if squared else total[n] / weight[n]
    return found


@compiled
def voted(
    distances: Doubles,
    case: Booleans,
    sample: Integers,
    prior: Doubles,
    k: int,
    prior_votes: float,
    reciprocal: bool,
) -> Doubles:
    """The evidence of each group (G,): its distances (G, N), the references' outcome and sample (N,)."""
    found = np.full(distances.shape[0], np.nan)
    near, who = np.empty(k), np.empty(k, np.int64)
    for g in range(distances.shape[0]):
        total = 0.0
        for s in range(len(prior)):
            keep_nearest(distances[g], sample, s, near, who)
            total += ballot(near, who, case, prior[s], prior_votes, reciprocal)
        found[g] = total / len(prior)
    return found


@compiled
def keep_nearest(distance: Doubles, sample: Integers, s: int, near: Doubles, who: Integers) -> None:
    """Distance and number (k,) of the nearest of sample `s`, nearest first, of equals the lower number;
    infinite where there are fewer.
    """
    near[:] = np.inf
    for n in range(len(distance)):
        if (sample[n] < 0 or sample[n] == s) and distance[n] < near[-1]:
            place = len(near) - 1
            while place > 0 and distance[n] < near[place - 1]:
                near[place], who[place] = near[place - 1], who[place - 1]
                place -= 1
            near[place], who[place] = distance[n], n


@compiled
def ballot(
    near: Doubles,
    who: Integers,
    case: Booleans,
    prior: float,
    prior_votes: float,
    reciprocal: bool,
) -> float:
    """One member's evidence; NaN where nobody is near."""
    count = 0
    while count < len(near) and near[count] < np.inf:
        count += 1
    if count == 0:
        return np.nan
    farthest, cases, votes = near[count - 1], 0.0, 0.0
    for place in range(count):
        vote = farthest / (farthest + near[place]) if reciprocal and farthest > 0.0 else 1.0
        votes += vote
        cases += vote if case[who[place]] else 0.0
    share = cases / votes * count
    odds = (share + prior_votes * prior) / (count - share + prior_votes * (1.0 - prior))
    return log(odds) - log(prior / (1.0 - prior))

"""References condensed to barycentres, so that a model can travel without any patient's record.

k-means under time warping, part by part: controls, and cases for each number of hours to onset by themselves,
so that a stay is in a cluster at most once. Clusters of fewer stays than asked for are given up, the smallest
first, and their members go to the nearest of the rest; a variable's hour that fewer know is left out. So
every number of a prototype is the mean of at least so many stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.dtw.barycentre import barycentre
from models.dtw.distances import dependent
from models.dtw.index import Index, coded
from models.dtw.series import References, Series, references
from models.dtw.windows import Alignment

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Part = tuple[int, float, list[Series]]  # outcome, hours to the onset or NaN, excerpts of different stays

ROUNDS = 4  # of assigning and averaging: the sum of distances moves little afterwards
TYPICAL = 3  # a cluster is begun for so many times the fewest stays, because sizes vary


@dataclass(frozen=True)
class Comparison:
    """How excerpts are compared: `seen` makes of one the series that is compared."""

    alignment: Alignment
    seen: Callable[[Series], Series] = lambda one: one


def condensed(parts: Sequence[Part], fewest: int, comparison: Comparison, *, seed: int) -> Index:
    """An index of prototypes of at least `fewest` stays each, condensed part by part; a part of fewer stays
    is left out.

    Raises InvalidInput where no part of an outcome has as many.
    """
    rows = [
        (centre, outcome, onset_hours, size)
        for outcome, onset_hours, many in parts
        if len(many) >= fewest
        for centre, size in clusters(many, fewest, comparison, seed)
    ]
    if {outcome for _, outcome, _, _ in rows} != {outcome for outcome, _, _ in parts}:
        most = max(len(many) for _, _, many in parts)
        raise InvalidInput(
            f"parts of {most} stays at most, for prototypes of {fewest} each",
            value=most,
            bound=f">= {fewest}",
        )
    centres, outcome, onset_hours, size = zip(*rows, strict=True)
    return Index(
        references([coded(one) for one in centres]),
        np.array(outcome, np.int8),
        np.array(onset_hours, np.float32),
        np.array(size, np.int32),
    )


def clusters(
    many: Sequence[Series], fewest: int, comparison: Comparison, seed: int
) -> list[tuple[Series, int]]:
    """Barycentres and how many series each is of. Raises InvalidInput for fewer than `fewest` series."""
    if len(many) < fewest:
        raise InvalidInput(
            f"{len(many)} stays for prototypes of {fewest} each", value=len(many), bound=f">= {fewest}"
        )
    random = np.random.default_rng(seed)
    count = max(1, len(many) // (TYPICAL * fewest))
    centres = [many[place] for place in random.choice(len(many), count, replace=False).tolist()]
    members = references([comparison.seen(one) for one in many])
    for _ in range(ROUNDS):
        belongs = _large_enough(_distances(centres, members, comparison), fewest)
        centres, sizes = _averaged(many, belongs, centres, comparison, fewest)
    return list(zip(centres, sizes, strict=True))


def _distances(centres: Sequence[Series], members: References, comparison: Comparison) -> Doubles:
    """(C, R), infinite where nothing is known on both sides."""
    found = [dependent(comparison.seen(one), members, comparison.alignment) for one in centres]
    return np.nan_to_num(np.array(found), nan=np.inf, posinf=np.inf)


def _large_enough(distance: Doubles, fewest: int) -> Integers:
    """The nearest centre (R,) of each, among those that at least `fewest` have left; -1 without any."""
    open_centres = distance.copy()
    while True:
        nearest = np.where(np.isfinite(open_centres).any(axis=0), open_centres.argmin(axis=0), -1)
        sizes = np.bincount(nearest[nearest >= 0], minlength=len(distance))
        small = np.flatnonzero((sizes > 0) & (sizes < fewest))
        if not len(small):
            return nearest
        open_centres[small[np.argmin(sizes[small])]] = np.inf


def _averaged(
    many: Sequence[Series], belongs: Integers, centres: Sequence[Series], comparison: Comparison, fewest: int
) -> tuple[list[Series], list[int]]:
    """The next centres, of those that have members, and how many members."""
    places = [(c, np.flatnonzero(belongs == c).tolist()) for c in range(len(centres))]
    found = [
        (_barycentre([many[r] for r in own], centres[c], comparison, fewest), len(own))
        for c, own in places
        if own
    ]
    return [one for one, _ in found], [size for _, size in found]


def _barycentre(many: Sequence[Series], start: Series, comparison: Comparison, fewest: int) -> Series:
    return barycentre(many, start, comparison.alignment, rounds=1, fewest=fewest, seen=comparison.seen)

"""Lower bounds of an accumulated cost that take one pass over a series instead of a table.

    Kim     what the two corners cost, which every path visits: c(0, 0) + c(n-1, m-1) Keogh   what the hours
    between them cost at least: each its squared gap to the envelope, lowest to highest, of
            those hours of the other side that the window lets it meet

Keogh's goes both ways: the reference's hours against the query's envelope, and the query's against the
reference's. Kim's and either of Keogh's add up, because hours between the corners never meet in a corner.
They hold for series without weights whose beginnings and ends are both fixed.

Source: Kim et al. 2001, doi:10.1109/ICDE.2001.914875; Keogh & Ratanamahatana 2005,
doi:10.1007/s10115-004-0154-9; both ways: Rakthanmanon et al. 2012, doi:10.1145/2339530.2339576.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.compiled import compiled_in_place
from models.dtw.kernels import NOTHING, Frame, Part, Side, Vector
from models.dtw.lanes import every, greater, load

Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

LOWEST, HIGHEST, FIRST, LAST = 0, 1, 2, 3  # rows of an outline


class Envelope(NamedTuple):
    """The query's, for each hour of a reference: lowest and highest value (V, T) of the hours it may meet."""

    low: Singles
    high: Singles


def outline(values: Singles, lengths: Integers) -> Singles:
    """Lowest, highest, first and last value (B, V, 4, LANES) of each reference."""
    hour = np.arange(values.shape[2])[:, np.newaxis]
    inside = (hour < lengths[:, np.newaxis])[:, np.newaxis]  # (B, 1, T, LANES)
    lowest = np.where(inside, values, np.inf).min(axis=2)
    highest = np.where(inside, values, -np.inf).max(axis=2)
    end = np.maximum(lengths - 1, 0)[:, np.newaxis, np.newaxis]
    last = np.take_along_axis(values, end, axis=2)[:, :, 0]
    return np.ascontiguousarray(np.stack([lowest, highest, values[:, :, 0], last], axis=2), np.float32)


@compiled_in_place
def kim(query: Side, part: Part, outlines: Singles) -> Vector:
    """The bound of the corners for one block."""
    total, end = every(NOTHING), query.values.shape[1] - 1
    for v in range(part.start, part.stop):
        place = (part.block * outlines.shape[1] + v) * 4
        begin = every(query.values[v, 0]) - load(outlines, place + FIRST)
        finish = every(query.values[v, end]) - load(outlines, place + LAST)
        total += begin * begin + finish * finish
    return total


@compiled_in_place
def outside(value: Vector, low: Vector, high: Vector) -> Vector:
    """How far a value lies outside an envelope, squared."""
    gap = greater(greater(value - high, low - value), every(NOTHING))
    return gap * gap


@compiled_in_place
def keogh_of_reference(references: Side, part: Part, envelope: Envelope, hours: int) -> Vector:
    """The bound of one block's hours, `hours` each, against the query's envelope."""
    total = every(NOTHING)
    _, variables, longest, _ = references.values.shape
    for v in range(part.start, part.stop):
        place = (part.block * variables + v) * longest
        for j in range(1, hours - 1):
            low, high = every(envelope.low[v, j]), every(envelope.high[v, j])
            total += outside(load(references.values, place + j), low, high)
    return total


@compiled_in_place
def keogh_of_query(query: Side, part: Part, outlines: Singles) -> Vector:
    """The bound of the query's hours against the whole range of each reference.

    A window's own envelopes would be tighter; to find them for every reference costs a narrow window's table.
    """
    total = every(NOTHING)
    for v in range(part.start, part.stop):
        place = (part.block * outlines.shape[1] + v) * 4
        low, high = load(outlines, place + LOWEST), load(outlines, place + HIGHEST)
        for i in range(1, query.values.shape[1] - 1):
            total += outside(every(query.values[v, i]), low, high)
    return total


@compiled_in_place
def surround(query: Side, frame: Frame, start: int, stop: int, hours: int, envelope: Envelope) -> None:
    """Writes the envelope of a query's variables `start` to `stop` - 1 in a window of `hours` columns."""
    envelope.low[start:stop] = np.inf
    envelope.high[start:stop] = -np.inf
    for v in range(start, stop):
        for i in range(query.values.shape[1]):
            value = query.values[v, i]
            for j in range(frame.first[i], min(hours, frame.last[i])):
                envelope.low[v, j] = min(envelope.low[v, j], value)
                envelope.high[v, j] = max(envelope.high[v, j], value)

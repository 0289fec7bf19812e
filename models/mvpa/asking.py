"""An hour's tokens asking those before them, one after the other: what `models.mvpa.tokens` is for learning,
compiled for scoring.

Nothing is padded, so an hour's numbers depend to the last bit on what it asks alone, not on what comes later
or lies beside it.

    T  hours that ask     N  hours an hour asks, itself the last     C  channels
    H, KV  query and key heads     d  head width     m  tokens asked
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.compiled import compiled

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@compiled
def ask(
    query: Floats,
    key: Floats,
    value: Floats,
    positions: Floats,
    channels: Floats,
    bias: Floats,
    here: Bools,
    out: Floats,
) -> None:
    """Fill `out` (T, C, H, d) where a token is `here` (N - 1 + T, C); `query` (T, C, H, d), `key` and `value`
    (N - 1 + T, C, KV, d), the tables `positions` (N, KV, d) and `channels` (C, KV, d), `bias` (3, KV, d).
    """
    hours, places, heads, _ = query.shape
    reach, shared = len(positions), heads // key.shape[2]
    lag, channel = np.empty(reach * places, np.int64), np.empty(reach * places, np.int64)
    by_lag, by_distance = np.empty(reach, query.dtype), np.empty(places, query.dtype)
    share = np.empty(reach * places, query.dtype)
    for hour in range(hours):
        asked = _tokens(here[hour : hour + reach], lag, channel)
        for place in range(places):
            if not here[hour + reach - 1, place]:
                continue
            for head in range(heads):
                own, g = query[hour, place, head], head // shared
                _compare(own, bias[1, g], positions[:, g], by_lag)
                _compare(own, bias[2, g], channels[:, g], by_distance)
                for one in range(asked):
                    apart = places - 1 - abs(place - channel[one])
                    content = _dot(own, bias[0, g], key[hour + lag[one], channel[one], g])
                    share[one] = content + by_lag[lag[one]] + by_distance[apart]
                _softmax(share[:asked], np.sqrt(len(own)))
                for one in range(asked):
                    told = value[hour + lag[one], channel[one], g]
                    for column in range(len(own)):
                        out[hour, place, head, column] += share[one] * told[column]


@compiled
def _tokens(here: Bools, lag: Integers, channel: Integers) -> int:
    """Where tokens are `here` (N, C), into `lag`, the row, and `channel` (m,): their number."""
    asked = 0
    for row in range(here.shape[0]):
        for place in range(here.shape[1]):
            if here[row, place]:
                lag[asked], channel[asked] = row, place
                asked += 1
    return asked


@compiled
def _compare(query: Floats, bias: Floats, rows: Floats, out: Floats) -> None:
    """(query + bias) . row of each of `rows` (n, d): `out` (n,)."""
    for row in range(len(rows)):
        out[row] = _dot(query, bias, rows[row])


@compiled
def _dot(query: Floats, bias: Floats, row: Floats) -> float:
    total: float = query[0] * 0
    for column in range(len(query)):
        total += (query[column] + bias[column]) * row[column]
    return total


@compiled
def _softmax(score: Floats, scale: float) -> None:
    """Scores (m,) to the exponentials of score / scale, their sum 1."""
    top, total = score.max(), score[0] * 0
    for one in range(len(score)):
        score[one] = np.exp((score[one] - top) / scale)
        total += score[one]
    for one in range(len(score)):
        score[one] /= total

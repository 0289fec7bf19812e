"""Exact quantiles of columns larger than memory: from how often each value occurs.

A table of counts has the columns `name` (what was measured), `x` (the value) and `n` (how often). DuckDB
groups out of core, so the values themselves are never held; clinical values repeat, so the counts are few.
Quantiles are nearest ranks: the smallest value that at least that share of all values does not exceed.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

SHARES = (0.0, 0.01, 0.5, 0.9, 0.99, 1.0)
BINS = 24


@dataclass(frozen=True)
class Quantiles:
    """Of `count` values: the smallest, those at 1, 50, 90 and 99 in a hundred, and the largest."""

    count: int
    minimum: float
    p01: float
    median: float
    p90: float
    p99: float
    maximum: float


def quantiles(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, Quantiles]:
    """The quantiles of each name in a table of counts."""
    ranked = ", ".join(f"min(x) FILTER (upto >= greatest(1, ceil({share} * total)))" for share in SHARES)
    query = f"""
        SELECT name, max(total), {ranked}
        FROM (SELECT name, x, sum(n) OVER (PARTITION BY name ORDER BY x) AS upto,
                     sum(n) OVER (PARTITION BY name) AS total
              FROM (SELECT name, x, sum(n) AS n FROM {table} GROUP BY name, x HAVING sum(n) > 0))
        GROUP BY name
    """  # noqa: S608  table names are our own
    rows = connection.execute(query).fetchall()
    return {name: Quantiles(int(total), *map(float, found)) for name, total, *found in rows}


def distributions(
    connection: duckdb.DuckDBPyConnection, table: str, within: dict[str, Quantiles]
) -> dict[str, list[int]]:
    """How many values of each name lie in each of `BINS` equal steps from its 1 % to its 99 % quantile."""
    found = {name: [0] * BINS for name in within}
    for name, of in within.items():
        span = of.p99 - of.p01
        if span <= 0:
            continue
        rows = connection.execute(
            f"SELECT least({BINS - 1}, floor((x - ?) / ? * {BINS}))::INTEGER, sum(n) FROM {table} "  # noqa: S608
            "WHERE name = ? AND x BETWEEN ? AND ? GROUP BY 1",
            [of.p01, span, name, of.p01, of.p99],
        ).fetchall()
        for place, count in rows:
            found[name][place] = int(count)
    return found

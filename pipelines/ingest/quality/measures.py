"""What the quality report measures, from the Parquet files of one ingest, shard by shard and out of core."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.quarantine import Reason
from models.clinical.variables import CATALOGUE, Variable
from pipelines.ingest.layout import INTERVENTIONS, OBSERVATIONS, QUARANTINE, SHARDS, STAYS, shard_path
from pipelines.ingest.quality.counted import Quantiles, distributions, quantiles
from pipelines.ingest.quality.findings import REJECTIONS

Json = dict[str, Any]

MOST_LISTED = 40  # names of one kind that the report lists; the rest is one number
EXAMPLES = 3
_HOUR = 3_600_000_000  # microseconds


@dataclass(frozen=True)
class Aside:
    """`count` rows set aside for one reason and of one name (variable or code), with examples of them."""

    reason: str
    name: str
    count: int
    examples: tuple[Json, ...]


def measured_variables(
    connection: duckdb.DuckDBPyConnection, folder: Path, aside: Sequence[Aside], stays: int
) -> list[Json]:
    """Everything about each variable of the catalogue that was met, in the catalogue's order."""
    _count_observations(connection, folder)
    values, gaps, lags = (quantiles(connection, f"{what}_counts") for what in ("value", "gap", "lag"))
    shapes = distributions(connection, "value_counts", values)
    kept = {
        name: tuple(map(int, counts))
        for name, *counts in connection.execute(
            "SELECT name, sum(kept), sum(below), sum(above), sum(superseded), sum(stays) FROM kept "
            "GROUP BY name"
        ).fetchall()
    }
    assumed = dict(connection.execute("SELECT name, sum(n)::BIGINT FROM assumed GROUP BY name").fetchall())
    converted = _converted(connection, folder)
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for rows in aside:
        reasons[rows.name][rows.reason] += rows.count
    return [
        _variable(
            variable,
            kept.get(name, (0,) * 5),
            reasons[name],
            stays,
            values=values.get(name),
            shape=shapes.get(name, []),
            gaps=gaps.get(name),
            lags=lags.get(name),
            assumed=assumed.get(name, 0),
            converted=converted.get(name, {}),
        )
        for name, variable in CATALOGUE.items()
        if name in kept or name in reasons
    ]


def _variable(
    variable: Variable,
    kept: Sequence[int],
    reasons: Counter[str],
    stays: int,
    *,
    values: Quantiles | None,
    shape: list[int],
    gaps: Quantiles | None,
    lags: Quantiles | None,
    assumed: int,
    converted: Mapping[str, int],
) -> Json:
    count, below, above, superseded, having = kept
    rejected = sum(n for reason, n in reasons.items() if reason in REJECTIONS)
    return {
        "variable": variable.name,
        "label": variable.label,
        "kind": str(variable.kind),
        "unit": variable.unit,
        "normal": list(variable.normal),
        "plausible": list(variable.plausible),
        "read": count + reasons.total(),
        "kept": count,
        "quarantined": reasons.total(),
        "quarantined_share": reasons.total() / max(count + reasons.total(), 1),
        "rejected": rejected,
        "rejected_share": rejected / max(count + rejected, 1),
        "quarantined_by_reason": dict(reasons.most_common()),
        "duplicates": reasons[Reason.DUPLICATE],
        "superseded": superseded,
        "censored": {"<": below, ">": above},
        "converted": dict(sorted(converted.items(), key=lambda one: -one[1])),
        "value": None if values is None else asdict(values),
        "distribution": shape,
        "stays": having,
        "stays_share": having / stays if stays else 0.0,
        "stays_without": stays - having,
        "gap_hours": None if gaps is None else asdict(gaps),
        "lag_hours": None if lags is None else asdict(lags),
        "lag_assumed": assumed,
        "lag_assumed_hours": variable.lag.total_seconds() / 3600,
    }


def _count_observations(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Tables of counts of values, gaps [h] and reported lags [h], and `kept`; one shard at a time."""
    connection.execute(_TABLES)
    _note_assumed(connection, folder)
    for shard in range(SHARDS):
        path = str(folder / shard_path(OBSERVATIONS, shard))
        for statement in (_VALUES, _GAPS, _LAGS, _KEPT):
            connection.execute(statement, [path])
    connection.execute("INSERT INTO lag_counts SELECT name, x, -n FROM assumed")


_TABLES = """
CREATE TABLE value_counts (name VARCHAR, x DOUBLE, n BIGINT);
CREATE TABLE gap_counts (name VARCHAR, x DOUBLE, n BIGINT);
CREATE TABLE lag_counts (name VARCHAR, x DOUBLE, n BIGINT);
CREATE TABLE assumed (name VARCHAR, x DOUBLE, n BIGINT);
CREATE TABLE kept (name VARCHAR, kept BIGINT, below BIGINT, above BIGINT, superseded BIGINT, stays BIGINT)
"""

_VALUES = "INSERT INTO value_counts SELECT variable, value, count(*) FROM read_parquet($1) GROUP BY ALL"

_GAPS = f"""
INSERT INTO gap_counts
SELECT variable, gap / {_HOUR}, count(*) FROM (
    SELECT variable, moment - lag(moment) OVER (PARTITION BY stay, variable ORDER BY moment) AS gap
    FROM (SELECT DISTINCT stay, variable, epoch_us(time) AS moment FROM read_parquet($1))
) WHERE gap IS NOT NULL GROUP BY ALL
"""  # noqa: S608

_LAGS = f"""
INSERT INTO lag_counts
SELECT variable, (epoch_us(known_at) - epoch_us(time)) / {_HOUR}, count(*) FROM read_parquet($1) GROUP BY ALL
"""  # noqa: S608

_KEPT = """
INSERT INTO kept
SELECT variable, count(*), count(*) FILTER (censored = '<'), count(*) FILTER (censored = '>'),
       count(known_until), count(DISTINCT stay)
FROM read_parquet($1) GROUP BY ALL
"""


def _note_assumed(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """How many lags are the catalogue's own: an assumed one stands in the counts at exactly that value."""
    lags = pa.table(
        {
            "name": list(CATALOGUE),
            "microseconds": [round(row.lag.total_seconds() * 1e6) for row in CATALOGUE.values()],
        }
    )
    connection.register("catalogue_lags", lags)
    connection.execute(
        f"INSERT INTO assumed SELECT name, microseconds / {_HOUR}, sum(one.n) FROM "  # noqa: S608
        "(SELECT unnest(lag_assumed) AS one FROM read_parquet($1)) "
        "JOIN catalogue_lags ON name = one.variable GROUP BY ALL",
        [str(folder / STAYS)],
    )
    connection.unregister("catalogue_lags")


def _converted(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, dict[str, int]]:
    rows = connection.execute(
        "SELECT one.variable, one.unit, sum(one.n)::BIGINT FROM "
        "(SELECT unnest(converted) AS one FROM read_parquet($1)) GROUP BY ALL",
        [str(folder / STAYS)],
    ).fetchall()
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for variable, unit, count in rows:
        found[variable][unit] = count
    return found


def measured_aside(
    connection: duckdb.DuckDBPyConnection, folder: Path, set_aside: Sequence[Json], *, facts: bool
) -> list[Aside]:
    """What was set aside, most first: of the stays' facts, or of the rows with what belonged to no stay."""
    rows = connection.execute(_ASIDE, [str(folder / QUARANTINE), facts, EXAMPLES]).fetchall()
    counts: Counter[tuple[str, str]] = Counter()
    examples: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
    for reason, name, count, shown in rows:
        counts[reason, name] = count
        examples[reason, name] += shown
    for whole in () if facts else set_aside:
        key = str(whole["reason"]), whole["code"]
        counts[key] += whole["count"]
        told = {"detail": whole["example"], "value": None, "bound": "", "unit": "", "count": whole["count"]}
        examples[key].append(told)
    return [Aside(*key, count, tuple(examples[key][:EXAMPLES])) for key, count in counts.most_common()]


_ASIDE = r"""
WITH told AS (
    SELECT reason, variable, detail, bound, unit, count(*) AS n,
           coalesce(value_text, regexp_replace(value_number::VARCHAR, '\.0$', '')) AS value
    FROM read_parquet($1) WHERE fact = $2 GROUP BY ALL
), ordered AS (
    SELECT *, row_number() OVER (PARTITION BY reason, variable ORDER BY n DESC, detail) AS place FROM told
)
SELECT reason, variable, sum(n)::BIGINT AS total,
       list({detail: detail, value: value, bound: bound, unit: unit, count: n} ORDER BY place)
           FILTER (place <= $3)
FROM ordered GROUP BY reason, variable ORDER BY total DESC, reason, variable
"""


def measured_interventions(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[Json]:
    """Each kind of intervention: how many, in how many stays, how many have a rate, the agents most given."""
    rows = connection.execute(
        """
        SELECT kind, count(*), count(DISTINCT stay), count(rate), list(DISTINCT agent)
        FROM read_parquet($1) GROUP BY kind ORDER BY 2 DESC, 1
        """,
        [str(folder / INTERVENTIONS / "*" / "*.parquet")],
    ).fetchall()
    return [
        {
            "kind": kind,
            "count": count,
            "stays": stays,
            "with_rate": rated,
            "agents": sorted(filter(None, agents)),
        }
        for kind, count, stays, rated, agents in rows
    ]


def measured_stays(connection: duckdb.DuckDBPyConnection, folder: Path) -> Json:
    """The stays: how many, of whom, how long, where, and how many are labelled."""
    path = str(folder / STAYS)
    names = ("stays", "subjects", "without_observations", "discharged", "labelled", "positive", "synthetic")
    counted = connection.execute(
        """
        SELECT count(*), count(DISTINCT subject), count(*) FILTER (observations = 0), count(discharged_at),
               count(label), count(*) FILTER (list_contains(label, 1)), count(*) FILTER (synthetic)
        FROM read_parquet($1)
        """,
        [path],
    ).fetchone()
    found: Json = dict(zip(names, counted or (), strict=True))
    connection.execute(_STAY_COUNTS, [path])
    of = quantiles(connection, "stay_counts")
    for name in ("age_years", "length_hours", "observations"):
        found[name] = asdict(of[name]) if name in of else None
    for column in ("sex", "care_unit", "charting"):
        query = f"SELECT {column}, count(*) FROM read_parquet($1) GROUP BY ALL ORDER BY 2 DESC, 1"  # noqa: S608
        found[column] = {name or "not known": n for name, n in connection.execute(query, [path]).fetchall()}
    return found


_STAY_COUNTS = f"""
CREATE TABLE stay_counts AS
SELECT 'age_years' AS name, age_years AS x, count(*) AS n FROM read_parquet($1)
WHERE age_years IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'length_hours', (epoch_us(discharged_at) - epoch_us(admitted_at)) / {_HOUR}, count(*)
FROM read_parquet($1) WHERE discharged_at IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'observations', observations, count(*) FROM read_parquet($1) GROUP BY ALL
"""  # noqa: S608

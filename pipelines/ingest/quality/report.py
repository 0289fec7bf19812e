"""The quality report of an ingest, as JSON and as a page with the same content."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.layout import QUALITY_JSON, QUALITY_PAGE
from pipelines.ingest.quality.findings import findings
from pipelines.ingest.quality.measures import (
    MOST_LISTED,
    Aside,
    measured_aside,
    measured_interventions,
    measured_stays,
    measured_variables,
)
from pipelines.ingest.quality.page import page

Json = dict[str, Any]

FORMAT = 1


def write_quality(folder: Path, record: Mapping[str, Any], memory_mb: int) -> None:
    """Measure the Parquet files of `folder` and write `quality.json` and `quality.html` into it.

    DuckDB holds at most `memory_mb` and spills beyond. Raises UnreadableSource if what the files hold is not
    what the ingest counted.
    """
    report = quality(folder, record, memory_mb)
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / QUALITY_JSON).write_text(text + "\n", encoding="utf-8")
    (folder / QUALITY_PAGE).write_text(page(report), encoding="utf-8")


def quality(folder: Path, record: Mapping[str, Any], memory_mb: int) -> Json:
    """The report on the files of `folder`, whose ingest is described by `record`."""
    with TemporaryDirectory(prefix="prodrome-") as staging:
        connection = duckdb.connect(str(Path(staging) / "quality.duckdb"))
        try:
            connection.execute(f"SET memory_limit = '{memory_mb}MB'")
            connection.execute(f"SET temp_directory = '{staging}'")
            connection.execute("SET threads = 2")
            connection.execute("SET preserve_insertion_order = false")
            return _measured(connection, folder, record)
        finally:
            connection.close()


def _measured(connection: duckdb.DuckDBPyConnection, folder: Path, record: Mapping[str, Any]) -> Json:
    aside = measured_aside(connection, folder, record["set_aside"], facts=False)
    facts = measured_aside(connection, folder, record["set_aside"], facts=True)
    stays = measured_stays(connection, folder)
    variables = measured_variables(connection, folder, aside, stays["stays"])
    interventions = measured_interventions(connection, folder)
    report: Json = {
        "format": FORMAT,
        **{name: record[name] for name in ("source", "path", "ingested_at", "versions")},
        "rows": _balance(record, variables, interventions, aside),
        "quarantined": _by_reason(aside, record["counts"]["cells_read"]),
        "unmapped": _listed(aside, Reason.UNKNOWN_VARIABLE),
        "outside_stays": _listed(aside, Reason.OUTSIDE_STAY),
        "facts_quarantined": [_aside(rows) for rows in facts],
        "stays": stays,
        "variables": variables,
        "interventions": interventions,
        "failures": record["failures"],
    }
    return report | {"findings": findings(report)}


def _balance(
    record: Mapping[str, Any],
    variables: Sequence[Json],
    interventions: Sequence[Json],
    aside: Sequence[Aside],
) -> Json:
    """kept + quarantined = read, where both sums are counted in the files and `read` while reading."""
    read = record["counts"]["cells_read"]
    observations = sum(one["kept"] for one in variables)
    treated = sum(one["count"] for one in interventions)
    quarantined = sum(rows.count for rows in aside)
    if observations + treated + quarantined != read:
        raise UnreadableSource(
            f"{record['path']}: {read} values were read, but the files hold {observations} observations, "
            f"{treated} interventions and {quarantined} quarantined"
        )
    return {
        "read": read,
        "kept": observations + treated,
        "observations": observations,
        "interventions": treated,
        "quarantined": quarantined,
    }


def _by_reason(aside: Sequence[Aside], read: int) -> list[Json]:
    totals: Counter[str] = Counter()
    names: defaultdict[str, list[Aside]] = defaultdict(list)
    for rows in aside:
        totals[rows.reason] += rows.count
        names[rows.reason].append(rows)
    return [
        {
            "reason": reason,
            "count": count,
            "share": count / max(read, 1),
            "names": [_aside(rows) for rows in names[reason][:MOST_LISTED]],
            "more_names": max(len(names[reason]) - MOST_LISTED, 0),
        }
        for reason, count in totals.most_common()
    ]


def _listed(aside: Sequence[Aside], reason: Reason) -> Json:
    rows = [one for one in aside if one.reason == reason]
    return {
        "count": sum(one.count for one in rows),
        "names": len(rows),
        "most": [_aside(one) for one in rows[:MOST_LISTED]],
    }


def _aside(rows: Aside) -> Json:
    return {
        "reason": rows.reason,
        "name": rows.name,
        "count": rows.count,
        "examples": list(rows.examples),
    }

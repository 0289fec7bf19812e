"""Which records of an antibiotic count: one dose may be charted by the unit and the ward, and be ordered too.

A source stages three tables in DuckDB, `subject` being text and `time` a TIMESTAMP, and gets a code for every
row of the last two, in `the_given` and `the_ordered`:

    infused(subject, time, ingredient)             charted by an intensive care unit: always counts
    given(subject, time, drug, route, event)       a medication administration record (eMAR)
    ordered(subject, time, ended_at, drug, route)  prescriptions

An administration is the truth, an order only stands in for it. A dose of `given` within SAME_DOSE of an
infusion of its (first) ingredient is that infusion: of 465 doses given in units of the MIMIC-IV demo 359 are,
half of them within 12 minutes. An order counts where nobody would have charted its doses: there is no record
of any drug in CHARTED from its start, and no infusion of its ingredient from SAME_DOSE before to FIRST_DOSE
after. Rows that do not count keep a code that says why, and are counted under it.
"""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.interventions import InterventionKind
from pipelines.ingest.codes_table import Code
from pipelines.ingest.treatments import antibiotic

SAME_DOSE = timedelta(hours=2)  # two of one drug are four hours apart or more
FIRST_DOSE = timedelta(hours=6)  # the shortest usual interval: the dose after the first is not taken for it
CHARTED = timedelta(hours=24)

# events of a medication record: one of a dose, one of a dose that was not; others follow a dose (stopped)
GIVEN = (
    "administered",
    "administered bolus from iv drip",
    "administered in other location",
    "delayed administered",
    "delayed started",
    "partial administered",
    "restarted",
    "started",
    "started in other location",
)
NOT_GIVEN = ("delayed", "hold dose", "not given", "not given per sliding scale", "not started")


def antibiotic_codes(connection: duckdb.DuckDBPyConnection, given: str, ordered: str) -> tuple[Code, ...]:
    """The codes of antibiotics in `the_given` and `the_ordered`, which it makes of the three staged tables.

    Both have the columns of `given` and `ordered`, `code`, and `withdrawn` where a dose was not given.
    `given` and `ordered` name the tables that the codes are of.
    """
    ingredients = _ingredients(connection)
    rules = {
        "given": _list(GIVEN),
        "not_given": _list(NOT_GIVEN),
        "same_dose": _sql(SAME_DOSE),
        "first_dose": _sql(FIRST_DOSE),
        "charted": _sql(CHARTED),
    }
    for statement in (_THE_GIVEN, _THE_ORDERED):
        connection.execute(statement.format(**rules))
    return tuple(
        Code(table, f"antibiotic {name}", name, InterventionKind.ANTIBIOTIC, agent=name)
        for table in dict.fromkeys((given, ordered))
        for name in ingredients
    )


def _ingredients(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Table `ingredients`: what each drug named as an antibiotic holds, by each route that rows have."""
    drugs = _distinct(connection, "drug")
    routes = _distinct(connection, "route")
    found = [
        (drug, route, antibiotic(drug, route))
        for drug in drugs
        if drug is not None and antibiotic(drug, None)
        for route in routes
    ]
    columns = {"drug": 0, "route": 1, "ingredient": 2}
    table = pa.table(
        {name: pa.array([row[at] for row in found], pa.string()) for name, at in columns.items()}
    )
    connection.register("found_ingredients", table)
    connection.execute("CREATE TABLE ingredients AS SELECT * FROM found_ingredients")
    connection.unregister("found_ingredients")
    return sorted({ingredient for _, _, ingredient in found if ingredient})


def _distinct(connection: duckdb.DuckDBPyConnection, column: str) -> list[str | None]:
    query = f"SELECT {column} FROM given UNION SELECT {column} FROM ordered ORDER BY 1"  # noqa: S608
    return [value for (value,) in connection.execute(query).fetchall()]


def _sql(length: timedelta) -> str:
    return f"INTERVAL {length // timedelta(minutes=1)} MINUTE"


def _list(texts: tuple[str, ...]) -> str:
    return ", ".join(f"'{text}'" for text in texts)


_THE_GIVEN = """
CREATE TABLE the_given AS
SELECT r.*, coalesce(i.ingredient IS NOT NULL AND lower(r.event) IN ({not_given}), false) AS withdrawn,
       CASE WHEN i.drug IS NULL THEN coalesce(r.drug, 'no drug named')
            WHEN i.ingredient IS NULL THEN concat(r.drug, ' ', coalesce(r.route, 'by no stated route'))
            WHEN lower(r.event) IN ({not_given}) THEN concat('antibiotic ', i.ingredient)
            WHEN r.event IS NULL OR lower(r.event) NOT IN ({given})
                THEN concat(i.ingredient, ': ', lower(coalesce(r.event, 'no event')))
            WHEN EXISTS (SELECT 1 FROM infused f WHERE f.subject = r.subject
                AND split_part(f.ingredient, '/', 1) = split_part(i.ingredient, '/', 1)
                AND f.time BETWEEN r.time - {same_dose} AND r.time + {same_dose})
                THEN concat(i.ingredient, ': charted as an infusion too')
            ELSE concat('antibiotic ', i.ingredient) END AS code
FROM given r LEFT JOIN ingredients i ON i.drug = r.drug AND i.route IS NOT DISTINCT FROM r.route
"""

_THE_ORDERED = """
CREATE TABLE the_ordered AS
WITH charted AS (SELECT DISTINCT subject, date_trunc('hour', time) AS hour FROM given)
SELECT r.*, false AS withdrawn,
       CASE WHEN i.drug IS NULL THEN coalesce(r.drug, 'no drug named')
            WHEN i.ingredient IS NULL THEN concat(r.drug, ' ', coalesce(r.route, 'by no stated route'))
            WHEN EXISTS (SELECT 1 FROM charted c WHERE c.subject = r.subject
                AND c.hour BETWEEN r.time AND r.time + {charted})
                THEN concat(i.ingredient, ': an order where doses are charted')
            WHEN EXISTS (SELECT 1 FROM infused f WHERE f.subject = r.subject
                AND split_part(f.ingredient, '/', 1) = split_part(i.ingredient, '/', 1)
                AND f.time BETWEEN r.time - {same_dose} AND r.time + {first_dose})
                THEN concat(i.ingredient, ': an order charted as an infusion too')
            ELSE concat('antibiotic ', i.ingredient) END AS code
FROM ordered r LEFT JOIN ingredients i ON i.drug = r.drug AND i.route IS NOT DISTINCT FROM r.route
"""

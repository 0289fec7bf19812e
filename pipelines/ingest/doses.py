"""Which records of an antibiotic count: one dose may be charted by the unit and the ward, and be ordered too.

A source stages three tables in DuckDB, `subject` being text and `time` a TIMESTAMP, and gets a code for every
row of the last two, in `the_given` and `the_ordered`:

    infused(subject, time, ingredient)             charted by an intensive care unit: always counts
    given(subject, time, drug, route, event)       a medication administration record (eMAR)
    ordered(subject, time, ended_at, drug, route)  prescriptions

An administration is the truth, an order only stands in for it. A dose of `given` within SAME_DOSE of an
infusion of its ingredient is that infusion: of 465 doses given in units of the MIMIC-IV demo 359 are, half of
them within 12 minutes. An order counts where nobody would have charted its doses: there is no record of any
drug in CHARTED from its start, and no infusion of its ingredient from SAME_DOSE before to FIRST_DOSE after.
Rows that do not count keep a code that says why, and are counted under it.
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

GIVEN = (
    "administered", "delayed administered", "partial administered", "administered in other location",
    "administered bolus from iv drip", "started", "delayed started", "started in other location", "restarted",
)  # fmt: skip
NOT_GIVEN = ("not given", "not started", "hold dose", "delayed", "not given per sliding scale")


def antibiotic_codes(connection: duckdb.DuckDBPyConnection, given: str, ordered: str) -> tuple[Code, ...]:
    """The codes of antibiotics in `the_given` and `the_ordered`, which it makes of the three staged tables.

    Both have the columns of `given` and `ordered`, `code`, and `withdrawn` where a dose was not given.
    `given` and `ordered` name the tables that the codes are of.
    """
    ingredients = _ingredients(connection)
    connection.execute(_THE_GIVEN)
    connection.execute(_THE_ORDERED)
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


_NOT_AN_ANTIBIOTIC = """
       CASE WHEN i.drug IS NULL THEN coalesce(r.drug, 'no drug named')
            WHEN i.ingredient IS NULL THEN concat(r.drug, ' ', coalesce(r.route, 'by no stated route'))
"""

_THE_GIVEN = f"""
CREATE TABLE the_given AS
SELECT r.*, coalesce(i.ingredient IS NOT NULL AND lower(r.event) IN ({_list(NOT_GIVEN)}), false) AS withdrawn,
       {_NOT_AN_ANTIBIOTIC}
            WHEN lower(r.event) NOT IN ({_list(GIVEN + NOT_GIVEN)}) OR r.event IS NULL
                THEN concat(i.ingredient, ': ', lower(coalesce(r.event, 'no event')))
            WHEN NOT lower(r.event) IN ({_list(NOT_GIVEN)}) AND EXISTS (
                SELECT 1 FROM infused f WHERE f.subject = r.subject AND f.ingredient = i.ingredient
                AND f.time BETWEEN r.time - {_sql(SAME_DOSE)} AND r.time + {_sql(SAME_DOSE)})
                THEN concat(i.ingredient, ': charted as an infusion too')
            ELSE concat('antibiotic ', i.ingredient) END AS code
FROM given r LEFT JOIN ingredients i ON i.drug = r.drug AND i.route IS NOT DISTINCT FROM r.route
"""

_THE_ORDERED = f"""
CREATE TABLE the_ordered AS
WITH charted AS (SELECT DISTINCT subject, date_trunc('hour', time) AS hour FROM given)
SELECT r.*, false AS withdrawn,
       {_NOT_AN_ANTIBIOTIC}
            WHEN EXISTS (SELECT 1 FROM charted c WHERE c.subject = r.subject
                AND c.hour BETWEEN r.time AND r.time + {_sql(CHARTED)})
                THEN concat(i.ingredient, ': an order where doses are charted')
            WHEN EXISTS (SELECT 1 FROM infused f WHERE f.subject = r.subject AND f.ingredient = i.ingredient
                AND f.time BETWEEN r.time - {_sql(SAME_DOSE)} AND r.time + {_sql(FIRST_DOSE)})
                THEN concat(i.ingredient, ': an order charted as an infusion too')
            ELSE concat('antibiotic ', i.ingredient) END AS code
FROM ordered r LEFT JOIN ingredients i ON i.drug = r.drug AND i.route IS NOT DISTINCT FROM r.route
"""

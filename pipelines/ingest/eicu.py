"""eICU Collaborative Research Database: its tables as CSV, in either case, compressed or not.

Times are minutes from the unit admission. No calendar day is told, so a stay is admitted on 1 January of the
year of its hospital discharge, at its own time of day: only differences mean something, and two stays of one
person do not follow each other. Ages above 89 are given as 90. Source: Pollard et al. 2018,
doi:10.1038/sdata.2018.178.

Every non-null cell of the wide vital tables and of the weights and heights in `patient` is a row. Orders of
`medication` are taken for what was given; 41 % of the demo's have no name, and those whose HICL number is
known are read by it (`codes/eicu_drugs.csv`). Hospitals that send no `microLab` have no cultures: label their
stays by antibiotics alone.

The offsets of ventilation in `respiratoryCare` are 4 to 8 h early, as if they were in UTC: in the demo 99 %
of the statuses that tell a start come at least 240 minutes after it, and the first ventilator setting of 40
in 48 stays comes 230 to 500 minutes after it. So a status is read by its own time: ventilated from then to
the next.

Not read: admissionDrug, admissionDx, allergy, apache*, carePlan*, customLab, hospital, note, nurseAssessment,
nurseCare, pastHistory. `diagnosis` gives the codes of a stay.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.interventions import InterventionKind
from pipelines.ingest.codes_table import Code, read_codes
from pipelines.ingest.eicu_tables import ANCHORED, ROWS, STAYS
from pipelines.ingest.relational.engine import Limits, RelationalSource, Relations, find_tables
from pipelines.ingest.treatments import antibiotic, is_culture, vasopressor, vasopressor_agent

SOURCE = "eicu"

TABLES = (*ROWS, "diagnosis")


def open_source(path: Path, limits: Limits | None = None) -> RelationalSource:
    """The unit stays of a folder with the database's tables, of which only `patient` is needed.

    Raises UnreadableSource naming what is missing.
    """
    optional = frozenset(TABLES) - {"patient"}
    relations = Relations(
        name=SOURCE,
        tables=TABLES,
        stays=STAYS,
        rows=ROWS,
        codes=[code for code in read_codes(SOURCE) if code.table != "infusiondrug"],
        optional=optional,
        prepare=_prepare,
    )
    return RelationalSource(path, relations, find_tables(path, TABLES, optional), limits)


def _prepare(connection: duckdb.DuckDBPyConnection, present: frozenset[str]) -> Sequence[Code]:
    """The codes that stand in free text: orders, infusions and culture sites."""
    for statement in ANCHORED:
        connection.execute(statement)
    if "diagnosis" not in present:
        connection.execute("CREATE TABLE diagnosis (patientunitstayid VARCHAR, icd9code VARCHAR)")
    codes: list[Code] = []
    if "medication" in present:
        codes += _orders(connection)
    if "infusiondrug" in present:
        codes += _infusions(connection)
    if "microlab" in present:
        codes += _cultures(connection)
    return codes


@cache
def _named_drugs() -> Mapping[str, str]:
    """The ingredients of drugs by HICL number, where an order does not name them."""
    text = resources.files("pipelines.ingest").joinpath("codes", "eicu_drugs.csv").read_text(encoding="utf-8")
    return {row["hicl"]: row["name"] for row in csv.DictReader(text.splitlines())}


def _orders(connection: duckdb.DuckDBPyConnection) -> list[Code]:
    orders = connection.execute(
        "SELECT DISTINCT drugname, drughiclseqno, routeadmin FROM medication"
    ).fetchall()
    names = [drug or _named_drugs().get(hicl or "") for drug, hicl, _ in orders]
    agents = [name and antibiotic(name, route) for name, (_, _, route) in zip(names, orders, strict=True)]
    drugs, numbers, routes = (
        (list(column) for column in zip(*orders, strict=True)) if orders else ([], [], [])
    )
    _table(connection, "given_orders", drugname=drugs, hicl=numbers, route=routes, name=names, agent=agents)
    kind = InterventionKind.ANTIBIOTIC
    return [Code("medication", agent, agent, kind, agent=agent) for agent in _known(agents)]


def _infusions(connection: duckdb.DuckDBPyConnection) -> list[Code]:
    drugs = _distinct(connection, "drugname", "infusiondrug")
    sedatives = {code.code: code.agent for code in read_codes(SOURCE) if code.table == "infusiondrug"}
    agents = [
        vasopressor_agent(drug)
        or next((sedatives[word] for word in sedatives if word in drug.casefold()), None)
        for drug in drugs
    ]
    _table(connection, "given_infusions", drugname=drugs, agent=agents)
    return [
        Code("infusiondrug", agent, agent, vasopressor(agent) or InterventionKind.SEDATION, agent=agent)
        for agent in _known(agents)
    ]


def _cultures(connection: duckdb.DuckDBPyConnection) -> list[Code]:
    sites = _distinct(connection, "culturesite", "microlab")
    kind = InterventionKind.CULTURE
    return [Code("microlab", site, site, kind, agent=site) for site in sites if is_culture(site)]


def _distinct(connection: duckdb.DuckDBPyConnection, column: str, table: str) -> list[str]:
    query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY 1"  # noqa: S608
    return [value for (value,) in connection.execute(query).fetchall()]


def _known(agents: Sequence[str | None]) -> list[str]:
    return sorted({agent for agent in agents if agent})


def _table(connection: duckdb.DuckDBPyConnection, made: str, **columns: Sequence[str | None]) -> None:
    given = {column: pa.array(values, pa.string()) for column, values in columns.items()}
    connection.register("given", pa.table(given))
    connection.execute(f"CREATE TABLE {made} AS SELECT * FROM given")  # noqa: S608
    connection.unregister("given")

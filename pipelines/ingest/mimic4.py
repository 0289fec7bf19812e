"""MIMIC-IV: the folders hosp/ and icu/ as exported; a stay is a row of icustays.

Decisions that the label feels:

- The hospital admission begins at the registration in the emergency department, where there is one: 202 of
  2,899 rows of microbiology in the demo lie between it and `admittime`.
- Results belong to the stay in whose time they were drawn, whatever their `hadm_id`, which 26 % lack. A
  result that the laboratory gives as a limit stands in `comments` ("<0.01. ..."), and is read from there.
- Blood gas pressures, saturation and pH count where the specimen says arterial, and where the nurses' chart
  does. Other chart items that copy laboratory rows (all of them, to the minute) are not mapped: labevents has
  when the result was stored.
- Verbal response "No Response-ETT" is 0, not testable; its `valuenum` is 1, as is that of "No Response".
- `warning` marks a value the charting system found unusual; it is no error, and bounds decide.
- Urine of irrigated bladders is what came out less what went in at the same time.
- Antibiotics: see `doses`. Cultures are rows of microbiologyevents, without a time at 00:00 of their date.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from models.clinical.interventions import InterventionKind
from pipelines.ingest.codes_table import Code, read_codes
from pipelines.ingest.doses import antibiotic_codes
from pipelines.ingest.relational.engine import Limits, RelationalSource, Relations, find_tables
from pipelines.ingest.treatments import is_culture

SOURCE = "mimic4"

# weight and height: charted up to hours before the admission's clock time, they hold from the admission on
SIZE_ITEMS = "('226512', '226531', '226707', '226730')"
# Celsius and Fahrenheit: some rows of either hold the other, so their size decides and not their unit
TEMPERATURE_ITEMS = "('223761', '223762')"

# their meaning hangs on the specimen, whose type is a row of its own beside them
BLOOD_GAS_ITEMS = "('50817', '50818', '50820', '50821')"

# what is read of each table; those that may be absent are made empty then
_OPTIONAL = {
    "diagnoses_icd": ("hadm_id", "icd_code"),
    "outputevents": (),
    "procedureevents": (),
    "microbiologyevents": ("spec_type_desc", "test_name"),
    "inputevents": ("subject_id", "starttime", "itemid", "statusdescription"),
    "emar": ("subject_id", "pharmacy_id", "charttime", "medication", "event_txt"),
    "prescriptions": ("subject_id", "pharmacy_id", "starttime", "stoptime", "drug", "route"),
}
# what names the items that are not mapped
_LABELS = {
    "d_items": "SELECT linksto AS origin, itemid AS code, label FROM d_items",
    "d_labitems": "SELECT 'labevents' AS origin, itemid AS code, label FROM d_labitems",
}
TABLES = ("icustays", "patients", "admissions", "chartevents", "labevents", *_OPTIONAL, *_LABELS)

_STAYS = """
SELECT i.stay_id AS stay, i.subject_id AS subject,
       i.intime::TIMESTAMP AS admitted_at, TRY_CAST(i.outtime AS TIMESTAMP) AS discharged_at,
       least(TRY_CAST(a.admittime AS TIMESTAMP), TRY_CAST(a.edregtime AS TIMESTAMP), i.intime::TIMESTAMP)
           AS hospital_admitted_at,
       TRY_CAST(p.anchor_age AS INTEGER) + year(i.intime::TIMESTAMP)
           - TRY_CAST(p.anchor_year AS INTEGER) AS age_years,
       p.gender AS sex, i.first_careunit AS care_unit, 'metavision' AS charting, d.codes AS diagnoses
FROM icustays i LEFT JOIN patients p USING (subject_id) LEFT JOIN admissions a USING (hadm_id)
LEFT JOIN (SELECT hadm_id, list(icd_code ORDER BY icd_code) AS codes FROM diagnoses_icd GROUP BY ALL) d
  USING (hadm_id)
"""

_CHARTEVENTS = f"""
SELECT c.stay_id AS stay,
       CASE WHEN itemid IN {SIZE_ITEMS} THEN greatest(charttime, s.admitted_at::VARCHAR) ELSE charttime
       END AS time, NULL AS ended_at, storetime AS known_at,
       CASE WHEN itemid = '226732' THEN concat_ws(' ', itemid, rtrim(value)) ELSE itemid END AS code,
       CASE WHEN itemid = '223900' AND value = 'No Response-ETT' THEN '0'
            WHEN itemid <> '226732' THEN coalesce(valuenum, value) END AS value,
       CASE WHEN itemid NOT IN {TEMPERATURE_ITEMS} THEN valueuom END AS unit, false AS withdrawn
FROM chartevents c LEFT JOIN the_stays s ON s.stay = c.stay_id
"""  # noqa: S608

_LABEVENTS = f"""
SELECT s.stay, charttime AS time, NULL AS ended_at, storetime AS known_at,
       CASE WHEN itemid IN {BLOOD_GAS_ITEMS}
            THEN concat(itemid, ' ', coalesce(g.type, 'of unstated blood')) ELSE itemid END AS code,
       coalesce(valuenum, CASE WHEN value IS NULL OR value = '___' THEN nullif(concat(
           CASE WHEN regexp_matches(comments, '^\\s*(<|LESS THAN)', 'i') THEN '<'
                WHEN regexp_matches(comments, '^\\s*(>|GREATER THAN)', 'i') THEN '>' END,
           regexp_extract(comments, '^\\s*(?:[<>]=?|LESS THAN|GREATER THAN)\\s*(\\d*\\.?\\d+)', 1, 'i')), '')
       END, value) AS value,
       valueuom AS unit, false AS withdrawn
FROM labevents l
LEFT JOIN (SELECT specimen_id, upper(rtrim(any_value(value), '. ')) AS type FROM labevents
           WHERE itemid IN ('52033', '50800') GROUP BY ALL) g USING (specimen_id)
LEFT JOIN the_spans s ON s.subject = l.subject_id
  AND TRY_CAST(l.charttime AS TIMESTAMP) >= s.begins AND TRY_CAST(l.charttime AS TIMESTAMP) < s.ends
"""  # noqa: S608

_OUTPUTEVENTS = """
SELECT o.stay_id AS stay, o.charttime AS time, NULL AS ended_at, o.storetime AS known_at,
       CASE WHEN i.volume IS NULL THEN o.itemid ELSE concat(o.itemid, ' less irrigant') END AS code,
       CASE WHEN i.volume IS NULL THEN o.value ELSE (TRY_CAST(o.value AS DOUBLE) - i.volume)::VARCHAR
       END AS value, o.valueuom AS unit, false AS withdrawn
FROM outputevents o
LEFT JOIN (SELECT stay_id, charttime, '227489' AS itemid, sum(TRY_CAST(value AS DOUBLE)) AS volume
           FROM outputevents WHERE itemid = '227488' GROUP BY ALL) i USING (stay_id, charttime, itemid)
"""

_INPUTEVENTS = """
SELECT stay_id AS stay, starttime AS time, endtime AS ended_at, NULL AS known_at, itemid AS code,
       rate AS value, rateuom AS unit, statusdescription = 'Rewritten' AS withdrawn
FROM inputevents
"""

_PROCEDUREEVENTS = """
SELECT stay_id AS stay, starttime AS time, endtime AS ended_at, NULL AS known_at, itemid AS code,
       NULL AS value, NULL AS unit, statusdescription = 'Rewritten' AS withdrawn
FROM procedureevents
"""

# a row without a time is put where the middle of its date falls
_MICROBIOLOGYEVENTS = """
SELECT s.stay, coalesce(charttime, chartdate) AS time, NULL AS ended_at, NULL AS known_at,
       concat_ws(', ', spec_type_desc, test_name) AS code, NULL AS value, NULL AS unit, false AS withdrawn
FROM microbiologyevents m
LEFT JOIN the_spans s ON s.subject = m.subject_id
  AND coalesce(TRY_CAST(charttime AS TIMESTAMP), TRY_CAST(chartdate AS TIMESTAMP) + INTERVAL 12 HOUR)
      >= s.cared_from
  AND coalesce(TRY_CAST(charttime AS TIMESTAMP), TRY_CAST(chartdate AS TIMESTAMP) + INTERVAL 12 HOUR) < s.ends
"""

_EMAR = """
SELECT s.stay, g.time, NULL AS ended_at, NULL AS known_at, g.code, NULL AS value, NULL AS unit, g.withdrawn
FROM the_given g
LEFT JOIN the_spans s ON s.subject = g.subject AND g.time >= s.cared_from AND g.time < s.ends
"""

_PRESCRIPTIONS = """
SELECT s.stay, o.time, o.ended_at, NULL AS known_at, o.code, NULL AS value, NULL AS unit, o.withdrawn
FROM the_ordered o
LEFT JOIN the_spans s ON s.subject = o.subject AND o.time >= s.cared_from AND o.time < s.ends
"""

_STAGED_DOSES = (
    """
CREATE TABLE ordered AS
SELECT subject_id AS subject, TRY_CAST(starttime AS TIMESTAMP) AS time,
       TRY_CAST(stoptime AS TIMESTAMP) AS ended_at, drug, route, pharmacy_id
FROM prescriptions
""",
    # the record itself names no route; its order does
    """
CREATE TABLE given AS
SELECT subject_id AS subject, TRY_CAST(charttime AS TIMESTAMP) AS time, medication AS drug, o.route,
       event_txt AS event
FROM emar
LEFT JOIN (SELECT pharmacy_id, min(route) AS route FROM ordered GROUP BY ALL) o USING (pharmacy_id)
""",
    """
CREATE TABLE infused AS
SELECT subject_id AS subject, TRY_CAST(starttime AS TIMESTAMP) AS time, a.ingredient
FROM inputevents JOIN infusible a USING (itemid) WHERE statusdescription IS DISTINCT FROM 'Rewritten'
""",
)


def open_source(path: Path, limits: Limits | None = None) -> RelationalSource:
    """The ICU stays of a folder with the export's tables. Raises UnreadableSource naming what is missing.

    A table's file may carry a remark in capitals after the table's name.
    """
    optional = frozenset({*_OPTIONAL, *_LABELS})
    relations = Relations(
        name=SOURCE,
        tables=TABLES,
        stays=_STAYS,
        rows={
            "chartevents": _CHARTEVENTS,
            "labevents": _LABEVENTS,
            "outputevents": _OUTPUTEVENTS,
            "inputevents": _INPUTEVENTS,
            "procedureevents": _PROCEDUREEVENTS,
            "microbiologyevents": _MICROBIOLOGYEVENTS,
            "emar": _EMAR,
            "prescriptions": _PRESCRIPTIONS,
        },
        codes=read_codes(SOURCE),
        optional=optional,
        prepare=_treatments,
        labels=_LABELS,
    )
    return RelationalSource(path, relations, find_tables(path, TABLES, optional), limits)


def infusible(codes: tuple[Code, ...]) -> str:
    """SQL of a table of the antibiotics among the infusions: `itemid`, `ingredient`."""
    rows = ", ".join(
        f"('{code.code}', '{code.agent}')"
        for code in codes
        if code.table == "inputevents" and code.intervention is InterventionKind.ANTIBIOTIC
    )
    return f"CREATE TABLE infusible AS SELECT * FROM (VALUES {rows}) AS v (itemid, ingredient)"  # noqa: S608


def _treatments(connection: duckdb.DuckDBPyConnection, present: frozenset[str]) -> tuple[Code, ...]:
    """The codes of cultures and antibiotics, which are texts; the doses are staged on the way."""
    for table, columns in _OPTIONAL.items():
        if table not in present and columns:
            cells = ", ".join(f"NULL::VARCHAR AS {column}" for column in columns)
            connection.execute(f"CREATE VIEW {table} AS SELECT {cells} WHERE false")
    for statement in (infusible(read_codes(SOURCE)), *_STAGED_DOSES):
        connection.execute(statement)
    return (*_cultures(connection), *antibiotic_codes(connection, "emar", "prescriptions"))


def _cultures(connection: duckdb.DuckDBPyConnection) -> tuple[Code, ...]:
    query = "SELECT DISTINCT spec_type_desc, test_name FROM microbiologyevents ORDER BY ALL"
    texts = [(specimen or "", test or "") for specimen, test in connection.execute(query).fetchall()]
    return tuple(
        Code(
            "microbiologyevents",
            name := ", ".join(text for text in (specimen, test) if text),
            name,
            InterventionKind.CULTURE,
            agent=specimen.casefold(),
        )
        for specimen, test in texts
        if is_culture(specimen, test)
    )

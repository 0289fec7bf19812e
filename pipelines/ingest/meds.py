"""MEDS: events of MIMIC-IV in the Medical Event Data Standard, one Parquet file or a folder of shards.

An event is (subject_id, time, code, numeric_value), in older data `value`, and perhaps text_value; other
columns are ignored. The mapping is that of MIMIC-IV, for `LAB//220045//bpm` names the item and its unit.

- A stay goes from ICU_ADMISSION to the next ICU_DISCHARGE of its subject; its number counts the subject's.
- Results and chart entries belong to the stay in whose time they lie. When they became known is not told, so
  the default lags hold.
- Without text a blood gas does not say whether it is arterial: the nurses' copy of it does. Nor does the
  number of a verbal response tell a tube from silence. With text both are read as in MIMIC-IV.
- INFUSION_START carries the rate, in the mapping's unit; the next INFUSION_END of its item ends it.
- The data hold no cultures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb

from models.clinical.errors import UnreadableSource
from pipelines.ingest.codes_table import Code, read_codes
from pipelines.ingest.doses import antibiotic_codes
from pipelines.ingest.mimic4 import BLOOD_GAS_ITEMS, SIZE_ITEMS, TEMPERATURE_ITEMS, infusible
from pipelines.ingest.mimic4 import SOURCE as MIMIC4
from pipelines.ingest.relational import Limits, RelationalSource, Relations

SOURCE = "meds"

# the kinds of event that carry the items of a table of MIMIC-IV
_KINDS = {
    "chartevents": "LAB",
    "labevents": "LAB",
    "outputevents": "SUBJECT_FLUID_OUTPUT",
    "inputevents": "INFUSION_START",
}

_STAYS = """
WITH moves AS (
    SELECT subject, time, kind, item AS care_unit,
           lead(kind) OVER w AS next_kind, lead(time) OVER w AS next_time
    FROM meds WHERE kind IN ('ICU_ADMISSION', 'ICU_DISCHARGE') AND time IS NOT NULL
    WINDOW w AS (PARTITION BY subject ORDER BY time, kind DESC)
), stays AS (
    SELECT *, row_number() OVER (PARTITION BY subject ORDER BY time) AS number
    FROM moves WHERE kind = 'ICU_ADMISSION'
), hospital AS (
    SELECT a.subject, a.time AS admitted_at, d.time AS discharged_at,
           CASE WHEN e.time > a.time - INTERVAL 24 HOUR THEN e.time ELSE a.time END AS arrived_at
    FROM (SELECT * FROM meds WHERE kind = 'HOSPITAL_ADMISSION') a
    ASOF LEFT JOIN (SELECT * FROM meds WHERE kind = 'HOSPITAL_DISCHARGE') d
      ON d.subject = a.subject AND d.time >= a.time
    ASOF LEFT JOIN (SELECT * FROM meds WHERE kind = 'ED_REGISTRATION') e
      ON e.subject = a.subject AND e.time <= a.time
), diagnoses AS (
    SELECT subject, time, part4 AS icd_code FROM meds WHERE kind = 'DIAGNOSIS'
), coded AS (
    SELECT h.subject, h.admitted_at, list(g.icd_code ORDER BY g.icd_code) AS codes
    FROM hospital h JOIN diagnoses g
      ON g.subject = h.subject AND g.time > h.admitted_at AND g.time <= h.discharged_at
    GROUP BY ALL
), people AS (
    SELECT subject, min(time) FILTER (kind = 'MEDS_BIRTH') AS born, min(item) FILTER (kind = 'GENDER') AS sex
    FROM meds WHERE kind IN ('MEDS_BIRTH', 'GENDER') GROUP BY ALL
)
SELECT concat(s.subject, '-', s.number) AS stay, s.subject, s.time AS admitted_at,
       CASE WHEN s.next_kind = 'ICU_DISCHARGE' THEN s.next_time END AS discharged_at,
       h.arrived_at AS hospital_admitted_at,
       date_diff('day', p.born, s.time) / 365.2425 AS age_years, p.sex, s.care_unit,
       'metavision' AS charting, c.codes AS diagnoses
FROM stays s
LEFT JOIN people p ON p.subject = s.subject
ASOF LEFT JOIN hospital h ON h.subject = s.subject AND h.admitted_at <= s.time
LEFT JOIN coded c ON c.subject = h.subject AND c.admitted_at = h.admitted_at
"""

# one row of `meds` an event; those of medicines are in the_given and the_ordered
_EVENTS = f"""
SELECT s.stay, CASE WHEN item IN {SIZE_ITEMS} THEN greatest(time, s.begins) ELSE time END AS time,
       NULL AS ended_at,
       CASE WHEN item IN {BLOOD_GAS_ITEMS} THEN concat_ws(' ', kind || '//' || item, g.type)
            ELSE kind || '//' || item END AS code,
       CASE WHEN item = '223900' AND text = 'No Response-ETT' THEN '0' ELSE coalesce(value, text)
       END AS value,
       CASE WHEN item NOT IN {TEMPERATURE_ITEMS} THEN nullif(part3, 'UNK') END AS unit,
       NULL AS known_at, false AS withdrawn
FROM meds m
LEFT JOIN gases g ON g.subject = m.subject AND g.drawn_at = m.time
LEFT JOIN the_spans s ON s.subject = m.subject AND m.time < s.ends
  AND m.time >= CASE WHEN m.item IN {SIZE_ITEMS} THEN s.cared_from ELSE s.begins END
WHERE kind IN ('LAB', 'SUBJECT_FLUID_OUTPUT')
UNION ALL BY NAME
SELECT s.stay, m.time, e.time AS ended_at, m.kind || '//' || m.item AS code, m.value, NULL AS unit,
       NULL AS known_at, false AS withdrawn
FROM (SELECT * FROM meds WHERE kind = 'INFUSION_START') m
ASOF LEFT JOIN (SELECT * FROM meds WHERE kind = 'INFUSION_END') e
  ON e.subject = m.subject AND e.item = m.item AND e.time > m.time
LEFT JOIN the_spans s ON s.subject = m.subject AND m.time >= s.cared_from AND m.time < s.ends
UNION ALL BY NAME
SELECT s.stay, d.time, d.ended_at, d.code, NULL AS value, NULL AS unit, NULL AS known_at, d.withdrawn
FROM (SELECT subject, time, NULL::TIMESTAMP AS ended_at, code, withdrawn FROM the_given
      UNION ALL SELECT subject, time, ended_at, code, withdrawn FROM the_ordered) d
LEFT JOIN the_spans s ON s.subject = d.subject AND d.time >= s.cared_from AND d.time < s.ends
UNION ALL BY NAME
SELECT NULL AS stay, time, NULL AS ended_at, kind AS code, NULL AS value, NULL AS unit, NULL AS known_at,
       false AS withdrawn
FROM meds
WHERE kind NOT IN ('LAB', 'SUBJECT_FLUID_OUTPUT', 'INFUSION_START', 'MEDICATION') OR stops
"""  # noqa: S608

_STAGED = (
    # every event once, its code in parts; the third of a unit or of what was done, the fourth of a diagnosis
    """
CREATE TABLE meds AS
SELECT subject_id::VARCHAR AS subject, TRY_CAST(time AS TIMESTAMP) AS time,
       split_part(code, '//', 1) AS kind, split_part(code, '//', 2) AS item,
       split_part(code, '//', 3) AS part3, split_part(code, '//', 4) AS part4,
       {value}::VARCHAR AS value, {text} AS text, code LIKE 'MEDICATION//STOP//%' AS stops
FROM events
""",
    """
CREATE TABLE gases AS
SELECT subject, time AS drawn_at, any_value(upper(rtrim(text, '. '))) AS type
FROM meds WHERE kind = 'LAB' AND item IN ('52033', '50800') AND text IS NOT NULL
GROUP BY ALL HAVING count(DISTINCT text) = 1
""",
    """
CREATE TABLE ordered AS
SELECT o.subject, o.time, e.time AS ended_at, o.part3 AS drug, NULL::VARCHAR AS route
FROM (SELECT * FROM meds WHERE kind = 'MEDICATION' AND item = 'START') o
ASOF LEFT JOIN (SELECT * FROM meds WHERE stops) e
  ON e.subject = o.subject AND e.part3 = o.part3 AND e.time > o.time
""",
    """
CREATE TABLE given AS
SELECT subject, time, item AS drug, NULL::VARCHAR AS route,
       coalesce(nullif(part3, ''), 'administered') AS event
FROM meds WHERE kind = 'MEDICATION' AND item <> 'START' AND NOT stops
""",
    """
CREATE TABLE infused AS
SELECT subject, time, a.ingredient
FROM meds JOIN infusible a ON a.itemid = meds.item WHERE kind = 'INFUSION_START'
""",
)


def open_source(path: Path, limits: Limits | None = None) -> RelationalSource:
    """The ICU stays of a Parquet file of events, or of a folder of them: its `data/` if it has one.

    Raises UnreadableSource where there is none; `metadata/` holds no events.
    """
    relations = Relations(
        name=SOURCE,
        tables=("events",),
        stays=_STAYS,
        rows={"events": _EVENTS},
        codes=tuple(_codes()),
        prepare=_prepared,
    )
    return RelationalSource(path, relations, {"events": _events(path)}, limits)


def _events(path: Path) -> Path:
    """The file, or the pattern of the shards."""
    if path.is_file():
        return path
    data = path / "data"
    pattern = data / "**" / "*.parquet" if data.is_dir() else path / "*.parquet"
    if not any(path.glob(str(pattern.relative_to(path)))):
        raise UnreadableSource(f"{path}: no Parquet file of events; expected {pattern}")
    return pattern


def _codes() -> Iterator[Code]:
    for code in read_codes(MIMIC4):
        if code.table in _KINDS:
            yield replace(code, table="events", code=f"{_KINDS[code.table]}//{code.code}")


def _prepared(connection: duckdb.DuckDBPyConnection, _: frozenset[str]) -> tuple[Code, ...]:
    columns = {name for name, *_ in connection.execute("DESCRIBE events").fetchall()}
    value = "numeric_value" if "numeric_value" in columns else "value"
    text = "text_value" if "text_value" in columns else "NULL::VARCHAR"
    for statement in (infusible(read_codes(MIMIC4)), *_STAGED):
        connection.execute(statement.format(value=value, text=text))
    return antibiotic_codes(connection, "events", "events")

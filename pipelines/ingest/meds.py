"""MEDS: events of MIMIC-IV in the Medical Event Data Standard, one Parquet file or a folder of shards.

An event is (subject_id, time, code, numeric_value), in older data `value`, and perhaps text_value; other
columns are ignored. The mapping is that of MIMIC-IV, for `LAB//220045//bpm` names the item and its unit.

- A stay goes from ICU_ADMISSION to the next ICU_DISCHARGE of its subject; its number counts the subject's.
- Results and chart entries belong to the stay in whose time they lie. When they became known is not told, so
  the default lags hold.
- Without text a blood gas does not say whether it is arterial: the nurses' copy of it does. Nor does the
  number of a verbal response tell a tube from silence. With text both are read as in MIMIC-IV.
- INFUSION_START carries the rate, in the mapping's unit. It and PROCEDURE//START last till the next end of
  their item.
- The data hold no cultures; what irrigated bladders give is not mapped.
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
from pipelines.ingest.relational.engine import Limits, RelationalSource, Relations

SOURCE = "meds"

# the kinds of event that carry the items of a table of MIMIC-IV
_KINDS = {
    "chartevents": "LAB",
    "labevents": "LAB",
    "outputevents": "SUBJECT_FLUID_OUTPUT",
    "inputevents": "INFUSION_START",
    "procedureevents": "PROCEDURE//START",
}

_STAYS = """
WITH moves AS (
    SELECT subject, time, kind, item AS care_unit,
           lead(kind) OVER w AS next_kind, lead(time) OVER w AS next_time
    FROM meds WHERE kind IN ('ICU_ADMISSION', 'ICU_DISCHARGE') AND time IS NOT NULL
    WINDOW w AS (PARTITION BY subject ORDER BY time, kind DESC)
), stays AS (
    SELECT subject, time, care_unit, row_number() OVER (PARTITION BY subject ORDER BY time) AS number,
           CASE WHEN next_kind = 'ICU_DISCHARGE' THEN next_time END AS discharged_at
    FROM moves WHERE kind = 'ICU_ADMISSION'
), hospital AS (
    SELECT a.subject, a.time AS admitted_at, d.time AS discharged_at,
           CASE WHEN e.time > a.time - INTERVAL 24 HOUR THEN e.time ELSE a.time END AS arrived_at
    FROM (SELECT * FROM meds WHERE kind = 'HOSPITAL_ADMISSION') a
    ASOF LEFT JOIN (SELECT * FROM meds WHERE kind = 'HOSPITAL_DISCHARGE') d
      ON d.subject = a.subject AND d.time >= a.time
    ASOF LEFT JOIN (SELECT * FROM meds WHERE kind = 'ED_REGISTRATION') e
      ON e.subject = a.subject AND e.time <= a.time
), coded AS (
    SELECT h.subject, h.admitted_at, list(g.part3 ORDER BY g.part3) AS codes
    FROM hospital h JOIN meds g ON g.kind = 'DIAGNOSIS' AND g.subject = h.subject
      AND g.time > h.admitted_at AND g.time <= h.discharged_at
    GROUP BY ALL
), people AS (
    SELECT subject, min(time) FILTER (kind = 'MEDS_BIRTH') AS born, min(item) FILTER (kind = 'GENDER') AS sex
    FROM meds WHERE kind IN ('MEDS_BIRTH', 'GENDER') GROUP BY ALL
)
SELECT concat(s.subject, '-', s.number) AS stay, s.subject, s.time AS admitted_at, s.discharged_at,
       CASE WHEN h.discharged_at > s.time THEN least(h.arrived_at, s.time) END AS hospital_admitted_at,
       date_diff('day', p.born, s.time) / 365.2425 AS age_years, p.sex, s.care_unit,
       'metavision' AS charting, CASE WHEN h.discharged_at > s.time THEN c.codes END AS diagnoses
FROM (SELECT *, coalesce(discharged_at, time) AS last_seen FROM stays) s
LEFT JOIN people p ON p.subject = s.subject
ASOF LEFT JOIN hospital h ON h.subject = s.subject AND h.admitted_at <= s.last_seen
LEFT JOIN coded c ON c.subject = h.subject AND c.admitted_at = h.admitted_at
"""

# every event gives one row; those of medicines are in the_given and the_ordered
_EVENTS = f"""
SELECT s.stay, CASE WHEN item IN {SIZE_ITEMS} THEN greatest(time, s.begins) ELSE time END AS time,
       NULL AS ended_at,
       CASE WHEN item IN {BLOOD_GAS_ITEMS} THEN concat_ws(' ', kind || '//' || item, g.type)
            WHEN item = '226732' THEN concat_ws(' ', kind || '//' || item, rtrim(text))
            ELSE kind || '//' || item END AS code,
       CASE WHEN item = '223900' AND text = 'No Response-ETT' THEN '0'
            WHEN item <> '226732' THEN coalesce(value, text) END AS value,
       CASE WHEN item NOT IN {TEMPERATURE_ITEMS} THEN nullif(part2, 'UNK') END AS unit,
       NULL AS known_at, false AS withdrawn
FROM parsed m
LEFT JOIN gases g ON g.subject = m.subject AND g.drawn_at = m.time
LEFT JOIN the_spans s ON s.subject = m.subject AND m.time < s.ends
  AND m.time >= CASE WHEN m.item IN {SIZE_ITEMS} THEN s.cared_from ELSE s.begins END
WHERE kind IN ('LAB', 'SUBJECT_FLUID_OUTPUT')
UNION ALL BY NAME
SELECT s.stay, m.time, e.time AS ended_at, m.kind || '//' || m.item AS code, m.value, NULL AS unit,
       NULL AS known_at, false AS withdrawn
FROM (SELECT * FROM meds WHERE kind IN ('INFUSION_START', 'PROCEDURE//START')) m
ASOF LEFT JOIN (SELECT * FROM meds WHERE kind IN ('INFUSION_END', 'PROCEDURE//END')) e
  ON e.subject = m.subject AND e.item = m.item AND e.kind = replace(m.kind, 'START', 'END')
  AND e.time > m.time
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
WHERE kind NOT IN ('INFUSION_START', 'PROCEDURE//START', 'MEDICATION', 'MEDICATION//START')
"""  # noqa: S608

_STAGED = (
    # the kind of an event's code, and what follows it, in parts
    """
CREATE VIEW parsed AS
SELECT subject, time, kind, value, text, split_part(rest, '//', 1) AS item,
       split_part(rest, '//', 2) AS part2, split_part(rest, '//', 3) AS part3
FROM (
    SELECT subject_id::VARCHAR AS subject, TRY_CAST(time AS TIMESTAMP) AS time,
           regexp_extract(code, '^((MEDICATION|PROCEDURE)//(START|STOP|END)|.*?)(//|$)', 1) AS kind,
           substr(code, length(kind) + 3) AS rest, {value}::VARCHAR AS value, {text} AS text
    FROM events
)
""",
    # what was done and not measured: few events, read many times
    """
CREATE TABLE meds AS SELECT * FROM parsed WHERE kind NOT IN ('LAB', 'SUBJECT_FLUID_OUTPUT')
""",
    """
CREATE TABLE gases AS
SELECT subject, time AS drawn_at, any_value(upper(rtrim(text, '. '))) AS type
FROM parsed WHERE kind = 'LAB' AND item IN ('52033', '50800') AND text IS NOT NULL
GROUP BY ALL HAVING count(DISTINCT text) = 1
""",
    """
CREATE TABLE ordered AS
SELECT o.subject, o.time, e.time AS ended_at, o.item AS drug, NULL::VARCHAR AS route
FROM (SELECT * FROM meds WHERE kind = 'MEDICATION//START') o
ASOF LEFT JOIN (SELECT * FROM meds WHERE kind = 'MEDICATION//STOP') e
  ON e.subject = o.subject AND e.item = o.item AND e.time > o.time
""",
    """
CREATE TABLE given AS
SELECT subject, time, item AS drug, NULL::VARCHAR AS route,
       coalesce(nullif(part2, ''), 'administered') AS event
FROM meds WHERE kind = 'MEDICATION'
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

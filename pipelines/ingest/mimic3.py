"""MIMIC-III: the CSV export as it is, headers in either case, compressed or not."""

from __future__ import annotations

from pathlib import Path

from pipelines.ingest.codes_table import read_codes
from pipelines.ingest.relational import Limits, RelationalSource, Relations, find_tables

SOURCE = "mimic3"

_STAYS = """
SELECT i.icustay_id AS stay, i.subject_id AS subject,
       i.intime::TIMESTAMP AS admitted_at, i.outtime::TIMESTAMP AS discharged_at,
       a.admittime::TIMESTAMP AS hospital_admitted_at,
       least(90, date_diff('day', p.dob::TIMESTAMP, i.intime::TIMESTAMP) / 365.2425) AS age_years,
       p.gender AS sex, i.first_careunit AS care_unit, i.dbsource AS charting, d.codes AS diagnoses
FROM icustays i JOIN patients p USING (subject_id) JOIN admissions a USING (hadm_id)
LEFT JOIN (SELECT hadm_id, list(icd9_code ORDER BY icd9_code) AS codes FROM diagnoses_icd GROUP BY ALL) d
  USING (hadm_id)
"""

_CHARTEVENTS = """
SELECT icustay_id AS stay, charttime AS time, NULL AS ended_at, storetime AS known_at, itemid AS code,
       coalesce(valuenum, value) AS value, valueuom AS unit, error = '1' AS withdrawn
FROM chartevents
"""

_LABEVENTS = """
SELECT s.stay, charttime AS time, NULL AS ended_at, NULL AS known_at, itemid AS code,
       coalesce(valuenum, value) AS value, valueuom AS unit, false AS withdrawn
FROM labevents l
LEFT JOIN the_spans s
  ON s.subject = l.subject_id AND l.charttime::TIMESTAMP >= s.begins AND l.charttime::TIMESTAMP < s.ends
"""

TABLES = ("icustays", "patients", "admissions", "diagnoses_icd", "chartevents", "labevents")


def open_source(path: Path, limits: Limits | None = None) -> RelationalSource:
    """The ICU stays of a folder with the export's tables. Raises UnreadableSource naming what is missing."""
    relations = Relations(
        name=SOURCE,
        tables=TABLES,
        stays=_STAYS,
        rows={"chartevents": _CHARTEVENTS, "labevents": _LABEVENTS},
        codes=read_codes(SOURCE),
    )
    return RelationalSource(path, relations, find_tables(path, TABLES, frozenset()), limits)

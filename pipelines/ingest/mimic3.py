"""MIMIC-III (v1.4): the CSV export as it is, headers in either case, compressed or not.

The mapping is `codes/mimic3.csv`, made for both bedside systems, CareVue and MetaVision. What it leaves out
on purpose: laboratory results charted again in CHARTEVENTS (every one of them stands in LABEVENTS, but for
glucose at the bedside), quantities calculated from others at the same moment (temperatures, mean pressures),
set PEEP (total PEEP is another quantity), irrigation of the bladder (227488 in, 227489 out with the urine:
what is charted of the two does not give the urine back), urine made before the stay (operating theatre,
emergency department) and the charting of newborns.

What a column cannot say:

- a gas whose specimen (50800) is not arterial is no arterial gas: its pO2, pCO2, pH and saturation stay
  unmapped (`labevents 50821 venous`). A gas without a specimen (4 % in the demo) is taken to be arterial;
- a verbal response behind a tube is 0, not testable;
- results have no time of their own in LABEVENTS: the catalogue's lag is assumed;
- PRESCRIPTIONS know days only: an antibiotic starts at 00:00 of its day, up to 24 h before it was given.
  Where INPUTEVENTS_MV has the dose, the dose stands beside it with its true time;
- a culture without a time (4 %) is taken at 00:00 of its day;
- CareVue charts a rate at a moment: it lasts until the next one. A rate of 0 or a stop ends it; the amounts
  charted beside the rates are the same infusion again (`inputevents_cv 30120 amount`);
- CHARTEVENTS.stopped says that an item is charted no longer, not that its value is wrong: it is not read;
- CareVue has no table of ventilation: it is the charted mode of the ventilator, until the next one.

Not read: CALLOUT, CAREGIVERS, CPTEVENTS, DATETIMEEVENTS, DRGCODES, NOTEEVENTS, PROCEDURES_ICD, SERVICES,
TRANSFERS. D_ITEMS and D_LABITEMS, where they are, name the items that are not mapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from models.clinical.interventions import InterventionKind
from pipelines.ingest.codes_table import Code, read_codes
from pipelines.ingest.relational.engine import Limits, RelationalSource, Relations, find_tables
from pipelines.ingest.treatments import antibiotic, is_culture

SOURCE = "mimic3"

# Celsius and Fahrenheit: nurses enter either in the other's item, so their size decides and not their unit
TEMPERATURE_ITEMS = "('676', '223762', '678', '223761', '226329')"

_STAYS = """
SELECT icustays.icustay_id AS stay, icustays.subject_id AS subject,
       TRY_CAST(icustays.intime AS TIMESTAMP) AS admitted_at,
       TRY_CAST(icustays.outtime AS TIMESTAMP) AS discharged_at,
       TRY_CAST(admissions.admittime AS TIMESTAMP) AS hospital_admitted_at,
       -- who is over 89 was born 300 years before
       least(90, date_diff('day', TRY_CAST(patients.dob AS TIMESTAMP),
                           TRY_CAST(icustays.intime AS TIMESTAMP)) / 365.2425) AS age_years,
       patients.gender AS sex, icustays.first_careunit AS care_unit, icustays.dbsource AS charting,
       {diagnoses} AS diagnoses
FROM icustays
LEFT JOIN patients ON patients.subject_id = icustays.subject_id
LEFT JOIN admissions ON admissions.hadm_id = icustays.hadm_id
"""

_CHARTEVENTS = f"""
SELECT icustay_id AS stay, charttime AS time, NULL AS ended_at, storetime AS known_at,
       CASE WHEN itemid IN ('152', '467', '720', '226732') THEN concat_ws(' ', itemid, value)
            ELSE itemid END AS code,
       CASE WHEN itemid IN ('152', '467', '720', '226732') THEN NULL
            WHEN itemid IN ('723', '223900') AND value IN ('1.0 ET/Trach', 'No Response-ETT') THEN '0'
            ELSE coalesce(valuenum, value) END AS value,
       CASE WHEN itemid NOT IN {TEMPERATURE_ITEMS} THEN valueuom END AS unit, error = '1' AS withdrawn
FROM chartevents
"""  # noqa: S608

_LABEVENTS = """
SELECT s.stay, l.charttime AS time, NULL AS ended_at, NULL AS known_at,
       CASE WHEN l.itemid IN ('50817', '50818', '50820', '50821') AND v.charttime IS NOT NULL
            THEN l.itemid || ' venous' ELSE l.itemid END AS code,
       coalesce(valuenum, regexp_replace(regexp_replace(
           value, '^ *less than ', '<', 'i'), '^ *greater than ', '>', 'i')) AS value,
       valueuom AS unit, false AS withdrawn
FROM labevents l
LEFT JOIN the_spans s ON s.subject = l.subject_id
  AND TRY_CAST(l.charttime AS TIMESTAMP) >= s.begins AND TRY_CAST(l.charttime AS TIMESTAMP) < s.ends
LEFT JOIN venous_gases v ON v.subject_id = l.subject_id AND v.charttime = l.charttime
"""

_OUTPUTEVENTS = """
SELECT icustay_id AS stay, charttime AS time, NULL AS ended_at, storetime AS known_at, itemid AS code, value,
       valueuom AS unit, iserror = '1' AS withdrawn
FROM outputevents
"""

_INPUTEVENTS_MV = """
SELECT icustay_id AS stay, starttime AS time, endtime AS ended_at, NULL AS known_at, itemid AS code,
       rate AS value, rateuom AS unit, statusdescription = 'Rewritten' AS withdrawn
FROM inputevents_mv
"""

_INPUTEVENTS_CV = """
SELECT icustay_id AS stay, charttime AS time, NULL AS ended_at, NULL AS known_at,
       CASE WHEN rate IS NULL AND amount IS NOT NULL THEN itemid || ' amount' ELSE itemid END AS code,
       rate AS value, rateuom AS unit,
       rate IS NULL OR TRY_CAST(rate AS DOUBLE) = 0 OR stopped IN ('Stopped', 'D/C''d') AS withdrawn
FROM inputevents_cv
"""

_PROCEDUREEVENTS_MV = """
SELECT icustay_id AS stay, starttime AS time, endtime AS ended_at, NULL AS known_at, itemid AS code,
       NULL AS value, NULL AS unit, statusdescription = 'Rewritten' AS withdrawn
FROM procedureevents_mv
"""

# a day belongs to the stay that was the last to begin on it or before it, unless that had ended
_PRESCRIPTIONS = """
SELECT coalesce(p.icustay_id, CASE WHEN TRY_CAST(p.startdate AS TIMESTAMP) < s.ends THEN s.stay END) AS stay,
       p.startdate AS time, p.enddate AS ended_at, NULL AS known_at,
       p.drug || ' by ' || coalesce(p.route, '?') AS code, NULL AS value, NULL AS unit, false AS withdrawn
FROM (SELECT *, TRY_CAST(startdate AS TIMESTAMP) + INTERVAL 86399 SECOND AS day_end FROM prescriptions) p
ASOF LEFT JOIN the_spans s ON s.subject = p.subject_id AND p.day_end >= s.cared_from
"""

_MICROBIOLOGYEVENTS = """
SELECT CASE WHEN m.taken < s.ends THEN s.stay END AS stay, coalesce(m.charttime, m.chartdate) AS time,
       NULL AS ended_at, NULL AS known_at, m.spec_type_desc AS code, NULL AS value, NULL AS unit,
       false AS withdrawn
FROM (
    SELECT *, TRY_CAST(coalesce(charttime, chartdate) AS TIMESTAMP) AS taken,
           coalesce(TRY_CAST(charttime AS TIMESTAMP),
                    TRY_CAST(chartdate AS TIMESTAMP) + INTERVAL 86399 SECOND) AS latest
    FROM microbiologyevents
) m
ASOF LEFT JOIN the_spans s ON s.subject = m.subject_id AND m.latest >= s.cared_from
"""

_ROWS = {
    "chartevents": _CHARTEVENTS,
    "labevents": _LABEVENTS,
    "outputevents": _OUTPUTEVENTS,
    "inputevents_mv": _INPUTEVENTS_MV,
    "inputevents_cv": _INPUTEVENTS_CV,
    "procedureevents_mv": _PROCEDUREEVENTS_MV,
    "prescriptions": _PRESCRIPTIONS,
    "microbiologyevents": _MICROBIOLOGYEVENTS,
}
_LABELS = {
    "d_items": "SELECT lower(linksto) AS origin, itemid AS code, label FROM d_items",
    "d_labitems": "SELECT 'labevents' AS origin, itemid AS code, label FROM d_labitems",
}
OPTIONAL = frozenset({*_ROWS, *_LABELS, "diagnoses_icd"}) - {"chartevents"}
TABLES = ("icustays", "patients", "admissions", *sorted({*_ROWS, *_LABELS, "diagnoses_icd"}))


def open_source(path: Path, limits: Limits | None = None) -> RelationalSource:
    """The ICU stays of a folder with the export's tables.

    CHARTEVENTS, ICUSTAYS, PATIENTS and ADMISSIONS are needed, all else may be absent. Raises UnreadableSource
    naming what is missing.
    """
    files = find_tables(path, TABLES, OPTIONAL)
    diagnoses = (
        "(SELECT list(icd9_code ORDER BY icd9_code) FROM diagnoses_icd "
        "WHERE hadm_id = icustays.hadm_id AND icd9_code IS NOT NULL)"
        if "diagnoses_icd" in files
        else "NULL"
    )
    relations = Relations(
        name=SOURCE,
        tables=TABLES,
        stays=_STAYS.format(diagnoses=diagnoses),
        rows=_ROWS,
        codes=read_codes(SOURCE),
        optional=OPTIONAL,
        prepare=_prepare,
        labels=_LABELS,
    )
    return RelationalSource(path, relations, files, limits)


def _prepare(connection: duckdb.DuckDBPyConnection, present: frozenset[str]) -> Sequence[Code]:
    """What the tables say in free text as codes, and where a gas is venous."""
    if "labevents" in present:
        connection.execute(
            "CREATE TABLE venous_gases AS SELECT DISTINCT subject_id, charttime FROM labevents "
            "WHERE itemid = '50800' AND value <> 'ART'"
        )
    return (*_antibiotics(connection, present), *_cultures(connection, present))


def _antibiotics(connection: duckdb.DuckDBPyConnection, present: frozenset[str]) -> Iterator[Code]:
    if "prescriptions" not in present:
        return
    query = "SELECT DISTINCT drug, route FROM prescriptions WHERE drug IS NOT NULL ORDER BY ALL"
    for drug, route in connection.execute(query).fetchall():
        if ingredient := antibiotic(drug, route):
            name = f"{drug} by {route or '?'}"
            yield Code("prescriptions", name, name, str(InterventionKind.ANTIBIOTIC), agent=ingredient)


def _cultures(connection: duckdb.DuckDBPyConnection, present: frozenset[str]) -> Iterator[Code]:
    if "microbiologyevents" not in present:
        return
    query = (
        "SELECT DISTINCT spec_type_desc FROM microbiologyevents WHERE spec_type_desc IS NOT NULL ORDER BY ALL"
    )
    for (specimen,) in connection.execute(query).fetchall():
        if is_culture(specimen):
            agent = specimen.casefold()
            yield Code("microbiologyevents", specimen, specimen, str(InterventionKind.CULTURE), agent=agent)

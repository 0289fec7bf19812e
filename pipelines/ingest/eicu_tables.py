"""The tables of eICU in SQL: what is a stay, what is a row, and what its code, value, unit and times are.

Every offset is in minutes from the unit admission, which `anchored` puts on a calendar; see `eicu`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

STAYS = """
SELECT p.patientunitstayid AS stay, p.uniquepid AS subject, p.admitted_at,
       TRY(p.admitted_at + to_minutes(TRY_CAST(unitdischargeoffset AS BIGINT))) AS discharged_at,
       TRY(p.admitted_at + to_minutes(least(0, TRY_CAST(hospitaladmitoffset AS BIGINT))))
           AS hospital_admitted_at,
       CASE WHEN trim(age) = '> 89' THEN '90' ELSE nullif(trim(age), '') END AS age_years,
       nullif(trim(gender), '') AS sex, unittype AS care_unit, NULL AS charting, d.codes AS diagnoses
FROM anchored p
LEFT JOIN (
    SELECT patientunitstayid, list(DISTINCT trim(code) ORDER BY trim(code)) AS codes
    FROM (SELECT patientunitstayid, unnest(string_split(icd9code, ',')) AS code FROM diagnosis)
    WHERE trim(code) <> '' GROUP BY ALL
) d USING (patientunitstayid)
"""

ANCHORED = (
    """
CREATE TABLE anchored AS
SELECT *, make_date(coalesce(TRY_CAST(hospitaldischargeyear AS BIGINT), 2014), 1, 1)
          + coalesce(TRY_CAST(unitadmittime24 AS TIME), TIME '00:00:00') AS admitted_at
FROM patient
""",
    # a stay told twice must not double the rows that are joined to it
    """
CREATE TABLE anchors AS
SELECT DISTINCT ON (patientunitstayid) patientunitstayid, admitted_at, unitdischargeoffset
FROM anchored ORDER BY patientunitstayid, admitted_at
""",
)


def _rows(table: str, code: str, value: str, time: str, **more: str) -> str:
    """The SELECT of one table, which is `t`; offsets are in minutes after `p.admitted_at`."""
    told = {"known_at": "NULL", "ended_at": "NULL", "unit": "NULL", "withdrawn": "false"} | more
    return f"""
        SELECT t.patientunitstayid AS stay, {_at(time)} AS time, {_at(told["ended_at"])} AS ended_at,
               {_at(told["known_at"])} AS known_at, {code} AS code, {value} AS value, {told["unit"]} AS unit,
               {told["withdrawn"]} AS withdrawn
        FROM {table} t LEFT JOIN anchors p USING (patientunitstayid)
    """  # noqa: S608


def _at(offset: str) -> str:
    return f"TRY(p.admitted_at + to_minutes(TRY_CAST({offset} AS BIGINT)))"  # some offsets leave the calendar


def _cells(table: str, time: str, columns: Sequence[str]) -> str:
    """A wide table as rows of `measure` and `cell`, one for each cell that holds something."""
    wide = ", ".join(columns)
    return (
        f"(UNPIVOT (SELECT patientunitstayid, {time}, {wide} FROM {table}) ON {wide} "  # noqa: S608
        "INTO NAME measure VALUE cell)"
    )


_PERIODIC = (
    "temperature", "sao2", "heartrate", "respiration", "cvp", "etco2", "systemicsystolic",
    "systemicdiastolic", "systemicmean", "pasystolic", "padiastolic", "pamean", "st1", "st2", "st3", "icp",
)  # fmt: skip
_APERIODIC = (
    "noninvasivesystolic", "noninvasivediastolic", "noninvasivemean", "paop", "cardiacoutput",
    "cardiacinput", "svr", "svri", "pvr", "pvri",
)  # fmt: skip

_LAB_VALUE = """
CASE WHEN trim(t.labresulttext) SIMILAR TO '[<>].*' THEN trim(t.labresulttext)
     WHEN t.labname IN ('FiO2', 'ionized calcium') THEN coalesce(trim(t.labresulttext), t.labresult)
     WHEN t.labname = 'Base Deficit' THEN (-abs(TRY_CAST(t.labresult AS DOUBLE)))::VARCHAR
     WHEN t.labname = 'magnesium' AND t.labmeasurenameinterface ILIKE 'meq%'
     THEN (TRY_CAST(t.labresult AS DOUBLE) / 2)::VARCHAR
     ELSE coalesce(t.labresult, t.labresulttext) END
"""
_LAB_UNIT = """
CASE WHEN t.labname = 'magnesium' AND t.labmeasurenameinterface ILIKE 'meq%' THEN 'mmol/L'
     ELSE t.labmeasurenameinterface END
"""

_NURSE_CODE = """
CASE WHEN t.nursingchartcelltypevallabel <> 'O2 L/%'
     THEN concat_ws('|', t.nursingchartcelltypevallabel, t.nursingchartcelltypevalname)
     WHEN TRY_CAST(t.nursingchartvalue AS DOUBLE) <= 15 THEN 'O2 L/%|up to 15' ELSE 'O2 L/%|above 15' END
"""

# what a therapist writes as text says how a patient breathes, until the next such text, at most two rounds
_BREATHING = """(
SELECT *, respchartvaluelabel IN ('RT Vent On/Off', 'O2 Device', 'Oxygen Delivery Method',
    'Ventilator Support Mode', 'Mechanical Ventilator Mode', 'Non-invasive Ventilation Mode') AS how,
    CASE WHEN how THEN least(
        TRY_CAST(respchartoffset AS BIGINT) + 480,
        lead(TRY_CAST(respchartoffset AS BIGINT)) OVER (
            PARTITION BY patientunitstayid, respchartvaluelabel
            ORDER BY TRY_CAST(respchartoffset AS BIGINT), TRY_CAST(respchartid AS BIGINT))) END AS until
FROM respiratorycharting)
"""
_BREATHING_CODE = """
CASE WHEN t.how THEN concat_ws('|', t.respchartvaluelabel, t.respchartvalue)
     ELSE t.respchartvaluelabel END
"""

_STATUS = """(
SELECT *, lead(TRY_CAST(respcarestatusoffset AS BIGINT)) OVER (
    PARTITION BY patientunitstayid
    ORDER BY TRY_CAST(respcarestatusoffset AS BIGINT), TRY_CAST(respcareid AS BIGINT)) AS until
FROM respiratorycare)
"""
_STATUS_CODE = """
CASE WHEN coalesce(TRY_CAST(t.ventstartoffset AS BIGINT), 0) = 0 THEN 'not ventilated'
     WHEN t.airwaytype = 'No Artificial Airway' THEN 'ventilated, No Artificial Airway'
     ELSE 'ventilated' END
"""

# a volume without its kind (a count, stool with urine) is no urine
_OUTPUT_CODE = """
CASE WHEN path SIMILAR TO 'output \\(ml\\)\\|foley.*' THEN 'output (ml)|foley'
     WHEN path SIMILAR TO 'output \\(ml\\)\\|urine output.*' THEN 'output (ml)|urine output'
     WHEN path SIMILAR TO 'output \\(ml\\)\\|urinary catheter output.*'
     THEN 'output (ml)|urinary catheter output'
     WHEN path SIMILAR TO 'output \\(ml\\)\\|output.*urethral catheter.*' THEN 'output (ml)|urethral catheter'
     WHEN path SIMILAR TO 'output \\(ml\\)\\|output.*external urinary catheter.*'
     THEN 'output (ml)|external urinary catheter'
     WHEN path SIMILAR TO 'output \\(ml\\)\\|output.*straight catheter.*' THEN 'output (ml)|straight catheter'
     ELSE path END
"""
_OUTPUT = f"""(
SELECT *, {_OUTPUT_CODE} AS place
FROM (SELECT *, lower(replace(cellpath, 'flowsheet|Flowsheet Cell Labels|I&O|', '')) AS path
      FROM intakeoutput))
"""  # noqa: S608

# the last step of a path is the answer, the steps before it are the question
_EXAM_CODE = r"regexp_replace(regexp_replace(t.physicalexampath, '^.*/GCS/', 'GCS/'), '/[^/]*$', '')"

# a rate stands until the next of its agent, which some hospitals chart only where it changes; after a longer
# silence nobody knows, and it is given an hour
_LONGEST_SILENCE = 300  # minutes
_INFUSED = """(
SELECT i.*, g.agent, regexp_extract(i.drugname, '\\(([^()]*)\\)\\s*$', 1) AS named_unit,
       TRY_CAST(i.drugamount AS DOUBLE) / nullif(TRY_CAST(i.volumeoffluid AS DOUBLE), 0) AS per_ml,
       TRY_CAST(i.infusionoffset AS BIGINT) AS begins,
       lead(TRY_CAST(i.infusionoffset AS BIGINT)) OVER (
           PARTITION BY i.patientunitstayid, g.agent
           ORDER BY TRY_CAST(i.infusionoffset AS BIGINT), TRY_CAST(i.infusiondrugid AS BIGINT)) AS until
FROM infusiondrug i LEFT JOIN given_infusions g USING (drugname))
"""
_BY_VOLUME = "lower(t.named_unit) = 'ml/hr' AND t.per_ml > 0"
_INFUSION_VALUE = f"""
CASE WHEN upper(trim(t.drugrate)) LIKE 'OFF%' THEN '0'
     WHEN {_BY_VOLUME} THEN (TRY_CAST(t.drugrate AS DOUBLE) * t.per_ml)::VARCHAR
     ELSE t.drugrate END
"""
_INFUSION_UNIT = (
    f"CASE WHEN {_BY_VOLUME} THEN CASE WHEN t.agent = 'vasopressin' THEN 'units/hr' ELSE 'mg/hr' END "
    "ELSE t.named_unit END"
)
_INFUSION_END = f"CASE WHEN t.until - t.begins <= {_LONGEST_SILENCE} THEN t.until ELSE t.begins + 60 END"

_ORDERED = """(
SELECT m.*, CASE WHEN g.agent IS NOT NULL THEN g.agent
                 WHEN m.drugname IS NULL AND g.name IS NULL THEN 'no name' ELSE 'no antibiotic' END AS agent
FROM medication m LEFT JOIN given_orders g
  ON g.drugname IS NOT DISTINCT FROM m.drugname AND g.hicl IS NOT DISTINCT FROM m.drughiclseqno
  AND g.route IS NOT DISTINCT FROM m.routeadmin)
"""

ROWS: Mapping[str, str] = {
    "patient": _rows(
        _cells("patient", "unitdischargeoffset", ("admissionweight", "dischargeweight", "admissionheight")),
        "t.measure",
        "t.cell",
        "CASE WHEN t.measure = 'dischargeweight' THEN t.unitdischargeoffset ELSE '0' END",
    ),
    "vitalperiodic": _rows(
        _cells("vitalperiodic", "observationoffset", _PERIODIC), "t.measure", "t.cell", "t.observationoffset"
    ),
    "vitalaperiodic": _rows(
        _cells("vitalaperiodic", "observationoffset", _APERIODIC),
        "t.measure",
        "t.cell",
        "t.observationoffset",
    ),
    "lab": _rows(
        "lab",
        "t.labname",
        _LAB_VALUE,
        "t.labresultoffset",
        unit=_LAB_UNIT,
        known_at="t.labresultrevisedoffset",
    ),
    "nursecharting": _rows(
        "nursecharting",
        _NURSE_CODE,
        "t.nursingchartvalue",
        "t.nursingchartoffset",
        known_at="t.nursingchartentryoffset",
    ),
    "respiratorycharting": _rows(
        _BREATHING,
        _BREATHING_CODE,
        r"regexp_replace(t.respchartvalue, '\s*%\s*$', '')",
        "t.respchartoffset",
        known_at="t.respchartentryoffset",
        ended_at="t.until",
    ),
    "respiratorycare": _rows(
        _STATUS,
        _STATUS_CODE,
        "NULL",
        "t.respcarestatusoffset",
        ended_at="coalesce(t.until, TRY_CAST(p.unitdischargeoffset AS BIGINT))",
    ),
    "intakeoutput": _rows(
        _OUTPUT,
        "t.place",
        "coalesce(t.cellvaluenumeric, t.cellvaluetext)",
        "t.intakeoutputoffset",
        known_at="t.intakeoutputentryoffset",
    ),
    "physicalexam": _rows("physicalexam", _EXAM_CODE, "t.physicalexamtext", "t.physicalexamoffset"),
    "infusiondrug": _rows(
        _INFUSED,
        "coalesce(t.agent, 'other infusion')",
        _INFUSION_VALUE,
        "t.infusionoffset",
        unit=_INFUSION_UNIT,
        ended_at=_INFUSION_END,
        withdrawn="coalesce(upper(trim(t.drugrate)) LIKE 'ERROR%', false)",
    ),
    "medication": _rows(
        _ORDERED,
        "t.agent",
        "NULL",
        "t.drugstartoffset",
        ended_at="t.drugstopoffset",
        withdrawn="coalesce(t.drugordercancelled = 'Yes', false)",
    ),
    "microlab": _rows("microlab", "t.culturesite", "NULL", "t.culturetakenoffset"),
    "treatment": _rows(
        "treatment",
        "t.treatmentstring",
        "NULL",
        "t.treatmentoffset",
        ended_at="least(TRY_CAST(t.treatmentoffset AS BIGINT) + 1440, "
        "greatest(TRY_CAST(t.treatmentoffset AS BIGINT), TRY_CAST(p.unitdischargeoffset AS BIGINT)))",
    ),
}

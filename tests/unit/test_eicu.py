"""eICU's tables become stays: minute offsets, wide tables by the cell, units by hospital, drugs by number."""

import csv
import gzip
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.eicu import open_source
from pipelines.ingest.source import IngestedStay, IngestSummary

ADMITTED_AT = datetime(2015, 1, 1, 14, 30, tzinfo=UTC)

PATIENT = (
    "patientunitstayid,uniquepid,gender,age,hospitaldischargeyear,unitadmittime24,unitdischargeoffset,"
    "hospitaladmitoffset,unittype,admissionweight,dischargeweight,admissionheight"
)
PEOPLE = [
    "1,001-1,Male,> 89,2015,14:30:00,2880,-600,MICU,80,,175",
    "2,001-2,Female,61,2014,00:05:00,600,30,Med-Surg ICU,,,",
]
LAB = (
    "labid,patientunitstayid,labresultoffset,labtypeid,labname,labresult,labresulttext,labmeasurenamesystem,"
    "labmeasurenameinterface,labresultrevisedoffset"
)
CHART = (
    "respchartid,patientunitstayid,respchartoffset,respchartentryoffset,respcharttypecat,"
    "respchartvaluelabel,respchartvalue"
)
INFUSION = (
    "infusiondrugid,patientunitstayid,infusionoffset,drugname,drugrate,infusionrate,drugamount,volumeoffluid,"
    "patientweight"
)
ORDER = (
    "medicationid,patientunitstayid,drugstartoffset,drugordercancelled,drugname,drughiclseqno,routeadmin,"
    "drugstopoffset"
)


def _write(folder: Path, name: str, header: str, rows: Sequence[str]) -> None:
    text = "\n".join((header, *rows)) + "\n"
    path = folder / name
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def _stay(folder: Path, name: str = "", header: str = "", rows: Sequence[str] = ()) -> IngestedStay:
    """The first stay of a folder with the patients and perhaps one more table."""
    _write(folder, "patient.csv", PATIENT, PEOPLE)
    if name:
        _write(folder, name, header, rows)
    return next(open_source(folder).stays())


def _values(ingested: IngestedStay, variable: str) -> list[float]:
    observations = ingested.stay.observations
    return sorted(observations.loc[observations["variable"] == variable, "value"])


def _given(ingested: IngestedStay) -> pd.DataFrame:
    """The interventions, with their start and end as hours after the admission."""
    table = ingested.stay.interventions
    start, end = ingested.stay.hours(table["start"]), ingested.stay.hours(table["end"])
    return table.assign(start=start, end=end)


def test_a_stay_is_admitted_on_the_first_of_january_at_its_time_of_day(tmp_path: Path) -> None:
    _write(tmp_path, "diagnosis.csv", "patientunitstayid,icd9code", ['1,"038.9, A41.9"', "1,", "1,038.9"])
    ingested = _stay(tmp_path)
    stay = ingested.stay
    assert (stay.stay_id, stay.subject_id, stay.sex, stay.care_unit) == ("1", "001-1", "male", "MICU")
    assert stay.admitted_at == ADMITTED_AT
    assert stay.discharged_at == ADMITTED_AT + timedelta(minutes=2880)
    assert stay.hospital_admitted_at == ADMITTED_AT - timedelta(minutes=600)
    assert stay.age_years == 90
    assert ingested.diagnoses == ("038.9", "A41.9")
    other = list(open_source(tmp_path).stays())[1].stay
    assert other.admitted_at == other.hospital_admitted_at == datetime(2014, 1, 1, 0, 5, tzinfo=UTC)


def test_weights_and_heights_of_the_patient_are_observations_at_admission(tmp_path: Path) -> None:
    ingested = _stay(tmp_path)
    assert _values(ingested, "body_weight") == [80]
    assert _values(ingested, "body_height") == [175]
    assert set(ingested.stay.observations["time"]) == {pd.Timestamp(ADMITTED_AT)}


def test_every_cell_of_a_wide_table_that_holds_something_is_a_row(tmp_path: Path) -> None:
    header = (
        "vitalperiodicid,patientunitstayid,observationoffset,temperature,sao2,heartrate,respiration,cvp,etco2,"
        "systemicsystolic,systemicdiastolic,systemicmean,pasystolic,padiastolic,pamean,st1,st2,st3,icp"
    )
    rows = ["7,1,5,101.3,97,88,,12,,120,60,80,,,,,,,", "8,1,-5,37.1,,,,,,,,,,,,,,,"]
    folder = tmp_path / "in"
    folder.mkdir()
    ingested = _stay(folder, "vitalPeriodic.csv.gz", header, rows)
    assert _values(ingested, "temperature") == [38.5]
    assert _values(ingested, "mean_arterial_pressure") == [80]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.BEFORE_ADMISSION]
    summary = IngestSummary()
    list(summary.counting_all(open_source(folder)))
    assert summary.cells_read == 2 + 7 + 1  # of the patient, and of two rows
    assert summary.quarantined[Reason.UNKNOWN_VARIABLE, "vitalperiodic cvp"] == 1


def test_laboratory_results_keep_their_limit_their_unit_and_the_time_of_their_revision(
    tmp_path: Path,
) -> None:
    rows = [
        "1,1,10,1,troponin - I,,<0.02,ng/mL,ng/mL,55",
        "2,1,10,1,ionized calcium,4.8,1.20,mg/dL,mmol/L,20",
        "3,1,20,1,ionized calcium,1.17,1.17,mg/dL,mmol/L,20",
        "4,1,30,1,ionized calcium,4.4,4.4,mg/dL,mg/dL,30",
        "5,1,10,1,magnesium,2,2,mg/dL,meq/L,20",
        "6,1,10,7,FiO2,4000,40.0,%,%,20",
        "7,1,10,7,Base Deficit,2.0,2.0,mEq/L,meq/L,20",
        "8,1,10,3,WBC x 1000,8.5,8.5,K/mcL,THS/uL,20",
        "9,1,10,1,creatinine,1.5,1.5,mg/dL,MG/DL,5",
        "10,1,9000000000000000000,1,creatinine,1.5,1.5,mg/dL,MG/DL,5",
    ]
    ingested = _stay(tmp_path, "LAB.csv", LAB, rows)
    assert [entry.reason for entry in ingested.quarantine] == [Reason.MALFORMED]
    observations = ingested.stay.observations
    troponin = observations[observations["variable"] == "troponin_i"]
    revised_at = pd.Timestamp(ADMITTED_AT + timedelta(minutes=55))
    assert troponin[["value", "censored", "known_at"]].to_numpy().tolist() == [[0.02, "<", revised_at]]
    calcium = [1.0978, 1.17, 1.2]
    assert _values(ingested, "ionized_calcium") == pytest.approx(calcium, abs=1e-3)
    assert _values(ingested, "magnesium") == pytest.approx([2.4305])
    assert _values(ingested, "fio2") == [0.4]
    assert _values(ingested, "base_excess") == [-2]
    assert _values(ingested, "wbc") == [8.5]
    assert ingested.lag_assumed == {"creatinine": 1, "body_weight": 1, "body_height": 1}


def test_nurses_chart_numbers_and_words(tmp_path: Path) -> None:
    header = (
        "nursingchartid,patientunitstayid,nursingchartoffset,nursingchartentryoffset,nursingchartcelltypecat,"
        "nursingchartcelltypevallabel,nursingchartcelltypevalname,nursingchartvalue"
    )
    rows = [
        "1,1,10,12,Vital Signs,Temperature,Temperature (F),98.6",
        "2,1,10,12,Scores,Glasgow coma score,GCS Total,14",
        "3,1,20,22,Scores,Glasgow coma score,GCS Total,Unable to score due to medication",
        "4,1,10,12,Vital Signs,O2 L/%,O2 L/%,4",
        "5,1,20,22,Vital Signs,O2 L/%,O2 L/%,60",
        "6,1,10,12,Vital Signs,Non-Invasive BP,Non-Invasive BP Mean,71",
    ]
    ingested = _stay(tmp_path, "nurseCharting.csv", header, rows)
    assert _values(ingested, "temperature") == [37]
    assert _values(ingested, "gcs_total") == [14]
    assert _values(ingested, "oxygen_flow") == [4]
    assert _values(ingested, "mean_arterial_pressure") == [71]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.NOT_A_NUMBER]


def test_breathing_is_supported_from_one_charted_device_to_the_next(tmp_path: Path) -> None:
    rows = [
        "1,1,60,61,respFlowCareData,O2 Device,Ventilator",
        "2,1,180,181,respFlowCareData,O2 Device,Bi-PAP",
        "3,1,240,241,respFlowCareData,O2 Device,Nasal cannula",
        "4,1,1200,1201,respFlowCareData,O2 Device,High flow nasal cannula",
        "5,1,60,61,respFlowSettings,FiO2,60%",
        "6,1,120,121,respFlowSettings,FiO2,0.5",
    ]
    ingested = _stay(tmp_path, "respiratoryCharting.csv", CHART, rows)
    given = _given(ingested)[["start", "end", "kind"]].to_numpy().tolist()
    assert given == [
        [1, 3, "invasive_ventilation"],
        [3, 4, "noninvasive_ventilation"],
        [20, 28, "noninvasive_ventilation"],
    ]
    assert _values(ingested, "fio2") == [0.5, 0.6]


def test_a_respiratory_status_holds_from_its_own_time_not_from_the_shifted_offsets(tmp_path: Path) -> None:
    header = "respcareid,patientunitstayid,respcarestatusoffset,airwaytype,ventstartoffset,ventendoffset"
    rows = ["1,1,600,Oral ETT,240,0", "2,1,1200,,0,0", "3,1,1800,No Artificial Airway,1500,0"]
    given = _given(_stay(tmp_path, "respiratoryCare.csv", header, rows))
    assert given[["start", "end", "kind"]].to_numpy().tolist() == [
        [10, 20, "invasive_ventilation"],
        [30, 48, "noninvasive_ventilation"],
    ]


def test_urine_is_known_by_its_way_out_and_counts_are_not_urine(tmp_path: Path) -> None:
    header = (
        "intakeoutputid,patientunitstayid,intakeoutputoffset,intakeoutputentryoffset,cellpath,celllabel,"
        "cellvaluenumeric,cellvaluetext"
    )
    path = "flowsheet|Flowsheet Cell Labels|I&O|"
    rows = [
        f"1,1,60,61,{path}Output (ml)|Urine,Urine,100,100",
        f"2,1,120,121,{path}Output (ml)|Foley Cath,Foley Cath,200,200",
        f"3,1,180,181,{path}Output (ml)|Output (mL)-Urethral Catheter Latex 14 Fr.,x,300,300",
        f"4,1,240,241,{path}Output (ml)|Urine Count,Urine Count,1,1",
        f"5,1,240,241,{path}Output (ml)|Mixed Urine/Stool Volume,x,400,400",
        f"6,1,240,241,{path}Weight|Bodyweight (lb),x,176.37,176.37",
    ]
    ingested = _stay(tmp_path, "intakeOutput.csv", header, rows)
    assert _values(ingested, "urine_output") == [100, 200, 300]
    assert _values(ingested, "body_weight") == pytest.approx([80, 80], abs=0.01)


def test_infusions_stand_until_the_next_and_come_in_the_unit_of_their_kind(tmp_path: Path) -> None:
    rows = [
        "1,1,0,Norepinephrine (mcg/min),8,,,,",
        "2,1,60,Norepinephrine (ml/hr),15,,4,250,",  # 4 mg in 250 mL: 4 ug/min
        "3,1,120,Norepinephrine (ml/hr),0,,,,",
        "4,1,1000,Norepinephrine (ml/hr),7,,,,",
        "5,1,0,Vasopressin (ml/hr),6,,40,100,",
        "6,1,0,Propofol (mcg/kg/min),20,,,,",
        "7,1,30,Dopamine (mcg/kg/min),ERROR,,,,",
        "8,1,90,Dopamine (mcg/kg/min),OFF,,,,",
    ]
    ingested = _stay(tmp_path, "infusionDrug.csv", INFUSION, rows)
    given = dict(iter(_given(ingested).groupby("kind")))
    assert given["norepinephrine"]["rate"].tolist() == pytest.approx([0.1, 0.05, 0, math.nan], nan_ok=True)
    assert given["norepinephrine"]["end"].tolist() == pytest.approx([1, 2, 3, 1060 / 60])
    assert given["vasopressin"]["rate"].tolist() == pytest.approx([0.04])
    assert given["sedation"]["agent"].tolist() == ["propofol"]
    assert given["dopamine"]["rate"].tolist() == [0]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.WITHDRAWN]


def test_orders_are_antibiotics_by_name_or_number_and_route(tmp_path: Path) -> None:
    rows = [
        "1,1,-120,No,CEFTRIAXONE SODIUM 1 G IJ SOLR,3996,IV,1440",
        "2,1,60,No,,8738,IVPB,0",  # piperacillin and tazobactam, unnamed; 0 is no end
        "3,1,60,No,,4042,PO,900",  # vancomycin by mouth
        "4,1,60,Yes,Meropenem,11254,IV,900",
        "5,1,60,No,ASPIRIN,1820,PO,900",
        "6,1,60,No,,,PO,900",
    ]
    _write(tmp_path, "medication.csv", ORDER, rows)
    ingested = _stay(tmp_path)
    given = _given(ingested)
    assert given["kind"].unique().tolist() == ["antibiotic"]
    assert given[["start", "end", "agent"]].to_numpy().tolist() == [
        [-2, 24, "ceftriaxone"],
        [1, 1, "piperacillin/tazobactam"],
    ]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.WITHDRAWN]
    source = open_source(tmp_path)
    list(source.stays())
    assert {(rows.code, rows.count) for rows in source.set_aside} == {
        ("medication no antibiotic", 2),
        ("medication no name", 1),
    }


def test_cultures_are_counted_once_and_nasal_swabs_not_at_all(tmp_path: Path) -> None:
    header = (
        "microlabid,patientunitstayid,culturetakenoffset,culturesite,organism,antibiotic,sensitivitylevel"
    )
    rows = [
        '1,1,30,"Blood, Venipuncture",Escherichia coli,cefazolin,Resistant',
        '2,1,30,"Blood, Venipuncture",Escherichia coli,meropenem,Sensitive',
        "3,1,30,Nasopharynx,no growth,,",
    ]
    ingested = _stay(tmp_path, "microLab.csv", header, rows)
    assert ingested.stay.interventions["agent"].tolist() == ["Blood, Venipuncture"]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.DUPLICATE]


def test_examinations_give_the_coma_scale_and_treatments_a_day(tmp_path: Path) -> None:
    exam = "notes/Progress Notes/Physical Exam/Physical Exam/Neurologic/GCS/"
    rows = [
        f"1,1,90,{exam}Motor Score/5,5",
        f"2,1,90,{exam}14,14",
        f"3,1,90,{exam}Score/scored,scored",
    ]
    header = "physicalexamid,patientunitstayid,physicalexamoffset,physicalexampath,physicalexamtext"
    _write(tmp_path, "physicalExam.csv", header, rows)
    rows = ["1,1,60,renal|dialysis|C V V H,True", "2,1,2400,renal|dialysis|C V V H,True"]
    header = "treatmentid,patientunitstayid,treatmentoffset,treatmentstring,activeupondischarge"
    ingested = _stay(tmp_path, "treatment.csv", header, rows)
    assert _values(ingested, "gcs_motor") == [5]
    assert _values(ingested, "gcs_total") == [14]
    assert _given(ingested)[["start", "end"]].to_numpy().tolist() == [[1, 25], [40, 48]]


def test_a_stay_told_twice_does_not_double_its_rows(tmp_path: Path) -> None:
    _write(tmp_path, "patient.csv", PATIENT, [*PEOPLE, PEOPLE[0]])
    _write(tmp_path, "lab.csv", LAB, ["9,1,10,1,creatinine,1.5,1.5,mg/dL,mg/dL,20"])
    summary = IngestSummary()
    ingested = next(summary.counting_all(open_source(tmp_path)))
    assert _values(ingested, "creatinine") == [1.5]
    assert Reason.DUPLICATE not in {
        entry.reason for entry in ingested.quarantine if entry.variable == "creatinine"
    }


def test_a_folder_without_patients_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="patient"):
        open_source(tmp_path)


# tables of the demo that are one row a line, with what is read of the others
WHOLE = ("respiratoryCare", "infusiondrug", "medication", "microLab", "treatment", "intakeOutput_FROM_FST")


def _line_count(file: Path) -> int:
    """The lines under the header, counted by another reader than the source's."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        return sum(1 for _ in csv.reader(lines)) - 1


@pytest.mark.data
def test_nothing_of_the_demo_is_lost(data_folder: Path, tmp_path: Path) -> None:
    """The stays with laboratory results, beside whole tables: the rows of others lie outside every stay."""
    demo = data_folder / "icu" / "eicu_demo"
    lab = demo / "lab_SUBSET_169stays.csv"
    for file in (lab, *(demo / f"{name}.csv.gz" for name in WHOLE)):
        (tmp_path / file.name).symlink_to(file)
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT * FROM '{demo}/patient.csv.gz' WHERE patientunitstayid IN "
        f"(SELECT patientunitstayid FROM '{lab}')) TO '{tmp_path}/patient.csv'"
    )
    lines = [_line_count(demo / f"{name}.csv.gz") for name in WHOLE]
    facts = connection.execute(
        "SELECT count(admissionweight) + count(dischargeweight) + count(admissionheight) "
        f"FROM '{tmp_path}/patient.csv'"
    ).fetchall()[0][0]
    summary = IngestSummary()
    kinds: set[str] = set()
    for ingested in summary.counting_all(open_source(tmp_path)):
        kinds |= set(ingested.stay.interventions["kind"])
    assert summary.stays == 169
    assert summary.cells_read == sum(lines) + 29_961 + facts
    assert summary.cells_read == summary.cells_kept + summary.quarantined.total()
    assert {"antibiotic", "norepinephrine", "invasive_ventilation", "renal_replacement"} <= kinds

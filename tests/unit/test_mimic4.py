"""MIMIC-IV: the decisions that the label feels, on exports of a few rows."""

import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.codes_table import read_codes
from pipelines.ingest.mimic4 import open_source
from pipelines.ingest.source import IngestedStay, IngestSummary
from pipelines.ingest.treatments import antibiotic

Rows = Sequence[Mapping[str, object]]

COLUMNS = {
    "hosp/patients": "subject_id gender anchor_age anchor_year",
    "hosp/admissions": "subject_id hadm_id admittime dischtime edregtime",
    "hosp/diagnoses_icd": "subject_id hadm_id seq_num icd_code icd_version",
    "hosp/labevents": "subject_id specimen_id itemid charttime storetime value valuenum valueuom comments",
    "hosp/microbiologyevents": "subject_id hadm_id chartdate charttime spec_type_desc test_name",
    "hosp/emar": "subject_id hadm_id pharmacy_id charttime medication event_txt",
    "hosp/prescriptions": "subject_id hadm_id pharmacy_id starttime stoptime drug route",
    "icu/icustays": "subject_id hadm_id stay_id first_careunit intime outtime",
    "icu/chartevents": "subject_id stay_id charttime storetime itemid value valuenum valueuom warning",
    "icu/outputevents": "subject_id stay_id charttime storetime itemid value valueuom",
    "icu/inputevents": "subject_id stay_id starttime endtime itemid rate rateuom statusdescription",
    "icu/procedureevents": "subject_id stay_id starttime endtime itemid statusdescription",
}
PATIENT = {"subject_id": 1, "gender": "F", "anchor_age": 60, "anchor_year": 2148}
ADMISSION = {
    "subject_id": 1,
    "hadm_id": 10,
    "admittime": "2150-01-02 06:00:00",
    "edregtime": "2150-01-02 01:30:00",
}
STAY = {
    "subject_id": 1,
    "hadm_id": 10,
    "stay_id": 100,
    "first_careunit": "MICU",
    "intime": "2150-01-02 10:00:20",
    "outtime": "2150-01-04 12:00:00",
}


def export(folder: Path, tables: Mapping[str, Rows], leave_out: Sequence[str] = ()) -> Path:
    """A folder as PhysioNet gives it: one stay, and these rows besides."""
    given: dict[str, Rows] = {
        "hosp/patients": [PATIENT],
        "hosp/admissions": [ADMISSION],
        "icu/icustays": [STAY],
        **tables,
    }
    for table, columns in COLUMNS.items():
        if table in leave_out:
            continue
        file = folder / f"{table}.csv.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(file, "wt", newline="", encoding="utf-8") as text:
            writer = csv.DictWriter(text, columns.split(), restval="")
            writer.writeheader()
            writer.writerows({"subject_id": 1, **row} for row in given.get(table, ()))
    return folder


def ingested(folder: Path) -> tuple[IngestedStay, IngestSummary]:
    """The one stay, with the counts of the whole pass; kept + quarantined = read holds for both."""
    summary = IngestSummary()
    (stay,) = summary.counting_all(open_source(folder))
    assert summary.cells_kept + summary.quarantined.total() == summary.cells_read
    return stay, summary


def observed(stay: IngestedStay, *columns: str) -> list[tuple[Any, ...]]:
    """Those columns of the observations, times as text."""
    return [
        tuple(str(cell)[:19] if hasattr(cell, "isoformat") else cell for cell in row)
        for row in stay.stay.observations[list(columns)].itertuples(index=False, name=None)
    ]


def done(stay: IngestedStay) -> list[tuple[str, str, str]]:
    """(start, kind, agent) of the interventions."""
    table = stay.stay.interventions
    return [
        (str(start)[:16], kind, agent)
        for start, kind, agent in zip(table["start"], table["kind"], table["agent"], strict=True)
    ]


def lab(itemid: int, value: object, time: str = "2150-01-02 12:00:00", **other: object) -> dict[str, object]:
    return {"itemid": itemid, "charttime": time, "value": value, "valuenum": value, **other}


def chart(
    itemid: int, value: object, time: str = "2150-01-02 12:00:00", **other: object
) -> dict[str, object]:
    return {"stay_id": 100, "itemid": itemid, "charttime": time, "value": value, "valuenum": value, **other}


def test_a_stay_has_its_age_at_the_time_its_admission_from_the_emergency_room_and_its_diagnoses(
    tmp_path: Path,
) -> None:
    codes = [{"hadm_id": 10, "icd_code": "A419", "icd_version": 10}, {"hadm_id": 11, "icd_code": "I10"}]
    stay, _ = ingested(export(tmp_path, {"hosp/diagnoses_icd": codes}))
    assert (stay.stay.stay_id, stay.stay.subject_id, stay.stay.age_years) == ("100", "1", 62.0)
    assert (stay.stay.sex, stay.stay.care_unit, stay.diagnoses) == ("female", "MICU", ("A419",))
    assert str(stay.stay.hospital_admitted_at) == "2150-01-02 01:30:00+00:00"
    assert str(stay.stay.discharged_at) == "2150-01-04 12:00:00+00:00"


def test_a_result_is_known_when_it_was_stored_and_belongs_to_the_stay_of_its_time(tmp_path: Path) -> None:
    rows = [
        lab(50912, 1.4, storetime="2150-01-02 13:06:00", valueuom="mg/dL"),
        lab(50912, 1.6, "2150-01-02 09:00:00", valueuom="mg/dL"),
    ]
    stay, summary = ingested(export(tmp_path, {"hosp/labevents": rows}))
    assert observed(stay, "known_at", "variable", "value") == [("2150-01-02 13:06:00", "creatinine", 1.4)]
    assert summary.by_reason() == {Reason.OUTSIDE_STAY: 1}


def test_a_limit_stands_in_the_comment_and_a_blanked_result_is_no_value(tmp_path: Path) -> None:
    cells = [  # value, valuenum, comments
        ("___", 0.02, ""),
        ("", "", "<0.01.  CTROPNT > 0.10 NG/ML SUGGESTS ACUTE MI."),
        ("___", "", "LESS THAN 0.03"),
        ("", "", "GREATER THAN 25.0.  VERIFIED."),
        (">24", "", ""),
        ("___", "", "___"),
        ("", "", "UNABLE TO REPORT."),
    ]
    rows = [
        lab(51003, value, f"2150-01-02 1{hour}:30:00", valueuom="ng/mL", comments=words)
        | {"valuenum": number}
        for hour, (value, number, words) in enumerate(cells)
    ]
    stay, summary = ingested(export(tmp_path, {"hosp/labevents": rows}))
    limits = [(0.02, ""), (0.01, "<"), (0.03, "<"), (25.0, ">"), (24.0, ">")]
    assert observed(stay, "value", "censored") == limits
    assert summary.by_reason() == {Reason.NO_VALUE: 2}


def test_a_gas_is_arterial_where_the_specimen_or_the_chart_says_so(tmp_path: Path) -> None:
    def gas(specimen: int, kind: str, pressure: int) -> list[dict[str, object]]:
        kinds = [lab(52033, kind, specimen_id=specimen) | {"valuenum": ""}] if kind else []
        return [*kinds, lab(50821, pressure, specimen_id=specimen, valueuom="mm Hg")]

    rows = [*gas(1, "ART.", 91), *gas(2, "VEN.", 38), *gas(3, "", 64), lab(50813, 2.5, specimen_id=2)]
    stay, summary = ingested(
        export(tmp_path, {"hosp/labevents": rows, "icu/chartevents": [chart(220224, 91), chart(220224, 64)]})
    )
    assert observed(stay, "variable", "value") == [("lactate", 2.5), ("pao2", 64.0), ("pao2", 91.0)]
    assert summary.quarantined[Reason.UNKNOWN_VARIABLE, "labevents 50821 VEN"] == 1
    assert summary.quarantined[Reason.UNKNOWN_VARIABLE, "labevents 50821 of unstated blood"] == 1
    assert summary.quarantined[Reason.DUPLICATE, "pao2"] == 1


def test_chart_values_have_honest_units(tmp_path: Path) -> None:
    rows = [
        chart(223762, 98.6, valueuom="°C"),
        chart(223761, 36.5, valueuom="?F"),
        chart(223835, 40),
        chart(223835, 0.4, "2150-01-02 13:00:00"),
        chart(226531, 154),
        chart(223900, "No Response-ETT") | {"valuenum": 1},
        chart(220045, 88, warning=1, storetime="2150-01-02 11:59:00"),
    ]
    stay, _ = ingested(export(tmp_path, {"icu/chartevents": rows}))
    kept = observed(stay, "variable", "value")
    assert [value for name, value in kept if name == "temperature"] == [36.5, 37.0]
    assert [value for name, value in kept if name == "fio2"] == [0.4, 0.4]
    assert ("gcs_verbal", 0.0) in kept
    assert ("heart_rate", 88.0) in kept
    assert dict(kept)["body_weight"] == pytest.approx(69.853, abs=1e-3)
    assert stay.lag_assumed["heart_rate"] == 1  # stored before it was charted


def test_weight_and_height_charted_before_the_admission_hold_from_it_on(tmp_path: Path) -> None:
    early = "2150-01-02 10:00:00"
    rows = [chart(226512, 70, early), chart(226730, 165, early), chart(220045, 88, early)]
    stay, summary = ingested(export(tmp_path, {"icu/chartevents": rows}))
    at = "2150-01-02 10:00:20"
    assert observed(stay, "time", "variable") == [(at, "body_height"), (at, "body_weight")]
    assert summary.by_reason() == {Reason.BEFORE_ADMISSION: 1}


def test_urine_of_an_irrigated_bladder_is_what_went_out_less_what_went_in(tmp_path: Path) -> None:
    def out(itemid: int, value: int, hour: int) -> dict[str, object]:
        time = f"2150-01-02 {hour}:00:00"
        return {"stay_id": 100, "itemid": itemid, "charttime": time, "value": value, "valueuom": "ml"}

    rows = [out(226559, 60, 11), out(227488, 3000, 12), out(227489, 3250, 12), out(227489, 900, 13)]
    stay, summary = ingested(export(tmp_path, {"icu/outputevents": rows}))
    assert observed(stay, "variable", "value") == [("urine_output", 60.0), ("urine_output", 250.0)]
    assert summary.quarantined[Reason.UNKNOWN_VARIABLE, "outputevents 227489"] == 1


def test_vasopressors_have_their_rate_and_a_rewritten_entry_was_not_given(tmp_path: Path) -> None:
    def infusion(itemid: int, rate: float, unit: str, status: str = "ChangeDose/Rate") -> dict[str, object]:
        times = {"starttime": "2150-01-02 11:00:00", "endtime": "2150-01-02 12:00:00"}
        return {
            "stay_id": 100,
            "itemid": itemid,
            "rate": rate,
            "rateuom": unit,
            "statusdescription": status,
            **times,
        }

    rows = [
        infusion(221906, 0.12, "mcg/kg/min"),
        infusion(222315, 2.4, "units/hour"),
        infusion(221906, 0.5, "mcg/kg/min", "Rewritten"),
    ]
    vent = {
        "stay_id": 100,
        "itemid": 225792,
        "starttime": "2150-01-02 10:30:00",
        "endtime": "2150-01-03 09:00:00",
    }
    stay, summary = ingested(export(tmp_path, {"icu/inputevents": rows, "icu/procedureevents": [vent]}))
    rates = stay.stay.interventions.set_index("kind")["rate"]
    assert rates["norepinephrine"] == 0.12
    assert rates["vasopressin"] == pytest.approx(0.04)
    assert str(stay.stay.interventions["end"].iloc[0]) == "2150-01-03 09:00:00+00:00"
    assert summary.by_reason() == {Reason.WITHDRAWN: 1}


def test_a_culture_counts_once_from_the_emergency_room_on_and_at_midnight_without_a_time(
    tmp_path: Path,
) -> None:
    blood = {"spec_type_desc": "BLOOD CULTURE", "test_name": "Blood Culture, Routine"}
    at = {"chartdate": "2150-01-02 00:00:00", "charttime": "2150-01-02 02:10:00"}
    rows = [
        blood | at,
        blood | at,
        {"spec_type_desc": "SPUTUM", "test_name": "RESPIRATORY CULTURE", "chartdate": "2150-01-03 00:00:00"},
        {"spec_type_desc": "MRSA SCREEN", "test_name": "MRSA SCREEN"} | at,
        blood | {"chartdate": "2150-01-01 00:00:00", "charttime": "2150-01-01 20:00:00"},
    ]
    stay, summary = ingested(export(tmp_path, {"hosp/microbiologyevents": rows}))
    assert done(stay) == [
        ("2150-01-02 02:10", "culture", "blood culture"),
        ("2150-01-03 00:00", "culture", "sputum"),
    ]
    assert summary.by_reason() == {
        Reason.DUPLICATE: 1,
        Reason.UNKNOWN_VARIABLE: 1,
        Reason.OUTSIDE_STAY: 1,
    }


def test_a_dose_that_unit_ward_and_order_tell_of_counts_once(tmp_path: Path) -> None:
    order = {"pharmacy_id": 5, "drug": "Vancomycin", "route": "IV", "starttime": "2150-01-02 11:00:00"}
    given = {"pharmacy_id": 5, "medication": "Vancomycin", "event_txt": "Administered"}
    infused = {"stay_id": 100, "itemid": 225798, "starttime": "2150-01-02 12:00:00"}
    tables = {
        "hosp/prescriptions": [order],
        "hosp/emar": [
            given | {"charttime": "2150-01-02 12:09:00"},
            given | {"charttime": "2150-01-03 00:05:00"},
            given | {"charttime": "2150-01-03 12:00:00", "event_txt": "Not Given"},
            given | {"charttime": "2150-01-03 00:50:00", "event_txt": "Stopped"},
        ],
        "icu/inputevents": [infused],
    }
    stay, summary = ingested(export(tmp_path, tables))
    assert done(stay) == [
        ("2150-01-02 12:00", "antibiotic", "vancomycin"),
        ("2150-01-03 00:05", "antibiotic", "vancomycin"),
    ]
    assert summary.by_reason() == {Reason.UNKNOWN_VARIABLE: 3, Reason.WITHDRAWN: 1}
    assert summary.quarantined[Reason.UNKNOWN_VARIABLE, "emar vancomycin: charted as an infusion too"] == 1


def test_an_order_counts_where_nobody_charts_doses_and_the_drug_reaches_the_blood(tmp_path: Path) -> None:
    start = {"starttime": "2150-01-02 07:00:00", "stoptime": "2150-01-05 07:00:00"}
    tables = {
        "hosp/prescriptions": [
            start | {"drug": "CefTRIAXone", "route": "IV"},
            start | {"drug": "Vancomycin", "route": "PO"},
            start | {"drug": "Furosemide", "route": "IV"},
        ]
    }
    stay, _ = ingested(export(tmp_path, tables, leave_out=["hosp/emar", "icu/inputevents"]))
    assert done(stay) == [("2150-01-02 07:00", "antibiotic", "ceftriaxone")]
    assert str(stay.stay.interventions["end"].iloc[0]) == "2150-01-05 07:00:00+00:00"


def test_a_table_may_carry_a_remark_in_capitals_and_a_missing_one_is_named(tmp_path: Path) -> None:
    folder = export(tmp_path, {"icu/chartevents": [chart(220045, 88)]})
    charts = folder / "icu" / "chartevents.csv.gz"
    charts.rename(charts.with_name("chartevents_REBUILT_numeric.csv.gz"))
    assert observed(ingested(folder)[0], "value") == [(88.0,)]
    charts.with_name("chartevents_REBUILT_numeric.csv.gz").unlink()
    with pytest.raises(UnreadableSource, match="no table chartevents"):
        open_source(folder)


def test_an_infusion_is_mapped_as_its_label_reads() -> None:
    drugs = [code for code in read_codes("mimic4") if code.target == "antibiotic"]
    assert len(drugs) > 30
    for code in drugs:
        assert antibiotic(code.label, None) == code.agent

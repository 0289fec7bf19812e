"""MIMIC-III: what its tables mean, clause by clause, on a ward of two stays written here."""

import gzip
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.mimic3 import open_source
from pipelines.ingest.source import IngestedStay, IngestSummary

STAYS = {
    "icustays": (
        "subject_id,hadm_id,icustay_id,dbsource,first_careunit,intime,outtime",
        "1,10,100,carevue,MICU,2101-01-01 08:00:00,2101-01-03 08:00:00",
        "2,20,200,metavision,SICU,2102-02-02 08:00:00,2102-02-04 08:00:00",
    ),
    "patients": (
        "subject_id,gender,dob",
        "1,M,2050-01-01 00:00:00",
        "2,F,1800-01-01 00:00:00",
    ),
    "admissions": (
        "subject_id,hadm_id,admittime",
        "1,10,2101-01-01 02:00:00",
        "2,20,2102-02-01 20:00:00",
    ),
}
CHART = "icustay_id,itemid,charttime,storetime,value,valuenum,valueuom,error"
LAB = "subject_id,itemid,charttime,value,valuenum,valueuom"
CV = "icustay_id,charttime,itemid,amount,rate,rateuom,stopped"
MV = "icustay_id,starttime,endtime,itemid,rate,rateuom,statusdescription"
PROCEDURE = "icustay_id,starttime,endtime,itemid,statusdescription"
OUTPUT = "icustay_id,charttime,itemid,value,valueuom,storetime,iserror"
PRESCRIPTION = "subject_id,icustay_id,startdate,enddate,drug,route"
MICRO = "subject_id,chartdate,charttime,spec_type_desc,org_name"


class Export:
    """A folder of tables; `aside` counts what its latest reading set aside of no stay or no variable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.aside: dict[tuple[Reason, str], int] = {}

    def stays(self, **tables: tuple[str, ...]) -> dict[str, IngestedStay]:
        """The stays by id, with these tables besides their own; every row must be accounted for."""
        rows = {"chartevents": (CHART,)} | tables
        for name, lines in (STAYS | rows).items():
            text = "\n".join(lines) + "\n"
            (self.folder / f"{name.upper()}.csv").write_text(text, encoding="utf-8")
        source, summary = open_source(self.folder), IngestSummary()
        found = {one.stay.stay_id: one for one in summary.counting_all(source)}
        given = sum(len(lines) - 1 for name, lines in rows.items() if name != "diagnoses_icd")
        assert summary.cells_read == given == summary.cells_kept + sum(summary.quarantined.values())
        self.aside = {(aside.reason, aside.code): aside.count for aside in source.set_aside}
        return found


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(tmp_path)


def _values(ingested: IngestedStay) -> list[tuple[str, float]]:
    table = ingested.stay.observations
    return list(zip(table["variable"], table["value"].round(6), strict=True))


def _done(ingested: IngestedStay) -> list[tuple[str, str, str, float, str]]:
    """Kind, start and end as day and minute, rate and agent of each intervention."""
    table = ingested.stay.interventions
    times = (table[name].dt.strftime("%d %H:%M") for name in ("start", "end"))
    return list(zip(table["kind"], *times, table["rate"].round(6).fillna(-1.0), table["agent"], strict=True))


def test_a_stay_is_told_by_three_tables(export: Export) -> None:
    stays = export.stays(diagnoses_icd=("hadm_id,icd9_code", "10,99591", "10,0389", "20,"))
    first, second = stays["100"], stays["200"]
    assert (first.stay.subject_id, first.stay.sex, first.stay.care_unit) == ("1", "male", "MICU")
    assert first.stay.admitted_at == datetime(2101, 1, 1, 8, tzinfo=UTC)
    assert first.stay.hospital_admitted_at == datetime(2101, 1, 1, 2, tzinfo=UTC)
    assert first.stay.discharged_at == datetime(2101, 1, 3, 8, tzinfo=UTC)
    assert first.stay.age_years == pytest.approx(51.0, abs=0.01)
    assert second.stay.age_years == 90.0  # dates of birth of the oldest lie 300 years back
    assert (first.diagnoses, first.charting) == (("0389", "99591"), "carevue")
    assert second.diagnoses == ()


def test_units_are_what_the_items_mean(export: Export) -> None:
    rows = [
        ("678", "98.6", "Deg. F"),
        ("223761", "37.5", "?F"),  # entered in the other unit
        ("676", "36.5", "Deg. C"),
        ("190", "0.4", "torr"),
        ("223835", "60", ""),
        ("223835", "0", ""),
        ("652", "0.4", "L"),
        ("920", "70", "inches"),
    ]
    chart = [
        f"100,{item},2101-01-01 {9 + hour}:00:00,,{value},{value},{unit},"
        for hour, (item, value, unit) in enumerate(rows)
    ]
    ingested = export.stays(chartevents=(CHART, *chart))["100"]
    assert _values(ingested) == [
        ("temperature", 37.0),
        ("temperature", 37.5),
        ("temperature", 36.5),
        ("fio2", 0.4),
        ("fio2", 0.6),
        ("tidal_volume_spontaneous", 400.0),
        ("body_height", 177.8),
    ]
    assert [(entry.reason, entry.value) for entry in ingested.quarantine] == [(Reason.IMPLAUSIBLE, 0.0)]
    assert ingested.converted[("temperature", "degF")] == 1


def test_a_tube_makes_the_verbal_response_untestable(export: Export) -> None:
    stays = export.stays(
        chartevents=(
            CHART,
            "100,723,2101-01-01 09:00:00,,1.0 ET/Trach,1,,",
            "100,723,2101-01-01 10:00:00,,1 No Response,1,,",
            "200,223900,2102-02-02 09:00:00,,No Response-ETT,1,,0",
            "200,223900,2102-02-02 10:00:00,,Oriented,5,,0",
        )
    )
    assert [value for _, value in _values(stays["100"])] == [0.0, 1.0]
    assert [value for _, value in _values(stays["200"])] == [0.0, 5.0]


def test_an_error_is_withdrawn_and_a_store_time_before_the_chart_time_is_none(export: Export) -> None:
    stays = export.stays(
        chartevents=(
            CHART,
            "200,220045,2102-02-02 09:00:00,2102-02-02 09:20:00,80,80,bpm,0",
            "200,220045,2102-02-02 10:00:00,2102-02-01 10:20:00,81,81,bpm,0",
            "200,220045,2102-02-02 11:00:00,2102-02-02 11:20:00,300,300,bpm,1",
        ),
        outputevents=(OUTPUT, "200,2102-02-02 09:00:00,226559,100,mL,,1"),
    )
    table = stays["200"].stay.observations
    assert (table["known_at"] - table["time"]).tolist() == [pd.Timedelta(minutes=20), pd.Timedelta(0)]
    assert stays["200"].lag_assumed == {"heart_rate": 1}
    assert [entry.reason for entry in stays["200"].quarantine] == [Reason.WITHDRAWN, Reason.WITHDRAWN]


def test_results_keep_their_limit_and_find_their_stay_by_time(export: Export) -> None:
    stays = export.stays(
        labevents=(
            LAB,
            "1,51003,2101-01-01 09:00:00,<0.01,,ng/mL",
            "1,51003,2101-01-01 10:00:00,LESS THAN 0.01,,ng/mL",
            "1,51274,2101-01-01 11:00:00,14,14,SECONDS",
            "1,50912,2101-01-01 07:59:59,1.5,1.5,mg/dL",  # before the stay
            "1,50912,2101-01-03 08:00:00,1.5,1.5,mg/dL",  # at its end
            "2,50820,2102-02-02 09:00:00,7.4,7.4,units",
        )
    )
    table = stays["100"].stay.observations
    assert table["censored"].tolist() == ["<", "<", ""]
    assert (table["known_at"] - table["time"]).iloc[2] == pd.Timedelta(hours=1.05)
    assert _values(stays["200"]) == [("ph", 7.4)]
    assert export.aside[Reason.OUTSIDE_STAY, "creatinine"] == 2


def test_a_venous_gas_is_no_arterial_gas(export: Export) -> None:
    gases = [
        f"1,{item},2101-01-01 {hour}:00:00,{text},{number},{unit}"
        for hour, specimen in (("09", "ART"), ("10", "VEN"), ("11", ""))
        for item, text, number, unit in (
            ("50800", specimen, "", ""),
            ("50821", "80", "80", "mm Hg"),
            ("50813", "2", "2", "mmol/L"),
        )
        if text
    ]
    ingested = export.stays(labevents=(LAB, *gases))["100"]
    assert Counter(name for name, _ in _values(ingested)) == {"pao2": 2, "lactate": 3}
    assert export.aside[Reason.UNKNOWN_VARIABLE, "labevents 50821 venous"] == 1


def test_charted_rates_last_until_the_next(export: Export) -> None:
    ingested = export.stays(
        inputevents_cv=(
            CV,
            "100,2101-01-01 09:00:00,30120,,0.1,mcgkgmin,",
            "100,2101-01-01 09:30:00,30120,0.5,,,",  # the amount of the same infusion
            "100,2101-01-01 10:00:00,30120,,0.2,mcgkgmin,",
            "100,2101-01-01 10:30:00,30120,,0,mcgkgmin,",
            "100,2101-01-01 12:00:00,30120,,0.3,mcgkgmin,",  # nobody says how long
            "100,2101-01-01 12:00:00,30051,,2.4,Umin,Stopped",
        )
    )["100"]
    assert _done(ingested) == [
        ("norepinephrine", "01 09:00", "01 10:00", 0.1, "norepinephrine"),
        ("norepinephrine", "01 10:00", "01 10:30", 0.2, "norepinephrine"),
        ("norepinephrine", "01 12:00", "01 14:00", 0.3, "norepinephrine"),
    ]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.WITHDRAWN, Reason.WITHDRAWN]
    assert export.aside[Reason.UNKNOWN_VARIABLE, "inputevents_cv 30120 amount"] == 1


def test_infusions_have_their_times_and_rewritten_ones_are_withdrawn(export: Export) -> None:
    ingested = export.stays(
        inputevents_mv=(
            MV,
            "200,2102-02-02 09:00:00,2102-02-02 11:00:00,221906,0.1,mcg/kg/min,FinishedRunning",
            "200,2102-02-02 09:00:00,2102-02-02 11:00:00,221906,9,mcg/kg/min,Rewritten",
            "200,2102-02-02 09:00:00,2102-02-02 11:00:00,222315,2.4,units/hour,Stopped",
            "200,2102-02-02 12:00:00,2102-02-02 12:01:00,225883,,,FinishedRunning",
        )
    )["200"]
    assert _done(ingested) == [
        ("norepinephrine", "02 09:00", "02 11:00", 0.1, "norepinephrine"),
        ("vasopressin", "02 09:00", "02 11:00", 0.04, "vasopressin"),
        ("antibiotic", "02 12:00", "02 12:01", -1.0, "meropenem"),
    ]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.WITHDRAWN]


def test_ventilation_is_a_procedure_or_a_charted_mode(export: Export) -> None:
    stays = export.stays(
        chartevents=(
            CHART,
            "100,720,2101-01-01 09:00:00,,Assist Control,,,",
            "100,720,2101-01-01 13:00:00,,CPAP+PS,,,",
            "100,720,2101-01-01 14:00:00,,Other/Remarks,,,",
        ),
        procedureevents_mv=(
            PROCEDURE,
            "200,2102-02-02 09:00:00,2102-02-02 19:00:00,225792,FinishedRunning",
            "200,2102-02-02 20:00:00,2102-02-02 21:00:00,225802,Rewritten",
        ),
    )
    assert [row[:3] for row in _done(stays["100"])] == [
        ("invasive_ventilation", "01 09:00", "01 13:00"),
        ("invasive_ventilation", "01 13:00", "01 21:00"),
    ]
    assert [row[:3] for row in _done(stays["200"])] == [("invasive_ventilation", "02 09:00", "02 19:00")]
    assert export.aside[Reason.UNKNOWN_VARIABLE, "chartevents 720 Other/Remarks"] == 1


def test_prescriptions_know_days_and_routes(export: Export) -> None:
    stays = export.stays(
        prescriptions=(
            PRESCRIPTION,
            "1,,2101-01-01 00:00:00,2101-01-04 00:00:00,Vancomycin,IV",  # the day of the admission
            "1,,2101-01-01 00:00:00,2101-01-04 00:00:00,Vancomycin Oral Liquid,PO",
            "1,,2100-12-01 00:00:00,2100-12-04 00:00:00,Cefazolin,IV",  # a month before
            "2,200,2102-02-02 00:00:00,2102-02-03 00:00:00,Meropenem,IV",
            "2,200,2102-02-02 00:00:00,2102-02-03 00:00:00,Heparin,SC",
        )
    )
    assert _done(stays["100"]) == [("antibiotic", "01 00:00", "04 00:00", -1.0, "vancomycin")]
    assert [row[4] for row in _done(stays["200"])] == ["meropenem"]
    assert export.aside[Reason.OUTSIDE_STAY, "antibiotic"] == 1


def test_a_specimen_is_cultured_once(export: Export) -> None:
    ingested = export.stays(
        microbiologyevents=(
            MICRO,
            "1,2101-01-01 00:00:00,2101-01-01 05:00:00,BLOOD CULTURE,ESCHERICHIA COLI",  # in hospital already
            "1,2101-01-01 00:00:00,2101-01-01 05:00:00,BLOOD CULTURE,KLEBSIELLA",
            "1,2101-01-02 00:00:00,,URINE,",
            "1,2101-01-02 00:00:00,2101-01-02 05:00:00,MRSA SCREEN,",
        )
    )["100"]
    assert [(kind, start, agent) for kind, start, _, _, agent in _done(ingested)] == [
        ("culture", "01 05:00", "blood culture"),
        ("culture", "02 00:00", "urine"),
    ]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.DUPLICATE]


def test_headers_in_capitals_and_compressed_files_are_read(tmp_path: Path) -> None:
    for name, lines in STAYS.items():
        text = "\n".join((lines[0].upper(), *lines[1:]))
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    quoted = ('"' + CHART.upper().replace(",", '","') + '"', '100,211,"2101-01-01 09:00:00",,80,80,BPM,')
    (tmp_path / "ChartEvents.CSV").write_text("\r\n".join(quoted) + "\r\n", encoding="utf-8")
    first, second = open_source(tmp_path).stays()
    assert _values(first) == [("heart_rate", 80.0)]
    assert second.stay.observations.empty


def test_a_missing_column_is_named(export: Export) -> None:
    export.stays()
    stays = export.folder / "ICUSTAYS.csv"
    stays.write_text(stays.read_text(encoding="utf-8").replace("intime", "in"), encoding="utf-8")
    complaint = r"no column intime, which the table icustays \(.*ICUSTAYS.csv\) must have"
    with pytest.raises(UnreadableSource, match=complaint):
        list(open_source(export.folder).stays())


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="no table icustays"):
        open_source(tmp_path)

"""Readings to observations: corrections, withdrawals and repetitions, none of which loses a row."""

from datetime import UTC, datetime, timedelta

import pandas as pd

from models.clinical.quarantine import Reason
from models.clinical.stay import Stay
from pipelines.ingest.readings import Reading, with_readings
from pipelines.ingest.source import IngestedStay

START = datetime(2026, 1, 1, 8, tzinfo=UTC)


def _at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


def _version(known: float, value: float | str | None, *, row: int = 0, withdrawn: bool = False) -> Reading:
    return Reading(_at(1), _at(known), "potassium", value, "mmol/L", row, "order-7", withdrawn)


def _read(*readings: Reading) -> IngestedStay:
    return with_readings(Stay("a", "a", START), readings)


def _spans(ingested: IngestedStay) -> list[tuple[float, float, float | None]]:
    """Each kept value with the hours between which it stood."""
    table = ingested.stay.observations
    ends = [None if pd.isna(end) else (end - START) / timedelta(hours=1) for end in table["known_until"]]
    return list(zip(table["value"], ingested.stay.hours(table["known_at"]), ends, strict=True))


def test_a_correction_ends_what_it_replaces() -> None:
    ingested = _read(_version(2, 5.9), _version(4, 4.1))
    assert _spans(ingested) == [(5.9, 2, 4), (4.1, 4, None)]
    assert ingested.quarantine == ()


def test_a_final_result_that_repeats_the_preliminary_one_is_a_duplicate() -> None:
    ingested = _read(_version(2, 5.9), _version(4, 5.9, row=1))
    assert _spans(ingested) == [(5.9, 2, None)]
    assert [(entry.reason, entry.row) for entry in ingested.quarantine] == [(Reason.DUPLICATE, 1)]


def test_a_withdrawal_needs_no_value() -> None:
    ingested = _read(_version(2, 5.9), _version(3, None, row=1, withdrawn=True))
    assert _spans(ingested) == [(5.9, 2, 3)]
    assert [(entry.reason, entry.row) for entry in ingested.quarantine] == [(Reason.WITHDRAWN, 1)]


def test_a_correction_to_something_unreadable_ends_the_value_all_the_same() -> None:
    ingested = _read(_version(2, 5.9), _version(3, "haemolysed", row=1))
    assert _spans(ingested) == [(5.9, 2, 3)]
    assert [(entry.reason, entry.row) for entry in ingested.quarantine] == [(Reason.NOT_A_NUMBER, 1)]


def test_of_versions_of_one_moment_the_last_of_the_input_stands() -> None:
    for values in ((5.9, 4.1), (4.1, 5.9)):
        ingested = _read(*(_version(2, value, row=row) for row, value in enumerate(values)))
        assert _spans(ingested) == [(values[1], 2, None)]
        assert [(entry.reason, entry.row) for entry in ingested.quarantine] == [(Reason.WITHDRAWN, 0)]


def test_a_version_that_equals_another_measurement_still_ends_its_own() -> None:
    other = Reading(_at(1), _at(1), "potassium", 4.1, "mmol/L", 0, "order-8")
    ingested = _read(other, _version(2, 5.9), _version(3, 4.1))
    assert _spans(ingested) == [(4.1, 1, None), (5.9, 2, 3)]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.DUPLICATE]


def test_readings_without_a_name_never_replace_each_other() -> None:
    plain = [_version(known, value)._replace(identifier="") for known, value in ((2, 5.9), (4, 4.1))]
    assert _spans(_read(*plain)) == [(5.9, 2, None), (4.1, 4, None)]


def test_a_date_is_not_read_as_its_midnight() -> None:
    ingested = _read(Reading("2026-01-01", None, "potassium", 4.1, "mmol/L", 3))
    [entry] = ingested.quarantine
    assert (entry.reason, entry.row, entry.value) == (Reason.MALFORMED, 3, "2026-01-01")


def test_the_lag_of_the_panel_is_assumed_where_nobody_says_when_it_was_known() -> None:
    ingested = _read(
        Reading(_at(1), "", "potassium", 4.1, "mmol/L"), Reading(_at(1), None, "heart_rate", 80, "/min")
    )
    assert _spans(ingested) == [(80.0, 1, None), (4.1, 2.3, None)]
    assert ingested.lag_assumed == {"potassium": 1, "heart_rate": 1}


def test_a_unit_scaled_before_counts_as_the_one_it_was_sent_in() -> None:
    ingested = _read(Reading(_at(1), _at(1), "creatinine", 1.2, "mg/dL", sent_unit="ug/dL"))
    assert ingested.converted == {("creatinine", "ug/dL"): 1}


def test_a_withdrawal_without_a_name_ends_what_came_without_one() -> None:
    plain = _version(2, 5.9)._replace(identifier="")
    for value in (5.9, None):
        gone = _version(4, value, withdrawn=True)._replace(identifier="", unit="mmol/L" if value else "")
        assert _spans(_read(plain, gone)) == [(5.9, 2, 4)]
    other = _version(4, 4.1, withdrawn=True)._replace(identifier="")
    assert _spans(_read(plain, other)) == [(5.9, 2, None)]


def test_a_withdrawal_without_a_time_is_of_its_name() -> None:
    ingested = _read(_version(2, 5.9), _version(4, None, withdrawn=True)._replace(time=""))
    assert _spans(ingested) == [(5.9, 2, 4)]
    assert [entry.reason for entry in ingested.quarantine] == [Reason.WITHDRAWN]

"""Quarantine: each reason, and that its sentence names value, bound and unit."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from models.clinical.quarantine import (
    CLOCK_LEAD,
    LONGEST_TEXT,
    Accepted,
    Cell,
    Quarantined,
    Reason,
    as_json,
    check_clock,
    check_value,
    check_values,
    read_time,
)
from models.clinical.variables import variable

ADMITTED = datetime(2026, 1, 1, 8, tzinfo=UTC)
NOW = ADMITTED + timedelta(hours=5)


def _rejected(name: str, value: Cell, unit: str | None) -> Quarantined:
    verdict = check_value(name, value, unit)
    assert isinstance(verdict, Quarantined)
    return verdict


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("ph", " 7.4 ", "pH", 7.4),
        ("heart_rate", 92, "1/min", 92.0),
        ("8310-5", "98.6", "[degF]", 37.0),
        ("base_excess", "-3", "mmol/L", -3.0),
        ("wbc", "1.1e1", "K/uL", 11.0),
        ("oxygen_saturation", 1, "fraction", 100.0),
    ],
)
def test_a_good_cell_becomes_a_canonical_value(name: str, value: Cell, unit: str, expected: float) -> None:
    assert check_value(name, value, unit) == Accepted(variable(name), expected)


@pytest.mark.parametrize(
    ("name", "value", "unit", "limit", "sign"),
    [
        ("troponin_i", "<0.01", "ng/mL", 0.01, "<"),
        ("troponin_i", "<= 10", "ng/L", 0.01, "<"),
        ("lactate", " >= 50 ", "mmol/L", 50.0, ">"),
        ("lactate", "≥9.01e0", "mmol/L", 9.01, ">"),
    ],
)
def test_a_result_beyond_a_limit_is_the_limit_with_its_sign(
    name: str, value: str, unit: str, limit: float, sign: str
) -> None:
    assert check_value(name, value, unit) == Accepted(variable(name), limit, sign)


@pytest.mark.parametrize(
    ("name", "value", "unit", "reason"),
    [
        ("pulse", 80, "1/min", Reason.UNKNOWN_VARIABLE),
        ("heart_rate", 80, "mmHg", Reason.UNACCEPTED_UNIT),
        ("heart_rate", 80, " ", Reason.MISSING_UNIT),
        ("heart_rate", 80, None, Reason.MISSING_UNIT),
        ("heart_rate", None, "1/min", Reason.NO_VALUE),
        ("heart_rate", " ", "1/min", Reason.NO_VALUE),
        ("lactate", "___", "mmol/L", Reason.NO_VALUE),
        ("heart_rate", float("nan"), "1/min", Reason.NOT_A_NUMBER),
        ("heart_rate", float("inf"), "1/min", Reason.NOT_A_NUMBER),
        ("heart_rate", 10**400, "1/min", Reason.NOT_A_NUMBER),
        ("heart_rate", True, "1/min", Reason.NOT_A_NUMBER),
        ("heart_rate", "NEG", "1/min", Reason.NOT_A_NUMBER),
        ("heart_rate", "7,4", "1/min", Reason.NOT_A_NUMBER),
        ("heart_rate", "1_00", "1/min", Reason.NOT_A_NUMBER),
        ("heart_rate", "\u0661\u0660\u0660", "1/min", Reason.NOT_A_NUMBER),
        ("heart_rate", "9" * 400, "1/min", Reason.NOT_A_NUMBER),
        ("lactate", "<0.01", "mmol/L", Reason.IMPLAUSIBLE),
        ("lactate", "> 50.1", "mmol/L", Reason.IMPLAUSIBLE),
        ("lactate", "<NEG", "mmol/L", Reason.NOT_A_NUMBER),
        ("heart_rate", 900, "1/min", Reason.IMPLAUSIBLE),
        ("heart_rate", 9.999, "1/min", Reason.IMPLAUSIBLE),
        ("fibrinogen", 1e308, "g/dL", Reason.IMPLAUSIBLE),
        ("fio2", 40, "fraction", Reason.IMPLAUSIBLE),
    ],
)
def test_a_bad_cell_has_its_reason(name: str, value: Cell, unit: str | None, reason: Reason) -> None:
    verdict = _rejected(name, value, unit)
    assert verdict.reason is reason
    assert verdict.bound
    json.dumps(verdict.value, allow_nan=False)


def test_the_sentence_is_the_one_the_api_promises() -> None:
    verdict = _rejected("heart_rate", 900, "1/min")
    assert verdict.detail == "heart_rate 900 1/min is outside [10, 300] 1/min"
    assert (verdict.value, verdict.bound, verdict.unit) == (900, "[10, 300]", "1/min")


def test_the_guide_quotes_what_is_said() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    said = [
        _rejected("pulse", 80, "1/min"),
        _rejected("heart_rate", 80, "mmHg"),
        _rejected("heart_rate", 80, None),
        _rejected("lactate", "NEG", "mmol/L"),
        _rejected("lactate", "___", "mmol/L"),
        _rejected("heart_rate", 900, "1/min"),
        check_clock(NOW + timedelta(hours=1), NOW + timedelta(hours=1), ADMITTED, NOW),
        check_clock(ADMITTED - timedelta(hours=1), ADMITTED, ADMITTED),
        check_clock(ADMITTED + timedelta(hours=2), ADMITTED + timedelta(hours=1), ADMITTED),
        check_clock(ADMITTED.replace(tzinfo=None), ADMITTED, ADMITTED),
    ]
    rows = {f"| `{entry.reason}` |": entry.detail for entry in said if entry is not None}
    told_elsewhere = {Reason.UNKNOWN_STAY, Reason.OUTSIDE_STAY, Reason.DUPLICATE, Reason.WITHDRAWN}
    assert set(rows) == {f"| `{reason}` |" for reason in Reason if reason not in told_elsewhere}
    assert all(f"| `{reason}` |" in guide for reason in Reason)
    lines = guide.splitlines()
    assert all(any(line.startswith(row) and detail in line for line in lines) for row, detail in rows.items())


def test_a_converted_value_is_shown_in_both_units() -> None:
    verdict = _rejected("temperature", 122, "degF")
    assert verdict.detail == "temperature 122 degF (50 degC) is outside [25, 45] degC"
    assert verdict.bound == "[25, 45] degC"


def test_bounds_are_inclusive() -> None:
    low, high = variable("temperature").plausible
    checked = check_values(variable("temperature"), np.array([low, high, np.nextafter(high, 99)]), "degC")
    assert checked.accepted.tolist() == [True, True, False]
    assert [entry.row for entry in checked.quarantined] == [2]


def test_long_text_is_cut_before_it_is_kept() -> None:
    verdict = _rejected("lactate", "x" * 1_000_000, "mmol/L")
    assert len(str(verdict.value)) == LONGEST_TEXT + 1
    assert len(verdict.detail) < 2 * LONGEST_TEXT


@pytest.mark.parametrize(
    ("measured", "known", "reason"),
    [
        (timedelta(hours=1), timedelta(hours=2), None),
        (timedelta(0), timedelta(0), None),
        (timedelta(hours=5) + CLOCK_LEAD, timedelta(hours=5) + CLOCK_LEAD, None),
        (timedelta(hours=2), timedelta(hours=1), Reason.KNOWN_BEFORE_MEASURED),
        (timedelta(hours=-1), timedelta(hours=1), Reason.BEFORE_ADMISSION),
        (timedelta(hours=6), timedelta(hours=6), Reason.IN_FUTURE),
        (timedelta(hours=4), timedelta(hours=6), Reason.IN_FUTURE),
        (timedelta(hours=6), timedelta(hours=5), Reason.IN_FUTURE),
    ],
)
def test_clocks(measured: timedelta, known: timedelta, reason: Reason | None) -> None:
    verdict = check_clock(ADMITTED + measured, ADMITTED + known, ADMITTED, NOW)
    assert (verdict and verdict.reason) == reason


def test_a_file_of_past_stays_has_no_future() -> None:
    later = NOW + timedelta(days=365)
    assert check_clock(later, later, ADMITTED) is None


def test_a_time_without_a_zone_is_malformed_never_guessed() -> None:
    verdict = check_clock(ADMITTED.replace(tzinfo=None), ADMITTED, ADMITTED, NOW)
    assert verdict is not None
    assert verdict.reason is Reason.MALFORMED
    assert "2026-01-01T08:00:00 has no time zone" in verdict.detail


def test_times_are_read_into_utc() -> None:
    assert read_time("2026-01-01T10:00:00+02:00") == ADMITTED
    assert read_time(ADMITTED.astimezone(timezone(timedelta(hours=2)))) == ADMITTED
    assert read_time("0001-01-01T00:00:00+14:00") is None
    assert read_time("9999-12-31T00:00:00Z") is None
    assert read_time("2202-12-31T00:00:00Z") is not None
    assert read_time("01/02/2026") is None
    assert read_time(17) is None


def test_cells_are_kept_as_they_came() -> None:
    assert [as_json(cell) for cell in (7, "<5", None, float("inf"), True)] == [7.0, "<5", None, "inf", "True"]


def test_the_web_process_gets_no_pandas_from_here() -> None:
    code = "import sys, models.clinical.quarantine; print({'pandas', 'torch', 'pint'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"

"""The catalogue: each row is consistent in itself, and the guide shows exactly what it holds."""

from datetime import timedelta
from pathlib import Path

import pytest

from models.clinical.errors import UnknownVariable
from models.clinical.quarantine import bound_text
from models.clinical.variables import CATALOGUE, Kind, Variable, variable
from models.mgp.standardise import VARIABLES
from pipelines.ingest.cinc2019 import COLUMNS

ROWS = pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)


def _check_digit(number: str) -> int:
    """The mod 10 check digit of a LOINC code (Regenstrief: double every other digit from the right)."""
    doubled = [int(digit) * (2 - index % 2) for index, digit in enumerate(reversed(number))]
    return -sum(sum(divmod(value, 10)) for value in doubled) % 10


@ROWS
def test_the_loinc_code_has_its_check_digit(row: Variable) -> None:
    number, digit = row.loinc.split("-")
    assert _check_digit(number) == int(digit)


@ROWS
def test_normal_lies_within_plausible(row: Variable) -> None:
    (low, high), (normal_low, normal_high) = row.plausible, row.normal
    assert low <= normal_low <= normal_high <= high
    assert low < high


def test_names_codes_and_short_names_are_unique() -> None:
    for key in ("name", "loinc", "short", "label"):
        assert len({getattr(row, key) for row in CATALOGUE.values()}) == len(CATALOGUE)


def test_the_challenge_variables_stand_first_and_the_shipped_network_reads_just_those() -> None:
    challenge = tuple(name for name, _ in COLUMNS.values())
    assert challenge == tuple(CATALOGUE)[: len(challenge)] == VARIABLES


def test_only_laboratory_results_are_taken_to_come_late() -> None:
    for row in CATALOGUE.values():
        assert (row.lag > timedelta(0)) == (row.kind is Kind.LAB)


def test_a_variable_is_found_by_name_and_by_code() -> None:
    assert variable("heart_rate") is variable("8867-4")


def test_an_unknown_variable_is_named() -> None:
    with pytest.raises(UnknownVariable, match="unknown variable 'pulse'"):
        variable("pulse")


def test_the_guide_shows_the_catalogue() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    section = guide.split("## Variables")[1].split("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| `")]
    assert shown == [guide_row(row) for row in CATALOGUE.values()]


def guide_row(row: Variable) -> str:
    """The row of docs/data.md for one variable."""
    units = ", ".join(unit for unit in row.accepted_units if unit != row.unit) or "none"
    low, high = row.normal
    minutes = row.lag / timedelta(minutes=1)
    lag = f"{minutes:g} min" if minutes else "none"
    normal = f"{low:g} to {high:g}"
    cells = (f"`{row.name}`", row.label, row.unit, units, bound_text(row), normal, lag, row.loinc)
    return f"| {' | '.join(cells)} |"

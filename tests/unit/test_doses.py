"""One dose counts once: the hours within which unit, ward and order tell of the same one."""

from collections.abc import Iterator

import duckdb
import pytest

from pipelines.ingest.doses import antibiotic_codes

DAY = "2150-01-02"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("CREATE TABLE infused (subject VARCHAR, time TIMESTAMP, ingredient VARCHAR)")
        opened.execute(
            "CREATE TABLE given (subject VARCHAR, time TIMESTAMP, drug VARCHAR, route VARCHAR, event VARCHAR)"
        )
        opened.execute(
            "CREATE TABLE ordered "
            "(subject VARCHAR, time TIMESTAMP, ended_at TIMESTAMP, drug VARCHAR, route VARCHAR)"
        )
        yield opened


def codes_of(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, bool]]:
    antibiotic_codes(connection, "emar", "prescriptions")
    rows = connection.execute(f"SELECT code, withdrawn FROM {table} ORDER BY time, code").fetchall()
    return [(code, withdrawn) for code, withdrawn in rows]


def infuse(connection: duckdb.DuckDBPyConnection, ingredient: str, time: str) -> None:
    connection.execute("INSERT INTO infused VALUES ('1', ?, ?)", [f"{DAY} {time}", ingredient])


def give(
    connection: duckdb.DuckDBPyConnection,
    drug: str | None,
    time: str,
    event: str | None,
    route: str | None = "IV",
) -> None:
    connection.execute("INSERT INTO given VALUES ('1', ?, ?, ?, ?)", [f"{DAY} {time}", drug, route, event])


def order(connection: duckdb.DuckDBPyConnection, drug: str, time: str, route: str | None = "IV") -> None:
    connection.execute("INSERT INTO ordered VALUES ('1', ?, NULL, ?, ?)", [f"{DAY} {time}", drug, route])


def test_a_dose_within_two_hours_of_the_infusion_of_its_ingredient_is_that_infusion(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    infuse(connection, "piperacillin", "12:00")
    for time in ("09:59", "10:00", "14:00", "14:01"):
        give(connection, "Piperacillin-Tazobactam", time, "Administered")
    give(connection, "Cefepime", "12:00", "Administered")
    name = "piperacillin/tazobactam"
    assert codes_of(connection, "the_given") == [
        (f"antibiotic {name}", False),
        (f"{name}: charted as an infusion too", False),
        ("antibiotic cefepime", False),
        (f"{name}: charted as an infusion too", False),
        (f"antibiotic {name}", False),
    ]


def test_an_event_says_whether_a_dose_was_given(connection: duckdb.DuckDBPyConnection) -> None:
    for time, event in (("08:00", "Started"), ("09:00", "HOLD DOSE"), ("10:00", "Stopped"), ("11:00", None)):
        give(connection, "Cefepime", time, event)
    assert codes_of(connection, "the_given") == [
        ("antibiotic cefepime", False),
        ("antibiotic cefepime", True),
        ("cefepime: stopped", False),
        ("cefepime: no event", False),
    ]


def test_what_is_no_systemic_antibiotic_keeps_its_name(connection: duckdb.DuckDBPyConnection) -> None:
    give(connection, "Furosemide", "08:00", "Not Given")
    give(connection, "Vancomycin", "09:00", "Administered", "PO")
    give(connection, "Vancomycin", "10:00", "Administered", None)
    give(connection, None, "11:00", "Administered")
    assert codes_of(connection, "the_given") == [
        ("Furosemide", False),
        ("Vancomycin PO", False),
        ("antibiotic vancomycin", False),
        ("no drug named", False),
    ]


def test_an_order_stands_in_where_no_dose_would_have_been_charted(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    infuse(connection, "vancomycin", "12:00")
    for time in ("05:59", "06:00", "14:00", "14:01"):
        order(connection, "Vancomycin", time)
    order(connection, "CeftriaXONE", "12:00")
    told = "vancomycin: an order charted as an infusion too"
    assert [code for code, _ in codes_of(connection, "the_ordered")] == [
        "antibiotic vancomycin",
        told,
        "antibiotic ceftriaxone",
        told,
        "antibiotic vancomycin",
    ]


def test_an_order_where_doses_are_charted_does_not_count(connection: duckdb.DuckDBPyConnection) -> None:
    give(connection, "Furosemide", "20:00", "Administered")
    order(connection, "Vancomycin", "12:00")
    order(connection, "Vancomycin", "20:30")
    assert [code for code, _ in codes_of(connection, "the_ordered")] == [
        "vancomycin: an order where doses are charted",
        "antibiotic vancomycin",
    ]

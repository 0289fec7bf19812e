"""The ledger: what a correction ends, what a withdrawal ends, and what is only said again."""

from datetime import UTC, datetime, timedelta

import pytest

from models.clinical.ledger import Ledger, ObservationFacts, Receipt, ReportStatus, Version

NINE = datetime(2026, 11, 22, 9, tzinfo=UTC)
CORRECTED, ERROR = ReportStatus.CORRECTED, ReportStatus.ENTERED_IN_ERROR


def at(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


def said(
    known: float,
    value: float | None,
    name: str = "",
    status: ReportStatus = ReportStatus.FINAL,
    *,
    time: float = 0,
    variable: str = "potassium",
) -> ObservationFacts:
    """A potassium of nine o'clock, known so many minutes later."""
    return ObservationFacts(at(time), at(known), variable, value, "", name, status)


def told(*reports: ObservationFacts) -> tuple[list[Receipt], set[tuple[float, float, float | None]]]:
    """The receipts, and (value, known from, known until) in minutes of every version."""
    ledger = Ledger()
    receipts = [ledger.take(report) for report in reports]
    return receipts, {(one.value, _minutes(one.known_at), _end(one)) for one in ledger.new}


def _minutes(moment: datetime) -> float:
    return (moment - NINE) / timedelta(minutes=1)


def _end(version: Version) -> float | None:
    return None if version.known_until is None else _minutes(version.known_until)


def test_a_row_with_the_name_of_an_earlier_one_supersedes_it_from_its_own_known_at_on() -> None:
    receipts, versions = told(said(10, 7.9, "L1"), said(40, 4.1, "L1"))
    assert receipts == [Receipt.ACCEPTED, Receipt.CORRECTED]
    assert versions == {(7.9, 10, 40), (4.1, 40, None)}


def test_a_name_holds_for_one_variable_and_may_move_the_time() -> None:
    receipts, versions = told(
        said(10, 7.9, "L1"), said(10, 140, "L1", variable="sodium"), said(40, 7.9, "L1", time=5)
    )
    assert receipts == [Receipt.ACCEPTED, Receipt.ACCEPTED, Receipt.CORRECTED]
    assert versions == {(7.9, 10, 40), (140, 10, None), (7.9, 40, None)}


def test_a_correction_without_a_name_ends_what_stands_of_the_same_variable_and_time() -> None:
    receipts, versions = told(
        said(10, 7.9), said(11, 7.8, "L1"), said(12, 5.0, time=6), said(40, 4.1, status=CORRECTED)
    )
    assert receipts[-1] is Receipt.CORRECTED
    assert versions == {(7.9, 10, 40), (7.8, 11, 40), (5.0, 12, None), (4.1, 40, None)}


def test_two_readings_of_one_moment_both_stand() -> None:
    receipts, versions = told(said(10, 7.9), said(40, 4.1))
    assert receipts == [Receipt.ACCEPTED, Receipt.ACCEPTED]
    assert versions == {(7.9, 10, None), (4.1, 40, None)}


def test_a_correction_of_what_nobody_reported_is_news() -> None:
    assert told(said(40, 4.1, status=CORRECTED)) == ([Receipt.ACCEPTED], {(4.1, 40, None)})


@pytest.mark.parametrize(
    "withdrawal",
    [
        said(40, None, "L1", ERROR),
        said(40, None, "L1", ReportStatus.CANCELLED, time=3),
        said(40, None, status=ERROR),
        said(40, 7.9, status=ERROR),
    ],
)
def test_a_withdrawal_ends_by_name_or_by_moment_and_is_a_duplicate_when_repeated(
    withdrawal: ObservationFacts,
) -> None:
    receipts, versions = told(said(10, 7.9, "L1"), withdrawal, withdrawal)
    assert receipts == [Receipt.ACCEPTED, Receipt.WITHDRAWN, Receipt.DUPLICATE]
    assert versions == {(7.9, 10, 40)}


@pytest.mark.parametrize(
    "withdrawal",
    [
        said(40, None, "L2", ERROR),
        said(40, 7.8, status=ERROR),
        said(40, None, status=ERROR, time=1),
        said(40, None, "L1", ERROR, variable="sodium"),
    ],
)
def test_what_was_never_reported_is_not_found(withdrawal: ObservationFacts) -> None:
    receipts, versions = told(said(10, 7.9, "L1"), withdrawal)
    assert receipts[-1] is Receipt.NOT_FOUND
    assert versions == {(7.9, 10, None)}


def test_a_gateway_that_learnt_to_name_still_reaches_what_it_sent_without() -> None:
    receipts, versions = told(said(10, 7.9), said(40, None, "L1", ERROR))
    assert (receipts[-1], versions) == (Receipt.WITHDRAWN, {(7.9, 10, 40)})
    receipts, versions = told(said(10, 7.9), said(20, 7.9, "L1"), said(40, 4.1, "L1"))
    assert receipts == [Receipt.ACCEPTED, Receipt.DUPLICATE, Receipt.CORRECTED]
    assert versions == {(7.9, 10, 40), (4.1, 40, None)}


def test_two_names_are_two_measurements_even_where_they_agree() -> None:
    receipts, versions = told(said(10, 7.9, "L1"), said(11, 7.9, "L2"), said(40, None, "L1", ERROR))
    assert receipts == [Receipt.ACCEPTED, Receipt.ACCEPTED, Receipt.WITHDRAWN]
    assert versions == {(7.9, 10, 40), (7.9, 11, None)}


def test_a_whole_history_sent_again_changes_nothing() -> None:
    history = [
        said(10, 7.9, "L1"),
        said(40, 4.1, "L1", CORRECTED),
        said(50, 7.9, "L1", CORRECTED),
        said(60, None, "L1", ERROR),
        said(10, 3.0),
        said(20, 3.1, status=CORRECTED),
        said(30, None, status=ERROR),
        said(31, 3.1),
    ]
    once, versions = told(*history)
    receipts, again = told(*history, *history)
    assert set(once) == {Receipt.ACCEPTED, Receipt.CORRECTED, Receipt.WITHDRAWN}
    assert receipts[len(history) :] == [Receipt.DUPLICATE] * len(history)
    assert again == versions
    assert (3.1, 31, None) in versions


def test_a_copy_of_the_first_report_that_comes_after_the_withdrawal_revives_nothing() -> None:
    receipts, versions = told(said(10, 7.9), said(40, None, status=ERROR), said(35, 7.9), said(5, 7.9))
    assert receipts[2:] == [Receipt.DUPLICATE, Receipt.DUPLICATE]
    assert versions == {(7.9, 10, 40)}


def test_a_senders_clock_that_runs_behind_leaves_no_error_standing() -> None:
    receipts, versions = told(said(10, 7.9, "L1"), said(9, None, "L1", ERROR), said(9, None, "L1", ERROR))
    assert receipts == [Receipt.ACCEPTED, Receipt.WITHDRAWN, Receipt.DUPLICATE]
    assert versions == {(7.9, 10, 10)}


@pytest.mark.parametrize(
    "history",
    [
        [said(10, 7.9, "L1"), said(10, 4.1, "L1", CORRECTED)],
        [said(10, 7.9), said(10, 4.1, status=CORRECTED)],
        [said(10, 7.9, "L1"), said(10, None, "L1", ERROR)],
        [said(10, 7.9, "L1"), said(9, None, "L1", ERROR)],
    ],
)
def test_a_report_sent_again_never_revives_what_ended_in_the_moment_it_became_known(
    history: list[ObservationFacts],
) -> None:
    _, versions = told(*history)
    receipts, again = told(*history, history[0], *history)
    assert receipts[len(history) :] == [Receipt.DUPLICATE] * (1 + len(history))
    assert again == versions
    assert (7.9, 10, 10) in versions


@pytest.mark.parametrize("name", ["", "L1"])
def test_of_one_known_at_the_correction_is_the_last(name: str) -> None:
    correction, original = said(10, 4.1, name, CORRECTED), said(10, 7.9, name)
    assert told(correction, original)[1] == told(original, correction)[1] == {(7.9, 10, 10), (4.1, 10, None)}


def test_a_correction_that_came_first_ends_its_original_where_only_one_of_them_has_a_name() -> None:
    for earlier, later in (("L1", ""), ("", "L1")):
        original, correction = said(10, 7.9, earlier), said(40, 4.1, later, CORRECTED)
        assert (
            told(correction, original)[1] == told(original, correction)[1] == {(7.9, 10, 40), (4.1, 40, None)}
        )


def test_a_repetition_that_brings_a_name_gives_it_to_what_it_repeats() -> None:
    receipts, versions = told(said(10, 7.9), said(10, 7.9, "L1"), said(40, None, "L1", ERROR))
    assert receipts[1:] == [Receipt.DUPLICATE, Receipt.WITHDRAWN]
    assert versions == {(7.9, 10, 40)}


def test_a_stored_version_that_ends_or_gets_a_name_is_to_be_changed_and_no_other() -> None:
    stored = [Version(at(0), at(10), "potassium", value, row_id=n) for n, value in enumerate((7.9, 5.0))]
    ledger = Ledger(stored)
    assert ledger.take(said(20, 5.0, "L1")) is Receipt.DUPLICATE
    assert ledger.take(said(40, 7.9, status=ERROR)) is Receipt.WITHDRAWN
    assert {n: (one.identifier, _end(one)) for n, one in ledger.changed.items()} == {
        0: ("", 40),
        1: ("L1", None),
    }
    assert ledger.new == []

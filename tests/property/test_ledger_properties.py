"""What stands does not depend on the order in which reports arrive, nor on how often."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from models.clinical.ledger import Ledger, ObservationFacts, ReportStatus

NINE = datetime(2026, 11, 22, 9, tzinfo=UTC)
STORED = [ReportStatus.FINAL, ReportStatus.CORRECTED]
NAMED = st.tuples(st.integers(1, 4), st.sampled_from(["L1", "L2"]), st.sampled_from(STORED))
UNNAMED = st.tuples(st.integers(1, 4), st.just(""), st.sampled_from(STORED))
SHUFFLE = st.randoms(use_true_random=False)
Said = tuple[int, str, ReportStatus]


def _reports(said: list[Said]) -> list[ObservationFacts]:
    """Each known a minute after the one before it, all of one moment."""
    return [
        ObservationFacts(NINE, NINE + timedelta(minutes=n), "potassium", float(value), "", name, status)
        for n, (value, name, status) in enumerate(said, 1)
    ]


def _standing(reports: list[ObservationFacts]) -> list[set[tuple[float, str]]]:
    """What stands at each minute."""
    ledger = Ledger()
    for report in reports:
        ledger.take(report)
    minutes = [NINE + timedelta(minutes=n) for n in range(12)]
    return [{(one.value, one.identifier) for one in ledger.new if one.stands_at(at)} for at in minutes]


@given(st.lists(NAMED, max_size=8, unique_by=lambda one: one[:2]), SHUFFLE)
def test_versions_of_a_name_may_arrive_in_any_order(said: list[Said], shuffle: Random) -> None:
    reports = _reports(said)
    arrived = list(reports)
    shuffle.shuffle(arrived)
    assert _standing(arrived) == _standing(reports)


@given(st.lists(UNNAMED, max_size=8, unique_by=lambda one: one[0]), SHUFFLE)
def test_corrections_without_a_name_may_arrive_in_any_order(said: list[Said], shuffle: Random) -> None:
    reports = _reports(said)
    arrived = list(reports)
    shuffle.shuffle(arrived)
    assert _standing(arrived) == _standing(reports)


@given(st.lists(st.one_of(NAMED, UNNAMED), max_size=8), SHUFFLE)
def test_sending_again_what_was_sent_changes_nothing(said: list[Said], shuffle: Random) -> None:
    reports = _reports(said)
    again = list(reports)
    shuffle.shuffle(again)
    assert _standing([*reports, *again]) == _standing(reports)


@given(st.lists(st.tuples(st.integers(1, 4), st.one_of(NAMED, UNNAMED)), max_size=6), SHUFFLE)
def test_a_batch_may_be_repeated_though_many_things_became_known_at_once(
    said: list[tuple[int, Said]], shuffle: Random
) -> None:
    values = range(1, len(said) + 1)  # all differ: what was said twice is a confirmation
    reports = [
        ObservationFacts(NINE, NINE + timedelta(minutes=n), "potassium", float(value), "", name, status)
        for value, (n, (_, name, status)) in zip(values, said, strict=True)
    ]
    again = list(reports)
    shuffle.shuffle(again)
    assert _standing([*reports, *again]) == _standing(reports)


@given(st.lists(NAMED, max_size=8))
def test_of_one_name_at_most_one_version_stands(said: list[Said]) -> None:
    for standing in _standing(_reports(said)):
        names = [name for _, name in standing]
        assert len(names) == len(set(names))

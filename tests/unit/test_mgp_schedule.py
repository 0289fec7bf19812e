"""The tape: what the filter does, in which order, and what it repeats."""

import numpy as np

from models.mgp.schedule import (
    EMIT,
    RESTORE,
    SAVE,
    UPDATE,
    Tape,
    as_known,
    first_uses,
    in_time_order,
    no_order,
)

NAMES = {UPDATE: "update", EMIT: "emit", SAVE: "save", RESTORE: "restore"}


def tape_of(time: list[float], known: list[int]) -> Tape:
    rows = len(time)
    columns = np.array(time), np.arange(rows), np.zeros(rows)
    grid = np.arange(1.0, len(known) + 1.0)
    return as_known(*columns, np.array(known), grid, no_order(rows), 0, False)


def words(tape: Tape) -> list[str]:
    return [f"{NAMES[op]} {item}" for op, item in zip(tape.op.tolist(), tape.item.tolist(), strict=True)]


def test_without_late_results_each_row_is_used_once() -> None:
    tape = tape_of([0.5, 1.25, 1.5], [1, 3])
    assert words(tape) == ["update 0", "emit 0", "update 1", "update 2", "emit 1"]
    np.testing.assert_allclose(tape.gap_hours, [0.0, 0.5, 0.75, 0.25, 0.5])


def test_a_late_result_restores_what_stood_before_it_and_repeats_the_rest() -> None:
    tape = tape_of([0.5, 1.5, 2.5, 1.75], [1, 2, 3, 4])
    assert words(tape) == [
        "update 0", "emit 0", "update 1", "emit 1", "save 1", "update 2", "emit 2",
        "restore 1", "update 3", "update 2", "emit 3",
    ]  # fmt: skip
    assert tape.updates == 5
    np.testing.assert_allclose(tape.gap_hours[-3:], [0.25, 0.75, 1.5])
    assert first_uses(tape).tolist() == [0, 1, 2, 3]


def test_a_result_from_before_everything_restores_the_prior() -> None:
    assert words(tape_of([0.5, 0.25], [1, 2])) == [
        "update 0", "emit 0", "restore 0", "update 1", "update 0", "emit 1",
    ]  # fmt: skip


def test_a_result_is_not_late_while_nothing_newer_was_measured() -> None:
    assert RESTORE not in tape_of([0.5, 1.5], [1, 1, 1, 2]).op


def test_what_a_tape_does_up_to_an_hour_does_not_depend_on_the_hours_after() -> None:
    source = np.random.default_rng(0)
    known_at = np.sort(source.uniform(0.0, 20.0, 60))
    time = known_at - source.choice([0.0, 0.5, 6.0], 60)
    known = np.searchsorted(known_at, np.arange(1.0, 21.0), side="right").tolist()
    whole = tape_of(time.tolist(), known)
    for hours in range(1, 20):
        cut = tape_of(time.tolist()[: known[hours - 1]], known[:hours])
        last = int(np.flatnonzero((whole.op == EMIT) & (whole.item == hours - 1))[0])
        worked = (tape.op[: last + 1] != SAVE for tape in (whole, cut))
        first, second = (
            tape.gap_hours[: len(keep)][keep] for tape, keep in zip((whole, cut), worked, strict=True)
        )
        np.testing.assert_array_equal(first, second)


def test_smoothing_takes_rows_as_they_stand() -> None:
    tape = in_time_order(np.array([1.0, 1.0, 4.0]))
    assert words(tape) == ["update 0", "update 1", "update 2"]
    np.testing.assert_allclose(tape.gap_hours, [0.0, 0.0, 3.0])

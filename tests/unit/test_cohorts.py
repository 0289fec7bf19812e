"""Who is in a cohort, who is not and why; controls are cut where their case fell ill."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.label.attrition import attrition_text, plot_attrition
from pipelines.label.cohorts import Candidate, Cohort, CohortOptions, hourly, matched, sepsis_coded, split_of


def candidate(name: str, **changes: object) -> Candidate:
    """An adult of 100 hours in MetaVision without sepsis, changed as asked."""
    fields: dict[str, object] = {
        "stay": name,
        "subject": f"subject-{name}",
        "age_years": 60.0,
        "charting": "metavision",
        "length_hours": 100.0,
        "observed": True,
        "onset_hour": None,
        "sepsis_coded": False,
    }
    return Candidate(**{**fields, **changes})  # type: ignore[arg-type]


def removed(cohort: Cohort) -> dict[str, int]:
    return {step.name: step.removed for step in cohort.attrition}


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"observed": False}, "observed at all"),
        ({"age_years": 14.9}, "age known and at least 15 years"),
        ({"age_years": None}, "age known and at least 15 years"),
        ({"charting": "carevue"}, "charted in metavision"),
        ({"onset_hour": 6.0}, "onset, if any, at hour 7 or later and within the stay"),
        ({"onset_hour": 101.0}, "onset, if any, at hour 7 or later and within the stay"),
    ],
)
def test_each_exclusion_is_a_step(changes: dict[str, object], step: str) -> None:
    cohort = hourly([candidate("good"), candidate("left out", **changes)])
    assert cohort.members["stay"].tolist() == ["good"]
    assert {name for name, count in removed(cohort).items() if count} == {step}


def test_a_source_that_names_no_charting_system_loses_nobody_to_it() -> None:
    cohort = hourly([candidate(str(number), charting=None) for number in range(5)])
    assert len(cohort.members) == 5
    assert not any("charted" in step.name for step in cohort.attrition)


def test_the_steps_add_up() -> None:
    stays = [
        candidate(str(number), age_years=10.0 + number, onset_hour=float(number) if number % 4 == 0 else None)
        for number in range(60)
    ]
    for cohort in (hourly(stays), matched(stays)):
        left = [step.stays for step in cohort.attrition]
        assert left[0] == 60
        assert [
            before - step.removed for before, step in zip(left, cohort.attrition[1:], strict=False)
        ] == left[1:]
        assert left[-1] == len(cohort.members) == cohort.members["stay"].nunique()
        assert cohort.attrition[-1].cases == cohort.members["case"].sum()


def many() -> list[Candidate]:
    cases = [candidate(f"case-{n}", onset_hour=8.0 + n, subject=f"s{n}") for n in range(40)]
    others = [candidate(f"control-{n}", length_hours=10.0 + n / 8, subject=f"c{n}") for n in range(800)]
    return [*cases, *others]


def test_a_control_was_there_when_its_case_fell_ill_and_is_cut_at_that_hour() -> None:
    members = matched(many(), CohortOptions(controls_per_case=3)).members
    lengths = {one.stay: one.length_hours for one in many()}
    cases = members[members["case"]].set_index("stay")
    controls = members[~members["case"]]
    assert controls["matched_to"].value_counts().max() == 3
    for control in controls.itertuples():
        case = cases.loc[str(control.matched_to)]
        assert control.onset_hour == case["onset_hour"] <= lengths[str(control.stay)]
        assert (control.begin_hour, control.end_hour) == (case["begin_hour"], case["end_hour"])
        assert control.split == case["split"]


def test_controls_that_are_few_are_dealt_so_that_no_case_goes_without() -> None:
    # c0 … c4 can have anyone, the last case one control only
    cases = [candidate(f"case-{n}", onset_hour=8.0, subject="s") for n in range(5)]
    late = candidate("late", onset_hour=90.0, subject="s")
    others = [candidate(f"control-{n}", subject="s", length_hours=50.0) for n in range(6)]
    members = matched([*cases, late, *others, candidate("long", subject="s")]).members
    dealt = members["matched_to"].value_counts()
    assert dealt["late"] == 1
    assert [int(dealt[f"case-{n}"]) for n in range(5)] in (
        [1, 1, 1, 1, 2], [1, 1, 1, 2, 1], [1, 1, 2, 1, 1], [1, 2, 1, 1, 1], [2, 1, 1, 1, 1]
    )  # fmt: skip


def test_the_window_ends_at_the_horizon_and_is_48_hours_long_at_most() -> None:
    late = [candidate("case", onset_hour=60.0), candidate("control")]
    members = matched(late, CohortOptions(horizon_hours=4.0)).members
    assert set(zip(members["begin_hour"], members["end_hour"], strict=True)) == {(12.0, 56.0)}


def test_a_control_with_a_billing_code_of_sepsis_is_none() -> None:
    cohort = matched([candidate("case", onset_hour=9.0), candidate("coded", sepsis_coded=True)])
    assert cohort.members["stay"].tolist() == ["case"]
    assert removed(cohort)["controls without billing codes of sepsis"] == 1


def test_no_subject_is_in_two_splits_and_the_order_of_stays_is_nothing() -> None:
    stays = many()
    members = matched(stays).members
    assert members.groupby("subject")["split"].nunique().max() == 1
    assert all(split_of(str(row.subject)) == row.split for row in members.itertuples())
    pd.testing.assert_frame_equal(matched(stays[::-1]).members, members)


@pytest.mark.parametrize("code", ["99591", "995.92", "78552", "0389", "038.42", "A41.9", "R65.21", "a4151"])
def test_a_code_that_says_sepsis(code: str) -> None:
    assert sepsis_coded(code)


@pytest.mark.parametrize("code", ["4019", "99590", "9959", "J189", "A099", "R651", "", "0930"])
def test_a_code_that_does_not(code: str) -> None:
    assert not sepsis_coded(code)


def test_the_attrition_is_told_and_drawn(tmp_path: Path) -> None:
    steps = matched(many()).attrition
    lines = attrition_text(steps).splitlines()
    assert len(lines) == len(steps) + 1
    assert lines[1].split()[-3:] == ["840", "840", "40"]
    figure = plot_attrition(steps, "Cohort", tmp_path / "attrition.svg").read_text(encoding="utf-8")
    assert figure == plot_attrition(steps, "Cohort", tmp_path / "again.svg").read_text(encoding="utf-8")
    assert plot_attrition(steps, "Cohort", tmp_path / "attrition.png").read_bytes()[:4] == b"\x89PNG"

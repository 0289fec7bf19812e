"""Choosing a policy by budget: within it on validation stays, told of test stays, read by the service."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from typer.testing import CliRunner

from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.choose_policy import Choice, candidates, choose_policy, part
from pipelines.metrics.alarms import Events, Watched
from pipelines.metrics.burden import Ward, burden_figures, simulate
from pipelines.metrics.ward_files import read_ward
from pipelines.split import split_of
from prodrome.__main__ import app
from service.policy import policy_of
from service.settings import Settings

WINDOW = timedelta(hours=8)
HOURS = 48
ONSET = 30


def drawn(stays: int = 150) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Scores (stays, HOURS) that rise before the onset of every fifth stay, and who falls ill (stays,)."""
    rng = np.random.default_rng(3)
    ill = np.arange(stays) % 5 == 0
    rise = np.clip((np.arange(HOURS) - ONSET + 10) / 20, 0, 0.5)
    return np.clip(rng.beta(2, 6, (stays, HOURS)) + ill[:, None] * rise, 0, 1), ill


def ward() -> Ward:
    score, ill = drawn()
    stays = len(ill)
    return Ward(
        Watched.hourly(np.full(stays, HOURS), np.tile(np.arange(1, HOURS + 1), stays), score.ravel()),
        Events.one_each(np.where(ill, float(ONSET), np.nan), lasting=True),
        tuple(f"p{stay}" for stay in range(stays)),
        ("all beds",) * stays,
        False,
    )


@pytest.fixture(scope="module")
def chosen() -> Choice:
    return choose_policy(ward(), 0.6, WINDOW)


def test_the_choice_keeps_to_the_budget_and_no_policy_within_it_recalls_more(chosen: Choice) -> None:
    validation = part(ward(), "validation")
    assert chosen.validation == burden_figures(simulate(validation, chosen.policy, WINDOW))
    assert chosen.validation.alarms_per_bed_day is not None
    assert chosen.validation.alarms_per_bed_day <= 0.6
    assert chosen.validation.outside.recall
    others = (burden_figures(simulate(validation, policy, WINDOW)) for policy in candidates(validation))
    within = [one for one in others if (one.alarms_per_bed_day or 0) <= 0.6]
    assert max(one.outside.recall or 0 for one in within) == chosen.validation.outside.recall
    assert chosen.tried > len(within) > 1


def test_the_report_is_of_test_subjects_alone(chosen: Choice) -> None:
    test = ward().only(np.array([split_of(f"p{stay}") == "test" for stay in range(150)]))
    assert chosen.test == burden_figures(simulate(test, chosen.policy, WINDOW))
    ends = chosen.test_intervals.alarms_per_bed_day
    assert ends.low is not None
    assert ends.high is not None
    assert chosen.test.alarms_per_bed_day is not None
    assert ends.low <= chosen.test.alarms_per_bed_day <= ends.high


def test_scores_of_test_stays_have_no_say(chosen: Choice) -> None:
    here = ward()
    test = np.repeat([split_of(subject) == "test" for subject in here.subject], HOURS)
    shuffled = Watched(
        here.watched.rows, here.watched.time, np.where(test, 1 - here.watched.score, here.watched.score)
    )
    other = choose_policy(Ward(shuffled, here.events, here.subject, here.unit, False), 0.6, WINDOW)
    assert (other.policy, other.validation) == (chosen.policy, chosen.validation)
    assert other.test != chosen.test


def test_a_smaller_budget_never_recalls_more(chosen: Choice) -> None:
    tighter = choose_policy(ward(), 0.2, WINDOW)
    assert (tighter.validation.alarms_per_bed_day or 0) <= 0.2
    assert 0 < (tighter.validation.outside.recall or 0) <= (chosen.validation.outside.recall or 0)


def test_the_file_starts_the_service(chosen: Choice, tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(chosen.as_json()), encoding="utf-8")
    assert policy_of(Settings(policy_file=str(path)), 0.9) == chosen.policy


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_that_is_none_is_refused(budget: float) -> None:
    with pytest.raises(InvalidInput, match="expected > 0 alarms a bed and day"):
        choose_policy(ward(), budget, WINDOW)


def test_a_budget_within_which_nothing_is_foretold_is_refused_with_the_lowest_that_foretells() -> None:
    with pytest.raises(
        InvalidInput, match=r"none of .* foretells an event .* 1e-09 alarms a bed and day; it"
    ) as said:
        choose_policy(ward(), 1e-9, WINDOW)
    least = float(str(said.value).rsplit(" ", 1)[1])
    assert choose_policy(ward(), least, WINDOW).validation.outside.recall
    with pytest.raises(InvalidInput, match=f"it takes {least:g}"):
        choose_policy(ward(), least - 2e-4, WINDOW)


def test_scores_that_foretell_nothing_within_any_budget_are_refused() -> None:
    here = ward()
    blind = Watched(here.watched.rows, here.watched.time, np.zeros_like(here.watched.score))
    ill = np.where(here.events.count > 0, 0.5, np.nan)  # before the first score
    events = Events.one_each(ill, lasting=True)
    with pytest.raises(InvalidInput, match="nor does any beyond it"):
        choose_policy(Ward(blind, events, here.subject, here.unit, False), 0.5, WINDOW)


def test_hours_during_events_do_not_raise_the_thresholds_that_are_tried() -> None:
    """Where half of the beds are ill for days, half of all scores lie above what warns of it."""
    stays, hours = 150, 200
    ill = np.arange(stays) % 2 == 0
    score = np.random.default_rng(1).uniform(0, 0.1, (stays, hours))
    score[ill, ONSET - 4 : ONSET] = 0.2
    score[ill, ONSET:] = 0.6
    hour = np.tile(np.arange(1, hours + 1), stays)
    long = Ward(
        Watched.hourly(np.full(stays, hours), hour, score.ravel()),
        Events.one_each(np.where(ill, float(ONSET), np.nan), lasting=True),
        tuple(f"p{stay}" for stay in range(stays)),
        ("all beds",) * stays,
        False,
    )
    outside = long.watched.score[~long.inside]
    assert {one.threshold for one in candidates(long)} <= set(outside.round(4).tolist())
    assert choose_policy(long, 0.5, WINDOW).test.outside.recall == 1.0


def test_a_ward_without_validation_stays_or_events_is_refused() -> None:
    here = ward()
    test = here.only(np.array([split_of(subject) == "test" for subject in here.subject]))
    with pytest.raises(InvalidInput, match=r"no validation stay among 32: .*--subjects all"):
        choose_policy(test, 0.5, WINDOW)
    well = Ward(
        here.watched, Events.one_each(np.full(150, np.nan), lasting=True), here.subject, here.unit, False
    )
    with pytest.raises(InvalidInput, match="no event among the validation stays"):
        choose_policy(well, 0.5, WINDOW)


def table(folder: Path) -> Path:
    """The ward as `prodrome evaluate` writes it, and one stay that is positive from its first row."""
    score, ill = drawn()
    hour = np.arange(1, HOURS + 1)
    frames = [
        pd.DataFrame(
            {
                "stay_id": f"s{stay}",
                "subject_id": f"p{stay}",
                "hour": hour,
                "value": score[stay],
                "status": "present",
                "label": (ill[stay] & (hour >= ONSET - 6)).astype(np.int8),
            }
        )
        for stay in range(len(ill))
    ]
    frames.append(frames[0].assign(stay_id="untold", label=np.int8(1)))
    path = folder / "predictions.parquet"
    pd.concat(frames).to_parquet(path)
    return path


def test_labels_tell_the_onset_six_hours_after_their_first(tmp_path: Path) -> None:
    read, expected = read_ward(table(tmp_path)), ward()
    assert read.untold == 1
    assert read.ward.subject == expected.subject
    for name in ("rows", "time", "score"):
        assert np.array_equal(getattr(read.ward.watched, name), getattr(expected.watched, name))
    for name in ("count", "onset", "end"):
        assert np.array_equal(getattr(read.ward.events, name), getattr(expected.events, name))


def test_scores_without_labels_need_onsets(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("stay,hour,score,care_unit\na,1,0.5,north\na,2,0.5,north\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match=r"scores\.csv: no column label, and no table of onsets"):
        read_ward(path)
    (tmp_path / "onsets.csv").write_text("stay,onset\na,9\n", encoding="utf-8")
    assert read_ward(path, tmp_path / "onsets.csv").ward.unit == ("north",)


@pytest.mark.parametrize(
    ("label", "why"),
    [("0", "label is 0 in every row"), ("1", "positive from their first row, they tell no onset")],
)
def test_scores_that_tell_no_event_are_refused_by_name(tmp_path: Path, label: str, why: str) -> None:
    path, onsets = tmp_path / "scores.csv", tmp_path / "onsets.csv"
    path.write_text(f"stay,hour,score,label\na,1,0.5,{label}\nb,1,0.5,{label}\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=rf"scores\.csv: no event of any of 2 stays: {why}"):
        read_ward(path)
    onsets.write_text("stay,onset\na,\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"onsets\.csv: no positive subject: no onset of any of 2 stays"):
        read_ward(path, onsets)


def test_the_command_writes_the_policy_and_says_how_it_does(tmp_path: Path) -> None:
    out = tmp_path / "new" / "policy.json"
    arguments = ["choose-policy", str(table(tmp_path)), "--alarms-per-bed-day", "0.6", "--out", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert "highest recall within 0.6 alarms a bed and day on validation stays" in done.stdout
    assert "1 stays are left out" in done.stderr
    written = json.loads(out.read_text(encoding="utf-8"))
    assert AlarmPolicy.from_json(written) == choose_policy(ward(), 0.6, WINDOW).policy
    assert written["chosen"]["maximised"] == "recall"


def test_the_command_says_which_events_of_a_table_no_alarm_can_foretell(tmp_path: Path) -> None:
    ill = np.flatnonzero(drawn()[1])
    rows = [f"s{stay},{99 if stay == ill[-1] else ONSET}\n" for stay in ill]
    (tmp_path / "onsets.csv").write_text("stay,onset_hour\n" + "".join(rows), encoding="utf-8")
    told = [str(table(tmp_path)), "--onsets", str(tmp_path / "onsets.csv"), "--alarms-per-bed-day", "0.6"]
    done = CliRunner().invoke(app, ["choose-policy", *told, "--out", str(tmp_path / "policy.json")])
    assert done.exit_code == 0
    assert f"1 of {len(ill)} events begin more than 8 h after the last score of their stay" in done.stderr
    assert f"onsets.csv: row {len(ill)}, of stay s{ill[-1]}" in done.stderr


def test_onsets_in_hours_keep_the_hour_of_the_day_that_scores_tell(tmp_path: Path) -> None:
    """As `prodrome score` writes both and `prodrome label` either."""
    scores, hours, dates = (tmp_path / f"{name}.csv" for name in ("scores", "hours", "dates"))
    rows = [f"a,2026-03-29T{12 + hour}:30:00Z,{hour},0.5\n" for hour in (1, 2)]
    rows += [f"b,2026-03-30T0{hour}:15:00Z,{hour},0.5\n" for hour in (1, 2, 3)]
    scores.write_text("stay,time,hour,score\n" + "".join(rows), encoding="utf-8")
    hours.write_text("stay,onset_hour,end_hour\na,2.5,3\nb,,\n", encoding="utf-8")
    dates.write_text("stay,onset,end\na,2026-03-29T15:00Z,2026-03-29T15:30Z\nb,,\n", encoding="utf-8")
    by_hours, by_dates = (read_ward(scores, onsets).ward for onsets in (hours, dates))
    assert by_hours.dated
    assert by_hours.bed_hours.tolist() == by_dates.bed_hours.tolist()
    assert (by_hours.bed_hours[13], by_hours.bed_hours[3]) == (0.5, 1.0)
    for name in ("onset", "end"):
        assert getattr(by_hours.events, name).tolist() == getattr(by_dates.events, name).tolist()
    scores.write_text(scores.read_text(encoding="utf-8").replace("T02:15", "T02:20"), encoding="utf-8")
    assert not read_ward(scores, hours).ward.dated  # dates and hours disagree


def test_subjects_are_split_whole_and_a_table_that_does_not_tell_them_is_named(tmp_path: Path) -> None:
    here = pd.read_parquet(table(tmp_path))
    assert read_ward(tmp_path / "predictions.parquet").by_subject
    without = here.drop(columns="subject_id")
    without.to_parquet(tmp_path / "without.parquet")
    read = read_ward(tmp_path / "without.parquet")
    assert not read.by_subject
    assert read.ward.subject[:2] == ("s0", "s1")
    arguments = ["choose-policy", str(tmp_path / "without.parquet"), "--alarms-per-bed-day", "0.6"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "policy.json")])
    assert done.exit_code == 0
    assert "without.parquet: not every stay tells its subject" in done.stderr


def test_a_unit_column_that_says_nothing_gives_way_to_the_next(tmp_path: Path) -> None:
    here = pd.read_parquet(table(tmp_path)).assign(care_unit=None, site="north")
    here.to_parquet(tmp_path / "sites.parquet")
    assert set(read_ward(tmp_path / "sites.parquet").ward.unit) == {"north"}
    here["care_unit"] = ["MICU" if stay == "s3" else None for stay in here["stay_id"]]
    here.to_parquet(tmp_path / "units.parquet")
    assert set(read_ward(tmp_path / "units.parquet").ward.unit) == {"MICU", "not recorded"}


def test_a_table_of_several_models_is_refused_by_their_names(tmp_path: Path) -> None:
    here = pd.read_parquet(table(tmp_path))
    pd.concat([here.assign(model=name) for name in ("a", "b")]).to_parquet(tmp_path / "two.parquet")
    with pytest.raises(UnreadableSource, match=r"two\.parquet: scores of several models, a, b; expected"):
        read_ward(tmp_path / "two.parquet")

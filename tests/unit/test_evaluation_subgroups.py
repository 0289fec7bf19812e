"""Subgroups: figures of the group's own stays, a dash with its reason where a group can have none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.clinical.alarm import AlarmPolicy
from models.clinical.errors import UnreadableSource
from pipelines.evaluate.figures import burden_of
from pipelines.evaluate.scored import Evidence, Scores
from pipelines.evaluate.settings import SubgroupSettings
from pipelines.evaluate.subgroups import GroupFigures, by_group, groups
from pipelines.metrics.bootstrap import Bootstrap, Interval
from pipelines.metrics.burden import burden_figures

HOURS, STAYS = 24, 40
POLICY = AlarmPolicy(0.5)


@pytest.fixture
def evidence() -> Evidence:
    """Women's events at 20 h are foretold at 14 h, men's at 18 h; the last ten stays have no event."""
    sex = np.array(["female", "male"] * (STAYS // 2))
    septic = np.arange(STAYS) < 30
    score = np.full((STAYS, HOURS), 0.1)
    for stay in np.flatnonzero(septic):
        score[stay, (13 if sex[stay] == "female" else 17) :] = 0.9
    label = np.tile(np.arange(1, HOURS + 1) >= 14, (STAYS, 1)) & septic[:, None]
    stays = pd.DataFrame(
        {
            "site": "A",
            "stay_id": [f"s{stay}" for stay in range(STAYS)],
            "subject_id": [f"p{stay}" for stay in range(STAYS)],
            "age_years": np.where(septic, 50.0, np.nan),
            "sex": sex,
            "care_unit": None,
            "onset_hour": np.where(septic, 20.0, np.nan),
            "recognised_hour": np.nan,
        }
    )
    rows = np.full(STAYS, HOURS, dtype=np.int64)
    hour = np.tile(np.arange(1, HOURS + 1), STAYS)
    value = score.ravel()
    return Evidence(stays, rows, hour, label.ravel().astype(np.int8), {"m": Scores(value, value)})


def figures(evidence: Evidence, **changes: object) -> dict[tuple[str, str], GroupFigures]:
    burden = burden_of(evidence, "m", POLICY, 12.0)
    settings = SubgroupSettings(**({"fewest_stays": 5} | changes))  # type: ignore[arg-type]
    found = by_group(
        evidence, "m", burden, window_hours=12.0, settings=settings, bootstrap=Bootstrap(draws=20)
    )
    return {(one.by, one.group): one for one in found}


def test_delay_is_counted_from_when_the_window_opens(evidence: Evidence) -> None:
    found = figures(evidence)
    assert found["sex", "female"].delay_hours.value == 14 - (20 - 12)
    assert found["sex", "male"].delay_hours.value == 18 - (20 - 12)
    assert found["sex", "male"].delay_hours.interval == Interval(10.0, 10.0)


def test_a_group_has_the_figures_of_its_stays_alone(evidence: Evidence) -> None:
    found = figures(evidence)["sex", "female"]
    alone = evidence.of((evidence.stays["sex"] == "female").to_numpy())
    expected = burden_figures(burden_of(alone, "m", POLICY, 12.0))
    assert found.sensitivity.value == expected.outside.recall == 1.0
    assert found.precision.value == expected.outside.precision
    assert expected.alarms_per_bed_day is not None
    assert found.alarms_per_100_patient_days.value == pytest.approx(100 * expected.alarms_per_bed_day)
    assert (found.stays, found.events) == (20, 15)


def test_a_group_of_one_class_has_no_sensitivity_and_says_so(evidence: Evidence) -> None:
    well = figures(evidence)["age_band", "not recorded"]
    assert (well.events, well.sensitivity.value, well.delay_hours.value, well.auroc.value) == (0, *[None] * 3)
    assert "no event in this group" in well.note
    assert figures(evidence)["age_band", "45 to 65"].note == "every stay has an event"


def test_every_dash_has_its_reason(evidence: Evidence) -> None:
    """The first ten stays are calm, their events not foretold; of the last ten nobody falls ill."""
    value = evidence.scores["m"].value.copy()
    value[: 10 * HOURS] = 0.1
    stays = evidence.stays.assign(care_unit=["east"] * 10 + ["mid"] * 20 + ["west"] * 10)
    found = figures(replace(evidence, stays=stays, scores={"m": Scores(value, value)}))
    east, mid, west = (found["care_unit", unit] for unit in ("east", "mid", "west"))
    assert (east.precision.value, east.delay_hours.value, east.sensitivity.value) == (None, None, 0.0)
    foretold, compared, alarmed = east.note.split("; ")
    assert (foretold, compared) == ("no event foretold: no delay", "every stay has an event")
    assert alarmed == "no alarm outside events: no precision"
    assert mid.note == "every stay has an event"
    assert west.note == f"no event in this group: no sensitivity, no delay, no AUROC; {alarmed}"


def test_groups_come_in_the_order_of_their_numbers(evidence: Evidence) -> None:
    age = np.resize([3.0, 12.0, 40.0, 101.0, np.nan], STAYS)
    unit = np.resize(["ward 10", "ward 9", "north"], STAYS)
    told = replace(evidence, stays=evidence.stays.assign(age_years=age, care_unit=unit))
    found = list(figures(told, age_edges=(5.0, 18.0, 100.0)))
    bands = ["under 5", "5 to 18", "18 to 100", "100 on", "not recorded"]
    assert [group for by, group in found if by == "age_band"] == bands
    assert [group for by, group in found if by == "care_unit"] == ["north", "ward 9", "ward 10"]


def test_a_small_group_has_no_figure(evidence: Evidence) -> None:
    found = figures(evidence, fewest_stays=25)
    assert found["sex", "male"].sensitivity.value is None
    assert found["sex", "male"].note == "fewer than 25 stays"
    assert found["age_band", "45 to 65"].sensitivity.value == 1.0


def test_a_table_adds_its_columns(evidence: Evidence, tmp_path: Path) -> None:
    table = tmp_path / "facts.csv"
    table.write_text("stay,ethnicity\ns0,one\ns1,other\ns2,\n", encoding="utf-8")
    found = groups(evidence.stays, SubgroupSettings(table=table))["ethnicity"].tolist()
    assert found[:4] == ["one", "other", "not recorded", "not recorded"]
    table.write_text("stay,ethnicity\ns0,one\ns0,other\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match=r"facts\.csv: row 2 names stay s0 again"):
        groups(evidence.stays, SubgroupSettings(table=table))
    table.write_text("stay,ethnicity\ns0,one\ns1,other,third\ns2,one\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match=r"facts\.csv: row 2 has 3 cells; expected 2"):
        groups(evidence.stays, SubgroupSettings(table=table))
    table.write_text("stay,ethnicity\nS0,one\n", encoding="utf-8")
    with pytest.raises(UnreadableSource, match=r"facts\.csv: names none of the 40 stays"):
        groups(evidence.stays, SubgroupSettings(table=table))


@pytest.mark.parametrize(("age", "band"), [(44.9, "under 45"), (45.0, "45 to 65"), (80.0, "80 on")])
def test_an_age_belongs_to_one_band(age: float, band: str) -> None:
    stays = pd.DataFrame({"age_years": [age], "sex": ["male"], "care_unit": [None]})
    assert groups(stays, SubgroupSettings())["age_band"].tolist() == [band]

"""The onset of sepsis on plain arrays, and the label of a stay with its audit trail."""

from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from models.clinical.interventions import intervention_table
from models.clinical.stay import Stay, observation_table
from pipelines.label import presets, sepsis3
from pipelines.label.presets import CINC2019, DEFAULT, PRESETS, RICU, YAIB, Baseline, Missing, Sepsis3Options
from pipelines.label.sepsis3 import LABEL_COLUMNS, NO_ONSET, Onset
from pipelines.label.suspicion import SuspicionRule

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
NAN = float("nan")


@pytest.mark.parametrize(
    ("sofa", "suspected", "hour"),
    [
        ([0, 0, 1, 2, 3], [2], 3),
        ([2, 2, 2, 2], [1], None),  # high, but no higher than before
        ([4, 1, 1, 3], [0], 3),
        ([0, 2], [], None),
        ([], [1], None),
        ([0] * 50 + [2], [26], 50),  # 24 h after the suspicion, inclusive
        ([0] * 51 + [2], [26], None),
        ([0] * 51 + [2], [26.9], None),
        ([0] * 51 + [2], [27.0], 51),
        ([0, 2] + [2] * 60, [48], 1),
        ([0, 2] + [2] * 60, [49], None),  # the window begins at hour 1 and nothing rises in it
        ([0, 2] + [2] * 60, [48.5], None),
        ([0, 1, 2], [-20], 2),  # suspected before the admission
        ([0, 1, 2], [-22.5], None),
        ([0, 1, 2], [500], None),
        ([NAN, 0, NAN, NAN, 2], [3], 4),
        ([NAN, 2, NAN, 2], [3], None),
        ([NAN, NAN], [1], None),
        ([0, 3], [NAN], None),
    ],
)
def test_the_first_rise_in_the_window(sofa: list[float], suspected: list[float], hour: int | None) -> None:
    assert sepsis3.onset(sofa, suspected).hour == hour
    assert sepsis3.onset(np.array(sofa, dtype=float), np.array(suspected)).hour == hour


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        ("cumulative_minimum", Onset(30, 30, 60, 1, 20, 2)),
        ("window_start", Onset(40, 40, 60, 2, 12, 2)),
        ("minimum_24h", Onset(30, 30, 60, 1, 20, 2)),
        ("zero", Onset(12, 12, 60, 0, None, 2)),
    ],
)
def test_the_baselines(baseline: Baseline, expected: Onset) -> None:
    sofa = np.full(90, 2.0)
    sofa[:5] = 1  # before the window of a suspicion at 60, and more than 24 h before what follows
    sofa[18:21], sofa[30:35], sofa[40:] = 1, 3, 4
    assert sepsis3.onset(sofa, [60], baseline) == expected


def test_the_minimum_of_24_hours_forgets_and_looks_before_the_window() -> None:
    slow = np.repeat([0.0, 1.0, 2.0], 24)
    assert sepsis3.onset(slow, [40], "minimum_24h").hour is None
    assert sepsis3.onset(slow, [40]).hour == 48
    early = np.array([0.0] * 12 + [2.0] * 80)
    assert sepsis3.onset(early, [60], "minimum_24h").hour == 12
    assert sepsis3.onset(early, [61], "minimum_24h").hour == 13  # the hours 0 … 11 are still its last day
    assert sepsis3.onset(early, [61]).hour is None


def test_of_several_suspicions_the_earliest_onset_counts() -> None:
    sofa = [0.0] * 30 + [2.0] * 60 + [5.0] * 60
    assert sepsis3.onset(sofa, [100, 20, 25]) == Onset(30, 30, 20, 0, 29, 2)
    assert sepsis3.onset(sofa, [100, 2]).suspicion_hour == 100  # the first led to nothing
    assert sepsis3.onset(sofa, [100, 2], suspicions="first") == NO_ONSET


def test_the_onset_may_be_the_earlier_of_suspicion_and_rise() -> None:
    sofa = [0.0] * 10 + [2.0] * 10
    assert sepsis3.onset(sofa, [4.5], onset_at="earlier") == Onset(4, 10, 4.5, 0, 9, 2)
    assert sepsis3.onset(sofa, [14.5], onset_at="earlier").hour == 10
    assert sepsis3.onset(sofa, [-3.2], onset_at="earlier").hour == -4


def test_window_and_rise_are_options() -> None:
    sofa = [0.0] * 10 + [2.0] * 10 + [3.0] * 10
    assert sepsis3.onset(sofa, [12], before_hours=1).hour is None
    assert sepsis3.onset(sofa, [12], before_hours=3).hour == 10
    assert sepsis3.onset(sofa, [12], rise=3).hour == 20
    assert sepsis3.onset(sofa, [12], rise=3, after_hours=7.5).hour is None
    assert sepsis3.onset(sofa, [500], before_hours=float("inf")).hour == 10
    assert sepsis3.onset(sofa, [-90], after_hours=float("inf")).hour == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": "lowest"}, "baseline 'lowest' is unknown"),
        ({"before_hours": -1}, "before_hours -1 is negative"),
        ({"sofa_hourly": [[1, 2]]}, "2 dimensions"),
        ({"sofa_hourly": [1, float("inf")]}, "infinite"),
    ],
)
def test_what_is_no_option_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        sepsis3.onset(**({"sofa_hourly": [1], "suspicion_hours": [1]} | arguments))  # type: ignore[arg-type]


def at(hour: float) -> datetime:
    return ADMITTED + timedelta(hours=hour)


def stay_of(seen: list[tuple[float, str, float]], doses: list[float], cultures: list[float]) -> Stay:
    time = [at(row[0]) for row in seen]
    kinds = ["antibiotic"] * len(doses) + ["culture"] * len(cultures)
    starts = [at(hour) for hour in [*doses, *cultures]]
    return Stay(
        "icu-7",
        "s-7",
        ADMITTED,
        observation_table(time, time, [row[1] for row in seen], [row[2] for row in seen]),
        interventions=intervention_table(starts, starts, kinds, [NAN] * len(kinds), [""] * len(kinds)),
    )


SEPTIC = stay_of(
    [(1.0, "platelets", 200), (1.0, "creatinine", 2.1), (20.5, "platelets", 80), (21.0, "creatinine", 2.2),
     (30.0, "creatinine", 0.9)],
    [25.25], [24.5],
)  # fmt: skip


def test_a_label_says_when_against_what_and_which_organ() -> None:
    found = sepsis3.label(SEPTIC)
    assert found.as_row() == {
        "stay": "icu-7",
        "suspicion_time": at(24.5),
        "sofa_time": at(1),
        "onset": at(1),
        "onset_hour": 1,
        "baseline": 0.0,
        "delta": 2.0,
        "components": '{"renal": 2.0}',
        "missing": '["respiration", "liver", "cardiovascular", "nervous"]',
    }
    assert tuple(found.as_row()) == LABEL_COLUMNS


def test_unknown_before_the_first_measurement_is_no_rise() -> None:
    found = sepsis3.label(SEPTIC, replace(DEFAULT, missing="unknown"))
    assert (found.onset_hour, found.baseline, found.delta) == (20, 2, 2)
    assert found.components == {"coagulation": 2}
    well_before = sepsis3.label(SEPTIC, replace(DEFAULT, missing="unknown", baseline="zero"))
    assert (well_before.onset_hour, well_before.components) == (1, {"renal": 2})


def test_the_challenge_of_2019_takes_the_earlier_time_and_a_treatment_of_72_hours() -> None:
    assert sepsis3.label(SEPTIC, CINC2019).onset is None
    treated = replace(SEPTIC, interventions=stay_of([], [12.25, 30, 50, 70], [12.5]).interventions)
    found = sepsis3.label(treated, CINC2019)
    assert (found.suspicion_time, found.sofa_time, found.onset) == (at(12.25), at(1), at(1))
    late = replace(treated, observations=SEPTIC.observations.iloc[2:])  # from hour 20 on
    found = sepsis3.label(late, CINC2019)
    assert (found.sofa_time, found.onset, found.onset_hour) == (at(20), at(12.25), 12)


def test_without_an_onset_a_label_keeps_the_first_suspicion() -> None:
    well = stay_of([(1.0, "platelets", 200), (60.0, "platelets", 210)], [30, 90], [29, 89])
    found = sepsis3.label(well)
    assert (found.suspicion_time, found.onset, found.onset_hour, found.components) == (at(29), None, None, {})
    never = sepsis3.label(stay_of([(1.0, "platelets", 20)], [], []))
    assert (never.suspicion_time, never.onset) == (None, None)


def test_a_stay_without_anything_has_a_label() -> None:
    found = sepsis3.label(Stay("empty", "s", ADMITTED))
    assert asdict(found) == asdict(sepsis3.Sepsis3Label("empty", missing=found.missing))
    assert len(found.missing) == 6


def test_presets_by_name() -> None:
    assert presets.preset("cinc2019") == CINC2019
    assert (CINC2019.before_hours, CINC2019.after_hours) == (24, 12)
    assert {RICU.suspicions, YAIB.suspicions} == {"first"}
    assert YAIB.suspicion_rule == "and_72h"
    assert list(PRESETS) == ["default", "cinc2019", "ricu", "yaib"]
    with pytest.raises(InvalidInput, match="expected one of default, cinc2019, ricu, yaib"):
        presets.preset("sepsis2")


def test_the_guide_names_every_option_and_choice() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "label.md").read_text(encoding="utf-8")
    words = [field.name for field in fields(Sepsis3Options)]
    words += [choice for kind in (SuspicionRule, Baseline, Missing) for choice in get_args(kind)]
    words += [*PRESETS, *LABEL_COLUMNS]
    assert [word for word in words if f"`{word}`" not in guide] == []

"""What holds for every label: better values, more components, order, duplicates, files, time, windows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import models
from models.clinical.interventions import INTERVENTION_COLUMNS, empty_interventions, intervention_table
from models.clinical.stay import OBSERVATION_COLUMNS, Stay, observation_table
from models.rules import NEWS2, QSOFA, SIRS
from pipelines.label import sepsis3, sofa, suspicion
from pipelines.label.presets import PRESETS, Baseline, Sepsis3Options
from pipelines.label.sofa import COMPONENTS, SofaDefinition

ADMITTED = datetime(2026, 3, 1, tzinfo=UTC)

# what is measured in whole units, so that ties and thresholds are met often: least, most, better is higher
MEASURED = {
    "pao2": (40, 300, True),
    "fio2": (21, 100, False),  # percent here
    "platelets": (5, 200, True),
    "bilirubin_total": (0, 15, False),
    "mean_arterial_pressure": (50, 90, True),
    "gcs_total": (3, 15, True),
    "creatinine": (0, 6, False),
    "urine_output": (0, 120, True),
}
# what decides how the others are read
SETTINGS = {"total_peep": (0, 5), "oxygen_flow": (0, 3), "body_weight": (50, 90)}
DRUGS = ("norepinephrine", "dopamine", "dobutamine", "vasopressin")
MARKS = ("antibiotic", "culture", "invasive_ventilation", "renal_replacement")

Row = tuple[int, str, int]  # half hour of stay, variable, value
Run = tuple[int, int, str, int]  # half hour of stay, half hours, kind, rate


def readings(ranges: dict[str, tuple[int, ...]], most: int) -> st.SearchStrategy[list[Row]]:
    row = st.sampled_from(sorted(ranges)).flatmap(
        lambda name: st.tuples(
            st.integers(0, 120), st.just(name), st.integers(ranges[name][0], ranges[name][1])
        )
    )
    return st.lists(row, max_size=most)


ROWS = st.builds(
    lambda measured, settings, urine: (
        measured + settings + [(2 * h, "urine_output", urine) for h in range(urine)]
    ),
    readings(MEASURED, 25),  # type: ignore[arg-type]
    readings(SETTINGS, 4),  # type: ignore[arg-type]
    st.integers(0, 50),
)
RUNS = st.lists(
    st.tuples(st.integers(-20, 110), st.integers(0, 40), st.sampled_from(DRUGS + MARKS), st.integers(0, 20)),
    max_size=12,
)
OPTIONS = st.one_of(
    st.sampled_from(list(PRESETS.values())),
    st.builds(
        Sepsis3Options,
        suspicion_rule=st.sampled_from(["and", "antibiotics"]),
        baseline=st.sampled_from(["cumulative_minimum", "window_start", "minimum_24h", "zero"]),
        missing=st.sampled_from(["zero", "unknown"]),
        definition=st.sampled_from(["sofa", "sofa2"]),
    ),
)
quick = settings(max_examples=30)
definitions = pytest.mark.parametrize("definition", ["sofa", "sofa2"])


def stay_of(rows: list[Row], runs: list[Run], admitted: datetime = ADMITTED) -> Stay:
    def at(half_hour: int) -> datetime:
        return admitted + timedelta(minutes=30 * half_hour)

    time = [at(row[0]) for row in rows]
    values = [row[2] / 100 if row[1] == "fio2" else row[2] for row in rows]
    observations = observation_table(time, time, [row[1] for row in rows], values)
    interventions = intervention_table(
        [at(run[0]) for run in runs],
        [at(run[0] + run[1]) for run in runs],
        [run[2] for run in runs],
        [run[3] / 50 if run[2] == "norepinephrine" else run[3] for run in runs],
        [""] * len(runs),
    )
    return Stay("s", "s", admitted, observations, interventions=interventions, discharged_at=at(121))


@definitions
@quick
@given(rows=ROWS, runs=RUNS, which=st.integers(0, 1000), by=st.integers(1, 80))
def test_no_component_rises_when_a_value_improves(
    definition: SofaDefinition, rows: list[Row], runs: list[Run], which: int, by: int
) -> None:
    candidates = [index for index, row in enumerate(rows) if row[1] in MEASURED]
    assume(candidates)
    index = candidates[which % len(candidates)]
    half_hour, name, value = rows[index]
    least, most, higher = MEASURED[name]
    better = min(value + by, most) if higher else max(value - by, least)
    # during ventilation a coma scale that gets better may become one that can be tested at all
    assume(name != "gcs_total" or not any(run[2] == "invasive_ventilation" for run in runs))
    # two urine entries of one time and one value are one entry: an improved one may become such a repetition
    assume((half_hour, name, better) not in rows and rows.count(rows[index]) == 1)
    improved = [*rows[:index], (half_hour, name, better), *rows[index + 1 :]]
    before = sofa.hourly(stay_of(rows, runs), definition=definition)
    after = sofa.hourly(stay_of(improved, runs), definition=definition)
    assert (np.nan_to_num(after.components) <= np.nan_to_num(before.components)).all()
    assert (after.total <= before.total).all()


@definitions
@quick
@given(rows=ROWS, runs=RUNS, organ=st.sampled_from(COMPONENTS))
def test_measuring_one_component_changes_no_other(
    definition: SofaDefinition, rows: list[Row], runs: list[Run], organ: str
) -> None:
    own = {
        "respiration": ("pao2", "fio2"),
        "coagulation": ("platelets",),
        "liver": ("bilirubin_total",),
        "cardiovascular": ("mean_arterial_pressure",),
        "nervous": ("gcs_total",),
        "renal": ("creatinine", "urine_output"),
    }[organ]
    without = sofa.hourly(stay_of([row for row in rows if row[1] not in own], runs), definition=definition)
    measured = sofa.hourly(stay_of(rows, runs), definition=definition)
    others = [index for index, name in enumerate(COMPONENTS) if name != organ]
    np.testing.assert_array_equal(measured.components[:, others], without.components[:, others])
    assert (measured.total >= without.total).all()
    assert (measured.total == np.nansum(measured.components, axis=1)).all()


@quick
@given(rows=ROWS, runs=RUNS, options=OPTIONS, order=st.randoms(use_true_random=False), data=st.data())
def test_a_label_knows_no_order_no_duplicates_and_no_files(
    rows: list[Row], runs: list[Run], options: Sepsis3Options, order: object, data: st.DataObject
) -> None:
    expected = sepsis3.label(stay_of(rows, runs), options)
    shuffled, shuffled_runs = list(rows), list(runs)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    order.shuffle(shuffled_runs)  # type: ignore[attr-defined]
    repeated = shuffled + shuffled[: data.draw(st.integers(0, len(rows)))]
    assert sepsis3.label(stay_of(repeated, shuffled_runs + shuffled_runs[:3]), options) == expected
    cut, cut_runs = data.draw(st.integers(0, len(rows))), data.draw(st.integers(0, len(runs)))
    parts = stay_of(rows[:cut], runs[:cut_runs]), stay_of(rows[cut:], runs[cut_runs:])
    seen = pd.concat([part.observations for part in parts[::-1]])
    done = pd.concat([part.interventions for part in parts])
    joined = replace(
        parts[0],
        observations=observation_table(*(seen[name] for name in OBSERVATION_COLUMNS if name in _GIVEN)),
        interventions=intervention_table(*(done[name] for name in INTERVENTION_COLUMNS)),
    )
    assert sepsis3.label(joined, options) == expected


_GIVEN = ("time", "known_at", "variable", "value")


@quick
@given(rows=ROWS, runs=RUNS, options=OPTIONS, seconds=st.integers(-(10**9), 10**9))
def test_a_shift_in_time_shifts_the_label(
    rows: list[Row], runs: list[Run], options: Sepsis3Options, seconds: int
) -> None:
    shift = timedelta(seconds=seconds)
    here = sepsis3.label(stay_of(rows, runs), options)
    there = sepsis3.label(stay_of(rows, runs, ADMITTED + shift), options)
    assert there == replace(
        here,
        suspicion_time=here.suspicion_time and here.suspicion_time + shift,
        sofa_time=here.sofa_time and here.sofa_time + shift,
        onset=here.onset and here.onset + shift,
    )


@quick
@given(rows=ROWS, runs=RUNS, options=OPTIONS)
def test_the_audit_trail_adds_up(rows: list[Row], runs: list[Run], options: Sepsis3Options) -> None:
    stay = stay_of(rows, runs)
    found = sepsis3.label(stay, options)
    assert set(found.components).isdisjoint(found.missing)
    if found.onset is None:
        assert (found.sofa_time, found.delta, found.components) == (None, None, {})
        return
    assert found.suspicion_time is not None
    assert found.sofa_time is not None
    assert found.delta is not None
    assert found.delta >= options.rise
    assert sum(found.components.values()) == found.delta
    after = (found.sofa_time - found.suspicion_time) / timedelta(hours=1)
    assert -options.before_hours <= after <= options.after_hours
    assert ADMITTED <= found.sofa_time < ADMITTED + timedelta(hours=61)
    early = options.onset_at == "earlier"
    assert found.onset == (min(found.sofa_time, found.suspicion_time) if early else found.sofa_time)
    assert found.onset_hour == (found.onset - ADMITTED) // timedelta(hours=1)


HOURS = st.lists(st.integers(-40, 300), max_size=8)
POINTS = st.lists(st.one_of(st.just(float("nan")), st.integers(0, 8)), max_size=120)


@quick
@given(antibiotics=HOURS, cultures=HOURS, more=HOURS)
def test_more_antibiotics_and_cultures_take_no_suspicion_away(
    antibiotics: list[int], cultures: list[int], more: list[int]
) -> None:
    both = set(suspicion.hours(antibiotics, cultures)) | set(suspicion.hours(more, cultures))
    assert set(suspicion.hours(antibiotics + more, cultures)) >= both
    assert set(suspicion.hours(antibiotics, cultures + more)) >= set(suspicion.hours(antibiotics, cultures))
    assert both <= {*antibiotics, *more, *cultures}


@quick
@given(cultures=HOURS, more=HOURS, antibiotics=HOURS)
def test_the_suspicions_of_a_union_of_cultures_are_those_of_either(
    cultures: list[int], more: list[int], antibiotics: list[int]
) -> None:
    either = {*suspicion.hours(antibiotics, cultures), *suspicion.hours(antibiotics, more)}
    assert suspicion.hours(antibiotics, cultures + more) == sorted(either)


@quick
@given(
    points=POINTS,
    suspected=HOURS,
    baseline=st.sampled_from(["cumulative_minimum", "window_start", "minimum_24h", "zero"]),
)
def test_an_onset_lies_in_the_window_of_a_suspicion_and_is_the_earliest(
    points: list[float], suspected: list[int], baseline: Baseline
) -> None:
    found = sepsis3.onset(points, suspected, baseline)
    alone = [sepsis3.onset(points, [hour], baseline).hour for hour in suspected]
    assert found.hour == min((hour for hour in alone if hour is not None), default=None)
    if found.hour is not None:
        assert found.suspicion_hour is not None
        assert found.suspicion_hour - 48 <= found.hour <= found.suspicion_hour + 24
        assert found.baseline is not None
        assert points[found.hour] - found.baseline == found.delta


@quick
@given(rows=ROWS, runs=RUNS)
def test_no_rule_reads_what_defines_the_label(rows: list[Row], runs: list[Run]) -> None:
    stay = stay_of(rows, runs)
    bare = replace(stay, interventions=empty_interventions())
    for rule in (NEWS2(), QSOFA(), SIRS()):
        np.testing.assert_array_equal(rule.score(stay).value, rule.score(bare).value)


def test_no_model_names_the_interventions() -> None:
    folder = Path(models.__file__).parent
    sources = [path for path in folder.rglob("*.py") if "clinical" not in path.parts]
    assert len(sources) > 10
    assert not [path.name for path in sources if "intervention" in path.read_text(encoding="utf-8")]

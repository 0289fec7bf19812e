"""The DTW ensemble learnt from a handful of stays: what it says, of whom, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.score import ScoreStatus
from models.clinical.stay import GRID_STEP, LabelledStay, Stay, observation_table
from models.dtw.ensemble import Voting
from models.dtw.index import ARRAYS
from models.dtw_knn import DTWKNN, DTWConfig
from models.dtw_learning import learn
from models.dtw_metric import Descent
from models.dtw_recruiting import Recipe, remembered
from models.mgp.standardise import VARIABLES, Standardisation

from .conftest import ADMITTED

CONFIG = DTWConfig(hours=6, voting=Voting(5, 2, combination="root_mean_square", radius_hours=2))
RECIPE = Recipe(cases=40, controls=40, tuning_hours=150, metric_hours=80, descent=Descent(steps=40))
HOURS = 24


def labelled(number: int) -> LabelledStay:
    """Hourly vital signs; in every third stay heart rate rises and pressure falls towards an onset."""
    random = np.random.default_rng(number)
    onset = int(random.integers(14, HOURS)) if number % 3 == 0 else None
    sick = np.zeros(HOURS) if onset is None else np.clip((np.arange(HOURS) - onset + 8) / 8, 0, 1)
    columns = {
        "heart_rate": 80 + 40 * sick + 4 * random.normal(size=HOURS),
        "respiratory_rate": 16 + 10 * sick + 2 * random.normal(size=HOURS),
        "systolic_pressure": 120 - 30 * sick + 6 * random.normal(size=HOURS),
        "oxygen_saturation": 97 + random.normal(size=HOURS),
    }
    hours = [ADMITTED + timedelta(minutes=60 * hour + 20) for hour in range(HOURS)] * len(columns)
    names = np.repeat(list(columns), HOURS)
    table = observation_table(hours, hours, names, np.concatenate(list(columns.values())))
    stay = Stay(f"stay-{number}", f"subject-{number}", ADMITTED, table)
    label = np.zeros(HOURS, np.int8)
    if onset is not None:
        label[onset - 7 :] = 1
    return LabelledStay(stay, np.arange(1, HOURS + 1), label)


TRAIN = [labelled(number) for number in range(36)]
VALIDATION = [labelled(number) for number in range(100, 124)]
SICK, WELL = labelled(300).stay, labelled(202).stay
NOW = ADMITTED + HOURS * GRID_STEP


@pytest.fixture(scope="module")
def model() -> DTWKNN:
    return DTWKNN(CONFIG, learn(CONFIG, TRAIN, VALIDATION, RECIPE))


def test_it_learns_who_is_about_to_deteriorate(model: DTWKNN) -> None:
    sick, well = model.score(SICK).value[-1], model.score(WELL).value[-1]
    assert sick > model.threshold > well
    assert model.learnt.training["validation"]["auroc"] > 0.8


def test_references_tell_their_onset(model: DTWKNN) -> None:
    index = model.learnt.index
    assert set(index.onset_hours[index.outcome == 1].tolist()) <= {0.0, 2.0, 4.0, 6.0}
    assert np.isnan(index.onset_hours[index.outcome == 0]).all()
    assert (index.stays == 1).all()


def test_controls_are_of_stays_that_never_become_septic(standardisation: Standardisation) -> None:
    septic = [one for one in TRAIN if one.label.any()]
    with pytest.raises(InvalidInput, match="and 0 controls"):
        remembered(CONFIG, septic, standardisation, RECIPE)


def test_a_stay_positive_from_its_first_row_is_a_case_whose_onset_nobody_knows(
    standardisation: Standardisation,
) -> None:
    first = next(n for n, one in enumerate(TRAIN) if one.label.any())
    untold = [
        replace(one, label=np.ones_like(one.label)) if n == first else one for n, one in enumerate(TRAIN)
    ]
    many = replace(RECIPE, cases=10**6)
    told, partly = (remembered(CONFIG, stays, standardisation, many).index for stays in (TRAIN, untold))
    assert np.isfinite(told.onset_hours[told.outcome == 1]).all()
    assert np.isnan(partly.onset_hours[partly.outcome == 1]).sum() == len(RECIPE.onset_hours)


def test_fit_gives_a_new_model_of_the_same_configuration(model: DTWKNN) -> None:
    again = model.fit(TRAIN, VALIDATION)
    assert again.config == model.config
    assert again.version != model.version


def test_it_explains_by_what_the_score_would_be_without_a_variable(model: DTWKNN) -> None:
    told = model.explain(SICK, NOW).contributions
    assert told[0].variable in {"heart_rate", "respiratory_rate", "systolic_pressure"}
    assert told[0].share > 0
    only = SICK.observations[SICK.observations["variable"] != told[0].variable]
    rows = {name: only[name] for name in ("time", "known_at", "variable", "value")}
    rest = replace(SICK, observations=observation_table(**rows))
    without = model.score(rest, NOW).value[-1]
    assert model.score(SICK).value[-1] - told[0].share == pytest.approx(without, abs=1e-12)


def test_a_sick_stay_is_like_those_whose_onset_came(model: DTWKNN) -> None:
    told = model.patients_like(SICK, NOW, count=3)
    assert [one.outcome for one in told] == [True] * 3
    assert all(one.onset_hours is not None for one in told)
    assert [one.distance for one in told] == sorted(one.distance for one in told)
    for one in told:
        assert one.pairs[0] == (0, 0)
        assert one.pairs[-1] == (CONFIG.hours - 1, CONFIG.hours - 1)
        assert 0.0 < sum(share for _, share in one.shares) <= 1.0
        assert {name for name, _ in one.shares} <= set(VARIABLES)
    assert model.patients_like(WELL, NOW, count=1)[0].onset_hours is None


def test_without_a_score_there_is_no_explanation(model: DTWKNN) -> None:
    silent = NOW + 40 * GRID_STEP
    assert model.score(SICK, silent).status[-1] is ScoreStatus.INDETERMINATE
    assert model.explain(SICK, silent).contributions == ()
    assert model.patients_like(SICK, silent) == ()
    with pytest.raises(InvalidInput, match="no score at"):
        model.patients_like(SICK, ADMITTED)


def test_a_damaged_index_is_no_model(model: DTWKNN, tmp_path: Path) -> None:
    model.save(tmp_path)
    assert DTWKNN.load(tmp_path).version == model.version
    content = (tmp_path / ARRAYS).read_bytes()
    (tmp_path / ARRAYS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UnreadableSource, match="SHA-256"):
        DTWKNN.load(tmp_path)


def test_prototypes_are_means_of_enough_stays_and_of_none_twice(standardisation: Standardisation) -> None:
    recipe = replace(RECIPE, onset_hours=(0, 4), prototype_stays=5, controls=100)
    index = remembered(CONFIG, TRAIN, standardisation, recipe).index
    assert (index.stays >= 5).all()
    assert index.stays[index.outcome == 0].sum() <= sum((one.label == 0).any() for one in TRAIN)
    for lead in (0.0, 4.0):
        assert index.stays[index.onset_hours == lead].sum() <= sum(one.label.any() for one in TRAIN)
    config = replace(CONFIG, voting=Voting(2, 1, combination="root_mean_square"))
    learnt = DTWKNN(config, learn(config, TRAIN, VALIDATION, recipe))
    assert learnt.score(SICK).value[-1] > learnt.score(WELL).value[-1]


def test_no_case_is_no_model() -> None:
    with pytest.raises(InvalidInput, match="0 cases and"):
        learn(CONFIG, [one for one in TRAIN if not one.label.any()], VALIDATION, RECIPE)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"hours": 1}, "hours 1: at least 2 h"),
        ({"wide": ("urine",)}, "no group"),
        ({"single": False, "wide": ()}, "nobody votes"),
        ({"fading_hours": 0}, "at least"),
        ({"voting": Voting()}, "combination mean"),
    ],
)
def test_a_configuration_out_of_bounds_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        DTWConfig(**fields)  # type: ignore[arg-type]


def test_a_configuration_survives_json() -> None:
    assert DTWConfig.from_json(CONFIG.as_json()) == CONFIG
    assert DTWConfig.from_json({}) == DTWConfig()
    fewer = DTWConfig.from_json({"voting": {"neighbours": 7}})
    assert fewer.voting == replace(DTWConfig().voting, neighbours=7)
    with pytest.raises(TypeError):
        DTWConfig.from_json({"weeks": 1})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"controls": 0}, "controls 0: at least 1"),
        ({"metric_hours": 0}, "metric_hours 0: at least 2"),
        ({"prototype_stays": 1}, "prototype_stays 1"),
        ({"prototype_stays": -5}, "prototype_stays -5"),
        ({"onset_hours": (0, 0)}, "each once"),
    ],
)
def test_a_recipe_out_of_bounds_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Recipe(**fields)  # type: ignore[arg-type]

"""The contract of `models.base`, for every registered model: one suite, whatever the mathematics."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models import registry
from models.base import EarlyWarningModel, Inquirable
from models.clinical.score import ScoreSeries, ScoreStatus
from models.clinical.stay import GRID_STEP, OBSERVATION_COLUMNS, Stay, observation_table
from models.clinical.variables import CATALOGUE
from models.gru import GRUConfig
from models.mvpa.grid import GridMVPAConfig

from .conftest import TinyModel

ADMITTED = datetime(2026, 3, 1, 7, 13, tzinfo=UTC)
SPREAD = {
    "heart_rate": (50, 140),
    "respiratory_rate": (8, 35),
    "systolic_pressure": (80, 170),
    "oxygen_saturation": (85, 100),
    "temperature": (35, 40),
    "fio2": (0.21, 0.8),
    "wbc": (2, 20),
    "lactate": (0.5, 6),
}


TINY: dict[str, dict[str, object]] = {
    "smoothed": {"feed": "smoothed"},
    "carried": {"feed": "carried"},
    "attention": {"feed": "carried", "reader": GridMVPAConfig(width=4, inner=4, hours=6)},
    "recurrent": {"reader": GRUConfig(channels=6, receptive_hours=9)},
}


@pytest.fixture(scope="module", params=[*registry.names(), *TINY])
def source(request: pytest.FixtureRequest, tiny: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a model loads from: a registered name, or the folder of a tiny MGP-TCN of another kind."""
    if request.param not in TINY:
        return str(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    tiny(**TINY[request.param]).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(source: str) -> EarlyWarningModel:
    return registry.load(source)


def stay_of(seed: int, hours: int = 40, observations: int = 150, withdrawn_share: float = 0.05) -> Stay:
    """Irregular observations, none in the first two hours; some are known late, and some withdrawn again: in
    the moment they became known, within two hours, or on a grid hour.
    """
    rng = np.random.default_rng(seed)
    measured = rng.integers(2 * 3600, hours * 3600, observations)
    known = measured + np.where(rng.random(observations) < 0.3, rng.integers(0, 6 * 3600, observations), 0)
    names = rng.choice(list(SPREAD), observations)
    time, known_at = (
        [ADMITTED + timedelta(seconds=int(s)) for s in seconds] for seconds in (measured, known)
    )
    values = [rng.uniform(*SPREAD[name]) for name in names]
    until = known + rng.choice([0, 1800, 7200], observations)
    until = np.where(rng.random(observations) < 0.5, -(-until // 3600) * 3600, until)
    withdrawn = rng.random(observations) < withdrawn_share
    ends = [
        ADMITTED + timedelta(seconds=int(s)) if gone else None
        for s, gone in zip(until, withdrawn, strict=True)
    ]
    table = observation_table(time, known_at, names, values, known_until=ends)
    return Stay(f"stay-{seed}", f"subject-{seed}", ADMITTED, table)


def assert_same(left: ScoreSeries, right: ScoreSeries) -> None:
    assert list(left.time) == list(right.time)
    for part in ("value", "low", "high"):
        np.testing.assert_array_equal(getattr(left, part), getattr(right, part))  # bit for bit
    assert (left.status, left.reason) == (right.status, right.reason)


def test_it_calls_itself_what_the_registry_calls_it(model: EarlyWarningModel, source: str) -> None:
    assert model.name in registry.names()
    assert type(model) is registry.model_class(model.name)
    assert 0 < model.threshold < 1
    assert model.version == registry.load(source).version


def test_it_scores_every_grid_hour(model: EarlyWarningModel) -> None:
    stay = stay_of(1)
    series = model.score(stay)
    assert (series.stay_id, series.model) == ("stay-1", model.name)
    assert list(series.time) == list(stay.grid())
    assert (series.status[0], series.status[-1]) == (ScoreStatus.ABSENT, ScoreStatus.PRESENT)


@pytest.mark.parametrize("cut_hours", [1, 2.5, 7, 19.75, 33, 40])
def test_no_score_depends_on_what_was_known_later(model: EarlyWarningModel, cut_hours: float) -> None:
    stay, now = stay_of(2), ADMITTED + timedelta(hours=cut_hours)
    assert_same(model.score(stay.until(now), now).until(now), model.score(stay).until(now))


@pytest.mark.parametrize("cut_hours", [14, 21.5, 40])
def test_a_score_is_that_of_the_stay_without_what_was_withdrawn_by_then(
    model: EarlyWarningModel, cut_hours: float
) -> None:
    stay, now = stay_of(2), ADMITTED + timedelta(hours=cut_hours)
    table = stay.observations[stay.observations["known_at"] <= now]
    assert (table["known_until"] <= now).any()
    standing = table[~(table["known_until"] <= now)]
    rows = {name: standing[name] for name in ("time", "known_at", "variable", "value")}
    clean = replace(stay, observations=observation_table(**rows))
    last, told = list(model.score(clean, now).until(now))[-1], list(model.score(stay).until(now))[-1]
    assert told == last
    hour = last.time
    assert model.explain(stay, hour) == model.explain(stay.until(hour).standing(hour), hour)


def test_a_withdrawn_value_moves_the_scores_from_its_withdrawal_on_and_none_before(
    model: EarlyWarningModel,
) -> None:
    now, withdrawn_at, end = (ADMITTED + hours * GRID_STEP for hours in (14, 14.5, 20))
    stay = stay_of(5, withdrawn_share=0.0).until(now)
    rows: dict[str, object] = {name: stay.observations[name] for name in OBSERVATION_COLUMNS}
    rows["known_until"] = [withdrawn_at] * len(stay.observations)
    corrected = replace(stay, observations=observation_table(**rows))
    before, after = model.score(stay, end), model.score(corrected, end)
    assert_same(after.until(withdrawn_at), before.until(withdrawn_at))
    assert before.status[13] is ScoreStatus.PRESENT
    assert after.status[14:] == (ScoreStatus.ABSENT,) * 6


def test_no_score_depends_on_the_end_asked_for(model: EarlyWarningModel) -> None:
    stay = stay_of(3)
    longer = model.score(stay, stay.last_known_at + timedelta(hours=30))
    assert_same(longer.until(stay.grid()[-1].to_pydatetime()), model.score(stay))


def test_no_score_depends_on_what_was_scored_before(model: EarlyWarningModel, source: str) -> None:
    alone = registry.load(source).score(stay_of(4))
    for other in (5, 6):
        model.score(stay_of(other))
    assert_same(model.score(stay_of(4)), alone)


def test_the_order_of_the_observations_does_not_matter(model: EarlyWarningModel) -> None:
    stay = stay_of(7)
    mixed = stay.observations.sample(frac=1, random_state=0)
    rows = {name: mixed[name].to_list() for name in OBSERVATION_COLUMNS}
    again = Stay(stay.stay_id, stay.subject_id, ADMITTED, observation_table(**rows))
    assert_same(model.score(again), model.score(stay))


def test_a_silent_stay_becomes_indeterminate_and_says_why(model: EarlyWarningModel) -> None:
    stay = stay_of(8)
    last = list(model.score(stay, stay.last_known_at + timedelta(hours=47)))[-1]
    assert last.status is ScoreStatus.INDETERMINATE
    assert last.reason


def test_a_stay_without_observations_has_no_grid_and_no_score(model: EarlyWarningModel) -> None:
    silent = Stay("silent", "subject", ADMITTED)
    assert len(model.score(silent)) == 0
    asked = model.score(silent, ADMITTED + 3 * GRID_STEP)
    assert asked.status == (ScoreStatus.ABSENT,) * 3


def test_scoring_leaves_the_stay_as_it_was(model: EarlyWarningModel) -> None:
    stay = stay_of(9)
    before = stay.observations.copy(deep=True)
    model.score(stay)
    assert stay.observations.equals(before)


def test_an_explanation_names_catalogue_variables_by_falling_share(model: EarlyWarningModel) -> None:
    stay, time = stay_of(10), ADMITTED + timedelta(hours=30)
    explained = model.explain(stay, time)
    assert explained.time == time
    shares = [abs(item.share) for item in explained.contributions]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0
    assert {item.variable for item in explained.contributions} <= set(CATALOGUE)


def test_an_explanation_knows_nothing_of_later(model: EarlyWarningModel) -> None:
    stay, time = stay_of(11), ADMITTED + timedelta(hours=20)
    assert model.explain(stay, time) == model.explain(stay.until(time), time)


def test_an_inquiry_names_what_stood_by_falling_weight_and_knows_nothing_of_later(
    model: EarlyWarningModel,
) -> None:
    if not isinstance(model, Inquirable):
        pytest.skip(f"{model.name} takes no inquiry")
    stay, time = stay_of(13), ADMITTED + timedelta(hours=20)
    inquiry = model.inquire(stay, time)
    assert inquiry == model.inquire(stay.until(time).standing(time), time)
    stood = stay.until(time).standing(time).observations
    observed = set(zip(stood["variable"], stood["time"], stood["value"], stood["censored"], strict=True))
    told = [(one.variable, one.time, one.value, one.censored) for one in inquiry.influences]
    assert told
    assert set(told) <= observed
    shares = [abs(one.share) for one in inquiry.influences]
    assert shares == sorted(shares, reverse=True)
    narrowings = [one.narrows for one in inquiry.next_measurements]
    assert narrowings == sorted(narrowings, reverse=True)
    assert {one.variable for one in inquiry.next_measurements} <= set(CATALOGUE)


def test_what_is_saved_loads_as_the_same_model(model: EarlyWarningModel, tmp_path: Path) -> None:
    model.save(tmp_path / "saved")
    files = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors"}
    loaded = registry.load(tmp_path / "saved")
    assert (loaded.name, loaded.version, loaded.threshold) == (model.name, model.version, model.threshold)
    assert_same(loaded.score(stay_of(12)), model.score(stay_of(12)))

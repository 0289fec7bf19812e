"""The MGP-TCN by the clauses of its contract: silence, posterior, explanation, files, training."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.clinical.errors import InvalidInput, UnknownModel, UnknownVariable
from models.clinical.score import ScoreStatus
from models.clinical.stay import LabelledStay, Stay, observation_table
from models.fitting import Fit, Recipe, Stage, batch_loss, learn
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES
from models.mgp_tcn import MGPTCN
from models.network import INPUTS, inputs_of
from models.registry import shipped
from models.training_feed import training_feed
from models.training_stays import prepare, standardisation_of

from .conftest import TinyModel

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
VITALS = {"heart_rate": 88.0, "systolic_pressure": 121.0, "respiratory_rate": 17.0, "temperature": 37.1}


@pytest.fixture
def model(tiny: TinyModel) -> MGPTCN:
    return tiny()


def stay(hours: dict[str, list[float]], values: dict[str, float] | None = None) -> Stay:
    rows = [(hour, name) for name, measured in hours.items() for hour in measured]
    times = [ADMITTED + timedelta(hours=hour) for hour, _ in rows]
    chosen = VITALS | (values or {})
    names = [name for _, name in rows]
    return Stay("s", "p", ADMITTED, observation_table(times, times, names, [chosen[name] for name in names]))


def hourly(hours: int, **values: float) -> Stay:
    return stay({name: list(np.arange(0.5, hours)) for name in VITALS | values}, values)


def test_before_the_first_observation_there_is_no_score(model: MGPTCN) -> None:
    series = model.score(stay({name: [2.5] for name in VITALS}))
    assert series.status == (ScoreStatus.ABSENT, ScoreStatus.ABSENT, ScoreStatus.PRESENT)
    assert series.reason[0] == "no observation yet"


def test_a_reason_names_what_is_missing(model: MGPTCN) -> None:
    series = model.score(stay({"heart_rate": [0.5], "temperature": [0.5]}))
    assert series.status == (ScoreStatus.INDETERMINATE,)
    assert series.reason[0] == (
        "no oxygen saturation, systolic pressure, mean arterial pressure, diastolic pressure, "
        "respiratory rate for 12 h; would be scored with any one of them"
    )


def test_a_silent_bed_becomes_indeterminate_after_twelve_hours(model: MGPTCN) -> None:
    silent = hourly(4)
    series = model.score(silent, ADMITTED + timedelta(hours=20))
    last_scored = [score.time for score in series if score.value is not None][-1]
    assert last_scored == ADMITTED + timedelta(hours=15)  # measured at 3 h 30: at 16 h it is 12.5 h old


def test_a_score_has_a_spread_where_the_process_leaves_one(tiny: TinyModel) -> None:
    series = tiny().score(hourly(5), ADMITTED + timedelta(hours=30))
    present = np.array([one is ScoreStatus.PRESENT for one in series.status])
    assert (np.isfinite(series.low) == present).all()
    assert (series.low[present] < series.high[present]).all()
    assert series.high[15] - series.low[15] > series.high[4] - series.low[4]  # nothing measured since
    for silent in (tiny(draws=0), tiny(feed="carried")):
        assert np.isnan(silent.score(hourly(5)).low).all()


def test_the_posterior_is_in_canonical_units_and_follows_the_data(model: MGPTCN) -> None:
    found = model.posterior(hourly(30, heart_rate=131.0), ["heart_rate", "wbc"])
    assert len(found.time) == 30
    assert found.mean["heart_rate"][-1] == pytest.approx(131, abs=10)  # drawn a little towards the usual 80
    assert 0 <= found.low["wbc"][-1] < found.mean["wbc"][-1] < found.high["wbc"][-1]
    narrow, wide = (found.high[name] - found.low[name] for name in ("heart_rate", "wbc"))
    assert narrow[-1] < narrow[0]
    assert wide[-1] > 0.7 * wide[0]  # never measured, so all that is known is what its neighbours say


def test_a_variable_never_seen_in_training_moves_nothing(model: MGPTCN) -> None:
    without, with_it = hourly(9), hourly(9, end_tidal_co2=80.0)
    assert model.score(with_it).value == pytest.approx(model.score(without).value, abs=1e-6)
    wanted = ["end_tidal_co2", "heart_rate"]
    there, bare = (model.posterior(one, wanted).mean for one in (with_it, without))
    assert there["heart_rate"] == pytest.approx(bare["heart_rate"])
    assert bare["end_tidal_co2"] == pytest.approx(40)
    assert there["end_tidal_co2"][-1] > 50


def test_the_band_widens_while_nothing_is_measured(model: MGPTCN) -> None:
    found = model.posterior(hourly(6), ["heart_rate"], ADMITTED + timedelta(hours=48))
    width = found.high["heart_rate"] - found.low["heart_rate"]
    assert (np.diff(width[6:]) > 0).all()


def test_an_unknown_variable_has_no_posterior(model: MGPTCN) -> None:
    with pytest.raises(UnknownVariable, match="shoe_size"):
        model.posterior(hourly(2), ["shoe_size"])


def test_shares_sum_to_the_difference_from_a_typical_patient(
    model: MGPTCN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.attribution.STEPS", 2048)  # random weights are rougher than trained ones
    sick = hourly(20, heart_rate=135.0, respiratory_rate=34.0, temperature=39.4)
    typical_inputs = torch.randn(INPUTS, generator=torch.Generator().manual_seed(1))
    model.network.typical.copy_(0.2 * typical_inputs * model.network.mask)
    explanation = model.explain(sick, ADMITTED + timedelta(hours=18, minutes=40))
    assert explanation.time == ADMITTED + timedelta(hours=18)
    score = model.score(sick).value[17]
    of_some = [column for m in range(len(VARIABLES)) for column in inputs_of(m)]
    with torch.no_grad():
        inputs = model.inputs(sick, encode(sick, model.standardisation, 18), 0)
        inputs[..., of_some] = model.network.typical[of_some]
        logits, _ = model.network(inputs, model.network.start(1))
        typical = model.calibration(logits[0, -1, model.config.primary].double().numpy())
    assert sum(one.share for one in explanation.contributions) == pytest.approx(score - typical, abs=2e-3)
    shares = [abs(one.share) for one in explanation.contributions]
    assert shares == sorted(shares, reverse=True)


def test_an_explanation_quotes_the_last_value_known_then(model: MGPTCN) -> None:
    at = ADMITTED + timedelta(hours=3)
    quoted = {one.variable: one for one in model.explain(hourly(9), at).contributions}
    assert quoted["heart_rate"].value == 88.0
    assert quoted["heart_rate"].time == ADMITTED + timedelta(hours=2.5)
    assert quoted["wbc"].value is None


def test_there_is_nothing_to_explain_without_a_score(model: MGPTCN) -> None:
    assert model.explain(stay({"heart_rate": [0.5]}), ADMITTED + timedelta(hours=1)).contributions == ()
    with pytest.raises(InvalidInput, match="no score at"):
        model.explain(hourly(2), ADMITTED + timedelta(minutes=59))


def test_what_is_saved_loads_as_the_same_model(model: MGPTCN, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = MGPTCN.load(tmp_path)
    assert again.version == model.version
    assert again.score(hourly(5)).value.tobytes() == model.score(hourly(5)).value.tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]


def test_a_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"weights\.safetensors"):
        MGPTCN.load(tmp_path)


def test_weights_of_another_catalogue_are_refused(model: MGPTCN, tmp_path: Path) -> None:
    model.save(tmp_path)
    description = tmp_path / "model.json"
    text = description.read_text(encoding="utf-8")
    description.write_text(text.replace('"lactate"', '"lactic_acid"'), encoding="utf-8")
    with pytest.raises(UnknownModel, match="other variables"):
        MGPTCN.load(tmp_path)


def test_the_shipped_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in shipped("mgp-tcn").iterdir()) < 5_000_000


def labelled(hours: int, onset: int | None = None, **values: float) -> LabelledStay:
    hour = np.arange(1, hours + 1)
    septic = np.zeros(hours, dtype=np.int8) if onset is None else (hour >= onset).astype(np.int8)
    return LabelledStay(hourly(hours, **values), hour, septic)


def test_the_loss_reaches_every_parameter(model: MGPTCN) -> None:
    batch = [prepare(one, model.standardisation, model.config) for one in (labelled(9, onset=5), labelled(4))]
    feed = training_feed(model.config, model.network, batch, 0, moving=True, seed=0)
    batch_loss(model.network, feed, [[0, 1]], 4.0).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_training_sees_what_stood_at_the_end_and_never_what_was_withdrawn(model: MGPTCN) -> None:
    right = labelled(6)
    wrong = right.stay.observations.assign(value=9e9, known_until=right.stay.admitted_at + timedelta(hours=6))
    both = replace(right.stay, observations=pd.concat([right.stay.observations, wrong], ignore_index=True))
    told = replace(right, stay=both)
    seen, unharmed = (vars(prepare(one, model.standardisation, model.config)) for one in (told, right))
    assert seen.pop("subject_id") == unharmed.pop("subject_id") == "p"
    for name, tensor in seen.items():
        torch.testing.assert_close(tensor, unharmed[name], rtol=0, atol=0)
    for name, learnt in vars(standardisation_of([told])).items():
        np.testing.assert_array_equal(learnt, vars(standardisation_of([right]))[name])


COHORT = [
    labelled(8, onset=5, heart_rate=140.0),
    labelled(8),
    labelled(6),
    labelled(12, heart_rate=60.0),
]


def test_joint_training_lowers_the_loss_and_moves_the_kernel(model: MGPTCN) -> None:
    data = [prepare(one, model.standardisation, model.config) for one in COHORT]
    before = model.network.hyperparameters.kernel().task_covariance.detach()
    recipe = Recipe(
        kernel_steps=1, stages=(Stage("joint", 6, network_rate=0.5, kernel_rate=0.5),), averaging=0.0
    )
    fit = Fit(model.config, model.network, data, data, recipe)
    fit.run()
    losses = [float(row["loss"]) for row in fit.progress.curve]
    assert losses[-1] < losses[0]
    assert (model.network.hyperparameters.kernel().task_covariance - before).abs().max() > 1e-3


@pytest.mark.parametrize("feed", ["filtered", "smoothed", "carried"])
def test_a_recipe_in_memory_ends_in_a_calibrated_model(tiny: TinyModel, feed: str) -> None:
    stages = (Stage("network", 20, network_rate=1.0), Stage("joint", 1, network_rate=1e-3, kernel_rate=1e-3))
    config = tiny(feed=feed).config
    enough = COHORT * 4  # a variable is learnt from a hundred values
    learnt = learn(config, enough, COHORT, Recipe(kernel_steps=2, stages=stages))
    series = MGPTCN(config, learnt).score(COHORT[0].stay)
    assert series.value[-1] > series.value[0]
    assert learnt.network.learnt.sum() == len(VITALS)
    assert learnt.network.typical.abs().sum() > 0
    assert 0 < learnt.threshold < 1

"""The ensemble of tiny members: sums by hand, silence where they part, spread, explanation, files."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models import registry
from models.base import EarlyWarningModel
from models.calibration import Calibration, logit_of
from models.channels import CHANNELS
from models.clinical.errors import InvalidInput, UnknownModel
from models.clinical.score import ScoreStatus
from models.clinical.stay import LabelledStay
from models.ensemble import Conformal, Ensemble, Learnt
from models.ensemble_learning import conformal_quantile, crossed, first_half, weighed
from models.hourly_trees import HourlyTrees, HourlyTreesConfig
from models.hourly_trees import Learnt as LearntTrees
from models.hourly_trees_learning import grown
from models.mgp.standardise import Standardisation
from models.rules import NEWS2
from models.stacking import Stacking

from .conftest import RandomStay, TinyModel

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
AT = ADMITTED + timedelta(hours=14)
WEIGHT = (0.7, 0.5, 2.0)


@pytest.fixture(scope="module")
def trees(standardisation: Standardisation) -> HourlyTrees:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(600, CHANNELS)).astype(np.float32)
    label = (rows[:, 0] + rows[:, 8] > 1).astype(np.int8)
    config = HourlyTreesConfig(trees=10, forests=2, smallest_leaf=20, channels_a_split=1.0)
    return HourlyTrees(
        config, LearntTrees(grown(config, rows, label), standardisation, Calibration(), 0.5, {})
    )


def ensemble(members: list[EarlyWarningModel], limit: float = 50.0) -> Ensemble:
    learnt = Learnt(
        Stacking(WEIGHT[: len(members)], (0.1, -0.2, 0.3)[: len(members)], -1.0),
        Calibration(1.5, 0.2),
        Conformal(limit, 0.9),
        0.3,
        {},
    )
    return Ensemble(members, learnt)


@pytest.fixture
def members(tiny: TinyModel, trees: HourlyTrees) -> list[EarlyWarningModel]:
    return [tiny(), trees, NEWS2()]


def test_a_score_is_the_calibrated_sum_of_what_the_members_say(
    members: list[EarlyWarningModel], random_stay: RandomStay
) -> None:
    stay = random_stay(3)
    network, trees, news2 = (member.score(stay).value for member in members)
    points = np.where(np.isnan(news2), 0.3, news2)  # silent: as on average
    total = -1.0 + 0.7 * (logit_of(network) - 0.1) + 0.5 * (logit_of(trees) + 0.2) + 2.0 * (points - 0.3)
    expected = 1.0 / (1.0 + np.exp(-(1.5 * total + 0.2)))
    found = ensemble(members).score(stay)
    assert ScoreStatus.PRESENT in found.status
    np.testing.assert_allclose(found.value, expected, rtol=1e-12)  # NaN in the same hours
    assert found.status == members[0].score(stay).status


@pytest.mark.parametrize("moved", [0.0, 1000.0])
def test_each_member_reads_by_its_own_scale_what_stood_at_each_hour(
    tiny: TinyModel,
    trees: HourlyTrees,
    standardisation: Standardisation,
    random_stay: RandomStay,
    moved: float,
) -> None:
    """Members of one scale are charted together, to the bit as if each had read the stay alone."""
    scale = replace(standardisation, location=standardisation.location + moved)
    model = ensemble([tiny(), HourlyTrees(trees.config, replace(trees.learnt, standardisation=scale))])
    stay = random_stay(3)
    stay.observations.loc[stay.observations.index[::5], "known_until"] = stay.admitted_at + timedelta(hours=9)
    series = [member.score(stay) for member in model.members]
    expected = model.learnt.calibration(model.learnt.stacking.logit(model.inputs(series)))
    expected[np.isnan(series[0].value)] = np.nan
    np.testing.assert_array_equal(model.score(stay).value, expected)
    assert np.array_equal(series[1].value, trees.score(stay).value, equal_nan=True) is (moved == 0.0)


def test_the_spread_is_the_leaders_passed_on(
    members: list[EarlyWarningModel], random_stay: RandomStay
) -> None:
    stay = random_stay(4)
    own, led = ensemble(members).score(stay), members[0].score(stay)
    present = ~np.isnan(own.value)
    assert (own.low <= own.high)[present].all()
    moved = 1.5 * 0.7 * (logit_of(led.high) - logit_of(led.low))
    np.testing.assert_allclose((logit_of(own.high) - logit_of(own.low))[present], moved[present], rtol=1e-9)


def test_hours_in_which_the_members_part_have_no_score_and_say_who_said_what(
    members: list[EarlyWarningModel], random_stay: RandomStay
) -> None:
    stay = random_stay(5)
    network, trees = (logit_of(member.score(stay).value) for member in members[:2])
    gap = np.abs(network - trees)
    limit = float(np.nanmedian(gap))
    strict, free = ensemble(members, limit).score(stay), ensemble(members).score(stay)
    parted = gap > limit
    assert 0 < parted.sum() < len(gap)
    assert np.isnan(strict.value[parted]).all()
    np.testing.assert_array_equal(strict.value[~parted], free.value[~parted])
    hour = int(np.flatnonzero(parted)[0])
    assert strict.status[hour] is ScoreStatus.INDETERMINATE
    assert "mgp-tcn" in strict.reason[hour]
    assert "hourly-trees" in strict.reason[hour]
    assert "90%" in strict.reason[hour]


def test_an_explanation_weighs_the_members_shares(
    members: list[EarlyWarningModel], random_stay: RandomStay
) -> None:
    """With the rule alone beside the network, by hand: its points are shares of the sum itself."""
    model, stay = ensemble([members[0], members[2]]), random_stay(6)
    share = {one.variable: one.share for one in model.explain(stay, AT).contributions}
    score = float(model.score(stay.until(AT), AT).value[-1])
    led = float(members[0].score(stay.until(AT), AT).value[-1])
    network = {one.variable: one.share for one in members[0].explain(stay, AT).contributions}
    rule = {one.variable: one.share for one in members[2].explain(stay, AT).contributions}
    assert share
    for name, found in share.items():
        of_logit = 0.7 * network.get(name, 0.0) / (led * (1 - led)) + 0.5 * rule.get(name, 0.0)
        assert found == pytest.approx(1.5 * score * (1 - score) * of_logit, rel=1e-9)


def test_members_must_be_led_by_a_network_and_weighed_one_by_one(members: list[EarlyWarningModel]) -> None:
    with pytest.raises(InvalidInput, match="weights"):
        ensemble(members[1:])
    with pytest.raises(InvalidInput, match="weights"):
        ensemble([members[0], members[0]])


def test_it_travels_as_a_folder_of_its_members(
    members: list[EarlyWarningModel], random_stay: RandomStay, tmp_path: Path
) -> None:
    model, stay = ensemble(members), random_stay(7)
    model.save(tmp_path)
    loaded = registry.load(tmp_path)
    assert loaded.version == model.version
    np.testing.assert_array_equal(loaded.score(stay).value, model.score(stay).value)
    (tmp_path / "hourly-trees" / "trees.safetensors").unlink()
    with pytest.raises(UnknownModel, match=r"trees\.safetensors"):
        registry.load(tmp_path)


def test_who_only_scores_does_not_load_what_learns() -> None:
    asked = "from models import registry; registry.load('default')"
    program = f"import sys; {asked}; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_new_stay_stays_under_the_conformal_quantile_as_often_as_promised() -> None:
    rng = np.random.default_rng(11)
    kept = []
    for _ in range(6000):
        stays = rng.standard_t(2, size=60)
        kept.append(stays[-1] <= conformal_quantile(stays[:-1], 0.9))
    assert np.mean(kept) == pytest.approx(0.9, abs=0.012)  # three standard errors
    assert conformal_quantile(np.arange(9.0), 0.9) == 8.0
    with pytest.raises(InvalidInput, match="coverage"):
        conformal_quantile(np.arange(8.0), 0.9)


@pytest.fixture
def validation(random_stay: RandomStay) -> tuple[list[LabelledStay], list[np.ndarray]]:
    """Two hundred subjects of ten hours, and logits of two members that know the label in part."""
    rng, stays, said = np.random.default_rng(3), [], []
    for seed in range(200):
        label = (rng.random(10) < (0.6 if seed % 4 == 0 else 0.02)).astype(np.int8)
        stay = replace(random_stay(seed, 10, 10), subject_id=f"subject {seed}")
        stays.append(LabelledStay(stay, np.arange(1, 11), label))
        said.append(label[:, None] * 2.0 + rng.normal(size=(10, 2)) - 3.0)
    said[0][:3, 0] = np.nan  # the leader says nothing yet
    return stays, said


def test_no_hour_is_calibrated_by_weights_that_it_taught(
    validation: tuple[list[LabelledStay], list[np.ndarray]],
) -> None:
    stays, said = validation
    first = [first_half(one.stay.subject_id) for one in stays]
    assert 60 < sum(first) < 140
    flipped = [
        replace(one, label=1 - one.label) if own else one for one, own in zip(stays, first, strict=True)
    ]
    before, after = crossed(stays, said), crossed(flipped, said)
    for own, one, other in zip(first, before, after, strict=True):
        assert np.array_equal(one, other) is own


def test_every_validation_hour_with_a_score_calibrates(
    members: list[EarlyWarningModel], validation: tuple[list[LabelledStay], list[np.ndarray]]
) -> None:
    stays, said = validation
    learnt = weighed(members[:2], stays, said, coverage=0.9)
    assert learnt.training["hours"] == 200 * 10 - 3
    score = learnt.calibration(np.concatenate(crossed(stays, said)))
    heard = ~np.isnan(np.concatenate(said)[:, 0])
    label = np.concatenate([one.label for one in stays])
    assert score[heard].mean() == pytest.approx(label[heard].mean(), rel=1e-3)

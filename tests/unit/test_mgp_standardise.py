"""The standardised scale: there and back, robust to artefacts."""

import numpy as np
import pytest

from models.mgp.standardise import LIMIT, VARIABLES, fit_standardisation

HEART_RATE, LACTATE, END_TIDAL = (VARIABLES.index(n) for n in ("heart_rate", "lactate", "end_tidal_co2"))
RANDOM = np.random.default_rng(3)
VALUES = {"heart_rate": RANDOM.normal(85, 15, 20_000), "lactate": RANDOM.lognormal(0.5, 0.6, 20_000)}
LEARNT = fit_standardisation(VALUES)


@pytest.mark.parametrize(("name", "index"), [("heart_rate", HEART_RATE), ("lactate", LACTATE)])
def test_training_values_become_roughly_standard(name: str, index: int) -> None:
    standard = LEARNT.forward(np.full(20_000, index), VALUES[name])
    assert np.median(standard) == pytest.approx(0, abs=0.02)
    assert np.std(standard) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("index", "value"), [(HEART_RATE, 61.5), (LACTATE, 0.7), (LACTATE, 4.0)])
def test_backward_undoes_forward(index: int, value: float) -> None:
    there = LEARNT.forward(np.array([index]), np.array([value]))
    assert LEARNT.backward(index, there)[0] == pytest.approx(value)


def test_an_artefact_says_extreme_and_no_more() -> None:
    assert LEARNT.forward(np.array([HEART_RATE]), np.array([300.0]))[0] == LIMIT


def test_ten_artefacts_in_a_thousand_move_nothing() -> None:
    dirty = np.concatenate([VALUES["heart_rate"], np.full(200, 300.0)])
    found = fit_standardisation({"heart_rate": dirty})
    assert found.location[HEART_RATE] == pytest.approx(LEARNT.location[HEART_RATE], abs=0.5)
    assert found.scale[HEART_RATE] == pytest.approx(LEARNT.scale[HEART_RATE], rel=0.03)


def test_a_variable_without_values_is_marked_and_centred_on_its_normal_range() -> None:
    assert LEARNT.learnt[[HEART_RATE, END_TIDAL]].tolist() == [1, 0]
    assert LEARNT.location[END_TIDAL] == 40
    assert np.isfinite(LEARNT.scale).all()
    assert (LEARNT.scale > 0).all()


def test_a_charted_zero_has_a_logarithm() -> None:
    assert np.isfinite(LEARNT.forward(np.array([LACTATE]), np.array([0.0]))).all()

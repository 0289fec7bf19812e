"""What an inquiry says, against rescoring by hand and a score that reads one variable alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import torch

from models.base import Inquiry
from models.clinical.stay import Stay
from models.inquiry import NAMED, SMALLEST
from models.mgp.standardise import VARIABLES
from models.mgp_tcn import MGPTCN, Learnt
from models.network import Feed
from models.tcn import TCN

from .conftest import RandomStay, TinyModel

ADMITTED = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
AT = ADMITTED + timedelta(hours=14)
FEEDS: list[Feed] = ["filtered", "smoothed", "carried"]


def reading_only(model: MGPTCN, name: str) -> MGPTCN:
    """The model with independent variables and a score that reads the process of one of them alone."""
    network = model.network
    with torch.no_grad():
        for index in network.hyperparameters.tasks:
            index.get_parameter("covar_factor").zero_()
        network.hyperparameters.raw_noise.fill_(-6.0)
        assert isinstance(network.reader, TCN)
        enter = network.reader.enter.weight
        column = enter[:, 3].clone()
        enter.zero_()
        enter[:, VARIABLES.index(name)] = column
    learnt = Learnt(network, model.standardisation, model.calibration, model.threshold, model.training)
    return MGPTCN(model.config, learnt)


def without(stay: Stay, row: int) -> Stay:
    table = stay.observations
    return replace(stay, observations=table.drop(table.index[row]).reset_index(drop=True))


@pytest.mark.parametrize("feed", FEEDS)
def test_an_influence_is_the_score_less_the_score_without_the_observation(
    tiny: TinyModel, random_stay: RandomStay, feed: Feed
) -> None:
    model, stay = tiny(feed=feed), random_stay(3, rows=50).until(AT)
    score = model.score(stay, AT).value[-1]
    found = {(one.variable, one.time, one.value): one.share for one in model.inquire(stay, AT).influences}
    by_hand = {}
    table = stay.observations
    for row, (name, time, value) in enumerate(
        zip(table["variable"], table["time"], table["value"], strict=True)
    ):
        share = score - model.score(without(stay, row), AT).value[-1]
        by_hand[(name, time.to_pydatetime(), value)] = float(share)
    largest = sorted(by_hand, key=lambda key: -abs(by_hand[key]))[:NAMED]
    assert len(found) == NAMED
    assert set(found) == set(largest)
    for key, share in found.items():
        assert share == pytest.approx(by_hand[key], abs=1e-6)
        assert abs(share) >= SMALLEST


@pytest.mark.parametrize("feed", ["filtered", "smoothed"])
def test_measuring_what_the_score_reads_narrows_it_and_nothing_else_does(
    tiny: TinyModel, random_stay: RandomStay, feed: Feed
) -> None:
    model = reading_only(tiny(feed=feed), "lactate")
    stay = random_stay(4)
    now = model.score(stay.until(AT), AT)
    first, *others = model.inquire(stay, AT).next_measurements
    assert first.variable == "lactate"
    assert first.narrows > 0.2 * (now.high[-1] - now.low[-1])
    assert all(one.narrows < 0.1 * first.narrows for one in others)


def test_a_network_without_a_process_knows_no_next_measurement(
    tiny: TinyModel, random_stay: RandomStay
) -> None:
    inquiry = tiny(feed="carried").inquire(random_stay(3), AT)
    assert inquiry.influences
    assert inquiry.next_measurements == ()


@pytest.mark.parametrize("feed", FEEDS)
def test_an_inquiry_knows_nothing_of_later(tiny: TinyModel, random_stay: RandomStay, feed: Feed) -> None:
    model, stay = tiny(feed=feed), random_stay(5)
    assert stay.last_known_at > AT
    assert model.inquire(stay, AT + timedelta(minutes=59)) == model.inquire(stay.until(AT), AT)


def test_there_is_nothing_to_ask_without_a_score(tiny: TinyModel, random_stay: RandomStay) -> None:
    stay = random_stay(6)
    pulse_only = stay.observations[stay.observations["variable"] == "heart_rate"].reset_index(drop=True)
    assert tiny().inquire(replace(stay, observations=pulse_only), AT) == Inquiry(AT)

"""What training reads is what scoring computes, and only labelled hours count."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from models.clinical.stay import LabelledStay
from models.gru import GRUConfig
from models.mgp.encoding import encode
from models.mgp_tcn import MGPTCN
from models.network import INPUTS, Feed
from models.training_feed import WINDOWS, FixedFeed, MovingFeed, TrainingFeed, WindowFeed, training_feed
from models.training_stays import TrainingStay, prepare

from .conftest import RandomStay, TinyModel

HOURS = (14, 5, 9)


@pytest.fixture
def labelled(random_stay: RandomStay) -> list[LabelledStay]:
    """Stays of different length; the first is septic from hour 8 on and has no label before hour 3."""
    stays = []
    for seed, hours in enumerate(HOURS):
        hour = np.arange(3 if seed == 0 else 1, hours + 1)
        label = ((hour >= 8) & (seed == 0)).astype(np.int8)
        stays.append(LabelledStay(random_stay(seed, hours, 40), hour, label))
    return stays


def prepared(model: MGPTCN, labelled: Sequence[LabelledStay]) -> list[TrainingStay]:
    return [prepare(one, model.standardisation, model.config) for one in labelled]


def feed_of(model: MGPTCN, stays: Sequence[TrainingStay], *, moving: bool = False) -> TrainingFeed:
    found = training_feed(model.config, model.network, stays, 2, moving=moving, seed=4)
    found.begin((1, 2, 3))
    return found


def scored(model: MGPTCN, one: LabelledStay) -> Tensor:
    hours = int(one.hour[-1])
    stay = one.stay.standing(one.stay.grid()[hours - 1])
    """The logits of the score's horizon."""
    encoded = encode(stay, model.standardisation, hours)
    return model.logits(encoded, model.beside(stay, encoded), 0)[0]


def test_the_feed_follows_the_configuration(tiny: TinyModel, labelled: list[LabelledStay]) -> None:
    for feed, still, moving in (
        ("filtered", FixedFeed, MovingFeed),
        ("carried", FixedFeed, FixedFeed),
        ("smoothed", WindowFeed, WindowFeed),
    ):
        model = tiny(feed=feed)
        stays = prepared(model, labelled)
        assert type(feed_of(model, stays)) is still
        assert type(feed_of(model, stays, moving=True)) is moving


@pytest.mark.parametrize("moving", [False, True])
def test_a_batch_stands_side_by_side_and_is_labelled_where_its_stays_are(
    tiny: TinyModel, labelled: list[LabelledStay], moving: bool
) -> None:
    model = tiny()
    stays = prepared(model, labelled)
    inputs, target, mask = feed_of(model, stays, moving=moving).batch(model.network, [2, 0])
    assert inputs.shape == (2, 14, INPUTS)
    assert mask.tolist() == [[True] * 9 + [False] * 5, [False] * 2 + [True] * 12]
    assert not inputs[0, 9:].any()
    assert not target[0].any()
    primary, onset = model.config.primary, 8 + model.config.horizon_hours
    assert target[1, :, primary].tolist() == [0.0] * 7 + [1.0] * 7
    for column, horizon in enumerate(model.config.horizons_hours):
        assert target[1, :, column].tolist() == [float(hour >= onset - horizon) for hour in range(1, 15)]


@pytest.mark.parametrize("reader", ["convolutions", "recurrent"])
@pytest.mark.parametrize("feed", ["filtered", "carried", "smoothed"])
def test_validation_reads_what_scoring_computes(
    tiny: TinyModel, labelled: list[LabelledStay], feed: Feed, reader: str
) -> None:
    """Logits of all hours, the windows' last hours among them."""
    changes = {} if reader == "convolutions" else {"reader": GRUConfig(channels=6, receptive_hours=4)}
    model = tiny(feed=feed, **changes)
    whole = feed_of(model, prepared(model, labelled)).whole(model.network, [0, 1, 2])
    for one, logits in zip(labelled, whole, strict=True):
        own = logits[..., model.config.primary]
        torch.testing.assert_close(own, scored(model, one), rtol=1e-5, atol=1e-5)


def test_a_moving_feed_validates_as_scoring_too_and_reaches_the_kernel(
    tiny: TinyModel, labelled: list[LabelledStay]
) -> None:
    model = tiny()
    feed = feed_of(model, prepared(model, labelled), moving=True)
    own = feed.whole(model.network, [0])[0].detach()[..., model.config.primary]
    torch.testing.assert_close(own, scored(model, labelled[0]), rtol=1e-4, atol=1e-4)
    inputs, _, _ = feed.batch(model.network, [0, 1])
    inputs.square().sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.network.hyperparameters.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_an_epoch_reads_a_mean_or_a_draw_of_each_stay(tiny: TinyModel, labelled: list[LabelledStay]) -> None:
    model = tiny()
    feed = feed_of(model, prepared(model, labelled))
    mean, seen = feed.inputs(model.network, 0), set()
    for epoch in range(12):
        feed.begin((7, epoch))
        inputs = feed.batch(model.network, [0])[0][0]
        again = feed.batch(model.network, [0])[0][0]
        assert torch.equal(inputs, again)
        seen.add((torch.equal(inputs, mean), float(inputs.sum())))
    assert sorted(is_mean for is_mean, _ in seen) == [False, False, True]


def test_windows_end_at_labelled_hours_with_the_logits_of_scoring(
    tiny: TinyModel, labelled: list[LabelledStay]
) -> None:
    model = tiny(feed="smoothed")
    stays = prepared(model, labelled)
    inputs, target, mask = feed_of(model, stays).batch(model.network, [0, 1])
    assert inputs.shape == (2 * WINDOWS, model.config.reader.receptive_hours, INPUTS)
    assert mask.sum(1).tolist() == [1] * 2 * WINDOWS
    logits, _ = model.network(inputs, model.network.start(len(inputs)))
    for row in range(2 * WINDOWS):
        one = row // WINDOWS
        off = (scored(model, labelled[one]) - logits[row, mask[row], model.config.primary]).abs()
        hour = int(off.argmin())
        assert off[hour] < 1e-5
        assert stays[one].labelled[hour]
        assert torch.equal(target[row, mask[row]][0], stays[one].target[hour])

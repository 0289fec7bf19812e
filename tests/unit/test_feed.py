"""The three feeds: shapes, what each hour may see, and what the network is given of them."""

import numpy as np
import pytest
import torch

from models.feed import Course, course_of
from models.mgp.encoding import encode
from models.mgp.standardise import VARIABLES
from models.mgp_tcn import MGPTCN
from models.network import INPUTS, Feed

from .conftest import RandomStay, TinyModel

HOURS, DRAWS = 20, 3


def course(model: MGPTCN, random_stay: RandomStay, hours: int, draws: int = DRAWS) -> Course:
    """What hour `hours` of one stay looks like from itself."""
    stay = random_stay(1, HOURS)
    encoded = encode(stay, model.standardisation, HOURS).until(hours)
    return course_of(model.config.feed, model.kernel, encoded, draws=draws, seed=5)


@pytest.mark.parametrize(
    ("feed", "sides"), [("filtered", 1 + DRAWS), ("smoothed", 1 + DRAWS), ("carried", 1)]
)
def test_a_course_has_the_mean_and_then_the_draws(
    tiny: TinyModel, random_stay: RandomStay, feed: Feed, sides: int
) -> None:
    model = tiny(feed=feed)
    found = course(model, random_stay, HOURS)
    assert found.process.shape == (sides, HOURS, len(VARIABLES))
    assert found.deviation.shape == (HOURS, len(VARIABLES))
    assert found.process.dtype == found.deviation.dtype == torch.float32
    beside = torch.zeros(HOURS, INPUTS - 2 * len(VARIABLES))
    inputs = found.inputs(model.network, beside)
    assert inputs.shape == (sides, HOURS, INPUTS)
    kept = model.network.learnt > 0
    torch.testing.assert_close(inputs[-1, :, : len(VARIABLES)][:, kept], found.process[-1][:, kept])
    assert not inputs[:, :, : 2 * len(VARIABLES)][..., (~kept).repeat(2)].any()


@pytest.mark.parametrize("feed", ["filtered", "carried"])
def test_no_hour_is_rewritten(tiny: TinyModel, random_stay: RandomStay, feed: Feed) -> None:
    model = tiny(feed=feed)
    whole, part = (course(model, random_stay, hours) for hours in (HOURS, 9))
    assert torch.equal(whole.process[:, :9], part.process)
    assert torch.equal(whole.deviation[:9], part.deviation)


def test_a_smoothed_course_looks_back_from_its_last_hour(tiny: TinyModel, random_stay: RandomStay) -> None:
    """Only its last hour is what the filter says; the ones before it know more."""
    smoothed, filtered = (course(tiny(feed=feed), random_stay, 12) for feed in ("smoothed", "filtered"))
    torch.testing.assert_close(smoothed.process[0, -1], filtered.process[0, -1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(smoothed.deviation[-1], filtered.deviation[-1], rtol=1e-4, atol=1e-5)
    assert (smoothed.deviation[:-1] <= filtered.deviation[:-1] + 1e-5).all()
    assert (smoothed.deviation[:-1] < filtered.deviation[:-1] - 1e-3).any()


@pytest.mark.parametrize("feed", ["filtered", "smoothed"])
def test_draws_scatter_as_the_deviation_says(tiny: TinyModel, random_stay: RandomStay, feed: Feed) -> None:
    found = course(tiny(feed=feed), random_stay, HOURS, draws=400)
    error = (found.process[1:] - found.process[0]) / found.deviation
    assert error.mean((0, 1)).abs().max() < 0.2
    assert error.square().mean() == pytest.approx(1.0, abs=0.05)


def test_a_course_of_last_values_is_certain_of_the_newest_known(
    tiny: TinyModel, random_stay: RandomStay
) -> None:
    model = tiny(feed="carried")
    encoded = encode(random_stay(1, HOURS), model.standardisation, HOURS)
    found = course(model, random_stay, HOURS)
    assert not found.deviation.any()
    for hour, known in enumerate(encoded.known.tolist()):
        last = np.zeros(len(VARIABLES))
        for row in np.argsort(encoded.time_hours[:known], kind="stable"):
            last[encoded.variable[row]] = encoded.value[row]
        assert found.process[0, hour].numpy() == pytest.approx(last)

"""Reading a network without gradients: its own logits, and the same bits however the hours are dealt out."""

import pytest
import torch

from models.feed import HourInputs
from models.gru import GRUConfig
from models.network import INPUTS
from models.reading import BLOCK_HOURS, BlockReader

from .conftest import TinyModel

SIDES = 5


def inputs_of(hours: int) -> HourInputs:
    generator = torch.Generator().manual_seed(hours)
    process = torch.randn(SIDES, hours, 34, generator=generator)
    rest = torch.randn(hours, INPUTS - 34, generator=generator)
    return HourInputs(process, rest)


@pytest.mark.parametrize("hours", [1, 7, 8, 9, 30])
def test_the_logits_are_the_networks_own(tiny: TinyModel, hours: int) -> None:
    model, inputs = tiny(), inputs_of(hours)
    with torch.inference_mode():
        ours, _ = model.reader.read(inputs, model.reader.start(SIDES))
        whole, _ = model.network(inputs.whole(), model.network.start(SIDES))
    assert ours.shape == (SIDES, hours)
    torch.testing.assert_close(ours, whole[..., model.network.primary], rtol=0, atol=1e-5)


@pytest.mark.parametrize("whole", [1, 2, 3])
def test_what_is_remembered_goes_on_bit_for_bit(tiny: TinyModel, whole: int) -> None:
    model, inputs, cut = tiny(), inputs_of(30), whole * BLOCK_HOURS
    with torch.inference_mode():
        at_once, _ = model.reader.read(inputs, model.reader.start(SIDES))
        first, past = model.reader.read(inputs.hours(slice(cut + 3)), model.reader.start(SIDES))
        then, _ = model.reader.read(inputs.hours(slice(cut, None)), past)
    assert torch.equal(first, at_once[:, : cut + 3])
    assert torch.equal(then, at_once[:, cut:])


def test_no_hours_have_no_logits(tiny: TinyModel) -> None:
    for model in (tiny(), tiny(reader=GRUConfig(channels=8))):
        with torch.inference_mode():
            logits, _ = model.reader.read(inputs_of(0), model.reader.start(SIDES))
        assert logits.shape == (SIDES, 0)


def test_a_recurrent_network_is_read_by_itself(tiny: TinyModel) -> None:
    assert isinstance(tiny(reader=GRUConfig(channels=8)).reader, BlockReader)

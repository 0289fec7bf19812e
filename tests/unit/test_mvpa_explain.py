"""Explanations agree with the attention written out and with the network's own forecast."""

from __future__ import annotations

import pytest
import torch

from benchmarks.peers import mvpa_plain as plain
from models.clinical.errors import InvalidInput
from models.mvpa import MVPAConfig, MVPFormer
from models.mvpa.context import Layout, classify_together
from models.mvpa.explain import attention_mass, surprise

CONFIG = MVPAConfig(24, 2, 6, 2, 40, 8, 6, 64, content_window=2)
SEGMENTS, CHANNELS = 6, 4


@pytest.fixture(scope="module")
def model() -> MVPFormer:
    torch.manual_seed(0)
    return MVPFormer(CONFIG)


def layout(model: MVPFormer, *, masked: bool) -> Layout:
    torch.manual_seed(1)
    missing = torch.rand(1, SEGMENTS, CHANNELS) < 0.2 if masked else None
    if missing is not None:
        missing[0, -1, 1] = True
    embeddings = torch.randn(1, SEGMENTS, CHANNELS, 24)
    with torch.no_grad():
        return Layout(model.enter(embeddings), missing)


def embeddings(given: Layout) -> torch.Tensor:
    return given.tokens[..., :24]


@pytest.mark.parametrize("masked", [False, True])
def test_the_mass_is_that_of_the_attention_written_out(model: MVPFormer, masked: bool) -> None:
    given = layout(model, masked=masked)
    first = model.layers[0]
    books = model.positional_embedding.weight, model.channel_embedding.weight
    table = plain.probabilities(first.attn, first.ln_1(embeddings(given)), *books, given.missing)
    last = table[0, :, -CHANNELS:].view(6, CHANNELS, SEGMENTS, CHANNELS).mean(0)  # (c, t', c')
    mass = attention_mass(model, given)
    asking = [at for at in range(CHANNELS) if given.missing is None or not given.missing[0, -1, at]]
    torch.testing.assert_close(mass.by_lag[0], last[asking].sum(-1).mean(0).flip(0))
    by_distance = torch.zeros(CHANNELS)
    for channel in asking:
        for other in range(CHANNELS):
            by_distance[abs(channel - other)] += last[channel, :, other].sum() / len(asking)
    torch.testing.assert_close(mass.by_distance[0], by_distance)
    torch.testing.assert_close(mass.by_lag.sum(-1), torch.ones(2))


def test_surprise_is_how_far_the_forecast_was_off(model: MVPFormer) -> None:
    given = layout(model, masked=False)
    found = surprise(model, given)
    assert model.generative is not None
    expected = model.generative(model.transform(embeddings(given)))[0, 2, 3]
    wanted = 1.0 - torch.cosine_similarity(expected, embeddings(given)[0, 3, 3], dim=0)
    torch.testing.assert_close(found[3, 3], wanted)
    assert found[0].isnan().all()
    assert ((found[1:] >= 0.0) & (found[1:] <= 2.0)).all()


def test_there_is_no_surprise_where_a_channel_is_missing(model: MVPFormer) -> None:
    missing = torch.zeros(1, SEGMENTS, CHANNELS, dtype=torch.bool)
    missing[0, 3, 1] = True
    absent = surprise(model, Layout(layout(model, masked=False).tokens, missing)).isnan()
    assert torch.nonzero(absent[1:]).tolist() == [[2, 1], [3, 1]]


def test_one_recording_at_a_time_and_only_with_a_forecast(model: MVPFormer) -> None:
    with pytest.raises(InvalidInput, match="2 recordings"):
        attention_mass(model, Layout(torch.randn(2, 3, 2, 24), None))
    blind = MVPFormer(CONFIG)
    blind.generative = None
    with pytest.raises(InvalidInput, match="generative head"):
        surprise(blind, layout(blind, masked=False))


class Short(MVPFormer):
    """A network whose layers do nothing: what is around them runs on a device that holds no numbers."""

    def transform_entered(
        self, entered: torch.Tensor, missing: torch.Tensor | None = None, asked: int | None = None
    ) -> torch.Tensor:
        return entered[..., : self.config.width]

    def classify_entered(self, entered: torch.Tensor, missing: torch.Tensor | None = None) -> torch.Tensor:
        return entered[:, -1, 0, :2]


def test_tensors_are_made_where_the_tokens_are() -> None:
    network = Short(CONFIG)
    network.generative = torch.nn.Linear(24, 24, bias=False, device="meta")
    missing = torch.zeros(1, SEGMENTS, CHANNELS, dtype=torch.bool, device="meta")
    given = Layout(torch.empty(1, SEGMENTS, CHANNELS, 88, device="meta"), missing)
    assert surprise(network, given).is_meta
    assert classify_together(network, [given, Layout(given.tokens, None)]).is_meta

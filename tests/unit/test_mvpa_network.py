"""The network: shapes, what it refuses, and what a missing token can and cannot do."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models.clinical.errors import InvalidInput
from models.mvpa import MEDIUM, SMALL, MVPAConfig, MVPAttention, MVPFormer, SegmentEncoder

CONFIG = MVPAConfig(24, 2, 6, 2, 40, 8, 6, 64)


@pytest.fixture(scope="module")
def model() -> MVPFormer:
    torch.manual_seed(0)
    return MVPFormer(CONFIG).eval()


def segments(batch: int = 2, count: int = 5, channels: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 40.0 * torch.randn(batch, count, channels, 64, generator=generator)


def test_what_each_call_returns(model: MVPFormer) -> None:
    assert model.hidden(segments()).shape == (2, 5, 4, 24)
    assert model.predict_next(segments()).shape == (2, 5, 4, 24)
    assert model.classify(segments()).shape == (2, 2)
    assert SegmentEncoder(CONFIG)(segments()).shape == (2, 5, 4, 24)


def test_sizes_of_the_published_networks() -> None:
    assert (SMALL.head_width, SMALL.key_width, SMALL.segment_values) == (64, 256, 2610)
    assert (MEDIUM.head_width, MEDIUM.key_width) == (128, 1024)
    with torch.device("meta"):
        small = MVPFormer(SMALL)
    assert sum(one.numel() for one in small.h.parameters()) == 12 * (
        768 + 768 * (1536 + 1024) + 768 + 3 * 768 * 1728
    )


def test_the_classifier_reads_the_mean_over_channels_of_the_last_segment(model: MVPFormer) -> None:
    assert model.classifier is not None
    expected = model.classifier(model.hidden(segments())[:, -1].mean(1))
    torch.testing.assert_close(model.classify(segments()), expected)


def test_no_output_depends_on_a_later_segment_but_the_last_ones_content(model: MVPFormer) -> None:
    later = segments()
    later[:, 3:] += 10.0 * torch.randn_like(later[:, 3:])
    torch.testing.assert_close(model.hidden(later)[:, :3], model.hidden(segments())[:, :3], rtol=0, atol=0)


def test_the_amplifiers_gain_does_not_matter(model: MVPFormer) -> None:
    torch.testing.assert_close(model.hidden(7.0 * segments()), model.hidden(segments()), rtol=0, atol=1e-4)


def test_a_missing_channel_is_as_if_it_held_anything(model: MVPFormer) -> None:
    missing = torch.zeros(2, 5, 4, dtype=torch.bool)
    missing[:, 2:, 1] = True
    absent = segments()
    absent[:, 2:, 1] = torch.nan
    first, second = model.hidden(absent, missing), model.hidden(segments(), missing)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(first[:, -1, 0], model.hidden(segments())[:, -1, 0])


def test_a_mask_of_nothing_changes_nothing(model: MVPFormer) -> None:
    none = torch.zeros(2, 5, 4, dtype=torch.bool)
    torch.testing.assert_close(
        model.classify(segments(), none), model.classify(segments()), rtol=0, atol=1e-5
    )


def test_a_query_that_sees_nobody_gets_nothing() -> None:
    attention = MVPAttention(CONFIG)
    hidden, books = torch.randn(1, 3, 2, 24), (torch.randn(8, 24), torch.randn(6, 24))
    missing = torch.zeros(1, 3, 2, dtype=torch.bool)
    missing[:, :2] = True
    out = attention(hidden, *books, missing)
    assert torch.equal(out[:, :2], torch.zeros(1, 2, 2, 24))
    assert out[:, 2].abs().min() > 0.0


def test_no_channel_in_the_last_segment_is_no_score(model: MVPFormer) -> None:
    missing = torch.zeros(2, 5, 4, dtype=torch.bool)
    missing[1, -1] = True
    with pytest.raises(InvalidInput, match="no channel is present"):
        model.classify(segments(), missing)


def test_a_sample_that_is_no_number_is_named(model: MVPFormer) -> None:
    spoiled = segments()
    spoiled[1, 2, 3, 7] = torch.nan
    with pytest.raises(InvalidInput, match="recording 1, segment 2, channel 3"):
        model.hidden(spoiled)


@pytest.mark.parametrize(
    ("shape", "named"),
    [
        ((1, 9, 4, 64), "9 segments; this network takes 1 to 8"),
        ((1, 0, 4, 64), "0 segments"),
        ((1, 5, 7, 64), "7 channels; this network takes 1 to 6"),
        ((1, 5, 0, 64), "0 channels"),
        ((1, 5, 4, 65), r"\(1, 5, 4, 65\)"),
        ((0, 5, 4, 64), r"\(0, 5, 4, 64\)"),
        ((5, 4, 64), r"\(5, 4, 64\)"),
    ],
)
def test_what_does_not_fit_is_refused(model: MVPFormer, shape: tuple[int, ...], named: str) -> None:
    for call in (model.hidden, model.predict_next, model.classify):
        with pytest.raises(InvalidInput, match=named):
            call(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_another_precision_is_cast_to_that_of_the_weights(model: MVPFormer, dtype: torch.dtype) -> None:
    given = segments().to(dtype)
    missing = torch.zeros(2, 5, 4, dtype=torch.bool)
    for call in (model.hidden, model.predict_next, model.classify):
        assert torch.equal(call(given), call(given.float()))
        assert torch.equal(call(given, missing), call(given.float(), missing))
    assert torch.equal(model.encoder(given), model.encoder(given.float()))
    assert MVPFormer(CONFIG).double().hidden(segments()).dtype is torch.float64


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (segments().to(torch.int16), r"torch\.int16"),
        (segments().to(torch.complex64), r"torch\.complex64"),
        (segments().numpy(), "ndarray"),
        ([[0.0]], "list"),
    ],
)
def test_what_is_no_floating_tensor_is_refused(model: MVPFormer, given: Any, named: str) -> None:
    for call in (model.hidden, model.predict_next, model.classify, model.encoder):
        with pytest.raises(InvalidInput, match=f"segments are {named}, not a tensor of floating numbers"):
            call(given)


@pytest.mark.parametrize("shape", [(1, 3, 4, 256), (63,), ()])
def test_the_encoder_refuses_another_number_of_samples(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"segments of shape .* are not \(\.\.\., 64 samples\)"):
        SegmentEncoder(CONFIG)(torch.zeros(shape))


def test_a_mask_of_another_shape_is_refused(model: MVPFormer) -> None:
    with pytest.raises(InvalidInput, match="missing is"):
        model.hidden(segments(), torch.zeros(2, 5, dtype=torch.bool))


def test_attention_refuses_what_does_not_fit() -> None:
    attention, hidden = MVPAttention(CONFIG), torch.randn(1, 3, 2, 24)
    with pytest.raises(InvalidInput, match="hidden has shape"):
        attention(hidden[0], torch.randn(8, 24), torch.randn(6, 24))
    with pytest.raises(InvalidInput, match="positional codebook"):
        attention(hidden, torch.randn(2, 24), torch.randn(6, 24))
    with pytest.raises(InvalidInput, match="channel codebook"):
        attention(hidden, torch.randn(3, 24), torch.randn(1, 24))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 25),
        ("key_heads", 4),
        ("channels", 129),
        ("layers", 0),
        ("content_window", -1),
        ("lora_rank", -1),
    ],
)
def test_a_network_that_cannot_be_is_refused(field: str, value: int) -> None:
    given = {name: getattr(CONFIG, name) for name in CONFIG.__dataclass_fields__} | {field: value}
    with pytest.raises(InvalidInput, match=str(value)):
        MVPAConfig(**given)

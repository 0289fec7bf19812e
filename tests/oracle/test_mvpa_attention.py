"""Attention in blocks is the attention of the formulas, forward and backward, with all scores written out."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from benchmarks.peers import mvpa_plain as plain
from models.mvpa import MVPAConfig, MVPFormer
from models.mvpa import blocks as blocks_module
from models.mvpa.blocked import BlockedAttention
from tests.oracle import attention_layers

WIDTH = 24
layer, inputs = partial(attention_layers.layer, WIDTH), partial(attention_layers.inputs, WIDTH)

SHAPES = [  # batch, segments, channels, window
    (1, 1, 1, 10),
    (2, 5, 3, 2),
    (2, 17, 4, 3),
    (1, 30, 5, 10),
    (1, 4, 3, 0),
    (1, 40, 20, 10),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("missing_share", [0.0, 0.4])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_outputs_are_those_of_the_formulas(
    shape: tuple[int, int, int, int], missing_share: float, dtype: torch.dtype, tolerance: float
) -> None:
    batch, segments, channels, window = shape
    attention = layer(window, dtype)
    hidden, positions, codes = inputs(batch, segments, channels, dtype)
    missing = torch.rand(batch, segments, channels) < missing_share if missing_share else None
    with torch.no_grad():
        ours = attention(hidden, positions, codes, missing)
        theirs = plain.attention(attention, hidden, positions, codes, missing)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES[1:4])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_autograd_through_the_formulas(
    shape: tuple[int, int, int, int], masked: bool
) -> None:
    batch, segments, channels, window = shape
    attention = layer(window, torch.float64)
    leaves = [one.requires_grad_() for one in inputs(batch, segments, channels, torch.float64)]
    missing = torch.rand(batch, segments, channels) < 0.4 if masked else None
    if missing is not None:
        missing[0, :2] = True  # queries that see nobody
    upstream = torch.randn(batch, segments, channels, WIDTH, dtype=torch.float64)
    both = []
    for way in (attention, lambda *given: plain.attention(attention, *given)):
        loss = (way(*leaves, missing) * upstream).sum()
        both.append(torch.autograd.grad(loss, [*leaves, *attention.parameters()]))
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("asked", [1, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck(asked: int, masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK", 20)  # many parts and chunks, though the sizes are small
    torch.manual_seed(1)
    groups, heads, segments, channels, width = 2, 2, 5, 2, 2
    shapes: list[tuple[int, ...]] = [(groups, heads, asked, channels, width)]
    shapes += [(groups, segments, channels, width)] * 2
    shapes += [(groups, segments, width), (groups, channels, width), (3, groups, width)]
    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    missing = torch.rand(groups, segments, channels) < 0.3 if masked else None

    def attend(*given: Tensor) -> Tensor:
        out: Tensor = BlockedAttention.apply(*given, missing, 2)  # type: ignore[no-untyped-call]
        return out

    assert torch.autograd.gradcheck(attend, leaves, fast_mode=True)


def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    attention, given = layer(3, torch.float64), inputs(2, 17, 4, torch.float64)
    whole = attention(*given)
    monkeypatch.setattr(blocks_module, "BLOCK", 1)
    torch.testing.assert_close(attention(*given), whole, rtol=0, atol=1e-12)


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    attention = layer(2, torch.float32)
    hidden, positions, codes = inputs(1, 12, 4, torch.float32)
    ours = attention(hidden, 60.0 * positions, 60.0 * codes)
    theirs = plain.attention(
        attention.double(), *(one.double() for one in (hidden, 60 * positions, 60 * codes))
    )
    assert torch.isfinite(ours).all()
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-3)


def test_only_the_last_segments_when_only_they_are_asked_for() -> None:
    attention, given = layer(3, torch.float64), inputs(2, 9, 4, torch.float64)
    torch.testing.assert_close(attention(*given, asked=2), attention(*given)[:, -2:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_the_whole_network_is_that_of_the_formulas(masked: bool) -> None:
    torch.manual_seed(2)
    model = MVPFormer(MVPAConfig(24, 3, 6, 2, 40, 20, 8, 64, content_window=3)).double()
    segments = 50.0 * torch.randn(2, 9, 5, 64, dtype=torch.float64)
    missing = torch.rand(2, 9, 5) < 0.3 if masked else None
    ours = model.hidden(segments, missing)
    theirs = plain.hidden(model, model.embed(segments, missing), missing)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)

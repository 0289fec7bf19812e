"""Attention in one kernel is the attention of the formulas and of the blocks, forward and backward.

Without a GPU the kernel's two functions of a pair are run uncompiled, with all scores written out, and once
compiled for the processor. The last test is the same on a GPU, where there is one.
"""

from __future__ import annotations

import logging
import os
import shutil
from functools import partial

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.attention import flex_attention as torch_flex

from benchmarks.peers import mvpa_plain as plain
from models.mvpa import fused
from models.mvpa.blocked import BlockedAttention
from models.mvpa.blocks import Keys
from tests.oracle import attention_layers

pytestmark = pytest.mark.filterwarnings(
    "ignore:flex_attention called without torch.compile",
    "ignore:The .grad attribute of a Tensor",  # which torch looks at when it traces
    "ignore:.torch.jit.script_method. is deprecated",  # which torch uses when it compiles
)
WIDTH = 96  # six query heads of 16
layer, inputs = partial(attention_layers.layer, WIDTH), partial(attention_layers.inputs, WIDTH)
SHAPES = [(1, 1, 1, 10), (2, 17, 4, 3), (1, 4, 3, 0), (1, 30, 6, 10)]  # batch, T, C, window
NO_COMPILER = shutil.which(os.environ.get("CXX", "g++")) is None


@pytest.fixture(autouse=True)
def untraced(caplog: pytest.LogCaptureFixture) -> None:
    """Torch writes down each step of its compiler where somebody reads the log."""
    caplog.set_level(logging.WARNING, "torch.__trace")


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer takes the kernel's way on a processor, and torch lets gradients through."""
    monkeypatch.setattr(fused, "fits", lambda query: True)
    monkeypatch.setattr(fused, "compiled", lambda: fused.attended)
    monkeypatch.setattr(torch_flex, "_validate_device", lambda *given: None)


def gone(batch: int, segments: int, channels: int) -> Tensor:
    """Some tokens are missing, among them all that the first two segments of one batch row could see."""
    missing = torch.rand(batch, segments, channels) < 0.4
    missing[0, :2] = True
    return missing


def parts(
    asked: int, segments: int, channels: int, *, kind: torch.dtype = torch.float32, width: int = 16
) -> tuple[list[Tensor], Tensor]:
    """Queries, keys, values, tables and biases of two groups of three heads each, and what is missing."""
    shapes: list[tuple[int, ...]] = [(2, 3, asked, channels, width)]
    shapes += [(2, segments, channels, width)] * 2 + [
        (2, segments, width),
        (2, channels, width),
        (3, 2, width),
    ]
    return [torch.randn(shape, dtype=kind) for shape in shapes], gone(2, segments, channels)


def in_blocks(query: Tensor, keys: Keys, bias: Tensor, window: int) -> Tensor:
    given = (query, keys.key, keys.value, keys.time, keys.channel, bias, keys.missing, window)
    out: Tensor = BlockedAttention.apply(*given)  # type: ignore[no-untyped-call]
    return out


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_gradients_are_those_of_the_formulas(
    shape: tuple[int, int, int, int], masked: bool
) -> None:
    attention, given = layer(shape[3], torch.float64), inputs(*shape[:3], torch.float64)
    leaves = [one.requires_grad_() for one in given]
    missing = gone(*shape[:3]) if masked else None
    both = []
    for way in (attention, lambda *given: plain.attention(attention, *given)):
        out = way(*leaves, missing)
        both.append([out, *torch.autograd.grad(out.square().sum(), [*leaves, *attention.parameters()])])
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert not masked or not both[0][0][0, :2].any()  # queries that see nobody


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("masked", [False, True])
def test_single_precision_keeps_five_places(masked: bool) -> None:
    attention, given = layer(3, torch.float32), inputs(2, 17, 8, torch.float32)
    missing = gone(2, 17, 8) if masked else None
    with torch.no_grad():
        ours, theirs = attention(*given, missing), plain.attention(attention, *given, missing)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(("asked", "masked"), [(1, True), (4, False)])
def test_only_the_last_segments_are_those_of_the_blocks(asked: int, masked: bool) -> None:
    torch.manual_seed(1)
    leaves, missing = parts(asked, 9, 5, kind=torch.float64)
    compare(leaves, missing if masked else None, 1e-10)


def compare(leaves: list[Tensor], missing: Tensor | None, tolerance: float) -> None:
    """`fused.attend` against the blocks, forward and backward."""
    query, key, value, time, channel, bias = (one.requires_grad_() for one in leaves)
    upstream, both = torch.randn_like(query), []
    for way in (fused.attend, in_blocks):
        out = way(query, Keys(key, value, time, channel, missing), bias, 3)
        both.append([out, *torch.autograd.grad((out * upstream).sum(), leaves)])
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("before", "rows", "channels"), [(0, 1, 1), (0, 300, 3), (640, 64, 64), (35, 245, 7), (0, 260, 130)]
)
def test_tiles_are_those_that_hold_a_pair_that_is_seen(before: int, rows: int, channels: int) -> None:
    def seen(group: Tensor, head: Tensor, row: Tensor, token: Tensor) -> Tensor:
        return token // channels <= (before + row) // channels

    ours = fused.tiles(seen, before, rows, channels, torch.device("cpu"))
    theirs = torch_flex.create_block_mask(seen, None, None, rows, before + rows, device="cpu")
    assert torch.equal(ours.to_dense(), theirs.to_dense())
    assert ours.q_num_blocks is not None
    assert torch.equal(ours.q_num_blocks.sum(), ours.kv_num_blocks.sum())


def test_the_second_shape_makes_a_kernel_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_flex, "_validate_device", lambda *given: None)
    torch._dynamo.reset()
    counted = CompileCounterWithBackend("aot_eager")
    kernel = torch.compile(fused.attended, fullgraph=True, backend=counted)
    monkeypatch.setattr(fused, "compiled", lambda: kernel)
    for asked, segments, channels in ((2, 30, 7), (3, 40, 9), (4, 35, 11), (5, 33, 8)):
        compare(*parts(asked, segments, channels, kind=torch.float64), 1e-10)
    assert counted.frame_count == 2


@pytest.mark.skipif(NO_COMPILER, reason="no C++ compiler to compile the kernel for a processor with")
def test_compiled_for_a_processor_it_gives_the_outputs_of_the_blocks() -> None:
    torch._dynamo.reset()
    torch.manual_seed(2)
    (query, key, value, time, channel, bias), missing = parts(11, 24, 13)
    keys = Keys(key, value, time, channel, missing)
    with torch.no_grad():
        ours, theirs = (way(query, keys, bias, 3) for way in (fused.attend, in_blocks))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "width", "taken"),
    [
        (torch.float32, 64, True),
        (torch.bfloat16, 16, True),
        (torch.float64, 64, False),
        (torch.float32, 8, False),
    ],
)
def test_a_processor_has_the_blocks_and_a_gpu_the_kernel_where_there_is_one(
    kind: torch.dtype, width: int, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "find_spec", lambda name: name)
    assert not fused.fits(torch.empty(1, width, dtype=kind))
    with torch._subclasses.FakeTensorMode():
        assert fused.fits(torch.empty(1, width, dtype=kind, device="cuda")) is taken


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU to run the kernel on")
@pytest.mark.parametrize("masked", [False, True])
def test_on_a_gpu_it_gives_outputs_and_gradients_of_the_blocks_in_little_memory(masked: bool) -> None:
    torch.manual_seed(3)
    leaves, missing = parts(100, 100, 64, width=64)
    there = [one.cuda().requires_grad_() for one in leaves]
    both = []
    torch.cuda.reset_peak_memory_stats()
    for given, way in ((there, fused.attend), ([one.requires_grad_() for one in leaves], in_blocks)):
        query, key, value, time, channel, bias = given
        mask = missing.to(query.device) if masked else None
        out = way(query, Keys(key, value, time, channel, mask), bias, 10)
        both.append([one.cpu() for one in (out, *torch.autograd.grad(out.square().sum(), given))])
    one_table = 2 * 3 * (100 * 64) ** 2 * 4  # bytes of the scores of all pairs
    assert torch.cuda.max_memory_allocated() < one_table / 3
    torch.testing.assert_close(both[0][0], both[1][0], rtol=0, atol=1e-5)
    for ours, theirs in zip(both[0][1:], both[1][1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))

"""What does attention cost on a GPU, in one kernel and in blocks?

    python benchmarks/mvpa_gpu.py [--json]

Forward and backward of one layer's attention at the small network's sizes, float32, wall time, medians of
repeats in the same run, both ways in turn; compilation is not counted. Memory is the peak of torch's own on
the GPU beyond the inputs. Without a GPU it says so and ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from benchmarks.evidence.costs import seconds_in_turns
from benchmarks.evidence.printed import parser_of, show
from benchmarks.mvpa import CHANNELS, LARGE, REPEATS, SEGMENTS, Row, problem
from models.mvpa import SMALL, fused
from models.mvpa.blocked import BlockedAttention
from models.mvpa.blocks import Keys

COLUMNS = ("what", "bar", "kernel", "blocks", "ratio", "met")


def rows(device: str) -> Iterator[Row]:
    """The table, row by row."""
    for channels, segments in ((CHANNELS, SEGMENTS), LARGE):
        leaves = inputs(channels, segments, device)
        works = {way.__name__: partial(gradients, way, leaves) for way in (kernel, blocks)}
        spent = seconds_in_turns(works, REPEATS, clock=clock)
        seconds = {name: float(np.median(times)) for name, times in spent.items()}
        peaks = {name: peak_mb(work) for name, work in works.items()}
        what = f"forward + backward, {channels} channels x {segments} segments"
        yield row(what, seconds, "{:.3f} s")
        yield row(f"memory of {what}", peaks, "{:.0f} MB")


def row(what: str, figures: dict[str, float], written: str) -> Row:
    """One figure of both ways; the ratio says how many times more the blocks take."""
    ours, theirs = figures["kernel"], figures["blocks"]
    return Row(what, "reported", written.format(ours), written.format(theirs), theirs / ours)


def inputs(channels: int, segments: int, device: str) -> list[Tensor]:
    """Queries, keys, values, both tables and the biases of a layer, on the device."""
    one = problem(channels, segments)
    query, both = one.layer.q_attn(one.hidden), one.layer.c_attn(one.hidden)
    queries, keys, bias = one.layer.problem(query, both, one.positions, one.channels, None)
    leaves = (queries, keys.key, keys.value, keys.time, keys.channel, bias)
    return [leaf.detach().to(device).requires_grad_() for leaf in leaves]


def kernel(*given: Tensor) -> Tensor:
    """`models.mvpa.fused`."""
    query, key, value, time, channel, bias = given
    return fused.attend(query, Keys(key, value, time, channel, None), bias, SMALL.content_window)


def blocks(*given: Tensor) -> Tensor:
    """`models.mvpa.blocked`."""
    out: Tensor = BlockedAttention.apply(*given, None, SMALL.content_window)  # type: ignore[no-untyped-call]
    return out


def gradients(way: Callable[..., Tensor], leaves: list[Tensor]) -> tuple[Tensor, ...]:
    """Of a loss of one way to all its inputs."""
    return torch.autograd.grad(way(*leaves).square().sum(), leaves)


def clock() -> float:
    """Wall time in s, once the GPU has done all it was given."""
    torch.cuda.synchronize()
    return perf_counter()


def peak_mb(work: Callable[[], object]) -> float:
    """The most memory in MB that a work takes on the GPU beyond what lay there before."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def main(arguments: list[str]) -> None:
    """Print the table, or JSON."""
    chosen = parser_of(__doc__).parse_args(arguments)
    if not torch.cuda.is_available():
        sys.exit("torch finds no GPU here")
    show(rows("cuda"), COLUMNS, as_json=chosen.json)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What does attention over channels and segments cost in blocks, against all scores written out?

    python benchmarks/mvpa.py [--json] [--out FOLDER] [--only PART]

Processor time on one core, float32, medians of repeats in the same run, both sides in turn. The peer
(`peers/mvpa_plain.py`) is the paper's formulas as they stand: three tables of (T C)^2 scores a head. Memory
is the peak of a process of its own that does the work once, less that of one that has made its inputs only.
`--out` gets the plot of growth. The network's weights are random: cost does not depend on them. `--only`
takes layer, memory, gradient, stream or growth. Takes some eight minutes on a quiet machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import matplotlib as mpl
import numpy as np
import torch
from torch import Tensor

from benchmarks.evidence.costs import median_seconds, peak_mb, peak_of_process
from benchmarks.evidence.printed import parser_of, show, times, verdict
from benchmarks.peers import mvpa_plain as peer
from models.mvpa import SMALL, MVPAttention, MVPFormer

REPEATS, STREAM_REPEATS = 5, 2
CHANNELS, SEGMENTS = 64, 60
LARGE = (128, 100)
SMALLER = (32, 40)  # for gradients: autograd keeps every table of the plain way
SPEED_BAR, MEMORY_BAR, LARGE_BAR_MB, STREAM_BAR_SECONDS = 5.0, 40.0, 1000.0, 5.0
CLOSEST = 1e-5
STREAM = (64, 25)  # channels, and segments of context, the new one included
STREAMED = (32, 64, 80, 96, 128)  # channels tried for real time
GROWTH_T, GROWTH_C = (10, 20, 40, 60, 80, 110), (8, 16, 32, 64, 96, 128)
COLUMNS = ("what", "bar", "ours", "written out", "ratio", "met")
PARTS = ("layer", "memory", "gradient", "stream", "growth")


@dataclass(frozen=True)
class Row:
    """One line of the table; `ratio` is what the bar speaks of where there is a peer."""

    what: str
    bar: str
    ours: str
    peer: str = "-"
    ratio: float | None = None
    met: bool | None = None

    def cells(self) -> list[str]:
        """In the order of `COLUMNS`."""
        return [self.what, self.bar, self.ours, self.peer, times(self.ratio), verdict(self.met)]


@dataclass(frozen=True)
class Problem:
    """One layer of the small network with random weights, and what it is given."""

    layer: MVPAttention
    hidden: Tensor
    positions: Tensor
    channels: Tensor

    def ours(self) -> Tensor:
        """In blocks."""
        out: Tensor = self.layer(self.hidden, self.positions, self.channels)
        return out

    def plain(self) -> Tensor:
        """All scores at once."""
        return peer.attention(self.layer, self.hidden, self.positions, self.channels)

    def gradients(self, way: Callable[[], Tensor]) -> list[Tensor]:
        """Of a loss of one way to the hidden states and all weights."""
        leaves = [self.hidden, *self.layer.parameters()]
        return list(torch.autograd.grad(way().square().sum(), leaves))


def problem(channels: int, segments: int, *, gradients: bool = False) -> Problem:
    """A layer on random hidden states (1, T, C, D)."""
    torch.manual_seed(0)
    layer = MVPAttention(SMALL)
    torch.nn.init.normal_(layer.attn_bias, std=0.5)
    hidden = torch.randn(1, segments, channels, SMALL.width, requires_grad=gradients)
    books = (torch.randn(rows, SMALL.width) for rows in (SMALL.positions, SMALL.channels))
    return Problem(layer, hidden, *books)


@torch.no_grad()
def layer_rows() -> Iterator[Row]:
    """Speed and agreement of one layer."""
    one = problem(CHANNELS, SEGMENTS)
    apart = float((one.ours() - one.plain()).abs().max())
    seconds = median_seconds({"ours": one.ours, "plain": one.plain}, REPEATS)
    ratio = seconds["plain"] / seconds["ours"]
    what = f"attention layer, {CHANNELS} channels x {SEGMENTS} segments"
    yield Row(
        what,
        f">= {SPEED_BAR:.0f} x",
        f"{seconds['ours']:.2f} s",
        f"{seconds['plain']:.2f} s",
        ratio,
        ratio >= SPEED_BAR,
    )
    yield Row(f"{what}: largest difference", f"<= {CLOSEST}", f"{apart:.1e}", "-", None, apart <= CLOSEST)


def memory_rows() -> Iterator[Row]:
    """Peak memory of one layer beyond its inputs."""
    ours, plain = (extra_mb(side, CHANNELS, SEGMENTS) for side in ("ours", "plain"))
    what = f"memory of the layer, {CHANNELS} channels x {SEGMENTS} segments"
    ratio = plain / ours
    yield Row(
        what, f">= {MEMORY_BAR:.0f} x less", f"{ours:.0f} MB", f"{plain:.0f} MB", ratio, ratio >= MEMORY_BAR
    )
    large = extra_mb("ours", *LARGE)
    tokens = LARGE[0] * LARGE[1]
    table_mb = SMALL.query_heads * tokens**2 * 4 / 2**20
    yield Row(
        f"memory of the layer, {LARGE[0]} channels x {LARGE[1]} segments",
        f"< {LARGE_BAR_MB:.0f} MB",
        f"{large:.0f} MB",
        f"{table_mb / 1000:.1f} GB a table of scores, not run",
        None,
        large < LARGE_BAR_MB,
    )


def gradient_rows() -> Iterator[Row]:
    """Forward and backward of one layer against autograd through the plain way."""
    one = problem(*SMALLER, gradients=True)
    works = {name: partial(one.gradients, way) for name, way in (("ours", one.ours), ("plain", one.plain))}
    seconds = median_seconds(works, REPEATS)
    what = f"forward + backward, {SMALLER[0]} channels x {SMALLER[1]} segments"
    ratio = seconds["plain"] / seconds["ours"]
    yield Row(what, "reported", f"{seconds['ours']:.2f} s", f"{seconds['plain']:.2f} s", ratio)
    ours, plain = (extra_mb(f"{side} gradient", *SMALLER) for side in ("ours", "plain"))
    yield Row(f"memory of {what}", "reported", f"{ours:.0f} MB", f"{plain:.0f} MB", plain / ours)


def extra_mb(side: str, channels: int, segments: int) -> float:
    """Peak resident memory in MB of a process that does the work, less that of one that does a tiny one."""
    work, nothing = (peak_of_process(__file__, one, channels, segments) for one in (side, "nothing"))
    return work - nothing


def in_process(side: str, channels: int, segments: int) -> None:
    """One piece of work, then the process's peak memory in MB."""
    torch.set_num_threads(1)
    gradients = side.endswith("gradient")
    small, one = problem(2, 3, gradients=True), problem(channels, segments, gradients=gradients)
    for way in (small.ours, small.plain):  # libraries are loaded and threads begun on both sides
        small.gradients(way)
    ways = {"ours": one.ours, "plain": one.plain}
    if gradients:
        one.gradients(ways[side.split(maxsplit=1)[0]])
    elif side in ways:
        with torch.no_grad():
            ways[side]()
    print(peak_mb())


@torch.inference_mode()
def step(model: MVPFormer, past: Tensor, segment: Tensor) -> Tensor:
    """One more segment (1, 1, C, samples) after those before as they entered, (1, T - 1, C, F)."""
    return model.classify_entered(torch.cat([past, model.enter(model.embed(segment))], dim=1))


@torch.inference_mode()
def plain_step(model: MVPFormer, past: Tensor, segment: Tensor) -> Tensor:
    """The same by the formulas: every layer in full, every score written out."""
    embeddings = torch.cat([past[..., : SMALL.width], model.embed(segment)], dim=1)
    hidden = peer.hidden(model, embeddings)
    assert model.classifier is not None
    logits: Tensor = model.classifier(hidden[:, -1].mean(1))
    return logits


@torch.inference_mode()
def stream(model: MVPFormer, channels: int, segments: int) -> tuple[Tensor, Tensor]:
    """What a stream remembers of the segments before, and its next segment."""
    past = model.enter(torch.randn(1, segments - 1, channels, SMALL.width))
    return past, torch.randn(1, 1, channels, SMALL.segment_samples)


def stream_rows() -> Iterator[Row]:
    """One more segment of a stream, and the largest montage that stays real time on two cores."""
    torch.manual_seed(0)
    model = MVPFormer(SMALL).eval()
    channels, segments = STREAM
    given = stream(model, channels, segments)
    works = {"ours": partial(step, model, *given), "plain": partial(plain_step, model, *given)}
    apart = float((works["ours"]() - works["plain"]()).abs().max())
    seconds = median_seconds(works, STREAM_REPEATS)
    yield Row(
        f"small network, one more segment of {channels} channels, context {segments} segments",
        f"< {STREAM_BAR_SECONDS:.0f} s",
        f"{seconds['ours']:.2f} s",
        f"{seconds['plain']:.2f} s",
        seconds["plain"] / seconds["ours"],
        seconds["ours"] < STREAM_BAR_SECONDS,
    )
    yield Row("the same: largest difference of logits", "-", f"{apart:.1e}")
    yield montage_row(model, segments)


def montage_row(model: MVPFormer, segments: int) -> Row:
    """Wall time of a step on two threads, by montage."""
    torch.set_num_threads(2)
    wall = {}
    for channels in STREAMED:
        given = stream(model, channels, segments)
        step(model, *given)
        start = perf_counter()
        step(model, *given)
        wall[channels] = perf_counter() - start
    torch.set_num_threads(1)
    within = [channels for channels, spent in wall.items() if spent < STREAM_BAR_SECONDS]
    listed = ", ".join(f"{channels}: {spent:.1f} s" for channels, spent in wall.items())
    largest = f"{max(within)} channels" if within else "none"
    return Row("largest montage in real time on two cores, wall time", "reported", f"{largest} ({listed})")


@torch.no_grad()
def growth_row(out: Path | None) -> Row:
    """Cost as T and as C grow, with the exponents of the larger half."""
    by_t = median_seconds({str(t): problem(32, t).ours for t in GROWTH_T}, REPEATS)
    by_c = median_seconds({str(c): problem(c, 30).ours for c in GROWTH_C}, REPEATS)
    fitted = [exponent(sizes, list(found.values())) for sizes, found in ((GROWTH_T, by_t), (GROWTH_C, by_c))]
    if out:
        plot_growth(list(by_t.values()), list(by_c.values()), fitted, out)
    return Row(
        f"growth of the layer with T (32 channels, {GROWTH_T[0]} to {GROWTH_T[-1]}) and C (30 segments, "
        f"{GROWTH_C[0]} to {GROWTH_C[-1]})",
        "reported",
        f"T^{fitted[0]:.2f}, C^{fitted[1]:.2f}",
        "T^2, C^2",
    )


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """The slope of log cost over log size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def plot_growth(by_t: list[float], by_c: list[float], fitted: list[float], out: Path) -> None:
    """Draw cost against T and against C."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the choice of a backend without a screen

    figure, axes = plt.subplots(figsize=(6.0, 4.2), layout="constrained")
    axes.loglog(GROWTH_T, by_t, "o-", label=f"segments T, 32 channels: T^{fitted[0]:.2f}")
    axes.loglog(GROWTH_C, by_c, "s--", label=f"channels C, 30 segments: C^{fitted[1]:.2f}")
    axes.set(xlabel="T or C", ylabel="s of processor time")
    axes.set_title("One attention layer, width 768, one core")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "mvpa_growth.png", dpi=150)
    plt.close(figure)


def rows(out: Path | None, only: str | None) -> Iterator[Row]:
    """The table, row by row."""
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "layer": layer_rows,
        "memory": memory_rows,
        "gradient": gradient_rows,
        "stream": stream_rows,
        "growth": lambda: iter([growth_row(out)]),
    }
    for name in PARTS if only is None else (only,):
        yield from parts[name]()


def main(arguments: list[str]) -> None:
    """Print the table, or JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, help="folder for the plot")
    parser.add_argument("--only", choices=PARTS, help="one part of the table")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    show(rows(chosen.out, chosen.only), COLUMNS, as_json=chosen.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-process"]:
        in_process(sys.argv[2], *(int(size) for size in sys.argv[3:]))
    else:
        main(sys.argv[1:])

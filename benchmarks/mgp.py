"""What does the exact Gaussian process cost in linear time, against gpytorch's exact inference?

    python benchmarks/mgp.py [--json] [--out FOLDER]

Processor time on one core, float32, medians of repeats in the same run. Both sides hold the same model (one
Matern-1/2 time scale, rank 8), which is checked before anything is timed, and give the posterior of 48 hours
x M variables: its mean and 10 joint draws. gpytorch takes one stay at a time, ours a batch. Observation
times are all different, which is the worst case for ours: each costs a prediction of its own. The last column
is gpytorch as it comes, which above 800 points (hours x variables) draws from an approximation of rank 100.
`--out` gets the plot of cost against n. Takes some four minutes; `--json` prints the rows as JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import process_time

import matplotlib as mpl
import numpy as np
import torch

from benchmarks.evidence.costs import median_seconds, peak_mb, peak_of_process
from benchmarks.evidence.printed import parser_of, show, times, verdict
from benchmarks.peers import gpytorch_icm as peer
from models.mgp.kernel import Kernel
from models.mgp.posterior import Observations, Posterior, posteriors
from models.mgp.streaming import State

HOURS, DRAWS, RANK, BATCH = 48, 10, 8, 32
REPEATS, PEER_REPEATS = 7, 3  # the second for the plot alone
AS_IT_COMES = "as it comes"
GROWTH = (50, 100, 200, 500, 1000, 2000, 5000)
STREAMED = 200  # observations that follow, one by one
BEARABLE = 1000  # the most observations of one stay that gpytorch is plotted for
LOOSEST = 2e-3  # of the prior's standard deviation, float32 on both sides
FANTASY_BAR, EXPONENT_BAR, MEMORY_BAR_MB = 500.0, 1.1, 5.0
FLAT = 1.5  # the most that one observation may vary over n, in a machine that others use too
COLUMNS = ("what", "bar", "ours", "gpytorch", "ratio", "met", "gpytorch as it comes")
GRID = torch.arange(1.0, HOURS + 1.0)


@dataclass(frozen=True)
class Row:
    """One line of the table; `ratio` is what the bar speaks of where there is a peer."""

    what: str
    bar: str
    ours: str
    peer: str = "-"
    ratio: float | None = None
    met: bool | None = None
    ratio_as_it_comes: float | None = None

    def cells(self) -> list[str]:
        """In the order of `COLUMNS`."""
        compared = [times(self.ratio), verdict(self.met), times(self.ratio_as_it_comes)]
        return [self.what, self.bar, self.ours, self.peer, *compared]


def problem(n: int, variables: int, seed: int = 0) -> peer.Problem:
    """A stay of `n` observations at uniform times of uniform variables, and the model's parameters."""
    of_stay, of_model = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(0)
    return peer.Problem(
        time_hours=(HOURS * torch.rand(n, generator=of_stay, dtype=torch.float64)).sort().values.float(),
        variable=torch.randint(0, variables, (n,), generator=of_stay),
        value=torch.randn(n, generator=of_stay),
        lengthscale_hours=torch.tensor(6.0),
        factor=0.3 * torch.randn(variables, RANK, generator=of_model),
        diagonal=0.2 + 0.3 * torch.rand(variables, generator=of_model),
        noise=0.05 + 0.2 * torch.rand(variables, generator=of_model),
    )


def kernel_of(one: peer.Problem) -> Kernel:
    """Our kernel of a problem, with gradients where its parameters have them."""
    covariance = one.factor @ one.factor.mT + torch.diag(one.diagonal)
    return Kernel(lengthscale_hours=one.lengthscale_hours, task_covariance=covariance, noise=one.noise)


def observations(one: peer.Problem) -> Observations:
    """The stay of a problem as ours takes it."""
    return Observations(one.time_hours, one.variable, one.value)


def forward(kernel: Kernel, stays: list[Observations]) -> list[Posterior]:
    """Posterior means and joint draws of every stay."""
    found = posteriors(kernel, stays, [GRID] * len(stays))
    generator = torch.Generator().manual_seed(0)
    for one in found:
        assert one.mean.shape == (HOURS, kernel.variables)
        one.sample(DRAWS, generator)
    return found


def forward_backward(one: peer.Problem, stays: list[Observations]) -> None:
    """The same and the gradients of a loss of both to every parameter, the factor of B too."""
    leaves = [one.lengthscale_hours, one.factor, one.diagonal, one.noise]
    parameters = [leaf.clone().requires_grad_() for leaf in leaves]
    kernel = kernel_of(peer.Problem(one.time_hours, one.variable, one.value, *parameters))
    generator = torch.Generator().manual_seed(0)
    loss = torch.zeros(())
    for found in posteriors(kernel, stays, [GRID] * len(stays)):
        loss = loss + found.mean.sum() + found.sample(DRAWS, generator).square().sum()
    loss.backward()  # type: ignore[no-untyped-call]


def ours(n: int, variables: int, batch: int, *, gradients: bool) -> Callable[[], object]:
    """The work on a batch of stays of `n`."""
    first = problem(n, variables)
    stays = [observations(problem(n, variables, seed)) for seed in range(batch)]
    if gradients:
        return partial(forward_backward, first, stays)
    return partial(forward, kernel_of(first), stays)


def peers(n: int, variables: int, *, gradients: bool) -> dict[str, Callable[[], object]]:
    """gpytorch's work on one stay, in each way."""
    model, points = peer.ICM(problem(n, variables)), peer.crossed(GRID, variables)
    return {
        way: partial(peer.infer, model, points, DRAWS, way, gradients=gradients)
        for way in (*peer.EXACT, AS_IT_COMES)
    }


def check_same_model(n: int, variables: int) -> None:
    """Raise AssertionError unless both sides give one mean and one variance."""
    one = problem(n, variables)
    with peer.settings("exact", gradients=False):
        theirs = peer.ICM(one)(*peer.crossed(GRID, variables))
        mean, variance = theirs.mean.view(HOURS, -1), theirs.variance.view(HOURS, -1)
    found = posteriors(kernel_of(one), [observations(one)], [GRID])[0]
    torch.testing.assert_close(found.mean, mean, rtol=0.0, atol=LOOSEST)
    torch.testing.assert_close(found.variance, variance, rtol=0.0, atol=LOOSEST)


def compared(n: int, variables: int, bar: float, *, gradients: bool) -> Row:
    """Ours in a batch against gpytorch one stay at a time, in its fastest exact way."""
    works = {"ours": ours(n, variables, BATCH, gradients=gradients)}
    seconds = median_seconds(works | peers(n, variables, gradients=gradients), REPEATS)
    a_stay, way = seconds["ours"] / BATCH, min(peer.EXACT, key=lambda way: seconds[way])
    ratio = seconds[way] / a_stay
    return Row(
        f"{'forward + backward' if gradients else 'forward'}, n = {n}, M = {variables}",
        f">= {bar:.0f} x",
        f"{1e3 * a_stay:.3f} ms",
        f"{1e3 * seconds[way]:.1f} ms ({way})",
        ratio,
        ratio >= bar,
        seconds[AS_IT_COMES] / a_stay,
    )


def told(one: peer.Problem) -> State:
    """A state that has observed the stay of a problem."""
    state = State(kernel_of(one))
    for row in zip(one.time_hours.tolist(), one.variable.tolist(), one.value.tolist(), strict=True):
        state.observe(*row)
    return state


def observe_seconds(n: int, variables: int, *, predict: bool = False) -> float:
    """Seconds for one observation more in a stay of `n`, and for the next hour's posterior if `predict`.

    The median of `REPEATS` runs of 200.
    """
    spent = []
    for _ in range(REPEATS):
        state = told(problem(n, variables))
        start = process_time()
        for later in range(STREAMED):
            state.observe(HOURS + 0.1 * later, later % variables, 0.5)
            if predict:
                state.posterior(torch.tensor([HOURS + 0.1 * later + 1.0]))
        spent.append((process_time() - start) / STREAMED)
    return float(np.median(spent))


def fantasy_seconds(n: int, variables: int, *, predict: bool = False) -> tuple[str, float]:
    """gpytorch's fastest exact way to the same, and its seconds."""
    later = HOURS + 0.1
    points = peer.crossed(torch.tensor([later + 1.0]), variables) if predict else None
    seconds = median_seconds(
        {
            way: partial(
                peer.fantasy,
                peer.ready_for_fantasy(problem(n, variables), way),
                way,
                (later, 3, 0.5),
                0.1,
                points,
            )
            for way in peer.EXACT
        },
        4 * REPEATS,
    )
    fastest = min(seconds, key=lambda way: seconds[way])
    return fastest, seconds[fastest]


def streaming_rows(variables: int) -> Iterator[Row]:
    """One new observation."""
    sizes = (50, 400, 5000)
    seconds = {n: observe_seconds(n, variables) for n in sizes}
    spread = max(seconds.values()) / min(seconds.values())
    listed = " / ".join(f"{1e6 * seconds[n]:.1f}" for n in sizes)
    what = f"one new observation, M = {variables}"
    yield Row(f"{what}, n = 50 / 400 / 5000", "independent of n", f"{listed} us", "-", spread, spread < FLAT)
    way, theirs = fantasy_seconds(400, variables)
    ratio, listed = theirs / seconds[400], f"{1e6 * seconds[400]:.1f} us"
    fantasy = f"{1e3 * theirs:.1f} ms (get_fantasy_model, {way})"
    bar = f">= {FANTASY_BAR:.0f} x"
    yield Row(f"{what}, n = 400", bar, listed, fantasy, ratio, ratio >= FANTASY_BAR)
    both, (way, theirs) = (
        observe_seconds(400, variables, predict=True),
        fantasy_seconds(400, variables, predict=True),
    )
    what = f"{what}, n = 400, and mean and variance of the next hour"
    yield Row(what, "-", f"{1e6 * both:.1f} us", f"{1e3 * theirs:.1f} ms ({way})", theirs / both)


def growth_row(variables: int, out: Path | None) -> Row:
    """Cost of the forward pass as n grows, with a line fitted to its logarithms."""
    few = 4  # stays: a batch of 5,000 rows each is long enough to time
    works = {str(n): ours(n, variables, few, gradients=False) for n in GROWTH}
    seconds = [spent / few for spent in median_seconds(works, REPEATS).values()]
    exponent = float(np.polyfit(np.log(GROWTH), np.log(seconds), 1)[0])
    steepest = float(np.max(np.diff(np.log(seconds)) / np.diff(np.log(GROWTH))))
    if out:
        plot_growth(seconds, exponent, variables, out)
    listed = f"exponent {exponent:.2f} (steepest step {steepest:.2f})"
    what = f"forward, n = {GROWTH[0]} -> {GROWTH[-1]}, M = {variables}"
    bar = f"exponent <= {EXPONENT_BAR}"
    return Row(what, bar, listed, "-", None, exponent <= EXPONENT_BAR)


def plot_growth(seconds: list[float], exponent: float, variables: int, out: Path) -> None:
    """Draw cost against n, gpytorch beside it where it is bearable."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the choice of a backend without a screen

    sizes = [n for n in GROWTH if n <= BEARABLE]
    theirs = []
    for n in sizes:
        found = median_seconds(peers(n, variables, gradients=False), PEER_REPEATS)
        theirs.append(1e3 * min(found[way] for way in peer.EXACT))
    figure, axes = plt.subplots(figsize=(6.0, 4.2), layout="constrained")
    axes.loglog(GROWTH, [1e3 * one for one in seconds], "o-", label=f"models.mgp, n^{exponent:.2f}")
    axes.loglog(sizes, theirs, "s--", color="tab:gray", label="gpytorch, exact")
    axes.set(xlabel="observations n", ylabel="ms of processor time a stay")
    axes.set_title(f"Mean and {DRAWS} joint draws of {HOURS} h x {variables} variables, one core")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "mgp_growth.png", dpi=150)
    plt.close(figure)


def memory_row(n: int, variables: int) -> Row:
    """Peak memory a stay: how the peak of a process grows with its batch."""
    few, many, peak_of = 8, 72, partial(peak_of_process, __file__)
    peak_of("ours", 1, n, variables)  # whoever compiles has the compiler's peak
    per_stay = (peak_of("ours", many, n, variables) - peak_of("ours", few, n, variables)) / (many - few)
    theirs = peak_of("peer", 1, n, variables) - peak_of("peer", 0, n, variables)
    what = f"memory of forward + backward, n = {n}, M = {variables}"
    ratio = theirs / max(per_stay, 0.01)
    return Row(
        what,
        f"<= {MEMORY_BAR_MB:.0f} MB a stay",
        f"{per_stay:.2f} MB",
        f"{theirs:.0f} MB",
        ratio,
        per_stay <= MEMORY_BAR_MB,
    )


def in_process(side: str, batch: int, n: int, variables: int) -> None:
    """Forward and backward of one batch, then the process's peak memory in MB."""
    one = problem(n, variables)
    if side == "ours":
        forward_backward(one, [observations(problem(n, variables, seed)) for seed in range(batch)])
    else:
        small = peer.ICM(problem(n, RANK)), peer.crossed(GRID, RANK)
        full = peer.ICM(one), peer.crossed(GRID, variables)
        for model, points in [small] + [full] * batch:
            peer.infer(model, points, DRAWS, "exact", gradients=True)
    print(peak_mb())


def rows(out: Path | None) -> Iterator[Row]:
    """The table, row by row."""
    check_same_model(150, 44)
    for n, variables, bar in [(50, 44, 75), (150, 44, 150), (400, 44, 200), (150, 10, 30), (400, 10, 30)]:
        yield compared(n, variables, bar, gradients=False)
    for n in (150, 400):
        yield compared(n, 44, 100, gradients=True)
    yield from streaming_rows(44)
    yield growth_row(44, out)
    yield memory_row(150, 44)


def main(arguments: list[str]) -> None:
    """Print the table, or JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, help="folder for the plot")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    show(rows(chosen.out), COLUMNS, as_json=chosen.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-process"]:
        in_process(sys.argv[2], *(int(size) for size in sys.argv[3:]))
    else:
        main(sys.argv[1:])

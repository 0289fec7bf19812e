"""What dynamic time warping costs: `models/dtw` beside tslearn, aeon and dtaidistance.

    python benchmarks/dtw.py [--json] [--out FOLDER]

Processor time on one core, the least of repeats that take turns: what else the machine does only adds to it.
Series are AR(1) with a correlation from hour to hour of 0.5, the worst case for bounds, or 0.95, closer to a
patient's. Peers work on fewer pairs of the same kind and are compared by the pair. `--out` gets the plots of
cost against N and L; `--json` prints JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from benchmarks.evidence.costs import seconds_in_turns
from benchmarks.evidence.printed import parser_of, show, times, verdict
from benchmarks.peers import dtw_libraries as libraries
from models.dtw.distances import dependent, per_variable
from models.dtw.search import Form, nearest
from models.dtw.series import References, Series, references, series
from models.dtw.streaming import Stream
from models.dtw.windows import Alignment, Full, SakoeChiba

Doubles = npt.NDArray[np.float64]

REPEATS = 11
ROUGH, SMOOTH = 0.5, 0.95  # correlation of an hour with the next
K, HOURS, VARIABLES = 5, 40, 44
MANY = 4000
AGREEMENT = 1e-6
COLUMNS = ("what", "bar", "ours", "tslearn", "best peer", "to tslearn", "to peer", "met")
SIZES, LENGTHS = (1000, 2000, 4000, 8000, 16_000), (40, 80, 160, 320, 640)


@dataclass(frozen=True)
class Row:
    """One line of the table; ratios are against tslearn and against the better of aeon and dtaidistance."""

    what: str
    bar: str
    ours: str
    tslearn: str = "-"
    peer: str = "-"
    ratio_tslearn: float | None = None
    ratio_peer: float | None = None
    met: bool | None = None

    def cells(self) -> list[str]:
        """In the order of `COLUMNS`."""
        ratios = [times(one, 0) for one in (self.ratio_tslearn, self.ratio_peer)]
        return [self.what, self.bar, self.ours, self.tslearn, self.peer, *ratios, verdict(self.met)]


def stays(count: int, hours: int, variables: int, correlation: float, seed: int = 0) -> Doubles:
    """Series (count, hours, variables) of variance 1, exact in single precision."""
    source = np.random.default_rng(seed)
    values = source.normal(size=(count, hours, variables))
    for hour in range(1, hours):
        values[:, hour] *= np.sqrt(1.0 - correlation**2)
        values[:, hour] += correlation * values[:, hour - 1]
    return values.astype(np.float32).astype(np.float64)


def laid_out(values: Doubles) -> tuple[References, list[Series]]:
    """As references and as queries."""
    each = [series(one) for one in values]
    return references(each), each


def alignment_of(radius: int | None) -> Alignment:
    """A full window, or Sakoe and Chiba's."""
    return Alignment(Full() if radius is None else SakoeChiba(radius))


def fastest_seconds(
    works: Mapping[str, Callable[[], object]],
    repeats: int = REPEATS,
    clock: Callable[[], float] = process_time,
) -> dict[str, float]:
    """The least time of each work."""
    return {name: min(seconds) for name, seconds in seconds_in_turns(works, repeats, clock).items()}


def all_distances(queries: Sequence[Series], past: References, radius: int | None) -> None:
    """Ours, brute force: one path for all variables."""
    for query in queries:
        dependent(query, past, alignment_of(radius))


def distances_row(
    hours: int, variables: int, radius: int | None, few: int, *, bars: tuple[float, float], goals: str = ""
) -> Row:
    """All distances, nothing pruned; peers take `few` references."""
    values = stays(MANY if hours <= HOURS else 400, hours, variables, ROUGH)
    past, queries = laid_out(values)
    works: dict[str, Callable[[], object]] = {"ours": partial(all_distances, queries[:4], past, radius)}
    works["tslearn"] = libraries.tslearn(values[0], values[:few], radius)
    for name, peer in libraries.peers().items():
        works[name] = peer(values[0], values[:few], radius)
    seconds = fastest_seconds(works)
    pair = {name: spent / few for name, spent in seconds.items()} | {
        "ours": seconds["ours"] / 4 / len(values)
    }
    window = "full" if radius is None else f"Sakoe-Chiba r = {radius}"
    what = f"all distances, L = {hours}, {variables}-dimensional, {window}"
    return compared(what, bars, goals, pair)


def compared(what: str, bars: tuple[float, float], goals: str, pair: dict[str, float]) -> Row:
    """A row of seconds a pair."""
    ours, theirs = pair["ours"], pair["tslearn"]
    name = min(set(pair) - {"ours", "tslearn"}, key=lambda one: pair[one], default="")
    to_peer = pair[name] / ours if name else None
    enough = theirs / ours >= bars[0] and (to_peer is None or to_peer >= bars[1])
    peer = f"{1e6 * pair[name]:.2f} us ({name})" if name else "-"
    bar = f">= {bars[0]:.0f} x, {bars[1]:.0f} x{goals}"
    return Row(
        what, bar, f"{1e9 * ours:.0f} ns", f"{1e6 * theirs:.2f} us", peer, theirs / ours, to_peer, enough
    )


def search_seconds(correlation: float, radius: int | None) -> tuple[float, float]:
    """Seconds a query of the five nearest of 4,000 univariate stays: ours, and tslearn's with sorting."""
    values = stays(MANY + 20, HOURS, 1, correlation)
    past, _ = laid_out(values[20:])
    queries = [series(one) for one in values[:20]]
    distances = libraries.tslearn(values[0], values[20:1020], radius)
    seconds = fastest_seconds(
        {
            "ours": lambda: nearest(queries, past, K, alignment_of(radius)),
            "tslearn": lambda: np.argsort(distances()[0])[:K],
        }
    )
    return seconds["ours"] / len(queries), seconds["tslearn"] * MANY / 1000


def search_rows() -> Iterator[Row]:
    """The five nearest by one variable, on four kinds of data, and the worst of them."""
    ratios = []
    for correlation in (ROUGH, SMOOTH):
        for radius in (None, 4):
            ours, theirs = search_seconds(correlation, radius)
            ratios.append(theirs / ours)
            window = "full" if radius is None else f"r = {radius}"
            what = f"5 nearest of {MANY}, L = {HOURS}, correlation {correlation}, {window}"
            yield Row(what, "-", f"{1e3 * ours:.3f} ms", f"{1e3 * theirs:.0f} ms", "-", theirs / ours)
    yield Row("the worst of these four", ">= 300 x", "-", "-", "-", min(ratios), None, min(ratios) >= 300)  # noqa: PLR2004


def ward_rows() -> Iterator[Row]:
    """100 queries among 4,000 stays by each of 44 variables, and what tslearn would take."""
    for correlation in (ROUGH, SMOOTH):
        values = stays(MANY + 100, HOURS, VARIABLES, correlation)
        past, _ = laid_out(values[100:])
        queries = [series(one) for one in values[:100]]
        distances = libraries.tslearn(values[0, :, :1], values[100:1100, :, :1], None)
        works = {"ours": lambda: nearest(queries, past, K), "tslearn": distances}  # noqa: B023  run at once
        seconds = fastest_seconds(works, 3)
        theirs = seconds["tslearn"] * 100 * VARIABLES * MANY / 1000
        what = (
            f"5 nearest, 100 queries x {MANY} x {VARIABLES} variables x {HOURS} h, correlation {correlation}"
        )
        ours = seconds["ours"]
        met = ours <= 8.0  # noqa: PLR2004  the bar
        yield Row(
            what, "<= 8 s, goal 2.5 s", f"{ours:.2f} s", f"{theirs:.0f} s", "-", theirs / ours, None, met
        )


def another_hour(hours: int, form: Form) -> Row:
    """One more hour of a stay of so many hours, against 10,000 references, and starting again."""
    values = stays(10_000, hours + 8, VARIABLES, SMOOTH)
    past, _ = laid_out(values)
    stream, alignment = Stream(past, form=form), Alignment(open_end=True)
    for hour in range(hours):
        stream.advance(values[0, hour])
    again = dependent if form is Form.DEPENDENT else per_variable
    whole = series(values[0, :hours])
    works = {"hour": lambda: stream.advance(values[1, 0]), "again": lambda: again(whole, past, alignment)}
    seconds = fastest_seconds(works, 5)
    ratio = seconds["again"] / seconds["hour"]
    what = f"hour {hours + 1} of a stay x 10,000 x {VARIABLES}, {form.value}, against starting again"
    listed = f"{1e3 * seconds['hour']:.1f} ms, again {1e3 * seconds['again']:.0f} ms ({ratio:.1f} x)"
    return Row(what, ">= 20 x", listed, met=ratio >= 20)  # noqa: PLR2004  the bar


def growth_rows(out: Path | None) -> Iterator[Row]:
    """How all distances and the search grow with N, and all distances with L."""
    by_number: dict[str, Callable[[], object]] = {}
    for number in SIZES:
        past, queries = laid_out(stays(number, HOURS, 1, SMOOTH))
        by_number[f"all distances, {number}"] = partial(all_distances, queries[:4], past, None)
        by_number[f"5 nearest, {number}"] = partial(nearest, queries[:4], past, K)
    by_length: dict[str, Callable[[], object]] = {}
    for hours in LENGTHS:
        past, queries = laid_out(stays(1024, hours, 1, SMOOTH))
        by_length[f"all distances, {hours}"] = partial(all_distances, queries[:4], past, None)
    of_number, of_length = fastest_seconds(by_number), fastest_seconds(by_length)
    for kind, seconds, sizes, axis in (
        ("all distances", of_number, SIZES, "N"),
        ("5 nearest", of_number, SIZES, "N"),
        ("all distances", of_length, LENGTHS, "L"),
    ):
        spent = [seconds[f"{kind}, {size}"] / 4 for size in sizes]
        exponent = float(np.polyfit(np.log(sizes), np.log(spent), 1)[0])
        if out:
            plot_growth(out, kind, axis, sizes, spent, exponent=exponent)
        yield Row(
            f"growth of {kind}, {axis} = {sizes[0]} to {sizes[-1]}", "reported", f"exponent {exponent:.2f}"
        )


def plot_growth(
    out: Path, kind: str, axis: str, sizes: Sequence[int], spent: Sequence[float], *, exponent: float
) -> None:
    """Draws cost against size."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  after the choice of a backend without a screen

    figure, axes = plt.subplots(figsize=(6.0, 4.2), layout="constrained")
    axes.loglog(sizes, [1e3 * one for one in spent], "o-", label=f"models.dtw, {axis}^{exponent:.2f}")
    axes.set(xlabel=axis, ylabel="ms of processor time a query", title=f"{kind.capitalize()}, one core")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / f"dtw_{kind.replace(' ', '_')}_{axis}.png", dpi=150)
    plt.close(figure)


def threads_row() -> Row:
    """Two threads against one, by the clock: they need two free cores."""
    values = stays(MANY, HOURS, VARIABLES, ROUGH)
    past, queries = laid_out(values)
    works = {str(threads): partial(nearest, queries[:16], past, K, threads=threads) for threads in (1, 2)}
    seconds = fastest_seconds(works, 5, perf_counter)
    ratio = seconds["1"] / seconds["2"]
    return Row("two threads against one, by the clock", ">= 1.6 x", f"{ratio:.2f} x", met=ratio >= 1.6)  # noqa: PLR2004


def agreement_row() -> Row:
    """The largest relative difference of a distance to tslearn's, and whether neighbours are the same."""
    worst, same = 0.0, True
    for radius in (None, 4):
        values = stays(600, HOURS, 1, SMOOTH, seed=1)
        past, queries = laid_out(values[100:])[0], [series(one) for one in values[:100]]
        found = nearest(queries, past, K, alignment_of(radius))
        for place in range(100):
            theirs = np.asarray(libraries.tslearn(values[place], values[100:], radius)())[0]
            best = np.argsort(theirs, kind="stable")[:K]
            same &= bool((found.index[place, 0] == best).all())
            single = per_variable(queries[place], past, alignment_of(radius))[0]
            worst = max(worst, float((np.abs(single - theirs) / theirs).max()))
            worst = max(worst, float((np.abs(found.distance[place, 0] - theirs[best]) / theirs[best]).max()))
    listed = f"{worst:.1e}, neighbours {'identical' if same else 'DIFFER'}"
    return Row("largest relative difference to tslearn", "<= 1e-6", listed, met=same and worst <= AGREEMENT)


def rows(out: Path | None) -> Iterator[Row]:
    """The table, row by row."""
    yield agreement_row()
    yield distances_row(HOURS, 1, None, 1000, bars=(70, 20), goals=", goal 150 x, 40 x")
    yield distances_row(HOURS, 1, 4, 1000, bars=(300, 20))
    yield distances_row(500, 1, None, 20, bars=(30, 15))
    yield distances_row(HOURS, VARIABLES, None, 100, bars=(35, 20))
    yield from search_rows()
    yield from ward_rows()
    for hours in (HOURS, 160):
        yield another_hour(hours, Form.PER_VARIABLE)
    yield another_hour(HOURS, Form.DEPENDENT)
    yield from growth_rows(out)
    yield threads_row()


def main() -> None:
    """Print the table, or JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, help="folder for the plots")
    chosen = parser.parse_args()
    show(rows(chosen.out), COLUMNS, as_json=chosen.json)


if __name__ == "__main__":
    main()

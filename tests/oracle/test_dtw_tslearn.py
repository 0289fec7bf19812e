"""Distances and windows against tslearn, which defines them.

In double precision the distances are its bits; in single precision they are within the rounding of that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from tslearn.metrics import (  # type: ignore[import-untyped]
    dtw,
    dtw_subsequence_path,
    itakura_mask,
    sakoe_chiba_mask,
)

from models.dtw.distances import dependent, independent, per_variable
from models.dtw.series import References, references, series
from models.dtw.windows import Alignment, Full, Itakura, SakoeChiba, Window

Doubles = npt.NDArray[np.float64]

SINGLE = 2e-6  # relative; a few roundings of single precision in 60 sums
LENGTHS = (2, 3, 4, 5, 8, 9, 16, 23, 30)


def closed(window: Window) -> Callable[[Doubles, Doubles], float]:
    """tslearn's distance in a window; infinite where it refuses because no path exists."""
    chosen: dict[str, object] = {}
    if isinstance(window, SakoeChiba):
        chosen = {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": window.radius}
    if isinstance(window, Itakura):
        chosen = {"global_constraint": "itakura", "itakura_max_slope": window.max_slope}

    def distance(query: Doubles, reference: Doubles) -> float:
        try:
            return float(dtw(query, reference, **chosen))
        except RuntimeWarning:
            return np.inf

    return distance


def subsequence(query: Doubles, reference: Doubles) -> float:
    return float(dtw_subsequence_path(query, reference)[1])


CASES = [
    (Alignment(), closed(Full())),
    (Alignment(SakoeChiba(0)), closed(SakoeChiba(0))),
    (Alignment(SakoeChiba(3)), closed(SakoeChiba(3))),
    (Alignment(Itakura(2.0)), closed(Itakura(2.0))),
    (Alignment(Itakura(1.3)), closed(Itakura(1.3))),
    (Alignment(open_begin=True, open_end=True), subsequence),
]
IDS = ["full", "sakoe-chiba 0", "sakoe-chiba 3", "itakura 2", "itakura 1.3", "subsequence"]


def stays(variables: int, count: int, lengths: tuple[int, ...] = LENGTHS) -> list[Doubles]:
    source = np.random.default_rng(variables)
    return [source.normal(size=(source.choice(lengths), variables)) for _ in range(count)]


def laid_out(many: list[Doubles]) -> References:
    return references([series(one) for one in many])


@pytest.mark.parametrize(("alignment", "theirs"), CASES, ids=IDS)
@pytest.mark.parametrize("variables", [1, 3])
def test_dependent_distances_of_unequal_lengths(
    alignment: Alignment, theirs: Callable[[Doubles, Doubles], float], variables: int
) -> None:
    past = stays(variables, 70)
    for query in stays(variables, 5):
        expected = np.array([theirs(query, one) for one in past])
        ours = dependent(series(query), laid_out(past), alignment, exact=True)
        np.testing.assert_array_equal(ours, expected)
        single = dependent(series(query), laid_out(past), alignment)
        np.testing.assert_allclose(single, expected, rtol=SINGLE)


@pytest.mark.parametrize(("alignment", "theirs"), CASES, ids=IDS)
def test_every_variable_by_itself_and_their_sum(
    alignment: Alignment, theirs: Callable[[Doubles, Doubles], float]
) -> None:
    query, past = stays(4, 1)[0], stays(4, 40)
    expected = np.array([[theirs(query[:, v], one[:, v]) for one in past] for v in range(4)])
    found = per_variable(series(query), laid_out(past), alignment, threads=2)
    np.testing.assert_allclose(found, expected, rtol=SINGLE, atol=1e-6)
    exact = per_variable(series(query), laid_out(past), alignment, exact=True)
    np.testing.assert_array_equal(exact, expected)
    np.testing.assert_allclose(
        independent(series(query), laid_out(past), alignment, exact=True), expected.sum(axis=0), rtol=1e-15
    )


def test_long_series() -> None:
    query, past = stays(1, 1, (500,))[0], stays(1, 8, (480, 500))
    expected = np.array([dtw(query, one) for one in past])
    np.testing.assert_allclose(dependent(series(query), laid_out(past)), expected, rtol=SINGLE)


@pytest.mark.parametrize("window", [SakoeChiba(0), SakoeChiba(1), SakoeChiba(7), Itakura(1.0), Itakura(2.5)])
def test_windows_of_all_lengths(window: Window) -> None:
    for n in range(2, 24):
        for m in range(2, 24):
            first, last = window.columns(n, m)
            column = np.arange(m)
            ours = (column >= first[:, np.newaxis]) & (column < last[:, np.newaxis])
            if isinstance(window, SakoeChiba):
                np.testing.assert_array_equal(ours, sakoe_chiba_mask(n, m, window.radius))
            elif (
                isinstance(window, Itakura) and (theirs := parallelogram(n, m, window.max_slope)) is not None
            ):
                np.testing.assert_array_equal(ours, theirs)


def parallelogram(n: int, m: int, slope: float) -> npt.NDArray[np.bool_] | None:
    """tslearn's mask; None where it refuses because it leaves an hour without a match."""
    try:
        return np.asarray(itakura_mask(n, m, slope))
    except RuntimeWarning:
        return None

"""The nearest are those of all distances in double precision, whatever bounds, lanes and threads found them.

Values are few and rounded, so that ties and constant series are common; lengths, windows and missing hours
vary.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.errors import InvalidInput
from models.dtw.distances import dependent, independent, per_variable
from models.dtw.search import SMALLEST, Form, nearest
from models.dtw.series import Series, references, series
from models.dtw.windows import Alignment, Itakura, SakoeChiba

Doubles = npt.NDArray[np.float64]

ALL = {Form.PER_VARIABLE: per_variable, Form.INDEPENDENT: independent, Form.DEPENDENT: dependent}
ALIGNMENTS = [
    Alignment(),
    Alignment(SakoeChiba(0)),
    Alignment(SakoeChiba(2)),
    Alignment(Itakura(2.0)),
    Alignment(open_end=True),
    Alignment(open_begin=True, open_end=True),
    Alignment(SakoeChiba(1), open_end=True),
]


@st.composite
def stays(draw: st.DrawFn) -> tuple[list[Series], list[Series]]:
    """References and queries of one kind: smooth or rough, rounded or not, whole or with hours missing."""
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    lengths = draw(st.sampled_from([(12,), (2, 3), (5, 6, 7, 9, 16)]))
    smooth, decimals = draw(st.booleans()), draw(st.sampled_from([0, 1, 16]))
    missing = draw(st.sampled_from([0.0, 0.0, 0.2, 0.9]))
    scale = draw(st.sampled_from([1.0, 1.0, 1e-22, 1e-9, 1e9]))  # squares may underflow

    def one(_: int) -> Series:
        values = source.normal(size=(source.choice(lengths), 2))
        values = np.round(np.cumsum(values, axis=0) if smooth else values, decimals)
        values[:, source.uniform(size=2) < 0.1] = 1.0  # constant
        values[source.uniform(size=values.shape) < missing] = np.nan
        values[0, 0] = 0.0
        return series(scale * values)

    return list(map(one, range(draw(st.integers(1, 130))))), list(map(one, range(3)))


def ranked(distance: Doubles, k: int) -> tuple[list[int], list[float]]:
    """Of equal distances the lower number first; those without one never."""
    comparable = np.flatnonzero(np.isfinite(distance))
    best = comparable[np.lexsort((comparable, distance[comparable]))][:k]
    nobody = k - len(best)
    return [*best.tolist(), *[-1] * nobody], [*distance[best].tolist(), *[np.nan] * nobody]


@settings(max_examples=120)
@given(
    both=stays(),
    k=st.integers(1, 6),
    alignment=st.sampled_from(ALIGNMENTS),
    form=st.sampled_from(Form),
    threads=st.sampled_from([1, 2]),
)
def test_the_nearest_are_the_nearest(
    both: tuple[list[Series], list[Series]], k: int, alignment: Alignment, form: Form, threads: int
) -> None:
    past, queries = references(both[0]), both[1]
    found = nearest(queries, past, k, alignment, form=form, threads=threads)
    for place, query in enumerate(queries):
        every = np.atleast_2d(ALL[form](query, past, alignment, exact=True))
        for row, distance in enumerate(every):
            index, value = ranked(distance, k)
            assert found.index[place, row].tolist() == index
            np.testing.assert_array_equal(found.distance[place, row], value)


@settings(max_examples=30)
@given(both=stays(), alignment=st.sampled_from(ALIGNMENTS), weight=st.sampled_from([1.0, 0.25]))
def test_equal_weights_change_nothing(
    both: tuple[list[Series], list[Series]], alignment: Alignment, weight: float
) -> None:
    whole = [np.nan_to_num(one.values.T) for one in both[0]]
    query = np.nan_to_num(both[1][0].values.T)
    plain = dependent(series(query), references([series(one) for one in whole]), alignment)
    # a power of two and the mean of equal numbers round to nothing
    weighted = references([series(one, np.full(one.shape, weight)) for one in whole])
    np.testing.assert_allclose(dependent(series(query), weighted, alignment), plain, rtol=1e-6, atol=SMALLEST)


def test_the_search_refuses_no_neighbours() -> None:
    one = series([0.0, 1.0])
    with pytest.raises(InvalidInput, match="0 neighbours: at least 1"):
        nearest([one], references([one]), 0)


def test_a_form_may_be_named() -> None:
    past = [series(np.random.default_rng(n).normal(size=(6, 3))) for n in range(9)]
    named = nearest(past[:2], references(past), 3, form="dependent")  # type: ignore[arg-type]
    meant = nearest(past[:2], references(past), 3, form=Form.DEPENDENT)
    np.testing.assert_array_equal(named.index, meant.index)
    with pytest.raises(ValueError, match="together"):
        nearest(past[:2], references(past), 3, form="together")  # type: ignore[arg-type]

"""No bound exceeds the cost it bounds, and each is reached by some series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from models.compiled import compiled_in_place
from models.dtw.bounds import Envelope, keogh_of_query, keogh_of_reference, kim, surround
from models.dtw.distances import dependent
from models.dtw.kernels import Frame, Part, Side
from models.dtw.lanes import LANES, store
from models.dtw.series import Series, references, series
from models.dtw.windows import Alignment, Full, SakoeChiba, Window

Singles = npt.NDArray[np.float32]
ROUNDING = 1e-5


@compiled_in_place
def bounds(  # noqa: PLR0917  compiled functions know no keyword-only arguments
    query: Side, others: Side, outlines: Singles, frame: Frame, envelope: Envelope, hours: int, found: Singles
) -> None:
    """Kim's, and Kim's with Keogh's of the reference and of the query, (3, LANES)."""
    part = Part(0, 0, query.values.shape[0])
    surround(query, frame, 0, query.values.shape[0], hours, envelope)
    corners = kim(query, part, outlines)
    store(found, 0, corners)
    store(found, 1, corners + keogh_of_reference(others, part, envelope, hours))
    store(found, 2, corners + keogh_of_query(query, part, outlines))


def bounds_of(query: Series, others: list[Series], window: Window) -> Singles:
    """The bounds (3, N) of up to `LANES` references of one length."""
    past, hours = references(others), others[0].hours
    first, last = window.columns(query.hours, hours)
    frame = Frame(first.astype(np.int64), last.astype(np.int64), np.empty((0, hours), np.float32))
    envelope = Envelope(*np.empty((2, len(query.values), hours), np.float32))
    found = np.empty((3, LANES), np.float32)
    own = Side(query.values.astype(np.float32), None)
    bounds(own, Side(past.values, None), past.outlines, frame, envelope, hours, found)
    return found[:, : past.count]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(2, 9),
    m=st.integers(2, 9),
    window=st.sampled_from([Full(), SakoeChiba(0), SakoeChiba(2)]),
)
def test_no_bound_exceeds_the_cost(seed: int, n: int, m: int, window: Window) -> None:
    source = np.random.default_rng(seed)
    query = series(np.round(source.normal(size=(n, 2))))
    others = [series(np.round(source.normal(size=(m, 2)))) for _ in range(20)]
    cost = dependent(query, references(others), Alignment(window), exact=True) ** 2
    assert (bounds_of(query, others, window) <= cost * (1.0 + ROUNDING)).all()


def test_constant_series_reach_keoghs_bounds() -> None:
    query, others = series(np.zeros((5, 1))), [series(np.full((5, 1), 2.0))]
    for window in (Full(), SakoeChiba(1)):
        # five hours, each two away from all that it could be laid on
        np.testing.assert_array_equal(bounds_of(query, others, window).T, [[8.0, 20.0, 20.0]])

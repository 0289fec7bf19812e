"""A stay told hour by hour has the distances of the stay as a whole, whatever is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.errors import InvalidInput
from models.dtw.distances import dependent, independent, per_variable
from models.dtw.search import Form
from models.dtw.series import References, references, series
from models.dtw.streaming import Stream
from models.dtw.windows import Alignment, SakoeChiba

WHOLE = {Form.PER_VARIABLE: per_variable, Form.INDEPENDENT: independent, Form.DEPENDENT: dependent}
ALIGNMENTS = [
    Alignment(open_end=True),
    Alignment(open_begin=True, open_end=True),
    Alignment(SakoeChiba(2), open_end=True),
]


def past(source: np.random.Generator, missing: float) -> References:
    """Stays of 2 to 12 hours, some of them without some of their hours."""
    many = [np.round(source.normal(size=(hours, 2)), 1) for hours in source.integers(2, 13, 40)]
    return references(
        [series(np.where(source.uniform(size=one.shape) < missing, np.nan, one)) for one in many]
    )


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    hours=st.integers(2, 14),
    missing=st.sampled_from([0.0, 0.3]),
    form=st.sampled_from(Form),
    alignment=st.sampled_from(ALIGNMENTS),
    threads=st.sampled_from([1, 2]),
)
def test_every_hour_is_the_whole_stay_until_then(
    *, seed: int, hours: int, missing: float, form: Form, alignment: Alignment, threads: int
) -> None:
    source = np.random.default_rng(seed)
    others = past(source, missing)
    values = np.round(source.normal(size=(hours, 2)), 1)
    values[source.uniform(size=values.shape) < missing] = np.nan
    values[0, 0] = 0.5
    stream = Stream(others, alignment, form=form, threads=threads)
    for hour in range(hours):
        stream.advance(values[hour])
        if hour > 0:
            whole = WHOLE[form](series(values[: hour + 1]), others, alignment)
            np.testing.assert_allclose(stream.distances(), whole, rtol=1e-6, atol=1e-6)


def test_what_it_refuses() -> None:
    others = past(np.random.default_rng(0), 0.0)
    with pytest.raises(InvalidInput, match="fixed end"):
        Stream(others, Alignment())
    stream = Stream(others)
    with pytest.raises(InvalidInput, match="3 variables: the references have 2"):
        stream.advance([1.0, 2.0, 3.0])
    with pytest.raises(InvalidInput, match="variable 1 is inf"):
        stream.advance([1.0, np.inf])
    stream.advance([1.0, np.nan])
    with pytest.raises(InvalidInput, match="a stay of 1 hours: at least 2"):
        stream.distances()

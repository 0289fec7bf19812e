"""Barycentres are tslearn's (Petitjean 2011), where every hour is known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from models.dtw.barycentre import barycentre
from models.dtw.series import series

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # tslearn would like h5py, which nothing here needs
    from tslearn.barycenters import (  # type: ignore[import-untyped]
        dtw_barycenter_averaging_petitjean,
    )


@pytest.mark.parametrize("variables", [1, 3])
@pytest.mark.parametrize("rounds", [1, 4])
def test_a_barycentre_is_that_of_tslearn(variables: int, rounds: int) -> None:
    random = np.random.default_rng(variables)
    many = random.normal(size=(7, 9, variables)).cumsum(axis=1)
    start = many[0]
    theirs = dtw_barycenter_averaging_petitjean(many, init_barycenter=start, max_iter=rounds, tol=0.0)
    ours = barycentre([series(one) for one in many], series(start), rounds=rounds)
    np.testing.assert_allclose(ours.values.T, theirs, rtol=1e-9, atol=1e-12)


def test_an_hour_that_too_few_know_is_left_out() -> None:
    many = np.tile(np.arange(4.0)[:, np.newaxis], (5, 1, 2))
    many[2:, :, 1] = np.nan
    found = barycentre([series(one) for one in many], series(many[0]), rounds=3, fewest=3)
    np.testing.assert_array_equal(found.values[0], np.arange(4.0))
    assert found.weights is not None
    assert (found.weights[0] == 1.0).all()
    assert (found.weights[1] == 0.0).all()
    kept = barycentre([series(one) for one in many], series(many[0]), rounds=1, fewest=2)
    assert kept.weights is not None
    np.testing.assert_allclose(kept.weights[1], 0.4)

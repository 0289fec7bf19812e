"""How members vote, on distances that can be counted by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from models.clinical.errors import InvalidInput
from models.dtw.ensemble import Ensemble, Voting, group_weights
from models.dtw.index import Index
from models.dtw.series import references, series

NAMES = ("a", "b")
NAN = float("nan")


def ensemble(outcome: list[int], **voting: object) -> Ensemble:
    flat = series(np.zeros((3, 2)), variables=NAMES)
    count = len(outcome)
    index = Index(
        references([flat] * count),
        np.array(outcome, np.int8),
        np.full(count, np.nan, np.float32),
        np.ones(count, np.int32),
    )
    chosen = Voting(**{"neighbours": 2, "samples": 1, "prior_votes": 1.0} | voting)  # type: ignore[arg-type]
    return Ensemble(index, group_weights([("a",), ("b",), NAMES], NAMES), chosen)


def odds(cases: float, count: float, prior: float) -> float:
    return log((cases + prior) / (count - cases + 1 - prior)) - log(prior / (1 - prior))


def test_evidence_is_the_log_ratio_of_odds_among_the_nearest() -> None:
    distances = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    found = ensemble([1, 1, 0, 0]).evidence(distances)
    np.testing.assert_allclose(found, [odds(2, 2, 0.5), odds(0, 2, 0.5), 0.0 * found[2] + found[2]])
    assert found[0] == pytest.approx(log(5))


def test_a_group_goes_by_the_mean_of_what_is_known() -> None:
    distances = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, NAN, NAN, 1.0]])
    np.testing.assert_allclose(ensemble([1, 1, 0, 0]).grouped(distances)[2], [2.5, 2.0, 3.0, 2.5])
    square = ensemble([1, 1, 0, 0], combination="root_mean_square").grouped(distances)
    np.testing.assert_allclose(square[2], [8.5**0.5, 2.0, 3.0, 8.5**0.5])


def test_an_unknown_variable_abstains() -> None:
    distances = np.array([[1.0, 2.0, 3.0, 4.0], [NAN] * 4])
    found = ensemble([1, 1, 0, 0]).evidence(distances)
    assert np.isnan(found[1])
    assert found[0] == found[2]


def test_of_equally_near_ones_the_lower_number_votes() -> None:
    distances = np.ones((2, 4))
    assert ensemble([1, 1, 0, 0]).evidence(distances)[0] == pytest.approx(odds(2, 2, 0.5))
    assert ensemble([0, 0, 1, 1]).evidence(distances)[0] == pytest.approx(odds(0, 2, 0.5))


def test_every_sample_has_all_cases_and_its_own_controls() -> None:
    # the control at distance 0 is in the first sample alone
    distances = np.array([[1.0, 0.0, 2.0, 0.0, 2.0], [NAN] * 5])
    found = ensemble([1, 0, 0, 0, 0], neighbours=1, samples=2).evidence(distances)
    prior = 1 / 3
    first, second = odds(0, 1, prior), odds(1, 1, prior)
    assert found[0] == pytest.approx((first + second) / 2)


def test_a_nearer_neighbour_may_count_more() -> None:
    distances = np.array([[1.0, 9.0, 3.0, 9.0], [NAN] * 4])
    found = ensemble([1, 1, 0, 0], closeness="reciprocal").evidence(distances)[0]
    assert found == pytest.approx(odds(2 * 0.75 / 1.25, 2, 0.5))


def test_a_query_that_knows_nothing_is_at_no_distance() -> None:
    silent = series(np.full((3, 2), np.nan), variables=NAMES)
    model = ensemble([1, 1, 0, 0])
    assert np.isnan(model.distances(silent)).all()
    assert np.isnan(model.evidence(model.distances(silent))).all()


@pytest.mark.parametrize(
    ("voting", "says"),
    [
        ({"neighbours": 0}, "neighbours 0: at least 1"),
        ({"samples": 0}, "samples 0: at least 1"),
        ({"samples": 3}, "3 samples of 2 controls"),
        ({"prior_votes": 0.0}, "prior_votes 0.0: above 0"),
        ({"closeness": "recipocal"}, "closeness 'recipocal': one of equal, reciprocal"),
        ({"combination": "rms"}, "combination 'rms': one of mean, root_mean_square"),
        ({"radius_hours": -1}, "radius -1"),
        ({"open_begin": True, "radius_hours": 3}, "open_begin goes with"),
    ],
)
def test_what_cannot_vote_is_refused(voting: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        ensemble([1, 1, 0, 0], **voting)


def test_one_outcome_is_no_question() -> None:
    with pytest.raises(InvalidInput, match="one outcome"):
        ensemble([1, 1, 1])


def test_a_group_names_variables_there_are() -> None:
    with pytest.raises(InvalidInput, match="c of a group"):
        group_weights([("c",)], NAMES)

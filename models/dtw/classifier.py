"""The ensemble as a scikit-learn classifier, for series that are no stays.

`X` is (samples, hours) of one variable, or (samples, hours, V); NaN is unknown. Every variable votes by
itself and, where there are several, all of them together; classes are two, of which the second is the
outcome.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin  # type: ignore[import-untyped]
from sklearn.utils.multiclass import check_classification_targets  # type: ignore[import-untyped]
from sklearn.utils.validation import check_is_fitted, validate_data  # type: ignore[import-untyped]

from models.dtw.ensemble import Ensemble, Voting, group_weights
from models.dtw.index import Index
from models.dtw.series import FEWEST_HOURS, Series, references, series

Doubles = npt.NDArray[np.float64]


class DTWEnsembleClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Votes of nearest neighbours under time warping; parameters as in `Voting`."""

    def __init__(
        self,
        *,
        neighbours: int = 25,
        samples: int = 1,
        prior_votes: float = 4.0,
        closeness: Literal["equal", "reciprocal"] = "equal",
        combination: Literal["mean", "root_mean_square"] = "mean",
        radius_hours: int | None = None,
        threads: int = 1,
    ) -> None:
        self.neighbours = neighbours
        self.samples = samples
        self.prior_votes = prior_votes
        self.closeness = closeness
        self.combination = combination
        self.radius_hours = radius_hours
        self.threads = threads

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:  # noqa: N803  scikit-learn's name
        """Keep the series. Raises ValueError for infinite values, and for other than two classes."""
        values, labels = validate_data(
            self,
            X,
            y,
            allow_nd=True,
            ensure_all_finite="allow-nan",
            dtype=np.float64,
            ensure_min_features=FEWEST_HOURS,
        )
        check_classification_targets(labels)
        self.classes_, outcome = np.unique(labels, return_inverse=True)
        _check_two(len(self.classes_))
        many = _series(values)
        variables = many[0].variables
        groups = [(name,) for name in variables] + ([variables] if len(variables) > 1 else [])
        count = np.full(len(many), np.nan, np.float32), np.ones(len(many), np.int32)
        voting = Voting(
            self.neighbours,
            self.samples,
            self.prior_votes,
            self.closeness,
            self.combination,
            self.radius_hours,
        )
        index = Index(references(many), outcome.astype(np.int8), *count)
        self.ensemble_ = Ensemble(index, group_weights(groups, variables), voting)
        return self

    def predict_proba(self, X: npt.ArrayLike) -> Doubles:  # noqa: N803
        """Probabilities (samples, 2): the classes' shares at large, moved by the mean of the evidence.

        A sample of which nothing is known keeps those shares.
        """
        check_is_fitted(self)
        values = validate_data(
            self, X, reset=False, allow_nd=True, ensure_all_finite="allow-nan", dtype=np.float64
        )
        share = float(self.ensemble_.case.mean())
        prior = np.log(share / (1.0 - share))
        logit = np.array([self._evidence(one) for one in _series(values)]) + prior
        outcome = 0.5 + 0.5 * np.tanh(0.5 * logit)
        return np.stack([1.0 - outcome, outcome], axis=1)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:  # noqa: N803
        """The likelier class of each sample; of equally likely ones the first."""
        outcome = self.predict_proba(X)[:, 1] > 0.5  # noqa: PLR2004  likelier than not
        return np.asarray(self.classes_[outcome.astype(int)])

    def _evidence(self, one: Series) -> float:
        found = self.ensemble_.evidence(self.ensemble_.distances(one, self.threads))
        voting = found[~np.isnan(found)]
        return float(voting.mean()) if len(voting) else 0.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


def _series(values: Doubles) -> list[Series]:
    """(samples, hours) or (samples, hours, V) as series."""
    own = np.array(values)  # writable: what reads read-only arrays would be compiled for once more
    deep = own[..., np.newaxis] if own.ndim == 2 else own  # noqa: PLR2004  one variable
    names = tuple(f"variable {number}" for number in range(deep.shape[-1]))
    return [series(one, variables=names) for one in deep]


def _check_two(classes: int) -> None:
    if classes == 1:
        raise ValueError("the classifier has seen one class only: two are needed")
    if classes > 2:  # noqa: PLR2004
        raise ValueError(f"Only binary classification is supported: there are {classes} classes, not 2")

"""Two checks against leakage: what measuring alone tells, and what a learner finds where nothing is to find.

The floor is a model that sees only how often and how long ago each variable was measured, never a value.
What it reaches is what staff's own suspicion gives away; a model that is not clearly above it has read the
charting habits and not the patient. It is boosted trees, fitted on one half of the subjects and asked about
the other, both ways round, so that nobody is asked about whom it learnt from.

The same learner is then fitted to labels that were shuffled among the hours it learns from. On the true
labels of the other half it must be at chance, 0.5 on average over the shuffles; if it is not, labels reach
the inputs or subjects stand on both sides.

Source: Agniel et al. 2018, doi:10.1136/bmj.k1479, on what the timing of tests tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]

from pipelines.evaluate.measured import MEASUREMENTS, NEVER
from pipelines.evaluate.parts import PartFolder
from pipelines.evaluate.scored import Evidence, Scores
from pipelines.metrics.classification import auroc

FLOOR = "measurement-only"
_FOLDS = 2
_ROWS = 120_000  # hours a fold learns from at most, taken evenly: more change the third digit of nothing
_SEED = 2019

Features = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Floor:
    """Boosted trees on those `columns` of the features that vary where it learnt."""

    columns: npt.NDArray[np.int64]
    trees: HistGradientBoostingClassifier

    @classmethod
    def fitted(cls, features: Features, label: npt.NDArray[np.int8]) -> _Floor | None:
        """None without both classes, or where nothing varies."""
        if not label.any() or label.all():
            return None
        seen = np.isfinite(features)
        low, high = (
            side(np.where(seen, features, limit), axis=0)
            for side, limit in ((np.min, np.inf), (np.max, -np.inf))
        )
        columns = np.flatnonzero(low < high)
        if not len(columns):
            return None
        trees = HistGradientBoostingClassifier(
            max_iter=60, learning_rate=0.15, max_leaf_nodes=15, early_stopping=False, random_state=_SEED
        )
        return cls(columns, trees.fit(features[:, columns], label))

    def __call__(self, features: Features) -> Floats:
        """(R,) the score of each row."""
        return np.asarray(self.trees.predict_proba(features[:, self.columns])[:, 1])


@dataclass(frozen=True)
class LeakageChecks:
    """`floor` is how the measurement-only model scores every hour; `shuffled` an AUROC a shuffle."""

    floor: Scores
    shuffled: tuple[float, ...]


def check_leakage(folder: Path, evidence: Evidence, shuffles: int) -> LeakageChecks:
    """Fit the floor on each half of the subjects, score the other; then with shuffled labels.

    `evidence` holds every stay of the run. A half without both classes gives a floor that claims nothing.
    """
    fold = np.repeat(folds(evidence.subjects), evidence.rows)
    step = max(1, len(evidence.label) // (_FOLDS * _ROWS))
    learnt = (np.arange(len(evidence.label)) % step) == 0
    features = np.concatenate(list(_features(folder, learnt)))
    label, side = evidence.label[learnt], fold[learnt]
    fitted = [_Floor.fitted(features[side != one], label[side != one]) for one in range(_FOLDS)]
    probability = _asked(folder, fold, fitted)
    rng = np.random.default_rng(_SEED)
    shuffled = [_shuffled_auroc(features, label, side, rng) for _ in range(shuffles) if all(fitted)]
    known = [one for one in shuffled if one is not None]
    return LeakageChecks(Scores(probability, np.nan_to_num(probability)), tuple(known))


def folds(subjects: Sequence[str]) -> npt.NDArray[np.int64]:
    """(S,) which half each stay's subject belongs to, by a hash: the same in every run."""
    return np.array([sha256(one.encode()).digest()[0] % _FOLDS for one in subjects], dtype=np.int64)


def _asked(folder: Path, fold: npt.NDArray[np.int64], fitted: list[_Floor | None]) -> Floats:
    """(N,) the score of every hour, by the model that did not learn from its subject."""
    found, begin = np.full(len(fold), np.nan), 0
    for features in _features(folder, None):
        hours = slice(begin, begin + len(features))
        for side, model in enumerate(fitted):
            inside = fold[hours] == side
            if model is not None and inside.any():
                found[hours][inside] = model(features[inside])
        begin += len(features)
    return found


def _shuffled_auroc(
    features: Features, label: npt.NDArray[np.int8], side: npt.NDArray[np.int64], rng: np.random.Generator
) -> float | None:
    """AUROC on true labels of one half after learning shuffled ones of the other."""
    learning = side != 0
    model = _Floor.fitted(features[learning], rng.permutation(label[learning]))
    if model is None:
        return None
    return auroc(label[~learning], model(features[~learning]))


def _features(folder: Path, kept: npt.NDArray[np.bool_] | None) -> Iterator[Features]:
    """Counts and hours since of each part's hours, or of those `kept` (N,), NaN for never."""
    names, begin = [name for name in MEASUREMENTS.names if name != "hour"], 0
    for _, table in PartFolder(folder).tables("measured", names):
        features = _plain(table, names)
        yield features if kept is None else features[kept[begin : begin + len(features)]]
        begin += len(features)


def _plain(table: pa.Table, names: list[str]) -> Features:
    columns = [table.column(name).to_numpy() for name in names]
    features = np.stack(columns, axis=1).astype(np.float32)
    features[features == NEVER] = np.nan
    return features

"""The peer that a competent user would pick: LightGBM on hand-made features of every hour.

    python benchmarks/gradient_boosting.py training_setA.zip [training_setB.zip]

reads the stays, fits each of `TRIED` on the training subjects and prints its figures on the validation
subjects; `CHOSEN` is the one that ranked their hours best (AUPRC) on A and B together. Held-out subjects are
left alone: `benchmarks/sepsis.py` scores them. One core and 3 GB; without an archive it says so and stops.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import Self

import lightgbm
import numpy as np
import numpy.typing as npt

from benchmarks.peers.hourly_features import Chart, chart_of, features
from pipelines.ingest.cinc2019 import open_source
from pipelines.metrics.classification import auprc, auroc
from pipelines.split import split_of
from pipelines.train import best_threshold

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Boosting:
    """How the trees grow; the names are LightGBM's."""

    learning_rate: float = 0.02
    num_leaves: int = 31
    min_data_in_leaf: int = 500  # hours; a septic stay has about ten positive ones
    feature_fraction: float = 0.3
    bagging_fraction: float = 0.7
    lambda_l2: float = 10.0
    scale_pos_weight: float = 1.0
    max_bin: int = 127  # half of the default: as good here, and twice as fast
    seed: int = 2019
    most_trees: int = 3000
    patience: int = 150  # trees without a better AUPRC on validation subjects, then the best so far is kept

    def parameters(self) -> dict[str, object]:
        """As LightGBM wants them; equal inputs give equal trees."""
        chosen = {
            name: value for name, value in asdict(self).items() if name not in ("most_trees", "patience")
        }
        return chosen | {
            "objective": "binary",
            "metric": ["average_precision"],
            "bagging_freq": 1,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }


CHOSEN = Boosting()
TRIED = {
    "chosen": CHOSEN,
    "faster": replace(CHOSEN, learning_rate=0.05),
    "smaller": replace(CHOSEN, num_leaves=15, min_data_in_leaf=1000, feature_fraction=0.2),
    "larger": replace(
        CHOSEN, num_leaves=63, min_data_in_leaf=1000, feature_fraction=0.15, bagging_fraction=0.5
    ),
    "weighted": replace(CHOSEN, learning_rate=0.05, scale_pos_weight=10.0),
}


@dataclass(frozen=True)
class Boosted:
    """Fitted trees, the threshold of highest validation utility, and figures on the validation subjects."""

    trees: lightgbm.Booster
    threshold: float
    validation: dict[str, float | None]

    @property
    def version(self) -> str:
        """A hash of the trees."""
        return sha256(self.trees.model_to_string().encode()).hexdigest()[:12]

    def save(self, folder: Path) -> None:
        """Write lightgbm.txt and threshold.json to `folder`."""
        self.trees.save_model(str(folder / "lightgbm.txt"))
        kept = {"threshold": self.threshold, "validation": self.validation}
        (folder / "threshold.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        kept = json.loads((folder / "threshold.json").read_text(encoding="utf-8"))
        return cls(lightgbm.Booster(model_file=str(folder / "lightgbm.txt")), **kept)

    def score(self, charts: Sequence[Chart]) -> Floats:
        """The score of every labelled hour of `charts`, (N,)."""
        _, rows = features(charts)
        return np.asarray(self.trees.predict(rows, num_threads=1), dtype=np.float64)


def fit(train: Sequence[Chart], validation: Sequence[Chart], boosting: Boosting = CHOSEN) -> Boosted:
    """Grow trees until `validation` gains no more. Raises InvalidInput if no stay there is septic."""
    names, rows = features(train)
    parameters = boosting.parameters()
    learn = lightgbm.Dataset(rows, labels(train), feature_name=[name.replace(" ", "_") for name in names])
    _, unseen = features(validation)
    watch = lightgbm.Dataset(unseen, labels(validation), reference=learn)
    trees = lightgbm.train(
        parameters,
        learn,
        boosting.most_trees,
        valid_sets=[watch],
        callbacks=[lightgbm.early_stopping(boosting.patience, verbose=False)],
    )
    score = np.asarray(trees.predict(unseen, num_threads=1), dtype=np.float64)
    label = labels(validation)
    threshold, utility = best_threshold(np.array([len(one.hour) for one in validation]), label, score)
    figures = {"auroc": auroc(label, score), "auprc": auprc(label, score), "utility": utility}
    return Boosted(trees, threshold, figures)


def labels(charts: Sequence[Chart]) -> npt.NDArray[np.int8]:
    """The label of every labelled hour of `charts`, (N,)."""
    return np.concatenate([chart.label for chart in charts])


def charts_in(archives: Sequence[Path]) -> Iterator[Chart]:
    """Every labelled stay of CinC 2019 archives."""
    for archive in archives:
        for ingested in open_source(archive).stays():
            if ingested.labelled is not None:
                yield chart_of(ingested.labelled)


def main() -> None:
    """Print what each setting reaches on the validation subjects."""
    archives = [Path(name) for name in sys.argv[1:]]
    if not archives:
        print("name one or more CinC 2019 archives to fit on")
        return
    parts: dict[str, list[Chart]] = {"train": [], "validation": [], "test": []}
    for chart in charts_in(archives):
        parts[split_of(chart.subject_id)].append(chart)
    print("| setting | trees | AUROC | AUPRC | utility | minutes |\n|---|---|---|---|---|---|")
    for name, boosting in TRIED.items():
        start = process_time()
        boosted = fit(parts["train"], parts["validation"], boosting)
        figures = " | ".join(f"{value:.4f}" for value in boosted.validation.values() if value is not None)
        minutes = (process_time() - start) / 60
        print(f"| {name} | {boosted.trees.best_iteration} | {figures} | {minutes:.1f} |")


if __name__ == "__main__":
    main()

"""The boosted peer learns what is there to learn, the same each time, and its threshold gains utility."""

from dataclasses import replace

import numpy as np

from benchmarks.gradient_boosting import CHOSEN, fit, labels
from benchmarks.peers.hourly_features import Chart
from models.mgp.standardise import VARIABLES
from pipelines.metrics.classification import auroc

LACTATE = VARIABLES.index("lactate")
QUICK = replace(CHOSEN, learning_rate=0.2, min_data_in_leaf=20, most_trees=40)


def drawn(stays: int, seed: int) -> list[Chart]:
    """Stays of 20 hours; every third has a lactate that rises when its label turns positive, at hour 11."""
    rng = np.random.default_rng(seed)
    hour = np.arange(1, 21)
    charts = []
    for number in range(stays):
        label = ((hour > 10) & (number % 3 == 0)).astype(np.int8)
        value = rng.normal(1.0 + 2.0 * label, 0.8)
        variable = np.full(20, LACTATE)
        name = f"p{number}"
        charts.append(Chart(name, name, hour, variable, value, np.full(5, np.nan), hour, label))
    return charts


def test_it_finds_the_signal_and_repeats() -> None:
    train, validation, unseen = drawn(60, 1), drawn(30, 2), drawn(30, 3)
    one, two = fit(train, validation, QUICK), fit(train, validation, QUICK)
    score = one.score(unseen)
    np.testing.assert_array_equal(score, two.score(unseen))
    reached = auroc(labels(unseen), score)
    assert reached is not None
    assert reached > 0.95
    utility = one.validation["utility"]
    assert utility is not None
    assert utility > 0.5
    assert one.threshold == two.threshold

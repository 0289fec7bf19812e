"""No model reads what was done to a patient: a score is the same bits with and without interventions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import registry
from models.clinical.interventions import InterventionKind, intervention_table
from models.clinical.stay import Stay, observation_table

ADMITTED = datetime(2026, 1, 1, tzinfo=UTC)
DONE = st.lists(
    st.tuples(
        st.floats(-100, 40), st.floats(0, 30), st.sampled_from(list(InterventionKind)), st.floats(0, 5)
    ),
    min_size=1,
    max_size=12,
)


def stay() -> Stay:
    """A day and a half of vital signs and a few laboratory values."""
    random = np.random.default_rng(7)
    hours = np.sort(random.uniform(0, 36, 90))
    times = [ADMITTED + timedelta(hours=float(hour)) for hour in hours]
    names = random.choice(
        ["heart_rate", "respiratory_rate", "temperature", "systolic_pressure", "lactate"], 90
    )
    typical = {
        "heart_rate": 95,
        "respiratory_rate": 22,
        "temperature": 38,
        "systolic_pressure": 105,
        "lactate": 2,
    }
    return Stay("s", "p", ADMITTED, observation_table(times, times, names, [typical[name] for name in names]))


@pytest.mark.parametrize("name", sorted(registry.names()))
@settings(max_examples=8)
@given(done=DONE)
def test_a_score_knows_nothing_of_treatments_and_cultures(
    name: str, done: list[tuple[float, float, InterventionKind, float]]
) -> None:
    model, alone = registry.load(name), stay()
    start = [ADMITTED + timedelta(hours=hour) for hour, *_ in done]
    end = [begin + timedelta(hours=length) for begin, (_, length, *_) in zip(start, done, strict=True)]
    table = intervention_table(
        start, end, [kind for *_, kind, _ in done], [rate for *_, rate in done], ["x"] * len(done)
    )
    treated = replace(alone, interventions=table, discharged_at=ADMITTED + timedelta(hours=60))
    seen, unseen = model.score(treated), model.score(alone)
    np.testing.assert_array_equal(seen.value, unseen.value)
    assert (seen.status, seen.reason) == (unseen.status, unseen.reason)
    assert np.isfinite(seen.value).any()

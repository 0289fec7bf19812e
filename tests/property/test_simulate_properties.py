"""Properties of the simulator that hold for every seed."""

from datetime import timedelta
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.variables import Kind, variable
from pipelines.simulate.checked import checked
from pipelines.simulate.stays import EPOCH, Seed, simulate, simulate_stay
from pipelines.simulate.ward import ward

SEEDS = st.integers(0, 2**63)
FEW = settings(max_examples=6)  # a stay takes tens of milliseconds


@FEW
@given(seed=SEEDS, number=st.integers(1, 3))
def test_a_stay_hangs_on_its_seed_and_index_alone(seed: int, number: int) -> None:
    assert list(simulate(seed, number)) == list(simulate(seed, 4))[:number]


@FEW
@given(seed=SEEDS)
def test_stays_of_one_seed_differ(seed: int) -> None:
    first, second = simulate(seed, 2)
    assert [reading.value for reading in first.readings] != [reading.value for reading in second.readings]


@FEW
@given(seed=SEEDS, days=st.integers(-5000, 5000), microseconds=st.integers(0, 10**6 - 1))
def test_a_stay_moves_as_a_whole_with_its_admission(seed: int, days: int, microseconds: int) -> None:
    """By whole days: the hour of the day moves the circadian rhythm, and is meant to."""
    start = EPOCH + timedelta(microseconds=microseconds)
    here = simulate_stay("sim-x", Seed(seed, (0, 0)), start)
    there = simulate_stay("sim-x", Seed(seed, (0, 0)), start + timedelta(days=days))
    assert [reading.shifted(timedelta(days=days)) for reading in here.readings] == list(there.readings)
    assert there.ends_at - here.ends_at == timedelta(days=days)


@FEW
@given(seed=SEEDS)
def test_readings_are_in_order_inside_the_stay_and_clean_ones_are_kept(seed: int) -> None:
    (raw,) = simulate(seed, 1)
    order = [(reading.known_at, reading.time, reading.variable) for reading in raw.readings]
    assert order == sorted(set(order))
    for reading in raw.readings:
        assert raw.admitted_at <= reading.time <= reading.known_at <= raw.ends_at
        lag = reading.known_at - reading.time
        assert lag > timedelta(0) or variable(reading.variable).kind is Kind.VITAL
    kept = checked(raw).cells_kept
    assert kept >= sum(not reading.artefact for reading in raw.readings)


@settings(max_examples=3)
@given(seed=SEEDS, beds=st.integers(1, 3))
def test_a_ward_is_the_same_each_time(seed: int, beds: int) -> None:
    start = EPOCH + timedelta(hours=7)
    assert list(islice(ward(seed, beds, start), 2 * beds)) == list(islice(ward(seed, beds, start), 2 * beds))

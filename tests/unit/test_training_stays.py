"""Batches of an epoch: every stay once, whatever its length; groups of a batch save padding."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.training_stays import GROUP, TrainingStay, batches, groups

LENGTHS = np.random.default_rng(3).integers(8, 300, size=101)


@pytest.fixture(scope="module")
def stays() -> list[TrainingStay]:
    """Stays of many lengths without an observation."""
    none, whole = torch.empty(0), torch.empty(0, dtype=torch.long)
    return [
        TrainingStay(
            f"subject {number}",
            time_hours=none,
            variable=whole,
            value=none,
            known=torch.zeros(hours, dtype=torch.long),
            channels=torch.empty(hours, 0),
            label=torch.zeros(hours),
            target=torch.zeros(hours, 1),
            labelled=torch.ones(hours, dtype=torch.bool),
        )
        for number, hours in enumerate(LENGTHS.tolist())
    ]


def test_an_epoch_meets_every_stay_once(stays: list[TrainingStay]) -> None:
    order = batches(stays, 24, (1, 2))
    assert [sum(len(group) for group in batch) for batch in order] == [24, 24, 24, 24, 5]
    assert sorted(stay for batch in order for group in batch for stay in group) == list(range(len(stays)))


def test_an_epoch_may_meet_all_cases_and_some_of_the_others(stays: list[TrainingStay]) -> None:
    cases = set(range(0, len(stays), 20))
    some = [replace(one, label=torch.full_like(one.label, n in cases)) for n, one in enumerate(stays)]
    met = [
        {stay for batch in batches(some, 24, (1, seed), 2.0) for group in batch for stay in group}
        for seed in range(2)
    ]
    assert [len(one) for one in met] == [3 * len(cases)] * 2
    assert cases <= met[0] & met[1]
    assert met[0] != met[1]


def test_a_batch_is_of_all_lengths_and_its_groups_of_like_ones(stays: list[TrainingStay]) -> None:
    for batch in batches(stays, 24, (1, 2))[:-1]:
        lengths = [LENGTHS[stay] for group in batch for stay in group]
        assert lengths == sorted(lengths)
        assert lengths[-1] > 2 * lengths[0]  # a batch of like lengths would teach length
        assert [len(group) for group in batch] == [GROUP] * 3


def test_batches_follow_from_the_seed(stays: list[TrainingStay]) -> None:
    assert batches(stays, 24, (1, 2)) == batches(stays, 24, (1, 2))
    assert batches(stays, 24, (1, 2)) != batches(stays, 24, (1, 3))


def test_groups_hold_every_stay_asked_for(stays: list[TrainingStay]) -> None:
    found = groups(stays, np.arange(20))
    assert [len(group) for group in found] == [GROUP, GROUP, 4]
    assert sorted(stay for group in found for stay in group) == list(range(20))

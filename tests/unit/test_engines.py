"""Engines: one thread a process, whatever was imported first and whoever asks; what was set comes back."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from pipelines.engines import mapped


def threads(task: int) -> tuple[int, int]:
    """The task, and the most threads that a library which is loaded would use."""
    assert np.ones((2, 2)).sum() == 4  # numpy and its libraries are loaded
    return task, max(one["num_threads"] for one in threadpool_info())


def test_a_task_of_this_process_has_one_thread_and_afterwards_all_are_back() -> None:
    with threadpool_limits(2):
        before = threads(0)[1]
        answers = list(mapped(threads, range(3), engine="single"))
        assert threads(0)[1] == before == 2
    assert answers == [(0, 1), (1, 1), (2, 1)]


def test_a_task_of_another_process_has_one_thread() -> None:
    assert list(mapped(threads, range(5), workers=2)) == [(task, 1) for task in range(5)]


def test_another_engine_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="no engine 'spark'; there are: single, processes, ray"):
        mapped(threads, [1], engine="spark")  # type: ignore[arg-type]

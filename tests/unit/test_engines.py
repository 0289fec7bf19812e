"""Engines: one thread a process, whatever was imported first and whoever asks; what was set comes back."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    """`kill -9` gives it no time to tell them."""
    code = "import sys; from tests.unit.test_engines import linger, mapped; "
    code += "list(mapped(linger, [sys.argv[1]] * 8, workers=2))"
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, env=os.environ | {"PYTHONPATH": root}
    )
    try:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
    finally:
        parent.kill()
    parent.wait()
    until(lambda: not any(lives(one.name) for one in tmp_path.iterdir()))


def linger(folder: str) -> None:
    """Leave the number of this process."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(0.2)


def lives(process: str) -> bool:
    """Not so one that has ended and that nobody has asked how."""
    command = Path(f"/proc/{process}/cmdline")
    return command.exists() and bool(command.read_bytes())


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_another_engine_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="no engine 'spark'; there are: single, processes, ray"):
        mapped(threads, [1], engine="spark")  # type: ignore[arg-type]

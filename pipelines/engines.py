"""Work over many tasks on one process, several, or a Ray cluster: the same answers in the same order.

Only as many tasks are drawn as are under way, twice as many as there are workers, so that a source of any
length is never held as a whole. What a task does may not depend on where it runs: the function and the tasks
travel by pickle, and the answers come back in the order of the tasks.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, Literal, TypeVar, get_args

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput, ScoringFailed

Engine = Literal["single", "processes", "ray"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

Task = TypeVar("Task")
Answer = TypeVar("Answer")


def mapped(
    work: Callable[[Task], Answer], tasks: Iterable[Task], *, engine: Engine = "processes", workers: int = 1
) -> Iterator[Answer]:
    """`work` of every task, in their order.

    `processes` with one worker is `single`. `ray` runs on the cluster that RAY_ADDRESS names, or on one of
    its own on this machine. Raises InvalidInput for another engine or where ray is not installed, and
    ScoringFailed if a process ends early.
    """
    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise InvalidInput(f"no engine {engine!r}; there are: {known}", value=engine, bound=known)
    if engine == "ray":
        return _on_ray(work, tasks, workers)
    if engine == "single" or workers <= 1:
        return _here(work, tasks)
    return _in_processes(work, tasks, workers)


def _here(work: Callable[[Task], Answer], tasks: Iterable[Task]) -> Iterator[Answer]:
    with threadpool_limits(1):
        for task in tasks:
            yield work(task)


def _in_processes(work: Callable[[Task], Answer], tasks: Iterable[Task], workers: int) -> Iterator[Answer]:
    context = get_context("spawn")  # a forked torch inherits locks that nobody will release
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        under_way: deque[Future[Answer]] = deque()
        for task in tasks:
            under_way.append(pool.submit(work, task))
            if len(under_way) >= 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BrokenProcessPool as broken:
        raise ScoringFailed(
            f"a scoring process ended early, perhaps for want of memory: {broken}"
        ) from broken
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """What a process does before its first task; it ends with the one that started it, `kill -9` included."""
    one_thread_each()
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # a pool's process waits for tasks for ever, and holds the models


def _on_ray(work: Callable[[Task], Answer], tasks: Iterable[Task], workers: int) -> Iterator[Answer]:
    """Tasks go to whichever node has a free core; a node that is lost has its tasks done elsewhere."""
    ray = _ray()
    begun_here = not ray.is_initialized()
    if begun_here:
        address = os.environ.get("RAY_ADDRESS")
        own = {} if address else {"num_cpus": workers, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, **own)
    try:
        remote = ray.remote(num_cpus=1)(_alone).remote
        under_way: deque[Any] = deque()
        for task in tasks:
            under_way.append(remote(work, task))
            if len(under_way) >= 2 * workers:
                yield ray.get(under_way.popleft())
        while under_way:
            yield ray.get(under_way.popleft())
    except ray.exceptions.RaySystemError as broken:
        raise ScoringFailed(f"the cluster failed: {broken}") from broken
    except ray.exceptions.WorkerCrashedError as broken:
        raise ScoringFailed(f"a scoring process of the cluster ended early: {broken}") from broken
    finally:
        if begun_here:
            ray.shutdown()


def _alone(work: Callable[[Task], Answer], task: Task) -> Answer:
    one_thread_each()
    return work(task)


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415  optional, and a second to import
    except ImportError:
        raise InvalidInput(
            "engine 'ray' needs the package ray: pip install 'prodrome[ray]'", value="ray", bound="installed"
        ) from None
    return ray


def one_thread_each() -> None:
    """Processes are the unit of parallelism: threads within one spin for one another, and double its time.

    Torch and numba read the environment when a model imports them; what is imported already is told.
    """
    os.environ.update(_ONE_THREAD)
    threadpool_limits(1)

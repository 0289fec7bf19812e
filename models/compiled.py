"""How loops over arrays become machine code.

One thread, so that a sum always rounds alike. Products may be fused and sums reordered, which vectorises
them; NaN and infinity keep their meaning. What is compiled is kept on disk between processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit
from numba.core.dispatcher import Dispatcher
from numba.extending import _Intrinsic  # type: ignore[attr-defined]

P = ParamSpec("P")
R = TypeVar("R")

REORDERED = frozenset({"contract", "reassoc"})


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """`function` over numpy arrays and numbers, compiled on its first call for these types."""
    return _kept(function, set(REORDERED))


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """`compiled`, and written out wherever it is called: a call costs as much as a row of arithmetic.

    So does `row[:] = other`, which is why rows are set in loops.
    """
    return _kept(function, set(REORDERED), forceinline=True)


def compiled_in_place(function: Callable[P, R]) -> Callable[P, R]:
    """The same for what allocates nothing and is called often: no references to arrays are counted.

    Counting them costs more than a short function that is handed many arrays.
    """
    return _kept(function, set(REORDERED), _nrt=False)


def compiled_as_written(function: Callable[P, R]) -> Callable[P, R]:
    """The same, with every product and sum rounded by itself in the order written: bits to be repeated."""
    return _kept(function, False)


def _kept(function: Callable[P, R], fastmath: set[str] | bool, **options: bool) -> Callable[P, R]:
    dispatcher = njit(  # type: ignore[call-overload]  # not every option is of the public signature
        cache=True,
        nogil=True,
        boundscheck=False,
        error_model="numpy",
        fastmath=fastmath,
        **options,
    )(function)
    _cache_file(dispatcher)._source_stamp = _stamp(function)
    return cast(Callable[P, R], dispatcher)


def _stamp(function: Callable[..., Any]) -> str:
    """What the kept code depends on: this source file, and the stamps of compiled functions it imports.

    numba looks at the function's own file alone, and would run a changed callee's old code.
    """
    names = function.__globals__.values()
    callees = {_cache_file(one)._source_stamp for one in names if isinstance(one, Dispatcher)}
    written = {_source(one._defn.__code__.co_filename) for one in names if isinstance(one, _Intrinsic)}
    own = _source(function.__code__.co_filename)
    return hashlib.sha256(b"".join([own, *sorted(written)]) + "".join(sorted(callees)).encode()).hexdigest()


def _cache_file(dispatcher: Any) -> Any:
    return dispatcher._cache._cache_file


@cache
def _source(path: str) -> bytes:
    return Path(path).read_bytes()

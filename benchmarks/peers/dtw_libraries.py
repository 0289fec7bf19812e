"""Dynamic time warping as it comes with tslearn, aeon and dtaidistance: one query against many references.

tslearn and dtaidistance are installed with the development group. aeon asks for an older numba than ours, so
it takes part where somebody put it beside: `pip install --no-deps --target FOLDER aeon`, and FOLDER on
PYTHONPATH. Each is called in the fastest way it offers for the work, on one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Work = Callable[[], Any]


def tslearn(query: Doubles, references: Doubles, radius: int | None) -> Work:
    """All distances of a query (L, V) to references (N, L, V)."""
    options = {} if radius is None else {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": radius}
    cdist = import_module("tslearn.metrics").cdist_dtw
    return partial(cdist, query[np.newaxis], references, **options)


def aeon(query: Doubles, references: Doubles, radius: int | None) -> Work:
    """The same; aeon's window is a share of the length."""
    window = None if radius is None else radius / len(query)
    pairwise = import_module("aeon.distances").dtw_pairwise_distance
    many = np.ascontiguousarray(references.transpose(0, 2, 1))
    return partial(pairwise, many, np.ascontiguousarray(query.T), window=window)


def dtaidistance(query: Doubles, references: Doubles, radius: int | None) -> Work:
    """The same, its matrix of one row; its window counts the diagonal too."""
    options: dict[str, Any] = {} if radius is None else {"window": radius + 1}
    options |= {"block": ((0, 1), (1, 1 + len(references))), "compact": True, "parallel": False}
    every = np.concatenate([query[np.newaxis], references])
    if query.shape[1] == 1:
        matrix = import_module("dtaidistance.dtw").distance_matrix_fast
        return partial(matrix, np.ascontiguousarray(every[:, :, 0]), **options)
    matrix = import_module("dtaidistance.dtw_ndim").distance_matrix_fast
    return partial(matrix, every, ndim=query.shape[1], **options)


def peers() -> dict[str, Callable[[Doubles, Doubles, int | None], Work]]:
    """Those that are installed beside tslearn."""
    both = {"aeon": aeon, "dtaidistance": dtaidistance}
    return {name: one for name, one in both.items() if find_spec(name)}

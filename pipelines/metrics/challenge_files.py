"""Labels and predictions of the CinC 2019 challenge as files: a folder or a zip of .psv, one a stay.

Rows are counted from 1, the first row below the header.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput, UnreadableSource
from pipelines.ingest.files import find_record_files
from pipelines.metrics.cinc2019 import ChallengeMetrics, Cohort, summarise

Column = npt.NDArray[np.float64]

LABEL, PROBABILITY, PREDICTION = "SepsisLabel", "PredictedProbability", "PredictedLabel"


def evaluate_folders(labels: Path, predictions: Path) -> ChallengeMetrics:
    """The challenge's figures for a folder or zip of labels and one of predictions.

    Raises UnreadableSource where a file has no partner, lacks a column or a row, or cannot be read, and
    InvalidInput for a label that is not 0 or 1 or a probability outside [0, 1], which both name file and row,
    and where no stay is positive.
    """
    true = {name: columns[0] for name, columns in _files(labels, (LABEL,))}
    given = dict(_files(predictions, (PROBABILITY, PREDICTION)))
    _require_partners(true.keys(), given.keys(), labels, predictions)
    for name, label in true.items():
        if len(label) != len(given[name][0]):
            raise UnreadableSource(
                f"{predictions}: {name} has {len(given[name][0])} rows, its labels have {len(label)}"
            )
    if not any(label.any() for label in true.values()):
        raise InvalidInput(
            f"{labels}: no positive subject among {len(true)} stays: {LABEL} is 0 in every row", bound=">= 1"
        )
    order = sorted(true)
    return summarise(
        Cohort(
            rows=np.array([len(true[name]) for name in order], dtype=np.int64),
            label=np.concatenate([true[name] for name in order]).astype(np.int8),
            probability=np.concatenate([given[name][0] for name in order]),
            prediction=np.concatenate([given[name][1] for name in order]).astype(np.int8),
        )
    )


def _files(place: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, tuple[Column, ...]]]:
    """Name and wanted columns of every .psv file in the folder or zip."""
    found: set[str] = set()
    for path, content in find_record_files(place, ".psv").contents():
        name = PurePosixPath(path).name
        if name in found:
            raise UnreadableSource(f"{place}: {name} occurs twice; expected one file a stay")
        found.add(name)
        if isinstance(content, UnreadableSource):
            raise content
        yield name, _columns(f"{place}: {path}", content, columns)


def _columns(name: str, content: bytes, wanted: tuple[str, ...]) -> tuple[Column, ...]:
    # a byte that is not ASCII cannot be part of a number, so it is refused there, with its row
    text = content.removeprefix(BOM_UTF8).decode("ascii", errors="replace")
    header, *lines = text.rstrip().splitlines() or [""]
    columns = header.strip().split("|")
    if missing := [column for column in wanted if column not in columns]:
        raise UnreadableSource(f"{name}: no column {', '.join(missing)}; expected {'|'.join(wanted)}")
    if not lines:
        raise UnreadableSource(f"{name}: no row under the header; expected one a labelled hour")
    for row, line in enumerate(lines, 1):
        if (width := line.count("|") + 1) != len(columns):
            raise UnreadableSource(f"{name} row {row}: {width} cells, expected {len(columns)}")
    return tuple(
        _numbers(name, column, _cells(lines, len(columns), columns.index(column))) for column in wanted
    )


def _cells(lines: list[str], width: int, position: int) -> list[str]:
    """One column's cells, counted from the right: the label is the last of 41."""
    from_right = width - position
    return [line.rsplit("|", from_right)[-from_right] for line in lines]


def _numbers(name: str, column: str, cells: list[str]) -> Column:
    """One column in its bound: probabilities in [0, 1], labels 0 or 1."""
    values = np.array([_number(cell) for cell in cells])
    if column == PROBABILITY:
        good, bound = (values >= 0) & (values <= 1), "in [0, 1]"  # false for NaN
    else:
        good, bound = (values == 0) | (values == 1), "0 or 1"
    if not good.all():
        row = int(np.argmin(good))
        raise InvalidInput(
            f"{name} row {row + 1}: {column} {cells[row]!r} must be {bound}", value=cells[row], bound=bound
        )
    return values


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _require_partners(true: Iterable[str], given: Iterable[str], labels: Path, predictions: Path) -> None:
    without_prediction, without_label = set(true) - set(given), set(given) - set(true)
    for lone, there, lacking in (
        (without_prediction, labels, predictions),
        (without_label, predictions, labels),
    ):
        if lone:
            raise UnreadableSource(
                f"{lacking}: lacks {min(lone)}"
                + (f" and {len(lone) - 1} more" if len(lone) > 1 else "")
                + f", which {there} has; expected the same files on both sides"
            )

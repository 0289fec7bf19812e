"""Labelling a whole source: every stay's Sepsis-3 label as a Parquet table, with its counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from pipelines.ingest.source import IngestedStay
from pipelines.label.cohorts import Candidate
from pipelines.label.presets import DEFAULT, Sepsis3Options
from pipelines.label.sepsis3 import LABEL_COLUMNS, label
from pipelines.prediction_files import replacing

_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("stay", pa.string()),
        ("suspicion_time", _TIME),
        ("sofa_time", _TIME),
        ("onset", _TIME),
        ("onset_hour", pa.int64()),
        ("baseline", pa.float64()),
        ("delta", pa.float64()),
        ("components", pa.string()),
        ("missing", pa.string()),
    ]
)
assert tuple(SCHEMA.names) == LABEL_COLUMNS


@dataclass
class LabelledStudy:
    """The labels of the stays that were added, and what a cohort needs of them."""

    options: Sepsis3Options = DEFAULT
    rows: list[dict[str, Any]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    def labelling(self, stays: Iterable[IngestedStay]) -> Iterator[IngestedStay]:
        """The same stays, labelled as they pass."""
        for ingested in stays:
            found = label(ingested.stay, self.options)
            self.rows.append(found.as_row())
            self.candidates.append(Candidate.of(ingested, found.onset_hour))
            yield ingested

    def write(self, path: Path) -> None:
        """Write the labels; the file appears when it is complete."""
        with replacing(path) as unfinished:
            pq.write_table(pa.Table.from_pylist(self.rows, SCHEMA), unfinished)

    def sentence(self) -> str:
        """The counts for people."""
        told = self.as_json()
        share = f" ({100 * told['sepsis'] / told['stays']:.1f} %)" if told["stays"] else ""
        when = told["onset_hour"]["median"]
        onset = "" if when is None else f", onset at hour {when:g} (median)"
        return (
            f"{told['stays']} stays: {told['suspected']} with suspicion of infection, "
            f"{told['sepsis']} with sepsis{share}{onset}"
        )

    def as_json(self) -> dict[str, Any]:
        """Counts of the labels: stays, suspected, with sepsis, and the onset hour's quartiles."""
        onset = [row["onset_hour"] for row in self.rows if row["onset_hour"] is not None]
        low, median, high = np.percentile(onset, (25, 50, 75)).tolist() if onset else (None, None, None)
        return {
            "stays": len(self.rows),
            "suspected": sum(row["suspicion_time"] is not None for row in self.rows),
            "sepsis": len(onset),
            "onset_hour": {"median": median, "quartiles": [low, high]},
            "options": vars(self.options),
        }

"""What would more stays bring? Boosted trees of CinC 2019 grown on a quarter, half and all of the subjects.

    python benchmarks/learning_curve.py [--cache FOLDER] [--json]

sets a third of the training and validation subjects of both sets aside, and scores their hours by
`hourly-trees` grown on a share of the other two thirds. Twice as many septic stays count as the validation
subjects have. The last column is how often the stays would have to double for AUROC to reach `WANTED`, were
each doubling to bring as much as the last. Held-out subjects are left alone. Records from PRODROME_DATA;
without them it says so and stops. One core, 5 GB, some ten minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt

from benchmarks.evidence.printed import parser_of, show
from benchmarks.sepsis import Records
from models.hourly_trees import HourlyTreesConfig
from models.hourly_trees_learning import grown, labelled_hours
from models.training_stays import standardisation_of
from models.trees import Rows
from pipelines.metrics.classification import auprc, auroc
from pipelines.split import held_out
from pipelines.train import best_threshold

SHARES = (0.25, 0.5, 1.0)
WANTED = 0.87  # hourly AUROC
COLUMNS = (
    "stays learnt from",
    "septic stays scored",
    "AUROC",
    "AUPRC",
    "utility",
    "CPU s",
    "doublings to 0.87",
)


@dataclass(frozen=True)
class Hours:
    """Every labelled hour: channels `rows` (N, C), `label` (N,); `of_stay` (S,) hours of each stay, whether
    it is set `aside` (S,), and its place `order` (S,) in [0, 1) among those that are learnt from.
    """

    rows: Rows
    label: npt.NDArray[np.int8]
    of_stay: npt.NDArray[np.int64]
    aside: npt.NDArray[np.bool_]
    order: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """Figures of all hours when a share of the stays taught."""

    stays: int
    septic: int
    auroc: float
    auprc: float
    utility: float
    cpu_seconds: float
    doublings: float | None

    def cells(self) -> Sequence[str]:
        """A cell for each of `COLUMNS`."""
        left = "-" if self.doublings is None else f"{self.doublings:.1f}"
        figures = (f"{one:.4f}" for one in (self.auroc, self.auprc, self.utility))
        return (f"{self.stays:,}", f"{self.septic:,}", *figures, f"{self.cpu_seconds:.0f}", left)


def hours_of(records: Records) -> Hours:
    """The hours of all subjects that are not held out."""
    stays = list(records.stays(["A", "B"], lambda subject: not held_out(subject)))
    rows, label = labelled_hours(stays, standardisation_of(stays))
    drawn = [
        int.from_bytes(sha256(f"curve:{one.stay.subject_id}".encode()).digest()[:8], "big") for one in stays
    ]
    return Hours(
        rows,
        label,
        np.array([len(one.hour) for one in stays]),
        np.array([one % 3 == 0 for one in drawn]),
        np.array([one // 3 % 10_000 / 10_000 for one in drawn]),
    )


def measured(hours: Hours) -> Iterator[Row]:
    """A row for each share, the smallest first."""
    before, scored = None, np.repeat(hours.aside, hours.of_stay)
    label, of_stay = hours.label[scored], hours.of_stay[hours.aside]
    septic = int(np.logical_or.reduceat(label > 0, np.cumsum(of_stay) - of_stay).sum())
    for share in SHARES:
        begun, taught = process_time(), ~hours.aside & (hours.order < share)
        learns = np.repeat(taught, hours.of_stay)
        trees = grown(HourlyTreesConfig(), hours.rows[learns], hours.label[learns])
        value = 0.5 + 0.5 * np.tanh(0.5 * trees.logit(hours.rows[scored]))
        found = auroc(label, value) or 0.0
        left = None if before is None else float((WANTED - found) / (found - before))
        _, utility = best_threshold(of_stay, label, value)
        spent = process_time() - begun
        yield Row(int(taught.sum()), septic, found, auprc(label, value) or 0.0, utility, spent, left)
        before = found


def main() -> None:
    """Print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--cache", type=Path, help="keeps the stays that were read")
    asked = parser.parse_args()
    data = Path(os.environ.get("PRODROME_DATA", "")) / "icu" / "cinc2019"
    if not data.is_dir():
        print(f"no real records at {data}; set PRODROME_DATA")
        return
    show(measured(hours_of(Records(data, asked.cache))), COLUMNS, as_json=asked.json)


if __name__ == "__main__":
    main()

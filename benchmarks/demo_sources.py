"""What is read, kept and set aside of every demo source, and at what cost: the table of docs/sources.md.

Each source is read in a process of its own, one after the other. Rows are those of the tables, messages or
resources that the source reads; CPU time, because the machine is shared.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from pipelines.ingest.source import IngestSummary
from pipelines.ingest.sources import open_named

FOLDERS = (
    ("mimic3", "icu/mimic3_demo"),
    ("mimic4", "icu/mimic4_demo"),
    ("meds", "icu/mimic4_demo_meds"),
    ("eicu", "icu/eicu_demo"),
    ("fhir", "icu/mimic4_fhir_demo/fhir"),
    ("fhir", "interop/fhir_r4/hl7_examples"),
    ("fhir", "interop/fhir_r4/synthea_bundles"),
    ("hl7v2", "interop/hl7v2"),
    ("cinc2012", "icu/cinc2012/set-a.zip"),
    ("cinc2019", "icu/cinc2019/training_setA.zip"),
    ("cinc2019", "icu/cinc2019/training_setB.zip"),
)


@dataclass(frozen=True)
class Reading:
    """One pass over a source."""

    summary: IngestSummary
    observations: int
    interventions: int
    cpu_seconds: float
    peak_mb: float
    failures: int


def read(name: str, path: str) -> Reading:
    """Read a source once, in this process."""
    source, summary = open_named(name, Path(path)), IngestSummary()
    observations = interventions = 0
    started = time.process_time()
    for ingested in summary.counting_all(source):
        observations += len(ingested.stay.observations)
        interventions += len(ingested.stay.interventions)
    cpu = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Reading(summary, observations, interventions, cpu, peak, len(source.failures))


def row(name: str, path: str, done: Reading) -> str:
    """The table's row of one pass; raises where rows were lost."""
    summary = done.summary
    aside = sum(summary.quarantined.values())
    if summary.cells_kept + aside != summary.cells_read:
        raise ArithmeticError(
            f"{path}: {summary.cells_read} read, {summary.cells_kept} kept, {aside} set aside"
        )
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in summary.by_reason().items())
    cells = (
        f"`{name}` {Path(path).name}",
        f"{summary.stays:,}",
        f"{summary.cells_read:,}",
        f"{done.observations:,} + {done.interventions:,}",
        f"{aside:,}",
        reasons or "none",
        f"{done.cpu_seconds:.0f} s",
        f"{done.peak_mb:.0f} MB",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table of the sources named on the command line, of all without one."""
    folder = Path(os.environ.get("PRODROME_DATA", "../shared/data"))
    wanted = set(sys.argv[1:])
    print("| source | stays | rows read | observations + interventions | set aside | why | CPU | peak RSS |")
    print("|---|---|---|---|---|---|---|---|")
    for name, path in FOLDERS:
        if wanted and name not in wanted:
            continue
        if not (folder / path).exists():
            print(f"| `{name}` {path}: not here |", flush=True)
            continue
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            done = alone.submit(read, name, str(folder / path)).result()
        print(row(name, path, done), flush=True)


if __name__ == "__main__":
    main()

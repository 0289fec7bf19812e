"""Does the memory of reading a MIMIC-III export grow with the export, and how many rows a second are read?

    python benchmarks/ingest.py [COPIES ...]

The demo's CHARTEVENTS and LABEVENTS (PRODROME_DATA), repeated 1, 9 and 27 times under other ids into a folder
that is removed again; 27 copies are 22.5 million rows. Each size is read in a process of its own. The peer is
the plain way, at the second size: pandas reads CHARTEVENTS, merges the mapping and groups by stay. Says so
and stops where there are no records.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import duckdb
import pandas as pd

from pipelines.ingest.codes_table import read_codes
from pipelines.ingest.mimic3 import open_source
from pipelines.ingest.relational.engine import Limits
from pipelines.ingest.source import IngestSummary

COPIES = (1, 9, 27)
LIMITS = Limits(memory_mb=512, threads=1)  # threads = 1: processor time is then comparable to the peer's
REPEATED = ("CHARTEVENTS", "LABEVENTS", "ICUSTAYS", "PATIENTS", "ADMISSIONS")
SHIFTED = ("subject_id", "hadm_id", "icustay_id")
SHIFT = 1_000_000  # above every id of the export


def write_export(demo: Path, folder: Path, copies: int) -> None:
    """The tables as plain CSV, each row `copies` times, its ids shifted a copy."""
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false")  # else a whole table is held
    for table in REPEATED:
        file = next(demo.glob(f"{table}.csv*"))
        source = f"read_csv('{file}', all_varchar = true, header = true, delim = ',', quote = '\"')"
        columns = [row[0] for row in connection.execute(f"DESCRIBE FROM {source}").fetchall()]
        shifts = ", ".join(
            f"(TRY_CAST({name} AS BIGINT) + copy * {SHIFT})::VARCHAR AS {name}"
            for name in SHIFTED
            if name in columns
        )
        connection.execute(
            f"COPY (SELECT * EXCLUDE (copy) REPLACE ({shifts}) FROM range({copies}) copies(copy), {source}) "
            f"TO '{folder / table}.csv' (HEADER)"
        )
    connection.close()


def ingest(folder: Path) -> int:
    """Read every stay; gives how many rows were read, each of them kept or counted."""
    summary = IngestSummary()
    for _ in summary.counting_all(open_source(folder, LIMITS)):
        pass
    assert summary.cells_read == summary.cells_kept + sum(summary.quarantined.values())
    return summary.cells_read


def plain_pandas(folder: Path) -> int:
    """CHARTEVENTS at once in memory, mapped, by stay; no units, clocks, bounds or account of rows."""
    codes = pd.DataFrame(
        [(int(code.code), code.target) for code in read_codes("mimic3") if code.code.isdigit()],
        columns=["itemid", "variable"],
    ).drop_duplicates("itemid")
    read = pd.read_csv(folder / "CHARTEVENTS.csv", low_memory=False)
    mapped = read.merge(codes, on="itemid")
    mapped["charttime"] = pd.to_datetime(mapped["charttime"])
    sum(len(stay) for _, stay in mapped.groupby("icustay_id"))
    return len(read)


WORK: dict[str, Callable[[Path], int]] = {"prodrome": ingest, "pandas": plain_pandas}


def measured(way: str, folder: Path) -> dict[str, float]:
    """Rows, seconds, processor seconds and peak memory in MB of one way, in a process of its own."""
    command = [sys.executable, __file__, "--in-process", way, str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(output)
    return found


def in_process(way: str, folder: Path) -> None:
    """Do the work and print what it took as JSON."""
    wall, processor = perf_counter(), process_time()
    rows = WORK[way](folder)
    took = {"rows": rows, "seconds": perf_counter() - wall, "processor": process_time() - processor}
    print(json.dumps(took | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def report(name: str, took: dict[str, float]) -> None:
    """One line of the table."""
    rows = took["rows"]
    print(
        f"| {name:<12} | {rows:>12,.0f} | {took['seconds']:>7.1f} | {rows / took['seconds']:>11,.0f} "
        f"| {rows / took['processor']:>19,.0f} | {took['peak_mb']:>7,.0f} |",
        flush=True,
    )


def main(sizes: tuple[int, ...]) -> None:
    """The table: Prodrome at every size, the peer at the second."""
    data = Path(os.environ.get("PRODROME_DATA", Path(__file__).parents[2] / "shared" / "data"))
    demo = data / "icu" / "mimic3_demo"
    if not demo.is_dir():
        print(f"no records at {demo}; set PRODROME_DATA")
        return
    print(f"DuckDB {LIMITS.memory_mb} MB, {LIMITS.threads} thread")
    print("| way          |         rows | seconds |    rows / s | rows / processor s | peak MB |")
    print("|--------------|-------------:|--------:|------------:|-------------------:|--------:|")
    for place, copies in enumerate(sizes):
        with tempfile.TemporaryDirectory(prefix="prodrome-bench-") as folder:
            write_export(demo, Path(folder), copies)
            report(f"prodrome {copies}x", measured("prodrome", Path(folder)))
            if place == 1:
                report(f"pandas {copies}x", measured("pandas", Path(folder)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in-process"]:
        in_process(sys.argv[2], Path(sys.argv[3]))
    else:
        main(tuple(int(size) for size in sys.argv[1:]) or COPIES)

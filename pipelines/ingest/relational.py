"""Relational sources: tables of a hospital database as files, read once, out of core, one stay at a time.

A source says in SQL what its stays and its rows are (`Relations`); its codes are a mapping (`codes_table`).
DuckDB reads the files as text, joins rows to codes, stages what is mapped on disk and sorts it by stay within
a stated memory. From there rows come in batches, and values are judged a batch at a time, all of one code and
unit together. Files are read once a pass; nothing grows with them but the disk.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.codes_table import Code
from pipelines.ingest.relational_stays import RowBatch, StayFacts, ingested_stays
from pipelines.ingest.source import IngestedStay, SetAside

BATCH_ROWS = 100_000
SUFFIXES = (".csv", ".csv.gz", ".parquet")
_REMARK = re.compile(r"_[A-Z]{2}[^.]*")

# what every SELECT of `Relations.rows` gives, in any order
ROW_COLUMNS = ("stay", "time", "ended_at", "known_at", "code", "value", "unit", "withdrawn")


@dataclass(frozen=True)
class Limits:
    """What a pass may use. DuckDB spills to disk beyond `memory_mb`; Python holds a batch or two besides."""

    memory_mb: int = 1024
    threads: int = 2


@dataclass(frozen=True)
class Relations:
    """A source in DuckDB's SQL, over views named as its tables (lower case), every column text.

    `stays` gives `stay`, `subject`, `admitted_at`, `discharged_at`, `hospital_admitted_at` (TIMESTAMP),
    `age_years` (text or number), `sex` (F, M or NULL), `care_unit`, `charting`, `diagnoses` (list of text).
    `rows` gives for each table read the ROW_COLUMNS: `stay` NULL for a row outside every stay, `ended_at` for
    what has a duration, `known_at` NULL where the source does not say, `value` and `unit` text as received,
    `withdrawn` true where the source marks the row as an error or as never given. Each row of a table gives
    one row, so that nothing is lost. They may join `the_spans`, which never overlap within a subject: a
    measurement at t belongs to the `stay` with `begins` <= t < `ends` (times inside the stay), a treatment to
    the one with `cared_from` <= t < `ends` (its hospital admission, or the end of the stay before, till its
    own end). `optional` tables may be absent. `prepare` may register more codes, made
    of what the tables hold (drug names), before rows are read.
    """

    name: str
    tables: Sequence[str]
    stays: str
    rows: Mapping[str, str]
    codes: Sequence[Code]
    optional: frozenset[str] = frozenset()
    prepare: Callable[[duckdb.DuckDBPyConnection, frozenset[str]], Sequence[Code]] | None = None


def find_tables(folder: Path, names: Sequence[str], optional: frozenset[str]) -> dict[str, Path]:
    """The file of each table, by its name in any case, with or without compression, in any sub-folder.

    A remark in capitals may follow the name where nothing has the name alone: `lab_SUBSET_of_2014.csv` is the
    table lab. Raises UnreadableSource naming what is missing.
    """
    if not folder.is_dir():
        raise UnreadableSource(f"{folder}: no such folder; expected the tables {', '.join(names)}")
    present = [file for file in sorted(folder.rglob("*"), reverse=True) if file.is_file()]
    files = {_REMARK.sub("", file.name).casefold(): file for file in present}
    files |= {file.name.casefold(): file for file in present}
    found = {}
    for name in names:
        match = [files[f"{name}{suffix}"] for suffix in SUFFIXES if f"{name}{suffix}" in files]
        if match:
            found[name] = match[0]
        elif name not in optional:
            raise UnreadableSource(f"{folder}: no table {name}; expected {name}.csv, .csv.gz or .parquet")
    return found


class RelationalSource:
    """A source of stays from related tables; made by the `open_source` of each database."""

    def __init__(
        self, path: Path, relations: Relations, files: Mapping[str, Path], limits: Limits | None = None
    ) -> None:
        self._path = path
        self._relations = relations
        self._files = files
        self._limits = limits or Limits()
        self._set_aside: tuple[SetAside, ...] = ()
        self._stay_count: int | None = None

    @property
    def name(self) -> str:
        """The path that was opened."""
        return str(self._path)

    @property
    def stay_count(self) -> int | None:
        """How many stays there are; None before the first pass has counted them."""
        return self._stay_count

    @property
    def failures(self) -> Sequence[UnreadableSource]:
        """Nothing: a line that cannot be read is one of `set_aside`."""
        return ()

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """The rows of the latest pass that are unmapped, outside every stay, or no rows at all."""
        return self._set_aside

    def stays(self) -> Iterator[IngestedStay]:
        """Every stay, by stay id. Raises UnreadableSource where a table lacks a column."""
        with tempfile.TemporaryDirectory(prefix="prodrome-") as folder:
            connection = _connected(Path(folder), self._limits)
            try:
                codes = self._staged(connection)
                yield from ingested_stays(
                    self._relations.name, codes, _stay_facts(connection), _batches(connection)
                )
            except duckdb.Error as error:
                raise UnreadableSource(f"{self.name}: {error}") from error
            finally:
                connection.close()

    def _staged(self, connection: duckdb.DuckDBPyConnection) -> tuple[Code, ...]:
        """Rows and stays in the staging database, `set_aside` counted; gives the codes by their number."""
        relations, present = self._relations, frozenset(self._files)
        for table, file in self._files.items():
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM {_scan(file)}")  # noqa: S608
        extra = relations.prepare(connection, present) if relations.prepare else ()
        codes = (*relations.codes, *extra)
        connection.execute(f"CREATE TABLE the_stays AS {relations.stays}")
        found = connection.execute("SELECT count(*) FROM the_stays").fetchone()
        self._stay_count = found[0] if found else 0
        connection.execute(_SPANS)
        _number_codes(connection, codes)
        connection.execute(_STAGING)
        for table, rows in relations.rows.items():
            if table in present:
                connection.execute(_STAGE.format(table=table, rows=rows))
        self._set_aside = (*_unmapped(connection), *_outside(connection, codes), *_rejected(connection))
        return codes


def _connected(folder: Path, limits: Limits) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(folder / "staging.duckdb"))
    connection.execute(f"SET memory_limit = '{limits.memory_mb}MB'")
    connection.execute(f"SET threads = {limits.threads}")
    connection.execute(f"SET temp_directory = '{_quoted(str(folder))}'")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _scan(file: Path) -> str:
    """The file as a table function; every CSV cell is text, and a line that is no row is counted."""
    path = _quoted(str(file))
    if file.suffix == ".parquet":
        return f"read_parquet('{path}')"
    return (
        f"read_csv('{path}', delim = ',', quote = '\"', escape = '\"', header = true, all_varchar = true, "
        "store_rejects = true, rejects_limit = 0)"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _number_codes(connection: duckdb.DuckDBPyConnection, codes: Sequence[Code]) -> None:
    table = pa.table(
        {
            "id": pa.array(range(len(codes)), pa.int32()),
            "origin": pa.array([code.table for code in codes], pa.string()),
            "code": pa.array([code.code for code in codes], pa.string()),
        }
    )
    connection.register("given_codes", table)
    connection.execute("CREATE TABLE the_codes AS SELECT * FROM given_codes")
    connection.unregister("given_codes")


_SPANS = """
CREATE TABLE the_spans AS
SELECT stay, subject, admitted_at AS begins,
       least(coalesce(discharged_at, 'infinity'::TIMESTAMP),
             coalesce(lead(admitted_at) OVER same_subject, 'infinity'::TIMESTAMP)) AS ends,
       least(admitted_at, greatest(
           coalesce(hospital_admitted_at, admitted_at),
           coalesce(lag(discharged_at) OVER same_subject, '-infinity'::TIMESTAMP))) AS cared_from
FROM the_stays
WINDOW same_subject AS (PARTITION BY subject ORDER BY admitted_at, stay)
"""

_STAGING = """
CREATE TABLE staged (
    stay VARCHAR, code_id INTEGER, origin VARCHAR, code VARCHAR, time TIMESTAMP, ended_at TIMESTAMP,
    known_at TIMESTAMP, number DOUBLE, text VARCHAR, unit VARCHAR, withdrawn BOOLEAN
)
"""

# what is unmapped keeps only its code: most rows of a full export are, and none of their cells is needed
_STAGE = """
INSERT INTO staged
SELECT s.stay, c.id, '{table}', r.code,
       CASE WHEN c.id IS NOT NULL THEN TRY_CAST(r.time AS TIMESTAMP) END,
       CASE WHEN c.id IS NOT NULL THEN TRY_CAST(r.ended_at AS TIMESTAMP) END,
       CASE WHEN c.id IS NOT NULL THEN TRY_CAST(r.known_at AS TIMESTAMP) END,
       CASE WHEN c.id IS NOT NULL AND isfinite(TRY_CAST(r.value AS DOUBLE))
            THEN TRY_CAST(r.value AS DOUBLE) END,
       CASE WHEN c.id IS NOT NULL AND coalesce(NOT isfinite(TRY_CAST(r.value AS DOUBLE)), true)
            THEN r.value END,
       CASE WHEN c.id IS NOT NULL THEN r.unit END,
       coalesce(r.withdrawn, false)
FROM ({rows}) r
LEFT JOIN the_codes c ON c.origin = '{table}' AND c.code = r.code
LEFT JOIN the_stays s ON s.stay = r.stay
"""


def _unmapped(connection: duckdb.DuckDBPyConnection) -> Iterator[SetAside]:
    query = (
        "SELECT origin, code, count(*) FROM staged WHERE code_id IS NULL GROUP BY ALL ORDER BY 3 DESC, 1, 2"
    )
    for origin, code, count in connection.execute(query).fetchall():
        name = f"{origin} {code}"
        yield SetAside(Reason.UNKNOWN_VARIABLE, name, count, f"{name} is not mapped to the catalogue")


def _outside(connection: duckdb.DuckDBPyConnection, codes: Sequence[Code]) -> Iterator[SetAside]:
    query = (
        "SELECT code_id, count(*), min(time) FROM staged WHERE code_id IS NOT NULL AND stay IS NULL "
        "GROUP BY ALL ORDER BY 2 DESC, 1"
    )
    for code_id, count, time in connection.execute(query).fetchall():
        code = codes[code_id]
        name = f"{code.table} {code.code}"
        example = f"{code.label} ({name}) of {time} lies outside every stay"
        yield SetAside(Reason.OUTSIDE_STAY, code.target, count, example)


def _rejected(connection: duckdb.DuckDBPyConnection) -> Iterator[SetAside]:
    query = (
        "SELECT file_path, count(DISTINCT line), min(line), min(error_message) FROM reject_errors "
        "JOIN reject_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY 1"
    )
    for path, count, line, message in connection.execute(query).fetchall():
        file = Path(path).name
        example = f"{file} line {line}: {message}"
        yield SetAside(Reason.MALFORMED, f"{file} line", count, example)


def _stay_facts(connection: duckdb.DuckDBPyConnection) -> Iterator[StayFacts]:
    query = f"SELECT {', '.join(StayFacts._fields)} FROM the_stays ORDER BY stay"  # noqa: S608
    reader = connection.cursor().execute(query)
    while found := reader.fetchmany(1_000):
        yield from map(StayFacts._make, found)


def _batches(connection: duckdb.DuckDBPyConnection) -> Iterator[RowBatch]:
    """The rows that are mapped and inside a stay, by stay, in batches that may cut a stay in two."""
    query = (
        "SELECT stay, code_id, epoch_us(time) AS time, epoch_us(ended_at) AS ended_at, "
        "epoch_us(known_at) AS known_at, number, text, unit, withdrawn FROM staged "
        "WHERE code_id IS NOT NULL AND stay IS NOT NULL ORDER BY stay, code_id, unit, time, number"
    )
    for batch in connection.cursor().sql(query).to_arrow_reader(BATCH_ROWS):
        yield RowBatch.of(batch)

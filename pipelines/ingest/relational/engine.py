"""Relational sources: tables of a hospital database as files, read once, out of core, one stay at a time.

A source says in SQL what its stays and its rows are (`Relations`); its codes are a mapping (`codes_table`).
DuckDB reads the files as text, joins rows to codes, stages what is mapped on disk and sorts it by stay within
a stated memory. From there rows come in batches, and values are judged a batch at a time, all of one code and
unit together. Files are read once a pass; nothing grows with them but the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import YEARS, Reason
from pipelines.ingest.codes_table import Code
from pipelines.ingest.relational.files import as_unreadable, create_views, lost_lines
from pipelines.ingest.relational.files import find_tables as find_tables  # noqa: PLC0414 offered here too
from pipelines.ingest.relational.rows import RowBatch
from pipelines.ingest.relational.stays import StayFacts, ingested_stays
from pipelines.ingest.source import IngestedStay, SetAside

BATCH_ROWS = 250_000

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
    of what the tables hold (drug names), before rows are read. `labels` gives for each dictionary that may
    be there the `origin` (a table of `rows`), the `code`, or its first word, and the `label` in the source's
    own words: what is not mapped is told by it.
    """

    name: str
    tables: Sequence[str]
    stays: str
    rows: Mapping[str, str]
    codes: Sequence[Code]
    optional: frozenset[str] = frozenset()
    prepare: Callable[[duckdb.DuckDBPyConnection, frozenset[str]], Sequence[Code]] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


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
            except duckdb.OutOfMemoryException as error:
                told = f"{self._limits.memory_mb} MB of memory are too little for it: allow more"
                raise UnreadableSource(f"{self.name}: {told}") from error
            except duckdb.Error as error:
                raise UnreadableSource(f"{self.name}: {str(error).splitlines()[0]}") from error
            finally:
                connection.close()

    def _staged(self, connection: duckdb.DuckDBPyConnection) -> tuple[Code, ...]:
        """Rows and stays in the staging database, `set_aside` counted; gives the codes by their number."""
        relations, present = self._relations, frozenset(self._files)
        create_views(connection, self._files)
        with self._reading("the codes"):
            extra = relations.prepare(connection, present) if relations.prepare else ()
        codes = (*relations.codes, *extra)
        with self._reading("the stays"):
            connection.execute(f"CREATE TABLE told_stays AS {relations.stays}")
        for statement in _STAYS:
            connection.execute(statement)
        ((self._stay_count,),) = connection.execute("SELECT count(*) FROM the_stays").fetchall()
        _number_codes(connection, codes)
        for statement, selects in ((_LABEL, relations.labels), (_STAGE, relations.rows)):
            for table, rows in selects.items():
                if table in present:
                    with self._reading(table):
                        connection.execute(statement.format(table=table, rows=rows))
        self._set_aside = (
            *_unmapped(connection),
            *_outside(connection, codes),
            *_no_stays(connection),
            *lost_lines(connection, self._files),
        )
        return codes

    @contextmanager
    def _reading(self, table: str) -> Iterator[None]:
        try:
            yield
        except duckdb.BinderException as error:
            raise as_unreadable(self.name, error, self._files, table) from error


def _connected(folder: Path, limits: Limits) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(folder / "staging.duckdb"))
    connection.execute(f"SET memory_limit = '{limits.memory_mb}MB'")
    connection.execute(f"SET threads = {limits.threads}")
    connection.execute(f"SET temp_directory = '{_quoted(str(folder))}'")
    connection.execute("SET preserve_insertion_order = false")
    # DuckDB takes a compressed CSV for a few dozen rows and would hold it whole, to join the stays to it; the
    # SQL here names the small side second
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    connection.execute("SET TimeZone = 'UTC'")
    for statement in _TABLES:
        connection.execute(statement)
    return connection


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


# a stay without an id or an admission is none; of one told twice the first admission counts
_STAYS = (
    """
    CREATE TABLE the_stays AS
    SELECT row_number() OVER (ORDER BY stay) - 1 AS place, * EXCLUDE (nth)
    FROM (
        SELECT * REPLACE (stay::VARCHAR AS stay, subject::VARCHAR AS subject),
               row_number() OVER (PARTITION BY stay ORDER BY admitted_at NULLS LAST, subject) AS nth
        FROM told_stays
    )
    WHERE nth = 1 AND stay IS NOT NULL AND subject IS NOT NULL AND isfinite(admitted_at)
    """,
    """
    CREATE TABLE the_spans AS
    WITH told AS (
        SELECT stay, subject, admitted_at, hospital_admitted_at,
               CASE WHEN discharged_at >= admitted_at THEN discharged_at END AS discharged_at
        FROM the_stays
    )
    SELECT stay, subject, admitted_at AS begins,
           least(coalesce(discharged_at, 'infinity'::TIMESTAMP),
                 coalesce(lead(admitted_at) OVER same_subject, 'infinity'::TIMESTAMP)) AS ends,
           least(admitted_at, greatest(
               coalesce(hospital_admitted_at, admitted_at),
               coalesce(lag(discharged_at) OVER same_subject, '-infinity'::TIMESTAMP))) AS cared_from
    FROM told
    WINDOW same_subject AS (PARTITION BY subject ORDER BY admitted_at, stay)
    """,
)

_TABLES = (
    """
    CREATE TABLE staged (
        place INTEGER, code_id INTEGER, origin VARCHAR, code VARCHAR, time TIMESTAMP, ended_at TIMESTAMP,
        known_at TIMESTAMP, number DOUBLE, text VARCHAR, unit VARCHAR, withdrawn BOOLEAN
    )
    """,
    "CREATE TABLE the_labels (origin VARCHAR, code VARCHAR, label VARCHAR)",
    # the rule of `read_time`: a year that means "none" or "for ever" is no time
    f"""
    CREATE MACRO a_time(cell) AS
    CASE WHEN year(TRY_CAST(cell AS TIMESTAMP)) BETWEEN {YEARS.start} AND {YEARS.stop - 1}
         THEN TRY_CAST(cell AS TIMESTAMP) END
    """,
)

_LABEL = """
INSERT INTO the_labels
SELECT origin, code::VARCHAR, min(trim(label)) FROM ({rows}) WHERE trim(label) <> '' GROUP BY ALL
"""

# what is unmapped keeps only its code: most rows of a full export are, and none of their cells is needed
_STAGE = """
INSERT INTO staged
SELECT s.place, c.id, '{table}',
       CASE WHEN c.id IS NULL THEN r.code::VARCHAR END,
       CASE WHEN c.id IS NOT NULL THEN a_time(r.time) END,
       CASE WHEN c.id IS NOT NULL THEN a_time(r.ended_at) END,
       CASE WHEN c.id IS NOT NULL THEN a_time(r.known_at) END,
       CASE WHEN c.id IS NOT NULL AND isfinite(TRY_CAST(r.value AS DOUBLE))
            THEN TRY_CAST(r.value AS DOUBLE) END,
       CASE WHEN c.id IS NOT NULL AND coalesce(NOT isfinite(TRY_CAST(r.value AS DOUBLE)), true)
            THEN r.value::VARCHAR END,
       CASE WHEN c.id IS NOT NULL THEN r.unit::VARCHAR END,
       coalesce(r.withdrawn, false)
FROM ({rows}) r
LEFT JOIN the_codes c ON c.origin = '{table}' AND c.code = r.code::VARCHAR
LEFT JOIN the_stays s ON s.stay = r.stay::VARCHAR
"""


def _unmapped(connection: duckdb.DuckDBPyConnection) -> Iterator[SetAside]:
    query = (
        "SELECT concat_ws(' ', u.origin, coalesce(u.code, '(no code)'), l.label), u.count FROM ("
        "  SELECT origin, code, count(*) AS count FROM staged WHERE code_id IS NULL GROUP BY ALL) u "
        "LEFT JOIN the_labels l ON l.origin = u.origin AND l.code = split_part(u.code, ' ', 1) "
        "ORDER BY u.count DESC, u.origin, u.code"
    )
    for name, count in connection.execute(query).fetchall():
        yield SetAside(Reason.UNKNOWN_VARIABLE, name, count, f"{name} is not mapped to the catalogue")


def _outside(connection: duckdb.DuckDBPyConnection, codes: Sequence[Code]) -> Iterator[SetAside]:
    query = (
        "SELECT code_id, count(*), min(time) FROM staged WHERE code_id IS NOT NULL AND place IS NULL "
        "GROUP BY ALL ORDER BY 2 DESC, 1"
    )
    for code_id, count, time in connection.execute(query).fetchall():
        code = codes[code_id]
        name = f"{code.table} {code.code}"
        example = f"{code.label} ({name}) of {time} lies outside every stay"
        yield SetAside(Reason.OUTSIDE_STAY, code.target, count, example)


def _no_stays(connection: duckdb.DuckDBPyConnection) -> Iterator[SetAside]:
    """Told stays that are none: without an id, a subject or an admission, or told before."""
    query = (
        "SELECT stay IS NULL OR subject IS NULL OR NOT coalesce(isfinite(admitted_at), false) AS incomplete, "
        "count(*), min(stay::VARCHAR) FROM told_stays t WHERE NOT EXISTS (SELECT 1 FROM the_stays s WHERE "
        "s.stay = t.stay::VARCHAR AND s.subject = t.subject::VARCHAR AND s.admitted_at = t.admitted_at) "
        "GROUP BY ALL ORDER BY 1"
    )
    for incomplete, count, stay in connection.execute(query).fetchall():
        if incomplete:
            example = f"stay {stay} lacks its id, its subject or its admission"
            yield SetAside(Reason.MALFORMED, "stay", count, example)
        else:
            yield SetAside(Reason.DUPLICATE, "stay", count, f"stay {stay} was told before")


def _stay_facts(connection: duckdb.DuckDBPyConnection) -> Iterator[StayFacts]:
    query = f"SELECT {', '.join(StayFacts._fields)} FROM the_stays ORDER BY place"  # noqa: S608
    reader = connection.cursor().execute(query)
    while found := reader.fetchmany(1_000):
        yield from map(StayFacts._make, found)


def _batches(connection: duckdb.DuckDBPyConnection) -> Iterator[RowBatch]:
    """The rows that are mapped and inside a stay, by stay, in batches that may cut a stay in two."""
    query = (
        "SELECT place AS stay, code_id AS code, epoch_us(time) AS time, epoch_us(ended_at) AS ended_at, "
        "epoch_us(known_at) AS known_at, number, text, unit, withdrawn FROM staged "
        "WHERE code_id IS NOT NULL AND place IS NOT NULL "
        "ORDER BY place, code_id, time, known_at, number, unit, text, ended_at"
    )
    for batch in connection.cursor().sql(query).to_arrow_reader(BATCH_ROWS):
        yield RowBatch.of(batch)

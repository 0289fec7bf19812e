"""The tables of a hospital database as files: where they are, how DuckDB reads them, which lines are lost.

Every cell is text. A CSV line that is no row (too few or too many cells, a broken quote, bytes that are not
UTF-8) is not given, but counted. A quote that never ends swallows the lines behind it; those are counted too.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import duckdb

from models.clinical.errors import UnreadableSource
from models.clinical.quarantine import Reason
from pipelines.ingest.source import SetAside

SUFFIXES = (".csv", ".csv.gz", ".parquet")
LONGEST_HEADER = 65_536  # bytes
_REMARK = re.compile(r"_[A-Z]{2}[^.]*")

_NO_COLUMN = re.compile(r'column named "(\w+)"|column "(\w+)" not found', re.IGNORECASE)
_ITS_TABLE = re.compile(r'"(\w+)" does not have a column', re.IGNORECASE)


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


def create_views(connection: duckdb.DuckDBPyConnection, files: Mapping[str, Path]) -> None:
    """A view for each table, columns in lower case. Raises UnreadableSource where a file has no header."""
    for table, file in files.items():
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM {_scan(file)}")  # noqa: S608


def lost_lines(connection: duckdb.DuckDBPyConnection, files: Mapping[str, Path]) -> Iterator[SetAside]:
    """The lines of the files read so far that gave no row, by file."""
    for table, file in files.items():
        if file.suffix == ".parquet":  # has no lines
            continue
        ((count, quotes, line, message),) = connection.execute(_REJECTS, [str(file)]).fetchall()
        if not count:
            continue
        if quotes:
            ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608
            count = max(count, _line_count(file) - rows)
        example = f"{file.name} line {line}: {str(message).splitlines()[0]}"
        yield SetAside(Reason.MALFORMED, f"{file.name} line", count, example)


def as_unreadable(name: str, error: duckdb.Error, files: Mapping[str, Path], table: str) -> UnreadableSource:
    """What a database error means: the table, and the column it lacks if that is so."""
    text = str(error)
    missing = _NO_COLUMN.search(text)
    if missing is None:
        return UnreadableSource(f"{name}: {table}: {text}")
    named = _ITS_TABLE.search(text)
    if named and named[1].casefold() in files:
        table = named[1].casefold()
    told = f"the table {table} ({files[table]})" if table in files else table
    return UnreadableSource(f"{name}: no column {missing[1] or missing[2]}, which {told} must have")


_REJECTS = """
SELECT sum(lines), count(*) FILTER (broken), min(line), arg_min(message, line)
FROM (
    SELECT line, bool_or(error_type IN ('UNQUOTED VALUE', 'LINE SIZE OVER MAXIMUM')) AS broken,
           max(1 + length(csv_line) - length(replace(csv_line, chr(10), ''))) AS lines,
           min(error_message) AS message
    FROM reject_errors JOIN reject_scans USING (scan_id, file_id)
    WHERE file_path = ?
    GROUP BY line
)
"""


def _scan(file: Path) -> str:
    path = _quoted(str(file))
    if file.suffix == ".parquet":
        return f"(SELECT COLUMNS(*)::VARCHAR FROM read_parquet('{path}'))"  # noqa: S608
    columns = ", ".join(f"'{_quoted(name)}': 'VARCHAR'" for name in _header(file))
    return (
        f"read_csv('{path}', auto_detect = false, columns = {{{columns}}}, delim = ',', quote = '\"', "
        "escape = '\"', header = true, store_rejects = true, rejects_limit = 0)"
    )


def _header(file: Path) -> list[str]:
    with _opened(file) as content:
        line = content.readline(LONGEST_HEADER).decode("utf-8-sig", errors="replace").strip()
    names = [name.strip().casefold() for name in next(csv.reader([line]), [])]
    if not all(names) or len(set(names)) != len(names) or not names:
        raise UnreadableSource(f"{file}: expected a line of column names, but it begins {line[:120]!r}")
    return names


def _opened(file: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")


def _line_count(file: Path) -> int:
    """The lines of a file that hold something, without its header; only read where a quote is broken."""
    with _opened(file) as content:
        return sum(bool(line.strip()) for line in content) - 1


def _quoted(text: str) -> str:
    return text.replace("'", "''")

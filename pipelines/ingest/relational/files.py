"""The tables of a hospital database as files: where they are, how DuckDB reads them, which lines are lost.

Every cell is text. A CSV line that is no row (too few or too many cells, a broken quote, bytes that are not
UTF-8) is not given, but counted. A quote that never ends swallows the lines behind it; those are counted too.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
from collections import defaultdict
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
    table lab. Links are followed. Raises UnreadableSource naming what is missing, or what there is twice: to
    choose one of two files would lose the rows of the other.
    """
    if not folder.is_dir():
        needed = ", ".join(name for name in names if name not in optional)
        raise UnreadableSource(f"{folder}: no such folder; expected one with the tables {needed}")
    named, remarked = defaultdict(list), defaultdict(list)
    for file in _files(folder):
        named[_stem(file.name)].append(file)
        remarked[_stem(_REMARK.sub("", file.name))].append(file)
    found = {}
    for name in names:
        match = named.get(name) or remarked.get(name) or []
        if len(match) > 1:
            told = " and ".join(str(file.relative_to(folder)) for file in sorted(match))
            raise UnreadableSource(f"{folder}: the table {name} must be one file, but there are {told}")
        if match:
            found[name] = match[0]
        elif name not in optional:
            raise UnreadableSource(f"{folder}: no table {name}; expected {name}.csv, .csv.gz or .parquet")
    return found


def _files(folder: Path) -> Iterator[Path]:
    """The files of tables in a folder and its sub-folders; one that links reach twice is given once."""
    seen: set[Path] = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if _first(Path(where, name), seen))
        for name in sorted(names):
            file = Path(where, name)
            if name.casefold().endswith(SUFFIXES) and file.is_file() and _first(file, seen):
                yield file


def _first(path: Path, seen: set[Path]) -> bool:
    real = path.resolve()
    new = real not in seen
    seen.add(real)
    return new


def _stem(name: str) -> str:
    """The name of a file in lower case without what says its format."""
    folded = name.casefold()
    return next((folded.removesuffix(suffix) for suffix in SUFFIXES if folded.endswith(suffix)), folded)


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

"""CSV and Parquet files as a stream of rows, read in batches; CSV cells stay text, so no cell is lost."""

from __future__ import annotations

import csv
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource

ROW = "row"  # the column that `batches` adds: the row's number in the file, from 1
LONGEST_HEADER = 65_536  # characters
SORTING_MEMORY_MB = 256  # beyond it a sort spills to disk
BATCH_ROWS = 20_000


@dataclass
class TableFile:
    """A CSV (commas, a header) or Parquet file; `broken_rows` are CSV rows of the wrong width."""

    path: Path
    broken_rows: list[UnreadableSource] = field(default_factory=list)

    def columns(self) -> tuple[str, ...]:
        """The column names. Raises UnreadableSource if the file is absent, empty or damaged."""
        with _reading(self.path):
            if self.path.suffix == ".parquet":
                return tuple(pa.parquet.read_schema(self.path).names)
            with self.path.open("rb") as lines:
                header = _text(lines.readline(LONGEST_HEADER).removeprefix(b"\xef\xbb\xbf")) or ""
            names: list[str] = next(csv.reader([header.rstrip("\r\n")], skipinitialspace=True), [])
            return tuple(name.strip() for name in names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Tables of some thousand rows with `columns` and `ROW`. Raises UnreadableSource."""
        self.broken_rows.clear()
        read = self._parquet_batches if self.path.suffix == ".parquet" else self._csv_batches
        with _reading(self.path):
            for batch in read(columns):
                yield pa.table({name: _plain(batch.column(name)) for name in batch.schema.names})

    def _parquet_batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        first = 0
        with pa.parquet.ParquetFile(self.path, pre_buffer=False) as file:  # else it keeps all of it
            for batch in file.iter_batches(columns=list(columns)):
                yield batch.append_column(ROW, pa.array(range(first + 1, first + 1 + len(batch)), pa.int64()))
                first += len(batch)

    def _csv_batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        broken: list[int] = []

        def set_aside(row: Any) -> str:
            broken.append(row.number - 2 - len(broken))  # the header is line 1; counted among the good rows
            self.broken_rows.append(
                UnreadableSource(
                    f"{self.path}: row {row.number - 1} has {row.actual_columns} cells; expected "
                    f"{row.expected_columns}: {row.text[:120]}"
                )
            )
            return "skip"

        options = pa.csv.ConvertOptions(
            include_columns=list(columns),
            column_types=dict.fromkeys(
                columns, pa.binary()
            ),  # text later: one bad byte must not end the file
            strings_can_be_null=True,
            null_values=[""],
        )
        reader = pa.csv.open_csv(
            self.path,
            # threads would leave broken rows without a number; the header is read by `columns`
            read_options=pa.csv.ReadOptions(use_threads=False, column_names=self.columns(), skip_rows=1),
            parse_options=pa.csv.ParseOptions(invalid_row_handler=set_aside),
            convert_options=options,
        )
        good = 0
        for batch in reader:
            rows = [row + 1 + bisect_right(broken, row) for row in range(good, good + len(batch))]
            yield batch.append_column(ROW, pa.array(rows, pa.int64()))
            good += len(batch)


def rows(batches: Iterator[pa.Table], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of the batches as tuples of `columns`, None where a column is absent or a cell empty."""
    for batch in batches:
        present = batch.column_names
        lists = [
            batch.column(name).to_pylist() if name in present else [None] * len(batch) for name in columns
        ]
        yield from zip(*lists, strict=True)


def sorted_by(batches: Iterator[pa.Table], columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of all batches in the order of `columns`, sorted on disk within `SORTING_MEMORY_MB`."""
    with tempfile.TemporaryDirectory(prefix="prodrome-") as folder:
        connection = duckdb.connect(config={"temp_directory": folder})  # small tables never touch the disk
        try:
            connection.execute(f"SET memory_limit = '{SORTING_MEMORY_MB}MB'")
            connection.execute("SET threads = 1")
            connection.execute("SET TimeZone = 'UTC'")
            made = False
            for batch in batches:
                connection.register("batch", batch)
                connection.execute(
                    f"{'INSERT INTO spooled' if made else 'CREATE TABLE spooled AS'} FROM batch"
                )
                made = True
            order = ", ".join(f'"{column}" NULLS LAST' for column in columns)
            if made:
                sorted_rows = connection.sql(f"FROM spooled ORDER BY {order}")
                yield from map(_table, sorted_rows.to_arrow_reader(BATCH_ROWS))
        finally:
            connection.close()


def _table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as text: UTF-8, or Latin 1 for the cells that are not, such as the µ of an old export."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.chunked_array([pa.array([_text(cell) for cell in column.to_pylist()], pa.string())])


def _text(cell: bytes | None) -> str | None:
    if cell is None:
        return None
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return cell.decode("latin-1")


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as text, categories as their values, times to the microsecond, decimals as floats."""
    kind = column.type
    if pa.types.is_binary(kind):
        return _decoded(column)
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    return column.cast(pa.float64()) if pa.types.is_decimal(kind) else column


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise UnreadableSource(f"{path}: no such file; expected a .csv or .parquet file")
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UnreadableSource(f"{path}: expected a whole table, but {error}") from error

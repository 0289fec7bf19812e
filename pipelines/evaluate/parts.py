"""The scores of a run as part files, one chunk of stays a part, so that a run that was stopped goes on.

    out/scores/part-00000.parquet         every hour of every stay as each model scores it
    out/stays/part-00000.parquet          a row a stay: facts, onset, what was measured
    out/measured/part-00000.parquet       a row an hour: how often and how long ago, by variable

A part counts as done when all three files carry the key that its stays and the configuration ask for: a hash
of the models' versions and of everything that was read of the stays. Each file appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from models.clinical.errors import UnreadableSource
from models.clinical.stay import Stay
from pipelines.evaluate.measured import fact_rows, measurement_rows
from pipelines.ingest.source import IngestedStay
from pipelines.prediction_files import SCHEMA, prediction_rows, replacing
from pipelines.predictions import Names, predict_chunk

STAYS_A_PART = 64  # about a second of work: what is lost at most of each worker's when a run is stopped
FOLDERS = ("measured", "stays", "scores")  # in the order of writing: where scores are, all is
SCORES = pa.schema([("site", pa.string()), ("model", pa.string()), *SCHEMA])
_KEY = b"prodrome.key"


@dataclass(frozen=True)
class Chunk:
    """Stays of one site that make part `number`."""

    number: int
    site: str
    stays: tuple[IngestedStay, ...]


@dataclass(frozen=True)
class Part:
    """What becomes of a chunk: one table a folder."""

    scores: pa.Table
    stays: pa.Table
    measured: pa.Table


@dataclass(frozen=True)
class Scored:
    """A model's name for its rows, what to load it by, and the threshold it calls hours positive at."""

    name: str
    load: str
    threshold: float


def score_part(models: tuple[Scored, ...], chunk: Chunk) -> Part:
    """Score the stays of a chunk with every model; runs wherever the engine wants."""
    names: Names = tuple(model.load for model in models)
    tables = [
        _scores(chunk.site, model, prediction_rows([prediction], model.threshold))
        for predictions in predict_chunk(names, chunk.stays)
        for model, prediction in zip(models, predictions, strict=True)
    ]
    return Part(pa.concat_tables(tables), fact_rows(chunk.site, chunk.stays), measurement_rows(chunk.stays))


def _scores(site: str, model: Scored, rows: pa.Table) -> pa.Table:
    constants = [pa.array([text] * len(rows), pa.string()) for text in (site, model.name)]
    return pa.Table.from_arrays([*constants, *rows.columns], schema=SCORES)


def key_of(configuration: str, chunk: Chunk) -> str:
    """Equal keys mean equal stays, all that was read of them, scored by equal models."""
    found = sha256(f"{configuration}\n{chunk.number}\n{chunk.site}".encode())
    for one in chunk.stays:
        for content in _contents(one):
            found.update(content)
    return found.hexdigest()


def _contents(one: IngestedStay | Stay) -> Iterator[bytes]:
    """Every field, whatever fields there are: one that is left out is one whose correction nobody notices."""
    for named in fields(one):
        value = getattr(one, named.name)
        yield f"\n{named.name} ".encode()
        if isinstance(value, Stay):
            yield from _contents(value)
        elif isinstance(value, pd.DataFrame):
            yield from (_column(value[name]) for name in value.columns)
        else:
            yield value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()


def _column(column: pd.Series) -> bytes:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return bytes(column.array.asi8.tobytes())
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy().tobytes()
    return repr(column.tolist()).encode()


class PartFolder:
    """The part files under a folder."""

    def __init__(self, out: Path) -> None:
        self._out = out
        for name in FOLDERS:
            (out / name).mkdir(parents=True, exist_ok=True)

    def path(self, folder: str, number: int) -> Path:
        """Where a table of part `number` lies."""
        return self._out / folder / f"part-{number:05}.parquet"

    def holds(self, number: int, key: str) -> bool:
        """Whether the part is there, whole, and of that key."""
        return all(self._key(self.path(name, number)) == key for name in FOLDERS)

    def write(self, number: int, key: str, part: Part) -> None:
        """Write the three tables; the part is done when the last of them has its name."""
        for name in FOLDERS:
            table: pa.Table = getattr(part, name)
            with replacing(self.path(name, number)) as unfinished:
                pq.write_table(table.replace_schema_metadata({_KEY: key}), unfinished, compression="zstd")

    def read(self, number: int) -> Part:
        """The three tables of a part."""
        return Part(**{name: pq.read_table(self.path(name, number)) for name in FOLDERS})

    def keep(self, parts: int) -> None:
        """Remove what an earlier run of more stays left behind."""
        for name in FOLDERS:
            for path in (self._out / name).glob("part-*.parquet"):
                if int(path.stem.partition("-")[2]) >= parts:
                    path.unlink()

    def tables(self, folder: str, columns: Sequence[str] | None = None) -> Iterator[tuple[Path, pa.Table]]:
        """Every table of one kind in the order of its parts, with its path. Raises UnreadableSource."""
        paths = sorted((self._out / folder).glob("part-*.parquet"))
        if not paths:
            raise UnreadableSource(f"{self._out / folder}: no part files; expected those of an evaluation")
        for path in paths:
            try:
                yield path, pq.read_table(path, columns=None if columns is None else list(columns))
            except (pa.ArrowException, OSError, KeyError) as error:
                raise UnreadableSource(f"{path}: expected a table of an evaluation, but {error}") from error

    def _key(self, path: Path) -> str | None:
        try:
            metadata = pq.read_schema(path).metadata or {}
        except (OSError, pa.ArrowException):
            return None
        return str(metadata[_KEY], "ascii") if _KEY in metadata else None

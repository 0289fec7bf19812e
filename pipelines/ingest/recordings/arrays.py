"""Arrays as recordings and frames: NumPy files, and Arrow streams for live input.

A NumPy archive (.npz, never a pickle) holds `values` or `data` (C, n), `rate_hz` or `fs`, and `channels`
(C,) names. An Arrow stream of frames has one column of float32 a channel; its schema's metadata hold
`rate_hz`, and each record batch is one frame whose custom metadata `start` is its first sample's time in
ISO 8601 with an offset.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.frames import Frame
from models.clinical.quarantine import read_number, read_time
from models.clinical.recording import Channel, Recording, Samples, Stretch
from pipelines.ingest.recordings.opened import OpenedRecording, as_samples


@dataclass(frozen=True, eq=False)
class ArraySamples:
    """`values` (C, n) float32 held in memory, or mapped from a file."""

    values: Samples

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        """Samples (C, stop - first), a copy."""
        return as_samples(self.values[list(channels), first:stop])


def recording_of(
    values: npt.ArrayLike,
    rate_hz: float,
    channels: Sequence[str],
    *,
    recording_id: str = "array",
    started_at: datetime | None = None,
    synthetic: bool = False,
) -> Recording:
    """A recording of `values` (C, n) in microvolt. Raises InvalidInput where shape and names disagree."""
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and so missing when it is read
        array = np.asarray(values, dtype=np.float32)
    if array.ndim != 2 or len(array) != len(channels):  # noqa: PLR2004 channels, samples
        raise InvalidInput(
            f"values have shape {array.shape}; expected ({len(channels)} channels, samples)",
            value=array.shape,
            bound=f"({len(channels)}, n)",
        )
    named = tuple(Channel(str(name), rate_hz) for name in channels)
    seconds = array.shape[1] / rate_hz if rate_hz else 0.0
    return Recording(
        recording_id, named, (Stretch(0.0, seconds),), ArraySamples(array), started_at, synthetic=synthetic
    )


def open_npz(path: Path) -> OpenedRecording:
    """A NumPy archive as a recording. Raises UnreadableSource where it is damaged or lacks an array."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            held = {name: archive[name] for name in archive.files}
    except Exception as error:  # a file that is no archive fails in as many ways as there are files
        raise UnreadableSource(f"{path}: expected a NumPy archive of numbers, but {error}") from error
    name = _either(path, held, "values", "data")
    if held[name].dtype.kind not in "biuf":
        raise UnreadableSource(f"{path}: {name} holds {held[name].dtype}; expected real numbers")
    rate_hz = _rate(path, held)
    if "channels" not in held:
        raise UnreadableSource(f"{path}: no array channels; expected the channels' names")
    names = [str(one) for one in held["channels"].ravel()]
    try:
        return OpenedRecording(recording_of(held[name], rate_hz, names, recording_id=path.stem))
    except InvalidInput as error:
        raise UnreadableSource(f"{path}: {error}") from error


def _rate(path: Path, held: dict[str, npt.NDArray[Any]]) -> float:
    name = _either(path, held, "rate_hz", "fs")
    stated = held[name]
    rate_hz = float(stated.item()) if stated.size == 1 and stated.dtype.kind in "iuf" else math.nan
    if not (math.isfinite(rate_hz) and rate_hz > 0.0):
        raise UnreadableSource(
            f"{path}: {name} is {stated.tolist()!r:.80}; expected one number above 0, in Hz"
        )
    return rate_hz


def _either(path: Path, held: dict[str, npt.NDArray[Any]], *names: str) -> str:
    found = next((name for name in names if name in held), None)
    if found is None:
        raise UnreadableSource(
            f"{path}: no array {' or '.join(names)}; there are {', '.join(held) or 'none'}"
        )
    return found


def frames_to_arrow(frames: Sequence[Frame]) -> bytes:
    """Frames of one montage and rate as an Arrow stream. Raises InvalidInput for others, or for none."""
    if not frames:
        raise InvalidInput("an Arrow stream of 0 frames; at least 1 is needed", value=0, bound=">= 1 frame")
    first, sink = frames[0], pa.BufferOutputStream()
    fields = [pa.field(name, pa.float32()) for name in first.channels]
    with pa.ipc.new_stream(sink, pa.schema(fields, {"rate_hz": repr(float(first.rate_hz))})) as writer:
        for frame in frames:
            if (frame.channels, frame.rate_hz) != (first.channels, first.rate_hz):
                raise InvalidInput(f"frame at {frame.start} has another montage or rate; begin a new stream")
            batch = pa.record_batch([pa.array(row) for row in frame.values], names=list(frame.channels))
            writer.write_batch(batch, custom_metadata={"start": frame.start.isoformat()})
    return bytes(sink.getvalue())


def frames_from_arrow(content: bytes) -> Iterator[Frame]:
    """The frames of an Arrow stream; a sample that is infinite is missing, a batch without samples no frame.

    Raises UnreadableSource that names the batch, InvalidInput for its values.
    """
    batch_number = 0
    try:
        with pa.ipc.open_stream(content) as reader:
            rate_hz = read_number((reader.schema.metadata or {}).get(b"rate_hz", b"").decode())
            if math.isnan(rate_hz):
                raise UnreadableSource(
                    "Arrow stream: no rate_hz in the schema's metadata; expected a number in Hz"
                )
            names = tuple(reader.schema.names)
            for batch_number, (batch, metadata) in enumerate(reader.iter_batches_with_custom_metadata()):
                if batch.num_rows == 0:
                    continue
                yield Frame(_start(batch_number, metadata), rate_hz, names, _values(batch))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UnreadableSource(f"Arrow stream, batch {batch_number}: damaged: {error}") from error


def _start(number: int, metadata: Any) -> datetime:
    text = (metadata or {}).get("start", b"")
    shown = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else str(text)
    time = read_time(shown)
    if time is None:
        raise UnreadableSource(
            f"Arrow stream, batch {number}: start is {shown!r}; expected ISO 8601 with an offset"
        )
    return time


def _values(batch: Any) -> Samples:
    if not batch.num_columns:
        return np.empty((0, batch.num_rows), dtype=np.float32)
    columns = [column.cast(pa.float32()).to_numpy(zero_copy_only=False) for column in batch.columns]
    return as_samples(np.stack(columns))

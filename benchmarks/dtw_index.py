"""What 100,000 past stays x 44 variables x 48 h take on disk and in memory, in both codings.

    python benchmarks/dtw_index.py [--stays 100000] [--blocks 32] [--folder FOLDER] [--json]

Series are AR(1) with a correlation from hour to hour of 0.95. `half` holds weights as well, `single` none.
An index is made and saved in one process and asked for the five nearest to a stay in another, by parts of
32 x `--blocks` references. Peak memory is what the kernel counts for the process, with Python, its libraries
and mapped pages of the file. Processor time is that of one core; opening, told by itself, takes the checksum
of the file. The files (1.5 GB) lie in a temporary folder, inside `--folder` where it is given.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from models.dtw.index import Coding, Index, IndexFile, save
from models.dtw.lanes import LANES, aligned
from models.dtw.search import Form, nearest
from models.dtw.series import PADDING, References, Series, series

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

VARIABLES, HOURS, K = 44, 48, 5
CORRELATION = 0.95  # of an hour with the next
BAR_BYTES = 10**9
STEPS = 255  # of a weight
NEVER_SAVED = 2**32  # the number of a block that no index is large enough to have


@dataclass(frozen=True)
class Saved:
    """Bytes of the references in memory and of the files, and the peak of the process that saved them."""

    references_bytes: int
    disk_bytes: int
    before_bytes: int  # of the process, just before saving
    peak_bytes: int
    seconds: float


@dataclass(frozen=True)
class Asked:
    """The peak of a process that opened an index and found the nearest, and its processor time."""

    peak_bytes: int
    before_bytes: int  # with libraries and compiled code, before the index was opened
    opening_seconds: float
    query_seconds: float
    numbers: list[int]


@dataclass(frozen=True)
class Row:
    """One coding."""

    coding: Coding
    stays: int
    saved: Saved
    asked: Asked
    met: bool


def a_block(number: int) -> npt.NDArray[np.float16]:
    """Random stays (V, T, LANES) of variance 1, the same for one number; half precision holds them."""
    values = np.random.default_rng(number).normal(size=(VARIABLES, HOURS, LANES))
    for hour in range(1, HOURS):
        values[:, hour] *= np.sqrt(1.0 - CORRELATION**2)
        values[:, hour] += CORRELATION * values[:, hour - 1]
    return values.astype(np.float16)


def random_index(stays: int, *, weighted: bool) -> Index:
    """So many random stays; with weights, half of them 1."""
    blocks = -(-stays // LANES)
    values = aligned((blocks, VARIABLES, HOURS, LANES))
    weights = aligned(values.shape) if weighted else None
    for block in range(blocks):
        values[block] = a_block(block)
        if weights is not None:
            steps = np.random.default_rng([block, 1]).integers(0, 2 * STEPS, values.shape[1:])
            weights[block] = np.minimum(steps, STEPS).astype(np.float32) / np.float32(STEPS)
    members = np.arange(blocks * LANES).reshape(blocks, LANES)
    members[members >= stays] = PADDING
    lengths = np.where(members == PADDING, 0, HOURS)
    numbers = np.arange(stays)
    return Index(
        References(values, weights, lengths, members),
        (numbers % 10 == 0).astype(np.int8),
        np.full(stays, np.nan, np.float32),
        np.ones(stays, np.int32),
    )


def saving(folder: Path, coding: Coding, stays: int) -> Saved:
    """Make an index and save it; run in a process of its own."""
    index = random_index(stays, weighted=coding == "half")
    weights = index.references.weights
    references_bytes = index.references.values.nbytes + (0 if weights is None else weights.nbytes)
    before, start = _memory("VmRSS"), process_time()
    save(index, folder, coding)
    seconds = process_time() - start
    disk = sum(path.stat().st_size for path in folder.iterdir())
    return Saved(references_bytes, disk, before, _memory("VmHWM"), seconds)


def asking(folder: Path, blocks: int) -> Asked:
    """Open an index and find the nearest to a stay, by parts; run in a process of its own."""
    stay = series(a_block(NEVER_SAVED)[..., 0].T)
    for weighted in (False, True):
        nearest(
            [stay], random_index(LANES, weighted=weighted).references, K, form=Form.INDEPENDENT
        )  # compiles
    before, start = _memory("VmRSS"), process_time()
    opened = IndexFile(folder)
    opening, start = process_time() - start, process_time()
    numbers = nearest_by_parts(stay, opened, blocks)
    return Asked(_memory("VmHWM"), before, opening, process_time() - start, numbers)


def nearest_by_parts(stay: Series, opened: IndexFile, blocks: int) -> list[int]:
    """The numbers of the five nearest over all variables, nearest first, of equal ones the lower number."""
    best: list[tuple[float, int]] = []
    for numbers, part in opened.parts(blocks):
        found = nearest([stay], part, K, form=Form.INDEPENDENT)
        pairs = zip(found.distance[0, 0].tolist(), found.index[0, 0].tolist(), strict=True)
        best += [(distance, int(numbers[place])) for distance, place in pairs if place != PADDING]
        best = sorted(best)[:K]
    return [number for _, number in best]


def row(folder: Path, coding: Coding, stays: int, blocks: int) -> Row:
    """Both processes, one after the other."""
    saved = alone(saving, folder, coding, stays)
    asked = alone(asking, folder, blocks)
    return Row(coding, stays, saved, asked, max(saved.disk_bytes, asked.peak_bytes) <= BAR_BYTES)


def alone(work: Callable[Arguments, Answer], *arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
    """What `work` gives in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments, **named).result()


def _memory(which: str) -> int:
    """Bytes of this process; the peak of getrusage begins with its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) * 1024


def line(one: Row) -> str:
    """A row of the printed table."""
    saved, asked = one.saved, one.asked
    sizes = (
        saved.disk_bytes,
        saved.references_bytes,
        saved.peak_bytes,
        saved.peak_bytes - saved.before_bytes,
        asked.peak_bytes,
        asked.peak_bytes - asked.before_bytes,
    )
    seconds = [f"{spent:.1f} s" for spent in (saved.seconds, asked.opening_seconds, asked.query_seconds)]
    cells = [one.coding, *(f"{size / 1e9:.3f} GB" for size in sizes), *seconds, "yes" if one.met else "NO"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stays", type=int, default=100_000)
    parser.add_argument("--blocks", type=int, default=32, help="of 32 references, read at a time")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    codings: tuple[Coding, ...] = ("half", "single")
    with tempfile.TemporaryDirectory(prefix="prodrome-", dir=chosen.folder) as folder:
        rows = [row(Path(folder) / one, one, chosen.stays, chosen.blocks) for one in codings]
    if chosen.json:
        print(json.dumps([asdict(one) for one in rows], indent=2))
        return
    print(
        "| coding | on disk | references | peak of saving | beyond references and libraries "
        "| peak of a query | beyond libraries | saving | opening | query | within 1 GB |"
    )
    print(f"|{'---|' * 11}")
    for one in rows:
        print(line(one))


if __name__ == "__main__":
    main()

"""How a benchmark is asked, and how it answers: a Markdown table row by row, or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Protocol


class Row(Protocol):
    """A dataclass of what was measured, which says what its line of the table is."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def cells(self) -> Sequence[str]:
        """A cell for each column."""


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """The arguments of a script that says of itself `doc`: so far `--json`."""
    parser = argparse.ArgumentParser(description=(doc or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    return parser


def show(rows: Iterable[Row], columns: Sequence[str], *, as_json: bool) -> None:
    """Print the rows, each once it is measured; as JSON all at the end."""
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(line(columns))
    print("|" + len(columns) * "---|")
    for row in rows:
        print(line(row.cells()), flush=True)


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def times(ratio: float | None, digits: int = 1) -> str:
    """How many times, where there is something to compare with."""
    return "-" if ratio is None else f"{ratio:.{digits}f} x"


def verdict(met: bool | None) -> str:
    """Whether a bar is met, where there is one."""
    return {True: "yes", False: "NO", None: "-"}[met]

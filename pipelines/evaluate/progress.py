"""How far a run has come, on a console: one bar a stage, with what remains."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Stages:
    """Bars of the stages begun so far; without a console it shows nothing."""

    def __init__(self, console: Console | None) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=console is None,
        )
        self._stage: TaskID | None = None

    def begin(self, what: str, total: int | None) -> None:
        """The next stage, of `total` steps where that is known."""
        self._stage = self._bars.add_task(what, total=total)

    def advance(self) -> None:
        """One more step of the stage is done."""
        if self._stage is not None:
            self._bars.advance(self._stage)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

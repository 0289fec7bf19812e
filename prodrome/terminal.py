"""What every command says and how: sentences and bars on stderr, exit codes, the folder to write to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.ingest.source import IngestedStay, Source


def writable(folder: Path) -> None:
    """Make the folder to write to and try it, before minutes of reading are lost to it."""
    from tempfile import TemporaryFile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise typer.BadParameter(f"{folder}: {error.strerror}", param_hint="--out") from None


def advancing(stays: Iterable[IngestedStay], advance: Callable[[int], None]) -> Iterator[IngestedStay]:
    for ingested in stays:
        yield ingested
        advance(1)


@contextmanager
def interruptible(out: Path | None, database: str | None) -> Iterator[None]:
    """Ctrl-C as one sentence that says what is left of an ingest."""
    try:
        yield
    except KeyboardInterrupt:
        left = "" if out is None else f"; {out} is as it was before"
        held = (
            "" if database is None else "; the database holds whole stays, and the same command adds the rest"
        )
        say(f"prodrome: interrupted{left}{held}")
        raise typer.Exit(130) from None


@contextmanager
def progress_bar(what: str, source: Source) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr; yields what moves it on."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=source.stay_count)
        # some sources know how many stays they have only once they give the first
        yield lambda count: bar.update(task, advance=count, total=source.stay_count)


def say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def complain(unreadable: tuple[str, ...]) -> None:
    """Say what could not be read; the exit code tells a script that something was left out."""
    for sentence in unreadable:
        say(f"not read: {sentence}")
    if unreadable:
        raise typer.Exit(1)

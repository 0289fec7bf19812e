"""Read a source into files or the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.ingest.sources import open_named

from .options import SourceName, SourcePath
from .terminal import complain, interruptible, progress_bar, say

commands = typer.Typer()


@commands.command()
def ingest(
    source: SourceName,
    path: SourcePath,
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for Parquet files and the quality report; replaced if it is one."),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL of the service's database: gets stays and observations."),
    ] = None,
    memory_mb: Annotated[
        int, typer.Option(min=64, help="What sorting and measuring may hold before they use the disk.")
    ] = 1024,
    as_json: Annotated[bool, typer.Option("--json", help="Print the totals as JSON.")] = False,
) -> None:
    """Read a source once: every value is kept in canonical units or quarantined with its reason."""
    from pipelines.ingest.ingestion import ingest as ingest_source

    opened = open_named(source, path, memory_mb)
    with interruptible(out, database), progress_bar("ingesting", opened) as advance:
        done = ingest_source(
            opened, source, out=out, database=database, memory_mb=memory_mb, progress=advance
        )
    if as_json:
        typer.echo(json.dumps(done.as_json()))
    say(done.summary.sentence())
    if done.stored is not None:
        say(done.stored.sentence())
    if out is not None:
        say(f"quality report: {out / 'quality.html'}")
    complain(done.failures)

"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.ingest.sources import SOURCES

SourceName = Annotated[
    str, typer.Argument(metavar="SOURCE", help=f"What the path holds: {', '.join(SOURCES)}.")
]
SourcePath = Annotated[Path, typer.Argument(metavar="PATH", help="The file or folder of the source.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder to write to; made where it is missing.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes to score with.")]
TrainingSources = Annotated[
    list[Path],
    typer.Option(help="CinC 2019 stays: a folder or the zip as it is; several times for several sets."),
]
Experiment = Annotated[Path | None, typer.Option(help="Experiment file (TOML); defaults without it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")]
Preset = Annotated[str, typer.Option(help="The options by name: default, cinc2019, ricu or yaib.")]
DetectorName = Annotated[
    str,
    typer.Option("--model", help="line-length, mvpa, a trained detector's folder or a released checkpoint."),
]
CheckpointSize = Annotated[
    str | None, typer.Option("--size", help="Of a released checkpoint: small or medium; research use only.")
]

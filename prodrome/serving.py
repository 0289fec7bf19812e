"""Start the service: the demonstration, the web process, the worker, the schema."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer()


@commands.command()
def run(
    data: Annotated[
        Path | None, typer.Option(help="CinC 2019 stays to replay; simulated ones without it.")
    ] = None,
    beds: Annotated[int, typer.Option(min=1)] = 24,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The first port to try.")] = 8000,
) -> None:
    """A live ward board on this machine: web, worker and a replay, on embedded defaults."""
    from service.supervisor import Demonstration
    from service.supervisor import run as show

    show(Demonstration(data=data, beds=beds, port=port), typer.echo)


@commands.command()
def serve() -> None:
    """Serve the REST API, the feed and the board. Settings come from PRODROME_… variables."""
    gc.disable()  # what imports make stays: looking for garbage among it costs a seventh of the start
    from service.app import serve as serve_web
    from service.settings import Settings

    gc.freeze()
    gc.enable()
    serve_web(Settings.from_environment())


@commands.command()
def worker() -> None:
    """Score due stays and raise alerts until told to stop."""
    from service.settings import Settings
    from service.worker import run as run_worker

    run_worker(Settings.from_environment())


@commands.command()
def migrate() -> None:
    """Bring the database of PRODROME_DATABASE_URL to this version's schema."""
    from service.context import prepare_database
    from service.settings import Settings

    prepare_database(Settings.from_environment())

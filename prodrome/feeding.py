"""Feed a running service: stays in known_at order, recordings as time passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.ingest.sources import SOURCES, open_named

from .terminal import complain, interruptible, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.bedside import BedsideStay
    from pipelines.ingest.source import Source
    from pipelines.replay import Pace
    from pipelines.replay import Progress as ReplayProgress

commands = typer.Typer()


@commands.command()
def replay(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help=f"simulate, or a source: {', '.join(SOURCES)}.")
    ],
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="The file or folder; none for simulate.")
    ] = None,
    *,
    url: Annotated[str, typer.Option("--url", help="Where the service answers.")] = "http://127.0.0.1:8000",
    speed: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Hours of the records an hour; 0 for as fast as possible; else by the service's clock.",
        ),
    ] = None,
    beds: Annotated[
        int | None,
        typer.Option(min=1, help="Move the stays into this many beds of a ward; simulate has 24."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of simulate.")] = 0,
    start: Annotated[
        str | None,
        typer.Option(
            help="Instant (ISO 8601 with offset) the ward is watched from; else the service's present."
        ),
    ] = None,
) -> None:
    """Feed stays to a running service in known_at order: past ones, or an endless simulated ward.

    Past stays come at their own times, or with --beds moved into a ward that is watched from --start on.
    """
    if source == "simulate":
        if path is not None or speed is not None:
            raise typer.BadParameter("simulate takes neither a path nor --speed", param_hint="SOURCE")
        from pipelines.simulate.ward import ward

        _replay(ward(seed, beds or 24, _started(start, url)), url, None)
        return
    if path is None:
        raise typer.BadParameter(f"{source} needs a path", param_hint="PATH")
    _replay_source(open_named(source, path), url, speed, beds, start)


@commands.command("watch-recordings")
def watch_recordings(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RECORDING]...", help="Each a bed, played as if recorded now; none: simulated."
        ),
    ] = None,
    *,
    url: Annotated[str, typer.Option("--url", help="Where the service answers.")] = "http://127.0.0.1:8000",
    beds: Annotated[int, typer.Option(min=1, max=8, help="How many, where they are simulated.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of simulated beds.")] = 0,
    detector: Annotated[
        str,
        typer.Option(
            help="Of recordings: line-length, mvpa, a trained detector's folder or a released checkpoint."
        ),
    ] = "line-length",
    size: Annotated[
        str | None, typer.Option(help="Of a released checkpoint: small or medium; research use only.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Instant (ISO 8601 with offset) signal begins at; else the service's present."),
    ] = None,
) -> None:
    """Score intracranial EEG as time passes and post the scores, segment by segment, to a running service."""
    from pipelines.replay import connect
    from pipelines.watch_recordings import bed_names, recorded_bed, simulated_beds, watch

    began = _started(start, url).replace(microsecond=0)
    with connect(url, on_trouble=say) as client:
        if recordings:
            named = enumerate(zip(recordings, bed_names(recordings), strict=True), 1)
            live = [
                recorded_bed(path, bed, began, detector, say, size=size, called=name)
                for bed, (path, name) in named
            ]
        else:
            live = simulated_beds(seed, beds, began, client.time().speed)
        with interruptible(None, None):
            watched = watch(live, client, on_failure=say)
    counted = ", ".join(f"{count} {status}" for status, count in sorted(watched.verdicts.items()))
    typer.echo(f"segments: {counted or 'none'}; {watched.skipped} never read")
    if watched.failed:
        raise typer.Exit(1)


def _replay_source(
    source: Source, url: str, speed: float | None, beds: int | None, start: str | None
) -> None:
    from pipelines.ingest.source import IngestSummary
    from pipelines.timeline import from_stay, into_beds

    ingest = IngestSummary()
    stays: Iterable[BedsideStay] = (from_stay(one.stay) for one in ingest.counting_all(source))
    if beds is not None:
        stays = into_beds(stays, beds, _started(start, url))
    _replay(stays, url, speed)
    say(ingest.sentence())
    complain(tuple(str(failure) for failure in source.failures))


def _started(start: str | None, url: str) -> datetime:
    """The instant given, or the service's present."""
    from pipelines.replay import connect

    if start is not None:
        return _instant(start)
    with connect(url) as client:
        return client.time().now


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is no instant in ISO 8601 with an offset, such as 2026-11-22T18:30:00+01:00",
            param_hint="--start",
        )
    return instant


def _replay(stays: Iterable[BedsideStay], url: str, speed: float | None) -> None:
    from pipelines.replay import AtSpeed, WithService, connect
    from pipelines.replay import replay as replay_stays

    with connect(url, on_trouble=say) as client, _replay_line() as show:
        pace: Pace = WithService(client) if speed is None else AtSpeed(speed or float("inf"))
        done = replay_stays(stays, client, pace, on_progress=show)
    say(_replayed(done))
    complain(done.refused)


def _replayed(progress: ReplayProgress) -> str:
    rejected = ", ".join(f"{count} {reason}" for reason, count in progress.rejected.most_common())
    revised = "".join(
        f"{count} {what}, "
        for what, count in (("corrected", progress.corrected), ("withdrawn", progress.withdrawn))
        if count
    )
    return (
        f"{progress.admitted} stays admitted, {progress.accepted} observations accepted, {revised}"
        f"{progress.duplicate} known before, {progress.rejected.total()} rejected"
        + (f" ({rejected})" if rejected else "")
    )


@contextmanager
def _replay_line() -> Iterator[Callable[[ReplayProgress], None]]:
    """One line that says how far the replay has come."""
    from rich.console import Console

    with Console(stderr=True).status("replaying") as status:
        yield lambda progress: status.update(
            f"replaying {progress.at:%Y-%m-%d %H:%M} · {_replayed(progress)}" if progress.at else "replaying"
        )

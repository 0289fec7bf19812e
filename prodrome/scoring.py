"""Ask a model about what has been: stays hour by hour, recordings segment by segment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.ingest.sources import open_named

from .options import CheckpointSize, DetectorName, OutFolder, SourceName, SourcePath, Workers
from .terminal import complain, progress_bar, say, writable

commands = typer.Typer()


@commands.command()
def score(
    source: SourceName,
    path: SourcePath,
    *,
    out: OutFolder,
    model: Annotated[str, typer.Option(help="default, a registered name, or a folder.")] = "default",
    workers: Workers = 2,
) -> None:
    """Score every stay hour by hour: predictions.parquet, and a PSV a stay for cinc2019, else one CSV."""
    from pipelines.ingest.layout import QUARANTINE
    from pipelines.prediction_files import score_challenge, score_source

    opened = open_named(source, path)
    writable(out)
    score_stays = score_challenge if source == "cinc2019" else score_source
    with progress_bar("scoring", opened) as advance:
        done = score_stays(opened, model, out, workers=workers, progress=advance)
    say(
        f"{done.model} {done.version}: {done.stays} stays, {done.hours} hours, "
        f"{done.hours_with_score} with a score, threshold {done.threshold:g}"
    )
    say(done.ingest.sentence())
    if done.ingest.quarantined or done.ingest.facts_quarantined:
        say(f"what was set aside, with its row and why: {out / QUARANTINE}")
    complain(done.unreadable)


@commands.command()
def detect(
    recording: Annotated[
        Path,
        typer.Argument(
            metavar="RECORDING", help="EDF, BDF, BrainVision, SWEC (.h5, .mat, a folder of hours) or .npz."
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The SzCORE table (TSV) to write.")],
    model: DetectorName = "line-length",
    size: CheckpointSize = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="What choose-seizure-policy wrote for this model, in place of its own threshold."),
    ] = None,
    line_hz: Annotated[
        float, typer.Option(min=1, help="The mains' frequency, where channels are chosen.")
    ] = 50.0,
) -> None:
    """Find seizures in a recording of electrodes, read in windows; write when an alarm would have sounded."""
    from pipelines.detect import detect as detect_seizures
    from pipelines.detect import detector_named, left_out, prepared
    from pipelines.ingest.annotations import write_annotations
    from pipelines.ingest.recordings.opened import no_electrodes
    from pipelines.ingest.recordings.readers import open_recording
    from service.policy import read_seizure_policy

    chosen = None if policy is None else read_seizure_policy(policy)
    detector = detector_named(model, size)
    if chosen is not None:
        chosen.require(detector.name, detector.version)
    opened = open_recording(recording)
    writable(out.parent)
    if others := no_electrodes(opened.recording):
        say(f"left out, no electrodes: {others}")
    if others := left_out(opened.recording):
        say(f"left out, no voltage: {others}")
    read = prepared(opened.recording, detector.rate_hz, line_hz)
    if len(read.channels) < (count := len(opened.recording.electrodes().channels)):
        say(f"read: the best {len(read.channels)} of {count} electrodes")
    found = detect_seizures(read, detector, chosen.policy if chosen else None)
    scored = f"{found.scored} of {len(found.series)} segments with a score"
    if found.scored:
        write_annotations(out, [found.span])
        hours = f"{opened.recording.seconds / 3600:.2f} h"
        say(
            f"{detector.name}: {len(found.span.seizures)} seizures in {hours}; {scored}, "
            f"{found.unscored_seconds:.0f} s not scored; written to {out}"
        )
    else:
        why = found.series.reason[-1] if len(found.series) else "shorter than a segment"
        say(f"{detector.name}: {scored} ({why}): nothing is known of {recording}, and {out} is not written")
    complain(opened.complaints)
    if not found.scored:
        raise typer.Exit(1)

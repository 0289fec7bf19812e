"""What would have happened: the evaluation, its page, and the policy it leads to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.ingest.sources import SOURCES

from .options import CheckpointSize, DetectorName, OutFolder
from .terminal import complain, say, writable

commands = typer.Typer()


@commands.command()
def evaluate(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help=f"What the path holds: {', '.join(SOURCES)}.")
    ] = None,
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="The file or folder of the source.")
    ] = None,
    *,
    out: OutFolder,
    config: Annotated[
        Path | None, typer.Option(help="Evaluation file (TOML), in place of SOURCE, PATH and the flags.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model; give the option once a model.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Table (Parquet or CSV) of stay and onset_hour, for a source without labels."),
    ] = None,
    subjects: Annotated[
        str, typer.Option(help="held-out (never seen in training), validation, train or all.")
    ] = "held-out",
    engine: Annotated[str | None, typer.Option(help="single, processes (the default) or ray.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes to score with; 2 unless the file says.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print evaluation.json.")] = False,
) -> None:
    """Score past stays and write what would have happened: evaluation.json, scores, the worst stays.

    A run that was stopped goes on where it was. `prodrome report` makes a page of the folder.
    """
    from rich.console import Console

    from pipelines.evaluate.flags import settings_of
    from pipelines.evaluate.run import evaluate as evaluate_models

    settings = settings_of(
        config, source, path, models=model, labels=labels, part=subjects, engine=engine, workers=workers
    )
    writable(out)
    found = evaluate_models(settings, out, console=Console(stderr=True))
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
    say(found.sentence())
    complain(found.unreadable)


@commands.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What prodrome evaluate wrote.")],
) -> None:
    """Make one HTML page of an evaluation, and its figures as PNG and SVG, in the same folder."""
    from rich.console import Console

    from pipelines.evaluate.progress import Stages
    from pipelines.report.document import SECTIONS, write_report

    with Stages(Console(stderr=True)) as stages:
        stages.begin("drawing", SECTIONS)
        page = write_report(folder, stages.advance)
    say(f"report: {page}")


@commands.command("choose-policy")
def choose_policy(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="Predictions of validation and test subjects: a table, or what score or evaluate wrote.",
        ),
    ],
    *,
    alarms_per_bed_day: Annotated[float, typer.Option(help="How many alarms a bed and day are bearable.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="The policy file to write (JSON).")],
    onsets: Annotated[
        Path | None, typer.Option(help="Table of onsets, where SCORES has no column label.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Whose scores, where an evaluation holds several models'.")
    ] = None,
    window: Annotated[str, typer.Option(help="How long before an event an alarm foretells it.")] = "8h",
    page: Annotated[
        Path | None, typer.Option(dir_okay=False, help="HTML page to try policies on the test stays with.")
    ] = None,
) -> None:
    """The alarm policy of highest recall within a budget: chosen on validation, reported on test stays."""
    from pipelines.choose_policy import choose_policy as choose
    from pipelines.choose_policy import part, report
    from pipelines.evaluate.wards import ward_of
    from pipelines.metrics.alarm_columns import read_duration

    ahead = read_duration(window)
    for file in filter(None, (out, page)):
        writable(file.parent)
    read = ward_of(scores, onsets, model)
    chosen = choose(read.ward, alarms_per_bed_day, ahead)
    typer.echo("\n".join(report(chosen)))
    if not read.by_subject:
        say(f"{scores}: not every stay tells its subject; validation and test are split by stay there")
    if read.untold:
        say(f"{read.untold} stays are left out: positive from their first row, they tell no onset")
    if read.onsets is not None and (beyond := read.onsets.beyond(ahead)):
        say(beyond)
    _write_policy(out, chosen.as_json(), "PRODROME_POLICY_FILE")
    if page is not None:
        from pipelines.prediction_files import replacing
        from pipelines.report.burden_page import burden_page

        test = part(read.ward, "test")
        html = burden_page(test, chosen.policy, ahead, scores.resolve().name, budget=alarms_per_bed_day)
        with replacing(page) as unfinished:
            unfinished.write_text(html, encoding="utf-8")
        say(f"page: {page}")


@commands.command("choose-seizure-policy")
def choose_seizure_policy(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="RECORDING...", help="Annotated recordings to choose on.")
    ],
    *,
    false_alarms_per_hour: Annotated[float, typer.Option(min=0, help="How many are bearable.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="The policy file to write (JSON).")],
    annotations: Annotated[
        Path | None,
        typer.Option(help="Folder with a SzCORE table NAME.tsv for each NAME.edf; else the recording's own."),
    ] = None,
    model: DetectorName = "line-length",
    size: CheckpointSize = None,
) -> None:
    """The seizure alarm policy that finds most within a budget of false alarms an hour."""
    from pipelines.choose_seizure_policy import choose_seizure_policy as choose
    from pipelines.seizure_threshold import NoPolicy

    writable(out.parent)
    try:
        chosen = choose(recordings, false_alarms_per_hour, model, annotations, size)
    except NoPolicy as none:
        say(f"{none}: no policy is written")
        raise typer.Exit(1) from None
    typer.echo(chosen.sentence())
    _write_policy(out, chosen.as_json(), "PRODROME_SEIZURE_POLICY_FILE")
    complain(chosen.complaints)


def _write_policy(out: Path, policy: dict[str, Any], setting: str) -> None:
    """The policy file, whole or not at all, and which `setting` reads it."""
    from pipelines.prediction_files import replacing

    with replacing(out) as unfinished:
        unfinished.write_text(json.dumps(policy, indent=2) + "\n", encoding="utf-8")
    say(f"policy: {out}; start the service with {setting}={out}")

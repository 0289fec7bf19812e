"""Figures of predictions that were made before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .terminal import complain, say

commands = typer.Typer(no_args_is_help=True, help=__doc__)


@commands.command("cinc2019")
def cinc2019(
    labels: Annotated[Path, typer.Argument(help="Folder or zip of .psv files with SepsisLabel.")],
    predictions: Annotated[Path, typer.Argument(help="Folder or zip of .psv predictions, same names.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """AUROC, AUPRC, accuracy, F-measure and normalised utility, as the challenge defines them."""
    from pipelines.metrics.challenge_files import evaluate_folders

    found = asdict(evaluate_folders(labels, predictions))
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, value in found.items():
        typer.echo(f"{name:<10} {'undefined' if value is None else format(value, '.4f')}")


@commands.command("alarms")
def alarms(
    scores: Annotated[
        Path, typer.Argument(metavar="SCORES", help="Table of stay, time and score: CSV, TSV or Parquet.")
    ],
    onsets: Annotated[
        Path, typer.Argument(metavar="ONSETS", help="Table of stay, onset, and where known end, recognised.")
    ],
    *,
    window: Annotated[str, typer.Option(help="How long before an event an alarm foretells it.")] = "8h",
    silence: Annotated[str, typer.Option(help="For how long an alarm silences a stay.")] = "30min",
    rearm: Annotated[str, typer.Option(help="For how long an event that has ended does.")] = "25min",
    threshold: Annotated[float, typer.Option(help="The score that alarms, in [0, 1].")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Alarms against events, as circEWS counts them: precision, recall, lead time, false alarms a day."""
    from pipelines.metrics.alarm_columns import read_duration
    from pipelines.metrics.alarm_files import read_tables
    from pipelines.metrics.alarm_report import as_record, sentences
    from pipelines.metrics.alarms import AlarmRule, figures, fire, judge

    rule = AlarmRule(threshold, read_duration(silence), read_duration(rearm))
    ahead = read_duration(window)
    tables = read_tables(scores, onsets)
    tables.require_events()
    watched, events = tables.scores.watched, tables.events
    alarm = fire(watched, events, rule)
    found = figures(judge(watched, events, alarm, ahead))
    if as_json:
        typer.echo(json.dumps(as_record(found)))
    else:
        early = judge(watched, events, alarm, ahead, recognised=tables.recognised)
        typer.echo("\n".join(sentences(found, figures(early) if tables.any_recognised else None)))
    if tables.moments:
        say(f"{tables.moments} of {found.events} events have no end: each counts as a moment")
    if beyond := tables.beyond(ahead):
        say(beyond)


@commands.command("seizures")
def seizures(
    reference: Annotated[Path, typer.Argument(metavar="REF.tsv", help="What is true (SzCORE table).")],
    hypothesis: Annotated[Path, typer.Argument(metavar="HYP.tsv", help="What was detected (SzCORE table).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Event and sample figures as SzCORE defines them, kappa on 5 s epochs, median latency in seconds."""
    from pipelines.metrics.seizure_files import score_files

    scored = score_files(reference, hypothesis)
    found = scored.metrics.as_json()
    if as_json:
        typer.echo(json.dumps(found, allow_nan=False))
    else:
        for name, value in _flat(found):
            typer.echo(f"{name:<20} {'undefined' if value is None else format(value, '.4f')}")
    for sentence in scored.beyond:
        say(f"{sentence}: counted as timescoring counts it, detected or detecting nothing")
    complain(scored.complaints)


def _flat(figures: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Nested figures as `event sensitivity` and the like."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", held) for inner, held in value.items())
        else:
            yield name, value

"""Label the stays of a source with what happened to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.ingest.sources import open_named

from .options import AsJson, OutFolder, Preset, SourceName, SourcePath
from .terminal import advancing, complain, progress_bar, say, writable

if TYPE_CHECKING:
    from pipelines.label.presets import Sepsis3Options
    from pipelines.label.study import LabelledStudy

commands = typer.Typer(no_args_is_help=True, help=__doc__)


@commands.command("sepsis3")
def sepsis3(
    source: SourceName,
    path: SourcePath,
    *,
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="The table of labels to write (Parquet), a row a stay.")
    ],
    preset: Preset = "default",
    suspicion: Annotated[
        str | None, typer.Option(help="and, antibiotics, and_72h or antibiotics_72h.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="cumulative_minimum, window_start, minimum_24h or zero.")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(help="What an unmeasured component is: zero or unknown.")
    ] = None,
    sofa: Annotated[str | None, typer.Option(help="sofa (1996) or sofa2 (2025).")] = None,
    as_json: AsJson = False,
) -> None:
    """Sepsis-3 onset of every stay, with its audit trail: suspicion, SOFA, baseline, which organs moved."""
    from pipelines.label.presets import preset as named

    options = named(preset, suspicion_rule=suspicion, baseline=baseline, missing=missing, definition=sofa)
    with _labelled(source, path, options, out.parent, as_json=as_json) as study:
        study.write(out)


@commands.command("cohort")
def cohort(
    cohort: Annotated[
        str, typer.Argument(metavar="COHORT", help="moor2019 (matched controls) or hourly (every stay).")
    ],
    source: SourceName,
    path: SourcePath,
    *,
    out: OutFolder,
    preset: Preset = "default",
    horizon_hours: Annotated[float, typer.Option(min=0, help="Data end so long before the onset.")] = 0.0,
    controls: Annotated[int, typer.Option(min=1, help="Controls a case, for moor2019.")] = 10,
    charting: Annotated[
        str, typer.Option(help="The charting system, where a source names them: metavision, carevue or any.")
    ] = "metavision",
    as_json: AsJson = False,
) -> None:
    """Write labels.parquet, cohort.parquet and the attrition: who takes part, and why the others do not."""
    from pipelines.label.attrition import attrition_text, plot_attrition
    from pipelines.label.cohorts import COHORTS, CohortOptions
    from pipelines.label.presets import preset as named

    if cohort not in COHORTS:
        raise typer.BadParameter(f"{cohort!r} is none of {', '.join(COHORTS)}", param_hint="COHORT")
    system = None if charting == "any" else charting
    chosen = CohortOptions(charting=system, horizon_hours=horizon_hours, controls_per_case=controls)
    with _labelled(source, path, named(preset), out, as_json=as_json) as study:
        found = COHORTS[cohort](study.candidates, chosen)
        study.write(out / "labels.parquet")
        found.members.to_parquet(out / "cohort.parquet", index=False)
        text = attrition_text(found.attrition)
        (out / "attrition.txt").write_text(f"{text}\n", encoding="utf-8")
        plot_attrition(found.attrition, f"Cohort {cohort} of {source}", out / "attrition.png")
        say(text)


@commands.command("sensitivity")
def sensitivity(
    source: SourceName,
    path: SourcePath,
    *,
    out: OutFolder,
    preset: Preset = "default",
    as_json: AsJson = False,
) -> None:
    """How the cohort depends on suspicion rule, baseline and missing components: a table and a figure."""
    from pipelines.ingest.source import IngestSummary
    from pipelines.label.presets import preset as named
    from pipelines.label.sensitivity import plot_sensitivity, sensitivity, sensitivity_text

    reference, opened, ingested = named(preset), open_named(source, path), IngestSummary()
    writable(out)
    with progress_bar("labelling", opened) as advance:
        stays = (one.stay for one in advancing(ingested.counting_all(opened), advance))
        table = sensitivity(stays, reference)
    table.to_csv(out / "sensitivity.csv", index=False)
    plot_sensitivity(table, f"Sepsis-3 label of {source}", out / "sensitivity.png")
    if as_json:
        typer.echo(table.to_json(orient="records"))
    say(sensitivity_text(table))
    say(ingested.sentence())
    complain(tuple(str(failure) for failure in opened.failures))


@contextmanager
def _labelled(
    source: str, path: Path, options: Sepsis3Options, folder: Path, *, as_json: bool
) -> Iterator[LabelledStudy]:
    """The labels of a source, once told; their counts are printed when the block has used them."""
    from pipelines.ingest.source import IngestSummary
    from pipelines.label.study import LabelledStudy

    opened, ingested, study = open_named(source, path), IngestSummary(), LabelledStudy(options)
    writable(folder)
    with progress_bar("labelling", opened) as advance:
        for _ in advancing(study.labelling(ingested.counting_all(opened)), advance):
            pass
    yield study
    if as_json:
        typer.echo(json.dumps(study.as_json() | {"ingest": ingested.as_json()}))
    say(study.sentence())
    say(ingested.sentence())
    complain(tuple(str(failure) for failure in opened.failures))

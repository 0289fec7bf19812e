"""The command line: the one file that sees both doors. Each command imports what it needs when it runs."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.clinical.errors import EarlyWarningError
from pipelines.ingest.sources import SOURCES, open_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.bedside import BedsideStay
    from pipelines.ingest.source import IngestedStay, Source
    from pipelines.label.presets import Sepsis3Options
    from pipelines.label.study import LabelledStudy
    from pipelines.replay import Pace
    from pipelines.replay import Progress as ReplayProgress

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
metrics = typer.Typer(no_args_is_help=True, help="Figures of predictions that were made before.")
label = typer.Typer(no_args_is_help=True, help="Label the stays of a source with what happened to them.")
train = typer.Typer(no_args_is_help=True, help="Train a model from a source.")
for name, group in [("metrics", metrics), ("label", label), ("train", train)]:
    app.add_typer(group, name=name)

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


@app.callback()
def main() -> None:
    """Clinical early warning: irregular ICU data in, scores and alerts out; no certified medical device."""


@app.command()
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


@app.command()
def serve() -> None:
    """Serve the REST API, the feed and the board. Settings come from PRODROME_… variables."""
    gc.disable()  # what imports make stays: looking for garbage among it costs a seventh of the start
    from service.app import serve as serve_web
    from service.settings import Settings

    gc.freeze()
    gc.enable()
    serve_web(Settings.from_environment())


@app.command()
def worker() -> None:
    """Score due stays and raise alerts until told to stop."""
    from service.settings import Settings
    from service.worker import run as run_worker

    run_worker(Settings.from_environment())


@app.command()
def migrate() -> None:
    """Bring the database of PRODROME_DATABASE_URL to this version's schema."""
    from service.context import prepare_database
    from service.settings import Settings

    prepare_database(Settings.from_environment())


@app.command()
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
    with _interruptible(out, database), _progress("ingesting", opened) as advance:
        done = ingest_source(
            opened, source, out=out, database=database, memory_mb=memory_mb, progress=advance
        )
    if as_json:
        typer.echo(json.dumps(done.as_json()))
    _say(done.summary.sentence())
    if done.stored is not None:
        _say(done.stored.sentence())
    if out is not None:
        _say(f"quality report: {out / 'quality.html'}")
    _complain(done.failures)


@app.command()
def score(
    source: SourceName,
    path: SourcePath,
    *,
    out: OutFolder,
    model: Annotated[str, typer.Option(help="default, a registered name, or a folder.")] = "default",
    workers: Workers = 2,
) -> None:
    """Score every stay hour by hour: predictions.parquet, and a PSV a stay for cinc2019, else a CSV."""
    from pipelines.prediction_files import score_challenge, score_source

    opened = open_named(source, path)
    score_stays = score_challenge if source == "cinc2019" else score_source
    with _progress("scoring", opened) as advance:
        done = score_stays(opened, model, out, workers=workers, progress=advance)
    _say(
        f"{done.model} {done.version}: {done.stays} stays, {done.hours} hours, "
        f"{done.hours_with_score} with a score, threshold {done.threshold:g}"
    )
    _say(done.ingest.sentence())
    _complain(done.unreadable)


@app.command()
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
    _made(out)
    found = evaluate_models(settings, out, console=Console(stderr=True))
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
    _say(found.sentence())
    _complain(found.unreadable)


@app.command()
def detect(
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help="EDF, BDF, BrainVision, SWEC (.h5, .mat) or .npz.")
    ],
    *,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The SzCORE table (TSV) to write.")],
    model: Annotated[
        str, typer.Option(help="line-length, mvpa, a trained detector's folder or a released checkpoint.")
    ] = "line-length",
    size: Annotated[
        str | None, typer.Option(help="Of a released checkpoint: small or medium; research use only.")
    ] = None,
    line_hz: Annotated[
        float, typer.Option(min=1, help="The mains' frequency, where channels are chosen.")
    ] = 50.0,
) -> None:
    """Find seizures in a recording of electrodes, read in windows; write when an alarm would have sounded."""
    from pipelines.detect import detect as detect_seizures
    from pipelines.detect import detector_named, prepared
    from pipelines.ingest.annotations import write_annotations
    from pipelines.ingest.recordings.readers import open_recording

    detector, opened = detector_named(model, size), open_recording(recording)
    _made(out.parent)
    found = detect_seizures(prepared(opened.recording, detector.rate_hz, line_hz), detector)
    write_annotations(out, [found.span])
    scored = sum(score.value is not None for score in found.series)
    _say(
        f"{detector.name}: {len(found.span.seizures)} seizures in {opened.recording.seconds / 3600:.2f} h; "
        f"{scored} of {len(found.series)} segments with a score; written to {out}"
    )
    _complain(opened.complaints)


@app.command()
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
    _say(f"report: {page}")


@metrics.command("cinc2019")
def metrics_cinc2019(
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


@metrics.command("alarms")
def metrics_alarms(
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
    watched, events = tables.scores.watched, tables.events
    alarm = fire(watched, events, rule)
    found = figures(judge(watched, events, alarm, ahead))
    if as_json:
        typer.echo(json.dumps(as_record(found)))
    else:
        early = judge(watched, events, alarm, ahead, recognised=tables.recognised)
        typer.echo("\n".join(sentences(found, figures(early) if tables.any_recognised else None)))
    if tables.moments:
        _say(f"{tables.moments} of {found.events} events have no end: each counts as a moment")


@app.command("choose-policy")
def choose_policy(
    scores: Annotated[
        Path,
        typer.Argument(metavar="SCORES", help="Predictions of validation and test subjects, all in one."),
    ],
    *,
    alarms_per_bed_day: Annotated[float, typer.Option(help="How many alarms a bed and day are bearable.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="The policy file to write (JSON).")],
    onsets: Annotated[
        Path | None, typer.Option(help="Table of onsets, where SCORES has no column label.")
    ] = None,
    window: Annotated[str, typer.Option(help="How long before an event an alarm foretells it.")] = "8h",
    page: Annotated[
        Path | None, typer.Option(dir_okay=False, help="HTML page to try policies on the test stays with.")
    ] = None,
) -> None:
    """The alarm policy of highest recall within a budget: chosen on validation, reported on test stays."""
    from pipelines.choose_policy import choose_policy as choose
    from pipelines.choose_policy import part, report
    from pipelines.metrics.alarm_columns import read_duration
    from pipelines.metrics.ward_files import read_ward
    from pipelines.prediction_files import replacing

    ahead = read_duration(window)
    for file in filter(None, (out, page)):
        _made(file.parent)
    read = read_ward(scores, onsets)
    chosen = choose(read.ward, alarms_per_bed_day, ahead)
    with replacing(out) as unfinished:
        unfinished.write_text(json.dumps(chosen.as_json(), indent=2) + "\n", encoding="utf-8")
    typer.echo("\n".join(report(chosen)))
    if read.untold:
        _say(f"{read.untold} stays are left out: positive from their first row, they tell no onset")
    _say(f"policy: {out}; start the service with PRODROME_POLICY_FILE={out}")
    if page is not None:
        from pipelines.report.burden_page import burden_page

        test = part(read.ward, "test")
        html = burden_page(test, chosen.policy, ahead, scores.name, budget=alarms_per_bed_day)
        with replacing(page) as unfinished:
            unfinished.write_text(html, encoding="utf-8")
        _say(f"page: {page}")


@metrics.command("seizures")
def metrics_seizures(
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
    _complain(scored.complaints)


def _flat(figures: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Nested figures as `event sensitivity` and the like."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", held) for inner, held in value.items())
        else:
            yield name, value


@app.command()
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


@app.command("watch-recordings")
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
    detector: Annotated[str, typer.Option(help="Of recordings.")] = "line-length",
    start: Annotated[
        str | None,
        typer.Option(help="Instant (ISO 8601 with offset) signal begins at; else the service's present."),
    ] = None,
) -> None:
    """Score intracranial EEG as time passes and post the scores, segment by segment, to a running service."""
    from pipelines.replay import connect
    from pipelines.watch_recordings import recorded_bed, simulated_beds, watch

    began = _started(start, url).replace(microsecond=0)
    with connect(url, on_trouble=_say) as client:
        if recordings:
            live = [recorded_bed(path, number, began, detector) for number, path in enumerate(recordings, 1)]
        else:
            live = simulated_beds(seed, beds, began, client.time().speed)
        with _interruptible(None, None):
            watched = watch(live, client)
    counted = ", ".join(f"{count} {status}" for status, count in sorted(watched.verdicts.items()))
    typer.echo(f"segments: {counted or 'none'}; {watched.skipped} never read")


@label.command("sepsis3")
def label_sepsis3(
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


@label.command("cohort")
def label_cohort(
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
        _say(text)


@label.command("sensitivity")
def label_sensitivity(
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
    _made(out)
    with _progress("labelling", opened) as advance:
        stays = (one.stay for one in _advancing(ingested.counting_all(opened), advance))
        table = sensitivity(stays, reference)
    table.to_csv(out / "sensitivity.csv", index=False)
    plot_sensitivity(table, f"Sepsis-3 label of {source}", out / "sensitivity.png")
    if as_json:
        typer.echo(table.to_json(orient="records"))
    _say(sensitivity_text(table))
    _say(ingested.sentence())
    _complain(tuple(str(failure) for failure in opened.failures))


@train.command("mgp-tcn")
def train_mgp_tcn(
    source: TrainingSources,
    out: OutFolder,
    config: Experiment = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore a checkpoint of an earlier run.")] = False,
) -> None:
    """Train the MGP-TCN end to end. A run that was stopped goes on where it was."""
    from rich.console import Console

    from pipelines.train import read_settings
    from pipelines.train import train_mgp_tcn as train_model

    settings = None if config is None else read_settings(config)
    model = train_model(source, out, settings, resume=not fresh, console=Console(stderr=True))
    _say(f"{model.name} {model.version}: saved to {out}")


@train.command("hourly-trees")
def train_hourly_trees(
    source: TrainingSources,
    out: OutFolder,
    config: Experiment = None,
) -> None:
    """Grow the hourly trees, a member of the ensemble."""
    from pipelines.train_trees import read_config
    from pipelines.train_trees import train_trees as grow

    model = grow(source, out, None if config is None else read_config(config))
    _say(f"{model.name} {model.version}: saved to {out}")


@train.command("ensemble")
def train_ensemble(
    source: TrainingSources,
    out: OutFolder,
    member: Annotated[
        list[str], typer.Option(help="A registered name or a trained model's folder; an MGP-TCN first.")
    ],
    coverage: Annotated[
        float, typer.Option(help="The least share of stays that never becomes indeterminate by disagreement.")
    ] = 0.98,
) -> None:
    """Weigh trained members on the validation subjects, whom none of them learnt from."""
    from rich.console import Console
    from rich.progress import Progress as ProgressBar

    from pipelines.train_ensemble import train_ensemble as weigh

    with ProgressBar(console=Console(stderr=True)) as bar:
        task = bar.add_task("asking the members", total=None)
        model = weigh(source, member, out, coverage=coverage, progress=lambda stays: bar.advance(task, stays))
    _say(f"{model.name} {model.version}: saved to {out}")


@train.command("dtw")
def train_dtw(
    source: TrainingSources,
    out: OutFolder,
    config: Experiment = None,
) -> None:
    """Build the DTW ensemble: its references, the worth of each vote, and its calibration."""
    from pipelines.train_dtw import read_settings
    from pipelines.train_dtw import train_dtw as build_model

    settings = None if config is None else read_settings(config)
    model = build_model(source, out, settings, _say)
    _say(f"{model.name} {model.version}: saved to {out}")


@train.command("mvpa")
def train_mvpa(
    out: OutFolder,
    config: Experiment = None,
) -> None:
    """Train a small seizure detector on simulated subjects. A run that was stopped goes on where it was."""
    from pipelines.train_mvpa import read_settings
    from pipelines.train_mvpa import train_mvpa as train_detector

    settings = None if config is None else read_settings(config)
    _made(out)
    detector = train_detector(out, settings, _say)
    _say(f"{detector.name}: saved to {out}")


@contextmanager
def _labelled(
    source: str, path: Path, options: Sepsis3Options, folder: Path, *, as_json: bool
) -> Iterator[LabelledStudy]:
    """The labels of a source, once told; their counts are printed when the block has used them."""
    from pipelines.ingest.source import IngestSummary
    from pipelines.label.study import LabelledStudy

    opened, ingested, study = open_named(source, path), IngestSummary(), LabelledStudy(options)
    _made(folder)
    with _progress("labelling", opened) as advance:
        for _ in _advancing(study.labelling(ingested.counting_all(opened)), advance):
            pass
    yield study
    if as_json:
        typer.echo(json.dumps(study.as_json() | {"ingest": ingested.as_json()}))
    _say(study.sentence())
    _say(ingested.sentence())
    _complain(tuple(str(failure) for failure in opened.failures))


def _made(folder: Path) -> None:
    """Make the folder to write to and try it, before minutes of reading are lost to it."""
    from tempfile import TemporaryFile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise typer.BadParameter(f"{folder}: {error.strerror}", param_hint="--out") from None


def _advancing(stays: Iterable[IngestedStay], advance: Callable[[int], None]) -> Iterator[IngestedStay]:
    for ingested in stays:
        yield ingested
        advance(1)


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
    _say(ingest.sentence())
    _complain(tuple(str(failure) for failure in source.failures))


def _started(start: str | None, url: str) -> datetime:
    """The instant given, or the service's present."""
    from pipelines.replay import connect

    if start is not None:
        return datetime.fromisoformat(start)
    with connect(url) as client:
        return client.time().now


def _replay(stays: Iterable[BedsideStay], url: str, speed: float | None) -> None:
    from pipelines.replay import AtSpeed, WithService, connect
    from pipelines.replay import replay as replay_stays

    with connect(url, on_trouble=_say) as client, _replay_line() as show:
        pace: Pace = WithService(client) if speed is None else AtSpeed(speed or float("inf"))
        done = replay_stays(stays, client, pace, on_progress=show)
    _say(_replayed(done))
    _complain(done.refused)


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


@contextmanager
def _interruptible(out: Path | None, database: str | None) -> Iterator[None]:
    """Ctrl-C as one sentence that says what is left of an ingest."""
    try:
        yield
    except KeyboardInterrupt:
        left = "" if out is None else f"; {out} is as it was before"
        held = (
            "" if database is None else "; the database holds whole stays, and the same command adds the rest"
        )
        _say(f"prodrome: interrupted{left}{held}")
        raise typer.Exit(130) from None


@contextmanager
def _progress(what: str, source: Source) -> Iterator[Callable[[int], None]]:
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


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _complain(unreadable: tuple[str, ...]) -> None:
    """Say what could not be read; the exit code tells a script that something was left out."""
    for sentence in unreadable:
        _say(f"not read: {sentence}")
    if unreadable:
        raise typer.Exit(1)


def command_line() -> None:
    """The `prodrome` command: what a caller did wrong is one sentence, not a traceback."""
    try:
        app()
    except EarlyWarningError as error:
        _say(f"prodrome: {error}")
        sys.exit(2)


if __name__ == "__main__":
    command_line()

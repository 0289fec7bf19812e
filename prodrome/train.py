"""Train a model from a source."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Experiment, OutFolder, TrainingSources
from .terminal import say, writable

commands = typer.Typer(no_args_is_help=True, help=__doc__)


@commands.command("mgp-tcn")
def mgp_tcn(
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
    say(f"{model.name} {model.version}: saved to {out}")


@commands.command("hourly-trees")
def hourly_trees(
    source: TrainingSources,
    out: OutFolder,
    config: Experiment = None,
) -> None:
    """Grow the hourly trees, a member of the ensemble."""
    from pipelines.train_trees import read_config
    from pipelines.train_trees import train_trees as grow

    model = grow(source, out, None if config is None else read_config(config))
    say(f"{model.name} {model.version}: saved to {out}")


@commands.command("ensemble")
def ensemble(
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
    say(f"{model.name} {model.version}: saved to {out}")


@commands.command("dtw")
def dtw(
    source: TrainingSources,
    out: OutFolder,
    config: Experiment = None,
) -> None:
    """Build the DTW ensemble: its references, the worth of each vote, and its calibration."""
    from pipelines.train_dtw import read_settings
    from pipelines.train_dtw import train_dtw as build_model

    settings = None if config is None else read_settings(config)
    model = build_model(source, out, settings, say)
    say(f"{model.name} {model.version}: saved to {out}")


@commands.command("mvpa")
def mvpa(
    out: OutFolder,
    config: Experiment = None,
) -> None:
    """Train a small seizure detector on simulated subjects. A run that was stopped goes on where it was."""
    from pipelines.train_mvpa import read_settings
    from pipelines.train_mvpa import train_mvpa as train_detector

    settings = None if config is None else read_settings(config)
    writable(out)
    detector = train_detector(out, settings, say)
    say(f"{detector.name}: saved to {out}")

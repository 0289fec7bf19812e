"""Training of the demonstration detector of seizures: simulated subjects in, a detector's folder out.

    out/model.json, weights.safetensors     the detector (`models.mvpa.folder`)
    out/{pretraining,classification,forecasting}.pt   how far a run has come; it goes on from there
    out/run.json                            what the run is made of: only the same goes on

The network is pre-trained to say what comes next and then learns seizures as a whole: it is too small for
adapters. Last a head learns to forecast from what the network has become; it changes no score. Subjects of
simulation are numbered, and their numbers say who trains, who validates (the threshold of the alarm) and who
is held out.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from models.clinical.alarm import SEIZURE_POLICY
from models.clinical.errors import InvalidInput, UnreadableSource
from models.mvpa.config import MVPAConfig
from models.mvpa.detector import Detector, DetectorConfig
from models.mvpa.finetuning import classification
from models.mvpa.folder import load_detector, save_detector
from models.mvpa.network import MVPFormer
from models.mvpa.pretraining import forecasting, pretraining
from models.mvpa.training import Training, TrainingConfig
from models.threads import one_thread
from pipelines import run_folder
from pipelines.ingest.recordings.opened import OpenedRecording
from pipelines.seizure_excerpts import Excerpt, Excerpts, excerpt
from pipelines.seizure_threshold import best_policy, figures, score_opened
from pipelines.simulate.ieeg import IEEGConfig, simulate_ieeg

Say = Callable[[str], None]

BEFORE_SECONDS = 75.0  # of an excerpt's background, before its seizure
CALM_SECONDS = 300.0  # of a recording, before its seizure's onset, and from it to the end
SHORTEST_HOURS = 0.2
CODEBOOK_SCALE = 0.1  # rows of the codebooks that training never meets then say almost nothing
_TRAINING, _WHOLE = 0, 1  # seeds of a subject's recordings

# small enough for minutes of one core
NETWORK = MVPAConfig(
    width=64,
    layers=2,
    query_heads=4,
    key_heads=2,
    inner=128,
    positions=110,
    channels=128,
    segment_samples=2560,
)
DETECTOR = DetectorConfig(context=6, fewest_segments=6)  # a place in time means the same in every context
PRETRAINING = TrainingConfig(steps=40, batch=4, learning_rate=1e-3)
CLASSIFICATION = TrainingConfig(steps=400, batch=12, learning_rate=1e-3)
FORECASTING = TrainingConfig(steps=100, batch=4, learning_rate=2e-3)
STAGES = {"pretraining": pretraining, "classification": classification, "forecasting": forecasting}


@dataclass(frozen=True)
class Simulated:
    """Who there is: numbers of subjects from the first to before the last, and what is recorded of them.

    A subject has `fewest_channels` to `most_channels` contacts. For training an excerpt of `seizure_segments`
    around one seizure and `calm_excerpts` of `calm_segments`; for the rest a recording of `hours`, with one
    seizure. Raises InvalidInput where two parts share a subject.
    """

    training: tuple[int, int] = (2000, 2040)
    validation: tuple[int, int] = (2040, 2050)
    held_out: tuple[int, int] = (2050, 2060)
    fewest_channels: int = 8
    most_channels: int = 16
    seizure_segments: int = 36
    calm_excerpts: int = 2
    calm_segments: int = 24
    hours: float = 0.5

    def __post_init__(self) -> None:
        if not self.hours >= SHORTEST_HOURS:
            raise InvalidInput(
                f"recordings of {self.hours} h: must be >= {SHORTEST_HOURS} h",
                value=self.hours,
                bound=f">= {SHORTEST_HOURS}",
                unit="h",
            )
        for one, other in combinations(("training", "validation", "held_out"), 2):
            shared = set(range(*getattr(self, one))) & set(range(*getattr(self, other)))
            if shared:
                raise InvalidInput(
                    f"{len(shared)} subjects are in {one} and in {other}: {min(shared)} and others",
                    value=sorted(shared),
                    bound="0 subjects in common",
                )

    def channels(self, subject: int) -> int:
        """How many contacts a subject has."""
        return self.fewest_channels + 7 * subject % (self.most_channels - self.fewest_channels + 1)

    def recordings(self, subjects: tuple[int, int]) -> Iterator[OpenedRecording]:
        """One recording of each of these subjects, with a seizure that leaves time before and after it."""
        for subject in range(*subjects):
            seconds = 3600.0 * self.hours
            onset = np.random.default_rng([_WHOLE, subject]).uniform(CALM_SECONDS, seconds - CALM_SECONDS)
            config = IEEGConfig(seconds, channel_count=self.channels(subject), seizure_onsets=(float(onset),))
            yield simulate_ieeg(_WHOLE, subject, config)


@dataclass(frozen=True)
class MVPASettings:
    """What a run is made of."""

    network: MVPAConfig = NETWORK
    detector: DetectorConfig = DETECTOR
    simulated: Simulated = field(default_factory=Simulated)
    pretraining: TrainingConfig = PRETRAINING
    classification: TrainingConfig = CLASSIFICATION
    forecasting: TrainingConfig = FORECASTING
    seed: int = 0
    save_every: int = 20  # steps


def read_settings(path: Path) -> MVPASettings:
    """Settings from a TOML file with a table for each part; what it leaves out stays as it is.

    Raises InvalidInput if a name is unknown, UnreadableSource if the file is not TOML.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        settings = MVPASettings()
        for name, value in fields.items():
            changed = replace(getattr(settings, name), **_tuples(value)) if isinstance(value, dict) else value
            settings = replace(settings, **{name: changed})
    except (TypeError, AttributeError) as error:
        raise InvalidInput(f"{path}: {error}", value=str(path), bound="the fields of MVPASettings") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UnreadableSource(f"{path}: expected a TOML file, but {error}") from error
    return settings


def train_mvpa(out: Path, settings: MVPASettings | None = None, say: Say = print) -> Detector:
    """Train a detector and save it to `out`; a run that was stopped goes on where it was last saved.

    Raises InvalidInput where `out` holds a run with other settings.
    """
    settings = settings or MVPASettings()
    made_of = asdict(replace(settings, save_every=1))
    run_folder.begin(out, made_of, [f"{name}.pt" for name in STAGES])
    began = time.process_time()
    with one_thread():
        samples = training_samples(settings)
        say(f"{len(samples.excerpts)} excerpts, {len(samples)} samples")
        model = _fresh(settings)
        for name, start in STAGES.items():
            run = start(model, samples, getattr(settings, name))
            _finish(name, run, out / f"{name}.pt", settings.save_every, say)
        config, validation = _with_threshold(model, settings)
    spent = time.process_time() - began
    say(f"threshold {config.threshold:.4f}; validation {validation['event']}; {spent:.0f} CPU s in this run")
    save_detector(out, model, config, {"settings": _described(settings), "validation": validation})
    return load_detector(out)


def training_samples(settings: MVPASettings) -> Excerpts:
    """Excerpts of every subject who trains: one with a seizure, the others calm."""
    simulated = settings.simulated
    found = [one for subject in range(*simulated.training) for one in _excerpts(subject, settings)]
    return Excerpts(found, settings.detector.context)


def _excerpts(subject: int, settings: MVPASettings) -> Iterator[Excerpt]:
    simulated, samples = settings.simulated, settings.network.segment_samples
    rate_hz = settings.detector.rate_hz
    segment_seconds = samples / rate_hz
    random = np.random.default_rng([settings.seed, subject])
    # apart by more than a seizure lasts, and its aftermath
    apart = 1200.0
    onset = BEFORE_SECONDS + float(random.uniform(0.0, segment_seconds))
    config = IEEGConfig(
        apart * (simulated.calm_excerpts + 1),
        rate_hz=rate_hz,
        channel_count=simulated.channels(subject),
        seizure_onsets=(onset,),
    )
    opened, name = simulate_ieeg(_TRAINING, subject, config), f"sim-{subject}"
    yield excerpt(opened, name, 0.0, simulated.seizure_segments, samples)
    for number in range(1, simulated.calm_excerpts + 1):
        yield excerpt(opened, name, number * apart, simulated.calm_segments, samples)


def _fresh(settings: MVPASettings) -> MVPFormer:
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = MVPFormer(settings.network)
    with torch.no_grad():
        for codebook in (model.positional_embedding, model.channel_embedding):
            codebook.weight.mul_(CODEBOOK_SCALE)
    return model


def _finish(name: str, run: Training, file: Path, every: int, say: Say) -> None:
    """Take every step that is left, saving on the way."""
    if file.exists():
        run.resume(file)
    while run.step < run.config.steps:
        loss = fmean(run.run(every))
        run.save(file)
        say(f"{name} step {run.step} of {run.config.steps}, loss {loss:.3f}")


def _with_threshold(model: MVPFormer, settings: MVPASettings) -> tuple[DetectorConfig, dict[str, Any]]:
    """The detector's configuration with the threshold that serves best on the validation subjects."""
    scored = []
    for opened in settings.simulated.recordings(settings.simulated.validation):
        detector = Detector(model, settings.detector)
        scored.append(score_opened(opened, detector))
    policy = best_policy(scored, SEIZURE_POLICY)
    return replace(settings.detector, threshold=policy.threshold), figures(scored, policy).as_json()


def _described(settings: MVPASettings) -> dict[str, Any]:
    described = asdict(settings)
    return {name: described[name] for name in ("simulated", *STAGES, "seed")}


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}

"""Training of the shipped model: CinC 2019 stays in, a model folder out.

    out/model.json, weights.safetensors   the model, once the run has ended
    out/checkpoint.pt                     where the run stands: after every epoch, for `resume`
    out/curve.json                        loss and validation figures of every epoch
    out/run.json                          what the run is made of: only the same goes on

The threshold is the one that gains most CinC 2019 utility on the validation subjects.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID

from models.calibration import Calibration, calibrate
from models.clinical.errors import InvalidInput, UnreadableSource
from models.clinical.stay import LabelledStay
from models.fitting import Fit, Observer, Progress, Recipe, Stage, start, validated
from models.mgp_tcn import MGPTCN, Learnt
from models.network import MGPTCNConfig
from models.prior import prior_of
from models.teacher import Teacher
from models.training_stays import prepare, standardisation_of
from pipelines import run_folder
from pipelines.ingest import cinc2019
from pipelines.metrics.cinc2019 import stay_utilities
from pipelines.metrics.classification import auprc, auroc
from pipelines.prediction_files import replacing
from pipelines.split import SPLIT_RULE, Split, split_of

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class TrainingSettings:
    """What a run is made of: the model's configuration and how it learns."""

    config: MGPTCNConfig = field(default_factory=MGPTCNConfig)
    recipe: Recipe = field(default_factory=Recipe)


def read_settings(path: Path) -> TrainingSettings:
    """Settings from a TOML file with the tables `config` and `recipe`; what it leaves out keeps its default.

    Raises InvalidInput if a name is unknown, UnreadableSource if the file is not TOML.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        config = MGPTCNConfig.from_json(fields.get("config", {}))
        return TrainingSettings(config, _recipe(fields.get("recipe", {})))
    except TypeError as error:
        raise InvalidInput(
            f"{path}: {error}", value=str(path), bound="the fields of TrainingSettings"
        ) from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UnreadableSource(f"{path}: expected a TOML file, but {error}") from error


def train_mgp_tcn(
    sources: Sequence[Path],
    out: Path,
    settings: TrainingSettings | None = None,
    *,
    resume: bool = False,
    console: Console | None = None,
) -> MGPTCN:
    """Train on the stays of CinC 2019 zips or folders, all together, and save the model to `out`.

    With `resume` a run that was stopped continues after its last epoch, to the same result. `console` shows
    progress. Raises UnreadableSource if the source cannot be read or a part has no positive hour,
    InvalidInput if another run is to be resumed.
    """
    settings = settings or TrainingSettings()
    with ProgressBar(console=console, disable=console is None) as bar:
        parts = _read(sources, bar)
        named = " + ".join(source.stem for source in sources)
        return train_on(parts, named, out, settings, resume=resume, bar=bar)


def train_on(
    parts: dict[Split, list[LabelledStay]],
    source_name: str,
    out: Path,
    settings: TrainingSettings,
    *,
    resume: bool,
    bar: ProgressBar,
) -> MGPTCN:
    """Train on stays already read and split; `source_name` goes into the model's description."""
    run_folder.begin(out, _made_of(parts, source_name, settings), [CHECKPOINT], resume=resume)
    standardisation = standardisation_of(parts["train"])
    train = [prepare(one, standardisation, settings.config) for one in parts["train"]]
    validation = [prepare(one, standardisation, settings.config) for one in parts["validation"]]
    network = start(settings.config, standardisation, settings.recipe.seed)
    fit = Fit(settings.config, network, train, validation, settings.recipe, observer=_Keeper(out, bar))
    if resume and (out / CHECKPOINT).is_file():
        _restore(fit, out / CHECKPOINT)
    fit.run()
    prior = prior_of(parts["validation"], standardisation, settings.config.sufficiency)
    calibration, threshold, figures = _calibrated(fit, prior)
    training = _description(parts, source_name, settings, figures, fit.progress)
    model = MGPTCN(settings.config, Learnt(network, standardisation, calibration, threshold, training))
    model.save(out)
    return model


def best_threshold(
    rows: npt.NDArray[np.int64], label: npt.NDArray[np.int8], score: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """The threshold of highest CinC 2019 utility among 200 quantiles of the scores, and that utility.

    `rows` (S,) hours of each stay; `label`, `score` (N,). Raises InvalidInput if no stay is septic.
    """
    candidates = np.unique(np.quantile(score, 1 - np.geomspace(1e-3, 0.8, 200)))
    gains = [
        stay_utilities(rows, label, (score >= candidate).astype(np.int8)).normalised()
        for candidate in candidates
    ]
    if gains[0] is None:
        raise InvalidInput("no septic stay to choose a threshold on", value=0, bound="at least one")
    best = int(np.argmax(np.array(gains, dtype=np.float64)))
    return float(candidates[best]), float(gains[best] or 0.0)


class _Keeper(Observer):
    """Draws progress, and leaves checkpoint and learning curve behind after every epoch."""

    def __init__(self, out: Path, bar: ProgressBar) -> None:
        self._out, self._bar = out, bar
        self._task: TaskID = bar.add_task("train", total=1.0)

    def batch_done(self, stage: str, share: float, loss: float) -> None:
        self._bar.update(self._task, completed=share, description=f"{stage}, loss {loss:.4f}")

    def pass_done(self, fit: Fit) -> None:
        state = {"network": fit.network.state_dict(), "progress": vars(fit.progress)}
        with replacing(self._out / CHECKPOINT) as unfinished:
            torch.save(state, unfinished)
        with replacing(self._out / "curve.json") as unfinished:
            unfinished.write_text(json.dumps(fit.progress.curve, indent=1) + "\n", encoding="utf-8")
        if fit.progress.curve:
            last = fit.progress.curve[-1]
            self._bar.console.log(" ".join(f"{name} {value}" for name, value in last.items()))


def _made_of(
    parts: dict[Split, list[LabelledStay]], source_name: str, settings: TrainingSettings
) -> dict[str, Any]:
    """What tells one run from another: whose stays, and how it learns from them."""
    stays = {
        part: sha256("\n".join(one.stay.stay_id for one in of).encode()).hexdigest()
        for part, of in parts.items()
    }
    return {"source": source_name, "stays": stays, **asdict(settings)}


def _restore(fit: Fit, checkpoint: Path) -> None:
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    fit.network.load_state_dict(state["network"])
    fit.progress = Progress(**state["progress"])


def _recipe(fields: dict[str, Any]) -> Recipe:
    """A recipe from TOML: `stages` is an array of tables, `teacher` a table."""
    chosen = dict(fields)
    if "stages" in chosen:
        chosen["stages"] = tuple(Stage(**stage) for stage in chosen["stages"])
    if "teacher" in chosen:
        chosen["teacher"] = Teacher(**chosen["teacher"])
    return Recipe(**chosen)


def _read(sources: Sequence[Path], bar: ProgressBar) -> dict[Split, list[LabelledStay]]:
    """Every labelled stay of the sources, by its subject's part of the split."""
    parts: dict[Split, list[LabelledStay]] = {"train": [], "validation": [], "test": []}
    for source in sources:
        opened = cinc2019.open_source(source)
        for ingested in bar.track(opened.stays(), total=opened.stay_count, description=f"read {source.name}"):
            if ingested.labelled is not None:
                parts[split_of(ingested.stay.subject_id)].append(ingested.labelled)
    for part, stays in parts.items():
        if not any(one.label.any() for one in stays):
            named = ", ".join(str(source) for source in sources)
            raise UnreadableSource(f"{named}: no positive hour among the {len(stays)} stays of part {part}")
    return parts


def _calibrated(fit: Fit, prior: float) -> tuple[Calibration, float, dict[str, float | None]]:
    """Calibration, threshold and figures on the validation subjects."""
    logit, label = validated(fit)
    calibration = calibrate(logit, label, prior)
    rows = np.array([int(one.labelled.sum()) for one in fit.validation])
    truth, score = label.astype(np.int8), calibration(logit)
    threshold, utility = best_threshold(rows, truth, score)
    figures = {"auroc": auroc(truth, score), "auprc": auprc(truth, score), "utility": utility}
    return calibration, threshold, figures


def _description(
    parts: dict[Split, list[LabelledStay]],
    source_name: str,
    settings: TrainingSettings,
    validation: dict[str, float | None],
    progress: Progress,
) -> dict[str, Any]:
    """What model.json says about the training."""
    return {
        "source": source_name,
        "split": SPLIT_RULE,
        "subjects": {part: _counts(stays) for part, stays in parts.items()},
        "recipe": asdict(settings.recipe),
        "validation": validation,
        "epochs": len(progress.curve),
    }


def _counts(stays: Sequence[LabelledStay]) -> dict[str, int]:
    return {
        "stays": len(stays),
        "septic_stays": sum(bool(one.label.any()) for one in stays),
        "hours": sum(len(one.label) for one in stays),
    }

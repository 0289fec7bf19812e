"""How an MGP-TCN learns: three stages, one loss.

    1. kernel   the process alone, by its exact marginal likelihood
    2. network  the reader on posteriors that stay fixed: cheap epochs
    3. joint    kernel and reader together, the loss's gradient flowing through the filtered posterior

    loss = mean over labelled hours of the horizons' binary cross-entropies, positive hours counted
           `positive_weight` times, the score's own horizon `PRIMARY_WEIGHT` times; a teacher may soften its
           targets (models/teacher.py)

The network learns from draws of the process as well as from its mean, so that a draw is nothing new to it
when a score's spread is asked for. What is validated and kept is a moving average of the weights. Every
random choice is drawn from (seed, stage, epoch), so a run resumed from a checkpoint repeats the run that was
never stopped. Stages 2 and 3 stop early, and each ends with its epoch of best validation AUPRC.

    B  batch     T  grid hours     n  observations     M  variables     C  channels     K  horizons
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from math import cos, pi
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import (  # type: ignore[import-untyped]
    average_precision_score,
    roc_auc_score,
)
from torch import Tensor, nn

from models.calibration import best_f1, calibrate
from models.clinical.stay import LabelledStay
from models.mgp.likelihood import fit
from models.mgp.standardise import Standardisation
from models.mgp_tcn import Learnt
from models.network import MGPTCNConfig, MGPTCNNetwork
from models.prior import prior_of
from models.teacher import Teacher, softened, taught
from models.threads import one_thread
from models.training_feed import TrainingFeed, training_feed
from models.training_stays import (
    TrainingStay,
    batches,
    groups,
    prepare,
    standardisation_of,
)

Floats = npt.NDArray[np.float64]

TYPICAL_STAYS = 2000  # enough for means that only serve as a reference
PRIMARY_WEIGHT = 8.0  # the score is one horizon of six, and what is validated
WARM_UP_STEPS = 200


@dataclass(frozen=True)
class Stage:
    """Epochs of gradient descent; `kernel_rate` 0 keeps the kernel, and so its posteriors, fixed."""

    name: str
    epochs: int
    network_rate: float
    kernel_rate: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """How long, how fast and with which seed to learn."""

    seed: int = 2019
    kernel_steps: int = 120
    kernel_rate: float = 0.05
    stages: tuple[Stage, ...] = (
        Stage("network", epochs=8, network_rate=3e-3),
        Stage("joint", epochs=1, network_rate=1e-4, kernel_rate=2e-3),
    )
    batch: int = 48  # stays a step
    controls_a_case: float | None = None  # an epoch has all septic stays, and so many others each; None: all
    draws: int = 2  # courses a stay learnt from besides its mean
    positive_weight: float = 4.0  # one hour in fifty is positive; calibration takes the weight out again
    weight_decay: float = 0.1
    averaging: float = 0.999  # of the weights, a step
    teacher: Teacher | None = None  # boosted trees whose expectations soften the targets
    patience: int = 5  # epochs without a better validation AUPRC


@dataclass
class Progress:
    """Where a run stands: with the network's state, all that a checkpoint needs."""

    kernel_done: bool = False
    expected: Tensor = field(default_factory=lambda: torch.empty(0))  # by the teacher, of every labelled hour
    stage: int = 0
    epoch: int = 0
    steps: int = 0
    best_auprc: float = -1.0
    epochs_since_best: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float | int | str]] = field(default_factory=list)


class Observer:
    """Is told how a run goes; this one does nothing."""

    def batch_done(self, stage: str, share: float, loss: float) -> None:
        """`share` in (0, 1] of the stage's present pass is done."""

    def pass_done(self, fit: Fit) -> None:
        """An epoch or a stage has ended, and `fit` may be saved."""


@dataclass
class Fit:
    """One run: a network, what it learns from, and where it stands."""

    config: MGPTCNConfig
    network: MGPTCNNetwork
    train: Sequence[TrainingStay]
    validation: Sequence[TrainingStay]
    recipe: Recipe
    progress: Progress = field(default_factory=Progress)
    observer: Observer = field(default_factory=Observer)

    def run(self) -> None:
        """Every stage not yet done; leaves the best weights and the typical inputs in the network."""
        with one_thread():
            if not self.progress.kernel_done:
                self._kernel()
            if self.recipe.teacher:
                self._soften(self.recipe.teacher)
            self.network.reader.to("cuda" if torch.cuda.is_available() else "cpu")
            while self.progress.stage < len(self.recipe.stages):
                self._stage(self.recipe.stages[self.progress.stage])
            self.network.reader.cpu()
            remember_typical(self.config, self.network, self.train[:TYPICAL_STAYS])

    def _kernel(self) -> None:
        """Ascend the marginal likelihood; a network without a process has none."""
        recipe = self.recipe
        if self.config.feed != "carried":
            hyperparameters = self.network.hyperparameters
            fit(hyperparameters, self.train, recipe.kernel_steps, recipe.kernel_rate, recipe.seed)
        self.progress.kernel_done = True
        self.observer.pass_done(self)

    def _soften(self, teacher: Teacher) -> None:
        """Blend what the teacher expects into the targets; a run that was stopped has asked it before."""
        if not len(self.progress.expected):
            config = self.config if self.config.feed == "carried" else replace(self.config, feed="filtered")
            feed = training_feed(config, self.network, self.train, 0, moving=False, seed=0)
            self.progress.expected = taught(teacher, self.network, feed, self.train)
            self.observer.pass_done(self)
        self.train = softened(self.train, self.progress.expected, teacher.share, self.network.primary)

    def _stage(self, stage: Stage) -> None:
        """The epochs of a stage that are left, then its best weights."""
        progress = self.progress
        optimiser = self._optimiser(stage)
        average = copy.deepcopy(self.network)
        if progress.average:
            average.load_state_dict(progress.average)
        feed = self._feed(stage, self.train, self.recipe.draws)
        validation = self._feed(stage, self.validation, 0)
        while progress.epoch < stage.epochs and progress.epochs_since_best < self.recipe.patience:
            loss = self._epoch(stage, optimiser, feed, average)
            logits = predict(average, self.validation, validation)
            self._keep_best(stage, loss, average, *labelled_hours(logits, self.validation))
            progress.optimiser, progress.average = optimiser.state_dict(), average.state_dict()
            self.observer.pass_done(self)
        self.network.load_state_dict(progress.best)
        # the next stage keeps its own best, so that what is shipped has been trained end to end
        progress.stage, progress.epoch, progress.steps, progress.best_auprc = progress.stage + 1, 0, 0, -1.0
        progress.epochs_since_best, progress.optimiser, progress.average = 0, {}, {}
        self.observer.pass_done(self)

    def _feed(self, stage: Stage, stays: Sequence[TrainingStay], draws: int) -> TrainingFeed:
        return training_feed(
            self.config, self.network, stays, draws, moving=stage.kernel_rate > 0, seed=self.recipe.seed
        )

    def _epoch(
        self, stage: Stage, optimiser: torch.optim.Optimizer, feed: TrainingFeed, average: MGPTCNNetwork
    ) -> float:
        """One pass over the training stays; the mean loss."""
        seed = (self.recipe.seed, self.progress.stage + 1, self.progress.epoch)
        torch.manual_seed(int(np.random.default_rng(seed).integers(2**31)))  # for dropout
        feed.begin(seed)
        self.network.train()
        order, losses = batches(self.train, self.recipe.batch, seed, self.recipe.controls_a_case), []
        for done, batch in enumerate(order, start=1):
            _anneal(optimiser, stage, self.progress.steps, stage.epochs * len(order))
            loss = batch_loss(self.network, feed, batch, self.recipe.positive_weight)
            self._step(optimiser, loss)
            self.progress.steps += 1
            self._follow(average)
            losses.append(loss.item())
            self.observer.batch_done(stage.name, done / len(order), losses[-1])
        self.progress.epoch += 1
        return float(np.mean(losses))

    def _step(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        optimiser.step()

    def _follow(self, average: MGPTCNNetwork) -> None:
        """Move the averaged weights towards the present ones, faster while there are few of them."""
        steps = self.progress.steps
        keep = min(self.recipe.averaging, (1 + steps) / (10 + steps))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - keep)

    def _optimiser(self, stage: Stage) -> torch.optim.Optimizer:
        decay = self.recipe.weight_decay
        reader, kernel = self.network.reader.parameters(), self.network.hyperparameters.parameters()
        optimiser = torch.optim.AdamW(
            [
                {"params": list(reader), "lr": stage.network_rate, "weight_decay": decay},
                # no decay: a kernel drawn towards zero is a different process, not a simpler one
                {"params": list(kernel), "lr": stage.kernel_rate, "weight_decay": 0.0},
            ]
        )
        if self.progress.optimiser:
            optimiser.load_state_dict(self.progress.optimiser)
        return optimiser

    def _keep_best(
        self, stage: Stage, loss: float, average: MGPTCNNetwork, logit: Floats, label: Floats
    ) -> None:
        progress = self.progress
        auprc, auroc = float(average_precision_score(label, logit)), float(roc_auc_score(label, logit))
        progress.curve.append(
            {"stage": stage.name, "epoch": progress.epoch, "loss": loss, "auroc": auroc, "auprc": auprc}
        )
        progress.epochs_since_best += 1
        if auprc > progress.best_auprc:
            progress.best_auprc, progress.epochs_since_best = auprc, 0
            progress.best = copy.deepcopy(average.state_dict())


def start(config: MGPTCNConfig, standardisation: Standardisation, seed: int) -> MGPTCNNetwork:
    """An untrained network, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MGPTCNNetwork(config, torch.from_numpy(standardisation.learnt))


def batch_loss(
    network: MGPTCNNetwork, feed: TrainingFeed, batch: Sequence[Sequence[int]], positive_weight: float
) -> Tensor:
    """Weighted cross-entropy over the labelled hours of a batch, in groups; no other hour counts."""
    read = [_labelled_logits(network, *feed.batch(network, group)) for group in batch]
    logits, target = (torch.cat(rows) for rows in zip(*read, strict=True))
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, target, pos_weight=torch.tensor(positive_weight), reduction="none"
    )
    weight = torch.ones(losses.shape[-1])
    weight[network.primary] = PRIMARY_WEIGHT
    return losses.mean(0) @ weight / weight.sum()


def _labelled_logits(
    network: MGPTCNNetwork, inputs: Tensor, target: Tensor, labelled: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits and targets (labelled hours, K) of inputs (B, T, F)."""
    logits, _ = network(inputs, network.start(len(inputs)))
    return logits[labelled], target[labelled]


def predict(network: MGPTCNNetwork, stays: Sequence[TrainingStay], feed: TrainingFeed) -> list[Tensor]:
    """Hourly logits of the score's horizon of every stay, (T,) each, from the posterior mean."""
    network.eval()
    found = [torch.empty(0)] * len(stays)
    with torch.no_grad():
        for group in groups(stays, np.arange(len(stays))):
            for index, logits in zip(group, feed.whole(network, group), strict=True):
                found[index] = logits[..., network.primary].clone()
    return found


def labelled_hours(logits: Sequence[Tensor], stays: Sequence[TrainingStay]) -> tuple[Floats, Floats]:
    """Logits and labels of all labelled hours, end to end."""
    logit = torch.cat([one[stay.labelled] for one, stay in zip(logits, stays, strict=True)])
    label = torch.cat([stay.label[stay.labelled] for stay in stays])
    return logit.double().numpy(), label.double().numpy()


def validated(fit: Fit) -> tuple[Floats, Floats]:
    """Logits and labels of the labelled validation hours under the weights that were kept."""
    feed = training_feed(fit.config, fit.network, fit.validation, 0, moving=False, seed=fit.recipe.seed)
    return labelled_hours(predict(fit.network, fit.validation, feed), fit.validation)


def remember_typical(config: MGPTCNConfig, network: MGPTCNNetwork, train: Sequence[TrainingStay]) -> None:
    """Store the mean inputs over the training hours in the network."""
    feed = training_feed(config, network, train, 0, moving=False, seed=0)
    total, hours = torch.zeros_like(network.typical), 0
    for index, one in enumerate(train):
        total += feed.inputs(network, index).sum(0)
        hours += len(one.label)
    network.typical.copy_(total / hours)


def learn(
    config: MGPTCNConfig,
    train: Sequence[LabelledStay],
    validation: Sequence[LabelledStay],
    recipe: Recipe,
) -> Learnt:
    """The whole recipe in memory, with the threshold of best F1 on validation.

    `pipelines.train` runs the same stages with checkpoints and a threshold by clinical utility.
    """
    standardisation = standardisation_of(train)
    network = start(config, standardisation, recipe.seed)
    seen, unseen = ([prepare(one, standardisation, config) for one in part] for part in (train, validation))
    run = Fit(config, network, seen, unseen, recipe)
    run.run()
    logit, label = validated(run)
    calibration = calibrate(logit, label, prior_of(validation, standardisation, config.sufficiency))
    threshold = best_f1(calibration(logit), label)
    return Learnt(network, standardisation, calibration, threshold, {"recipe": asdict(recipe)})


def _anneal(optimiser: torch.optim.Optimizer, stage: Stage, step: int, steps: int) -> None:
    """A short warm-up, then half a cosine down to nothing over the stage."""
    share = min(1.0, (step + 1) / WARM_UP_STEPS) * 0.5 * (1.0 + cos(pi * step / steps))
    for group, rate in zip(optimiser.param_groups, (stage.network_rate, stage.kernel_rate), strict=True):
        group["lr"] = share * rate

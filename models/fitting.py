"""How an MGP-TCN learns: three stages, one loss.

    1. kernel   the process alone, by its exact marginal likelihood on a sample of stays
    2. network  the convolutions on posterior means that stay fixed: cheap epochs
    3. joint    kernel and convolutions together, the loss's gradient flowing through the posterior

    loss = mean over labelled hours of binary cross-entropy, positive hours counted `positive_weight` times

Every random choice is drawn from (seed, stage, epoch), so a run resumed from a checkpoint repeats the run
that was never stopped. Stages 2 and 3 stop early, and each ends with its epoch of best validation AUPRC.

    B  batch     T  grid hours     n  observations     M  variables     C  side channels
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import (  # type: ignore[import-untyped]
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
)
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.clinical.stay import LabelledStay
from models.mgp.posterior import log_likelihood, mean
from models.mgp.standardise import Standardisation
from models.mgp.tiles import factorise
from models.mgp_tcn import Calibration, Learnt, MGPTCNConfig, MGPTCNNetwork
from models.threads import one_thread
from models.training_stays import (
    BatchLimits,
    TrainingStay,
    batches,
    observed,
    prepare,
    side_by_side,
    standardisation_of,
)

Floats = npt.NDArray[np.float64]

TYPICAL_STAYS = 2000  # enough for means that only serve as a reference


@dataclass(frozen=True)
class Stage:
    """Epochs of gradient descent; `kernel_rate` 0 keeps the kernel, and so its posterior means, fixed."""

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
        Stage("network", epochs=15, network_rate=2e-3),
        Stage("joint", epochs=3, network_rate=3e-4, kernel_rate=3e-3),
    )
    limits: BatchLimits = field(default_factory=BatchLimits)
    positive_weight: float = 4.0  # one hour in fifty is positive; calibration takes the weight out again
    weight_decay: float = 0.02
    patience: int = 5  # epochs without a better validation AUPRC


@dataclass
class Progress:
    """Where a run stands: with the network's state, all that a checkpoint needs."""

    kernel_done: bool = False
    stage: int = 0
    epoch: int = 0
    best_auprc: float = -1.0
    epochs_since_best: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
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
            while self.progress.stage < len(self.recipe.stages):
                self._stage(self.recipe.stages[self.progress.stage])
            remember_typical(self.network, self.train[:TYPICAL_STAYS])

    def _kernel(self) -> None:
        """Ascend the marginal likelihood per observation, one batch of stays a step."""
        optimiser = torch.optim.Adam(self.network.hyperparameters.parameters(), lr=self.recipe.kernel_rate)
        measured = [one for one in self.train if len(one.value)]
        order = batches(measured, self.recipe.limits, (self.recipe.seed, 0, 0))
        for step in range(self.recipe.kernel_steps):
            stays = [measured[index] for index in order[step % len(order)]]
            factor = factorise(self.network.hyperparameters.kernel(), observed(stays))
            loss = -log_likelihood(factor).sum() / sum(len(one.value) for one in stays)
            self._step(optimiser, loss)
            self.observer.batch_done("kernel", (step + 1) / self.recipe.kernel_steps, loss.item())
        self.progress.kernel_done = True
        self.observer.pass_done(self)

    def _stage(self, stage: Stage) -> None:
        """The epochs of a stage that are left, then its best weights."""
        progress = self.progress
        optimiser = self._optimiser(stage)
        moving = stage.kernel_rate > 0
        fixed = (
            [None, None] if moving else [fixed_means(self.network, s) for s in (self.train, self.validation)]
        )
        while progress.epoch < stage.epochs and progress.epochs_since_best < self.recipe.patience:
            loss = self._epoch(stage, optimiser, fixed[0])
            logits = predict(self.network, self.validation, fixed[1])
            self._keep_best(stage, loss, *labelled_hours(logits, self.validation))
            progress.optimiser = optimiser.state_dict()
            self.observer.pass_done(self)
        self.network.load_state_dict(progress.best)
        # the next stage keeps its own best, so that what is shipped has been trained end to end
        progress.stage, progress.epoch, progress.best_auprc = progress.stage + 1, 0, -1.0
        progress.epochs_since_best, progress.optimiser = 0, {}
        self.observer.pass_done(self)

    def _epoch(self, stage: Stage, optimiser: torch.optim.Optimizer, fixed: Sequence[Tensor] | None) -> float:
        """One pass over the training stays; the mean loss."""
        seed = (self.recipe.seed, self.progress.stage + 1, self.progress.epoch)
        torch.manual_seed(int(np.random.default_rng(seed).integers(2**31)))  # for dropout
        _anneal(optimiser, stage, self.progress.epoch)
        self.network.train()
        order, losses = batches(self.train, self.recipe.limits, seed), []
        for done, batch in enumerate(order, start=1):
            stays = [self.train[index] for index in batch]
            means = side_by_side([fixed[i] for i in batch]) if fixed else posterior_means(self.network, stays)
            loss = batch_loss(self.network, means, stays, self.recipe.positive_weight)
            self._step(optimiser, loss)
            losses.append(loss.item())
            self.observer.batch_done(stage.name, done / len(order), losses[-1])
        self.progress.epoch += 1
        return float(np.mean(losses))

    def _step(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        optimiser.step()

    def _optimiser(self, stage: Stage) -> torch.optim.Optimizer:
        decay = self.recipe.weight_decay
        kernel = list(self.network.hyperparameters.parameters())
        optimiser = torch.optim.AdamW(
            [
                {
                    "params": list(self.network.tcn.parameters()),
                    "lr": stage.network_rate,
                    "weight_decay": decay,
                },
                # no decay: a kernel drawn towards zero is a different process, not a simpler one
                {"params": kernel, "lr": stage.kernel_rate, "weight_decay": 0.0},
            ]
        )
        if self.progress.optimiser:
            optimiser.load_state_dict(self.progress.optimiser)
        return optimiser

    def _keep_best(self, stage: Stage, loss: float, logit: Floats, label: Floats) -> None:
        progress = self.progress
        auprc, auroc = float(average_precision_score(label, logit)), float(roc_auc_score(label, logit))
        progress.curve.append(
            {"stage": stage.name, "epoch": progress.epoch, "loss": loss, "auroc": auroc, "auprc": auprc}
        )
        progress.epochs_since_best += 1
        if auprc > progress.best_auprc:
            progress.best_auprc, progress.epochs_since_best = auprc, 0
            progress.best = copy.deepcopy(self.network.state_dict())


def start(config: MGPTCNConfig, standardisation: Standardisation, seed: int) -> MGPTCNNetwork:
    """An untrained network, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MGPTCNNetwork(config, torch.from_numpy(standardisation.learnt))


def posterior_means(network: MGPTCNNetwork, stays: Sequence[TrainingStay]) -> Tensor:
    """Filtered posterior means of a batch, (B, T, M), with gradients to the kernel."""
    kernel = network.hyperparameters.kernel()
    factor = factorise(kernel, observed(stays))
    known = side_by_side([one.known for one in stays])
    grid = torch.arange(1, known.shape[1] + 1, dtype=torch.float32).expand(known.shape)
    return mean(kernel, factor, grid, known)


def fixed_means(network: MGPTCNNetwork, stays: Sequence[TrainingStay]) -> list[Tensor]:
    """Filtered posterior means of every stay, (T, M) each, without gradients."""
    found = [torch.empty(0)] * len(stays)
    with torch.no_grad():
        for batch in batches(stays, BatchLimits(), (0,)):
            means = posterior_means(network, [stays[index] for index in batch])
            for index, one in zip(batch, means, strict=True):
                found[index] = one[: len(stays[index].label)].clone()
    return found


def batch_loss(
    network: MGPTCNNetwork, means: Tensor, stays: Sequence[TrainingStay], positive_weight: float
) -> Tensor:
    """Weighted cross-entropy over the labelled hours of a batch; no other hour counts."""
    logits = network(network.inputs(means, side_by_side([one.side for one in stays])))
    labelled = side_by_side([one.labelled for one in stays])
    return nn.functional.binary_cross_entropy_with_logits(
        logits[labelled],
        side_by_side([one.label for one in stays])[labelled],
        pos_weight=torch.tensor(positive_weight),
    )


def predict(
    network: MGPTCNNetwork, stays: Sequence[TrainingStay], means: Sequence[Tensor] | None = None
) -> list[Tensor]:
    """Hourly logits of every stay, (T,) each; `means` saves computing the posterior again."""
    network.eval()
    with torch.no_grad():
        return [
            network(network.inputs(one_mean.unsqueeze(0), one.side.unsqueeze(0)))[0]
            for one, one_mean in zip(stays, means or fixed_means(network, stays), strict=True)
        ]


def labelled_hours(logits: Sequence[Tensor], stays: Sequence[TrainingStay]) -> tuple[Floats, Floats]:
    """Logits and labels of all labelled hours, end to end."""
    logit = torch.cat([one[stay.labelled] for one, stay in zip(logits, stays, strict=True)])
    label = torch.cat([stay.label[stay.labelled] for stay in stays])
    return logit.double().numpy(), label.double().numpy()


def calibrate(logit: Floats, label: Floats) -> Calibration:
    """Platt scaling by maximum likelihood. Raises InvalidInput if the logits do not rise with the label."""
    fitted = LogisticRegression(C=np.inf).fit(logit[:, None], label)
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope <= 0:
        raise InvalidInput("the network ranks at random or worse", value=slope, bound="a slope above 0")
    return Calibration(slope, intercept)


def remember_typical(network: MGPTCNNetwork, train: Sequence[TrainingStay]) -> None:
    """Store the mean input channels over the training hours in the network."""
    total, hours = torch.zeros_like(network.typical), 0
    for one, one_mean in zip(train, fixed_means(network, train), strict=True):
        total += network.inputs(one_mean, one.side).sum(0)
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
    checked = [prepare(one, standardisation) for one in validation]
    Fit(network, [prepare(one, standardisation) for one in train], checked, recipe).run()
    logit, label = labelled_hours(predict(network, checked), checked)
    calibration = calibrate(logit, label)
    threshold = _best_f_threshold(calibration(logit), label)
    return Learnt(network, standardisation, calibration, threshold, {"recipe": asdict(recipe)})


def _anneal(optimiser: torch.optim.Optimizer, stage: Stage, epoch: int) -> None:
    """Half a cosine over the stage, from the full rate to a tenth of it."""
    share = 0.55 + 0.45 * float(np.cos(np.pi * epoch / stage.epochs))
    for group, rate in zip(optimiser.param_groups, (stage.network_rate, stage.kernel_rate), strict=True):
        group["lr"] = rate * share


def _best_f_threshold(score: Floats, label: Floats) -> float:
    precision, recall, threshold = precision_recall_curve(label, score)
    f = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(threshold[int(np.argmax(f[:-1]))])

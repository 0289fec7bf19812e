"""The loop that both stages of training share: seeded, resumable, one process.

Which samples make step s follows from the seed and s alone, so a run that was interrupted and resumed ends
in the same bits as one that was not. A checkpoint is a dictionary of tensors and numbers, read as data
only. On a GPU products run in bfloat16; on a CPU nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput, UnreadableSource
from models.mvpa.network import MVPFormer
from models.mvpa.samples import Sample, Samples

Loss = Callable[[MVPFormer, Sample, torch.Generator], Tensor]
_GOLDEN = 0x9E3779B97F4A7C15  # spreads neighbouring steps over the seeds


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast. Raises InvalidInput where these cannot be."""

    steps: int
    batch: int = 8  # samples a step; recordings differ in channels, so each is a pass of its own
    learning_rate: float = 1e-4
    warm_steps: int = 20  # over which the rate rises from 0
    weight_decay: float = 0.01
    largest_gradient: float = 1.0  # its norm is cut to this
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} = {getattr(self, name)} must be >= 1", bound=">= 1")
        if not self.learning_rate > 0.0:
            raise InvalidInput(f"learning_rate = {self.learning_rate} must be > 0", bound="> 0")


class Training:
    """One run: a model, what it learns from, and how far it has come."""

    def __init__(self, model: MVPFormer, samples: Samples, loss: Loss, config: TrainingConfig) -> None:
        if len(samples) == 0:
            raise InvalidInput("no samples to train on", value=0, bound=">= 1 sample")
        self.model, self.samples, self.loss, self.config = model, samples, loss, config
        self.step = 0
        learning = [one for one in model.parameters() if one.requires_grad]
        self.optimiser = torch.optim.AdamW(
            learning, lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def run(self, steps: int | None = None) -> Iterator[float]:
        """Take `steps` steps, or all that are left, and give the loss of each."""
        left = self.config.steps - self.step
        for _ in range(left if steps is None else min(steps, left)):
            yield self._take()

    def _take(self) -> float:
        generator = torch.Generator().manual_seed(_seed(self.config.seed, self.step))
        self.model.train()
        self.optimiser.zero_grad()
        total = 0.0
        for index in self._chosen(generator):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                loss = self.loss(self.model, self.samples[index], generator) / self.config.batch
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.largest_gradient)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * min(1.0, (self.step + 1) / (self.config.warm_steps + 1))
        self.optimiser.step()
        self.step += 1
        return total

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.positional_embedding.weight.device

    def _chosen(self, generator: torch.Generator) -> list[int]:
        return torch.randint(len(self.samples), (self.config.batch,), generator=generator).tolist()

    def save(self, file: Path) -> None:
        """Write everything that `resume` needs; a crash while writing leaves the file that was there."""
        partial = file.with_suffix(".partial")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "network": asdict(self.model.config),
                "training": asdict(self.config),
            },
            partial,
        )
        partial.replace(file)

    def resume(self, file: Path) -> None:
        """Go on where `save` was. Raises UnreadableSource, or InvalidInput where it was another run."""
        state = _read(file)
        for name, ours in (("network", asdict(self.model.config)), ("training", asdict(self.config))):
            different = sorted(key for key in ours if state[name].get(key) != ours[key])
            if different:
                raise InvalidInput(f"{file.name}: another run: {name} differs in {', '.join(different)}")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def _seed(seed: int, step: int) -> int:
    """A seed of its own for each step of each run."""
    return ((seed + 1) * _GOLDEN + step) % (1 << 63)


def _read(file: Path) -> dict[str, Any]:
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is no checkpoint fails in as many ways as there are files
        raise UnreadableSource(f"{file}: not a training checkpoint: {type(error).__name__}") from error
    wanted = {"model", "optimiser", "step", "network", "training"}
    if not isinstance(state, dict) or not wanted <= set(state):
        raise UnreadableSource(f"{file}: not a training checkpoint: {', '.join(sorted(wanted))} expected")
    return state

"""Learning seizures: by fine-tuning, small adapters and a classifier learn and all else stays; a network too
small for that learns as a whole (`classification`).

The adapters, of rank 8 and scale 16 / 8, sit on the query projection and on the value half of the key and
value projection. `load_checkpoint(model.state_dict(), config)` merges them when learning is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.mvpa.adapters import AdaptedLinear
from models.mvpa.network import CLASSES, MVPFormer
from models.mvpa.samples import Sample, Samples, every
from models.mvpa.training import Training, TrainingConfig

RANK, ALPHA = 8, 16.0


def adapters(model: MVPFormer) -> Iterator[AdaptedLinear]:
    """All matrices of a network that have an adapter."""
    for layer in model.layers:
        for one in (layer.attn.q_attn, layer.attn.c_attn):
            if one.rank:
                yield one


def with_adapters(
    model: MVPFormer, generator: torch.Generator, rank: int = RANK, alpha: float = ALPHA
) -> MVPFormer:
    """A copy of a network with fresh adapters and classifier, of which only these will learn.

    Until they do, it gives the same hidden states.
    """
    adapted = MVPFormer(replace(model.config, lora_rank=rank, lora_alpha=alpha))
    adapted.generative = None
    known = {name: value for name, value in model.state_dict().items() if not name.startswith("generative.")}
    if model.classifier is None:
        width = model.config.width
        known["classifier.weight"] = torch.randn(CLASSES, width, generator=generator) / width**0.5
    adapted.load_state_dict(known, strict=False)
    for parameter in adapted.parameters():
        parameter.requires_grad = False
    for one in adapters(adapted):
        one.start_adapter(generator)
        one.lora_A.requires_grad_()
        one.lora_B.requires_grad_()
    if adapted.classifier is not None:
        adapted.classifier.requires_grad_()
    return adapted.to(model.positional_embedding.weight.device)


def seizure_loss(model: MVPFormer, sample: Sample, weight: Tensor) -> Tensor:
    """Cross-entropy of the last segment's label, classes weighted by `weight` (2,)."""
    device = model.positional_embedding.weight.device
    missing = sample.missing.to(device)[None]
    logits = model.classify(sample.segments.to(device)[None], missing if bool(missing.any()) else None)
    label = torch.tensor([sample.label], device=device)
    # a batch of one divides the weight away, so it is applied here
    return weight.to(device)[sample.label] * nn.functional.cross_entropy(logits, label)


def class_weights(samples: Samples) -> Tensor:
    """Weights (2,) with which both classes count alike; raises InvalidInput where there is only one."""
    labels = torch.tensor([sample.label for sample in every(samples)])
    counts = torch.bincount(labels, minlength=CLASSES).double()
    if not bool(counts.all()):
        raise InvalidInput(
            f"{int(counts[0])} samples without and {int(counts[1])} with a seizure; both are needed",
            value=counts.tolist(),
            bound=">= 1 of each",
        )
    return (len(labels) / (CLASSES * counts)).float()


def finetuning(model: MVPFormer, samples: Samples, config: TrainingConfig) -> Training:
    """A run that teaches the adapters and the classifier of a network from `with_adapters`."""
    if not any(True for _ in adapters(model)):
        raise InvalidInput("fine-tuning needs adapters", value=model.config.lora_rank, bound="lora_rank >= 1")
    return _learning_seizures(model, samples, config)


def classification(model: MVPFormer, samples: Samples, config: TrainingConfig) -> Training:
    """A run that teaches every weight of a network but those of its generative head."""
    if model.classifier is None:
        raise InvalidInput("learning seizures needs a classifier head", value=None, bound="a classifier head")
    model.generative = None
    for parameter in model.parameters():
        parameter.requires_grad_()
    return _learning_seizures(model, samples, config)


def _learning_seizures(model: MVPFormer, samples: Samples, config: TrainingConfig) -> Training:
    weight = class_weights(samples)

    def loss(network: MVPFormer, sample: Sample, _: torch.Generator) -> Tensor:
        return seizure_loss(network, sample, weight)

    return Training(model, samples, loss, config)

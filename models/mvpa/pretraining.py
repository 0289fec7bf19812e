"""Generative pre-training: say what comes next, among others that might have.

    loss = - log softmax_j (cos(p, e_j) / 0.1) at the embedding e_0 that came,    p = W hidden[t],  e_0 of t
    + 1 e_1 ... e_30 random embeddings of the recording; those equal to e_0 do not count

B  batch     T  segments     C  channels     D  width     N  tokens predicted     K  30

Source: Carzaniga 2025, arXiv:2506.20354.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.mvpa.network import MVPFormer
from models.mvpa.samples import Sample, Samples
from models.mvpa.training import Training, TrainingConfig

OTHERS, TEMPERATURE = 30, 0.1
_FEWEST = 2  # segments: one to predict from, one to predict


def contrast(expected: Tensor, came: Tensor, others: Tensor) -> Tensor:
    """The mean loss of what was expected (N, D), what came (N, D) and others (N, K, D).

    One of the others that equals what came, in every number, is no other and does not count.
    """
    candidates = torch.cat([came[:, None], others], dim=1)  # (N, 1 + K, D)
    alike = nn.functional.cosine_similarity(expected[:, None], candidates, dim=-1) / TEMPERATURE
    same = (others == came[:, None]).all(-1)
    alike = torch.cat([alike[:, :1], alike[:, 1:].masked_fill(same, -torch.inf)], dim=1)
    first = torch.zeros(len(came), dtype=torch.long, device=came.device)
    return nn.functional.cross_entropy(alike, first)


def generative_loss(model: MVPFormer, sample: Sample, generator: torch.Generator) -> Tensor:
    """The loss of one stretch of a recording; raises InvalidInput where there is nothing to predict in it."""
    segments = sample.segments.to(model.positional_embedding.weight.device)[None]
    missing = sample.missing.to(segments.device)[None]
    if segments.shape[1] < _FEWEST:
        raise InvalidInput(
            f"{segments.shape[1]} segment: nothing to predict", value=segments.shape[1], bound=">= 2 segments"
        )
    if model.generative is None:
        raise InvalidInput("pre-training needs a generative head", value=None, bound="a generative head")
    embeddings = model.embed(segments, missing)
    mask = missing if bool(missing.any()) else None
    expected = model.generative(model.transform(embeddings, mask)[:, :-1])
    known = ~missing
    both = known[:, 1:] & known[:, :-1]
    if not bool(both.any()):
        raise InvalidInput("no channel is there twice in a row", value=0, bound=">= 1 token")
    pool = embeddings[known]  # (tokens, D)
    drawn = torch.randint(len(pool), (int(both.sum()), OTHERS), generator=generator).to(pool.device)
    return contrast(expected[both], embeddings[:, 1:][both], pool[drawn])


def pretraining(model: MVPFormer, samples: Samples, config: TrainingConfig) -> Training:
    """A run that teaches all weights but the classifier's."""
    if model.classifier is not None:
        model.classifier.weight.requires_grad = False
    return Training(model, samples, generative_loss, config)


def forecasting(model: MVPFormer, samples: Samples, config: TrainingConfig) -> Training:
    """A run that teaches the generative head alone, fresh where there is none: what seizures taught stays."""
    for parameter in model.parameters():
        parameter.requires_grad = False
    if model.generative is None:
        width, device = model.config.width, model.positional_embedding.weight.device
        model.generative = nn.Linear(width, width, bias=False, device=device)
        fresh = torch.randn(width, width, generator=torch.Generator().manual_seed(config.seed))
        with torch.no_grad():
            model.generative.weight.copy_(fresh / width**0.5)
    model.generative.weight.requires_grad = True
    return Training(model, samples, generative_loss, config)

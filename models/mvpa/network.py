"""MVPFormer: segments of many electrodes in, what comes next or whether this is a seizure out.

    x_0 = embeddings of all segments and channels
    x_{l+1} = x_l + attention(n_l) + mlp(n_l),   n_l = rmsnorm(x_l)        parallel, one norm for both
    mlp(n) = W_down (silu(W_gate n) * (W_up n)),    hidden = rmsnorm(x_L)
    the embedding expected at t + 1 = W hidden[t],   logits = W' mean over channels of hidden[T - 1]

B  batch     T  segments     C  channels     D  width     Q  segments asked for, the last of T

Source: Carzaniga 2025, arXiv:2506.20354. Ours computes the last layer's queries only where they are asked
for.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.mvpa.config import MVPAConfig
from models.mvpa.encoder import EPSILON, SegmentEncoder
from models.mvpa.layer import Layer, Projected

CLASSES = 2  # no seizure, seizure


class MVPFormer(nn.Module):
    """The network with both heads; one loaded from a checkpoint has the head that the checkpoint has.

    Names of weights are those of the released checkpoints without their prefix, but for the two heads.
    """

    generative: nn.Linear | None
    classifier: nn.Linear | None

    def __init__(self, config: MVPAConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SegmentEncoder(config)
        self.positional_embedding = nn.Embedding(config.positions, config.width)
        self.channel_embedding = nn.Embedding(config.channels, config.width)
        self.h = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.ln_f = nn.RMSNorm(config.width, eps=EPSILON)
        self.generative = nn.Linear(config.width, config.width, bias=False)
        self.classifier = nn.Linear(config.width, CLASSES, bias=False)

    @property
    def layers(self) -> list[Layer]:
        """All layers, the first first."""
        return [cast(Layer, one) for one in self.h]

    def hidden(self, segments: Tensor, missing: Tensor | None = None) -> Tensor:
        """The output of the last layer after its norm, (B, T, C, D), of segments (B, T, C, samples), uV.

        `missing` (B, T, C) bool is True where a channel has no signal in a segment: nobody sees that token,
        and its samples may be NaN. Segments of another precision are cast to that of the weights. Raises
        InvalidInput where they are no tensor of floating numbers, T is 0 or above `positions`, C is 0 or
        above `channels`, samples are not `segment_samples`, or one that is not missing is not finite.
        """
        return self.transform(self.embed(segments, missing), missing)

    def predict_next(self, segments: Tensor, missing: Tensor | None = None) -> Tensor:
        """The embedding expected of each channel's next segment, (B, T, C, D): at t that of segment t + 1.

        Compare with `encoder` of that segment, by cosine. Arguments and Raises as `hidden`; also raises
        InvalidInput where this network has no generative head.
        """
        head = _present(self.generative, "generative")
        expected: Tensor = head(self.hidden(segments, missing))
        return expected

    def classify(self, segments: Tensor, missing: Tensor | None = None) -> Tensor:
        """Logits (B, 2), no seizure and seizure, of the last segment, from the mean over its channels.

        Arguments and Raises as `hidden`; also raises InvalidInput where this network has no classifier head,
        or a recording has no channel that is present in its last segment. Channels missing there are left out
        of the mean.
        """
        return self.classify_embedded(self.embed(segments, missing), missing)

    def embed(self, segments: Tensor, missing: Tensor | None = None) -> Tensor:
        """Embeddings (B, T, C, D) of segments (B, T, C, samples); missing ones 0; Raises as `hidden`."""
        segments = self.encoder.in_weights_precision(segments)
        self._check_sizes(segments, "samples", self.config.segment_samples)
        if missing is not None:
            _check_mask(missing, segments)
            segments = segments.masked_fill(missing[..., None], 0.0)
        _check_finite(segments)
        embedded: Tensor = self.encoder(segments)
        return embedded

    def enter(self, embeddings: Tensor) -> Tensor:
        """Embeddings (B, T, C, D) and what the first layer makes of each alone, (B, T, C, 3 D + 2 KV d).

        It depends on no other token, so whoever reads overlapping contexts keeps it. The first D are the
        embeddings.
        """
        self._check_sizes(embeddings, "width", self.config.width)
        own = self.layers[0].project(embeddings, embeddings.shape[1])
        return torch.cat([own.x, own.query, own.both, own.inner], dim=-1)

    def transform(
        self, embeddings: Tensor, missing: Tensor | None = None, asked: int | None = None
    ) -> Tensor:
        """Embeddings (B, T, C, D) to hidden (B, Q, C, D) of the last Q = `asked` segments, all by default."""
        return self.transform_entered(self.enter(embeddings), missing, asked)

    def transform_entered(
        self, entered: Tensor, missing: Tensor | None = None, asked: int | None = None
    ) -> Tensor:
        """`transform` of what `enter` gave."""
        width, both = self.config.width, 2 * self.config.key_width
        self._check_sizes(entered, "numbers of an entered token", 3 * width + both)
        asked = entered.shape[1] if asked is None else asked
        books, last = (self.positional_embedding.weight, self.channel_embedding.weight), self.layers[-1]
        own = Projected(*torch.split(entered, [width, width, both, width], dim=-1))
        x = self.layers[0].mix(own.last(asked) if len(self.layers) == 1 else own, *books, missing)
        for layer in self.layers[1:]:
            x = layer(x, *books, missing, asked if layer is last else x.shape[1])
        normed: Tensor = self.ln_f(x)
        return normed

    def classify_embedded(self, embeddings: Tensor, missing: Tensor | None = None) -> Tensor:
        """`classify` of what `embed` gave."""
        return self.classify_entered(self.enter(embeddings), missing)

    def classify_entered(self, entered: Tensor, missing: Tensor | None = None) -> Tensor:
        """`classify` of what `enter` gave: only the last segment's queries pass the last layer."""
        return self.classify_last(self.transform_entered(entered, missing, asked=1)[:, 0], missing)

    def classify_last(self, last: Tensor, missing: Tensor | None = None) -> Tensor:
        """`classify` of the last segment's hidden states (B, C, D)."""
        head = _present(self.classifier, "classifier")
        logits: Tensor = head(last.mean(1) if missing is None else _mean(last, ~missing[:, -1]))
        return logits

    def _check_sizes(self, tensor: Tensor, name: str, size: int) -> None:
        """Raise InvalidInput unless `tensor` is (B, T, C, `size`) within the codebooks."""
        if tensor.ndim != 4 or tensor.shape[-1] != size or tensor.shape[0] == 0:  # noqa: PLR2004 B, T, C, size
            raise InvalidInput(
                f"a tensor of shape {tuple(tensor.shape)} is not (B, T, C, {size} {name})",
                value=tuple(tensor.shape),
                bound=f"(B >= 1, T, C, {size})",
            )
        limits = {"segments": self.config.positions, "channels": self.config.channels}
        for (axis, most), found in zip(limits.items(), tensor.shape[1:3], strict=True):
            if not 1 <= found <= most:
                raise InvalidInput(
                    f"{found} {axis}; this network takes 1 to {most}",
                    value=found,
                    bound=f"1 to {most} {axis}",
                )


def _present(head: nn.Linear | None, name: str) -> nn.Linear:
    if head is None:
        raise InvalidInput(
            f"this network was loaded without a {name} head", value=None, bound=f"a {name} head"
        )
    return head


def _mean(last: Tensor, present: Tensor) -> Tensor:
    """The mean (B, D) of last (B, C, D) over the channels that are present, (B, C)."""
    weight = present.to(last.dtype)[..., None]
    if not bool(present.any(1).all()):
        raise InvalidInput("no channel is present in the last segment", value=0, bound=">= 1 channel")
    return (last * weight).sum(1) / weight.sum(1)


def _check_finite(segments: Tensor) -> None:
    finite = torch.isfinite(segments).all(-1)
    if not bool(finite.all()):
        batch, segment, channel = torch.nonzero(~finite)[0].tolist()
        raise InvalidInput(
            f"recording {batch}, segment {segment}, channel {channel} holds a sample that is not finite; "
            "mark it missing",
            value="NaN or infinite",
            bound="finite",
            unit="uV",
        )


def _check_mask(missing: Tensor, segments: Tensor) -> None:
    if missing.dtype != torch.bool or missing.shape != segments.shape[:3]:
        raise InvalidInput(
            f"missing is {missing.dtype} {tuple(missing.shape)}, not bool {tuple(segments.shape[:3])}",
            value=tuple(missing.shape),
            bound=f"bool {tuple(segments.shape[:3])}",
        )

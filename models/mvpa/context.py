"""What a stream remembers: the embeddings of its last segments, each computed once.

A segment's embedding depends on nothing else, so it is kept under its channel's name and never computed
again. When the montage changes, the past is laid out anew in the order of the new one: a channel that was
not there is missing in the segments before, one that is gone is left out, and nothing restarts. Layouts of
equal size may go through the network together.

T  segments     C  channels     D  width     F  numbers of a token as it enters, its embedding first
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.clinical.errors import InvalidInput
from models.mvpa.network import MVPFormer


@dataclass(frozen=True)
class Entered:
    """One segment: `channels` (C,), `tokens` (C, F), `present` (C,) bool."""

    channels: tuple[str, ...]
    tokens: Tensor
    present: Tensor


@dataclass(frozen=True)
class Layout:
    """A context for the network: `tokens` (1, T, C, F), `missing` (1, T, C) or None for none."""

    tokens: Tensor
    missing: Tensor | None


class Context:
    """The last `segments` segments of one stream, the present one included."""

    def __init__(self, segments: int) -> None:
        if segments < 1:
            raise InvalidInput(f"a context of {segments} segments; at least 1", value=segments, bound=">= 1")
        self._past: deque[Entered] = deque(maxlen=segments)

    def __len__(self) -> int:
        return len(self._past)

    @property
    def newest(self) -> Entered:
        """The segment that came last; there must be one."""
        return self._past[-1]

    def append(self, segment: Entered) -> None:
        """Remember one more segment; the oldest goes when there are too many."""
        self._past.append(segment)

    def clear(self) -> None:
        """Forget everything."""
        self._past.clear()

    def known(self, share: float) -> int:
        """How many segments have at least `share` of the channels that the last one has."""
        if not self._past:
            return 0
        channels = self._past[-1].channels
        shares = (float(_arranged(one, channels).present.float().mean()) for one in self._past)
        return sum(held >= share for held in shares)

    def layout(self) -> Layout:
        """All segments in the order of the last one's channels; raises InvalidInput where there is none."""
        if not self._past:
            raise InvalidInput("a context of 0 segments cannot be laid out", value=0, bound=">= 1")
        channels = self._past[-1].channels
        rows = [_arranged(one, channels) for one in self._past]
        present = torch.stack([one.present for one in rows])[None]
        tokens = torch.stack([one.tokens for one in rows])[None]
        return Layout(tokens, None if bool(present.all()) else ~present)


def _arranged(segment: Entered, channels: tuple[str, ...]) -> Entered:
    """The segment with the channels that are asked for, in their order."""
    if segment.channels == channels:
        return segment
    place = {name: index for index, name in enumerate(segment.channels)}
    device = segment.present.device
    at = torch.tensor([place.get(name, 0) for name in channels], device=device)
    known = torch.tensor([name in place for name in channels], device=device)
    present = segment.present[at] & known
    return Entered(channels, segment.tokens[at] * present[:, None], present)


def classify_together(model: MVPFormer, layouts: Sequence[Layout]) -> Tensor:
    """Logits (n, 2) of n streams, those of one size in one batch: up to 1e-5 from what each has alone."""
    sizes: dict[tuple[int, int], list[int]] = {}
    for index, one in enumerate(layouts):
        sizes.setdefault((one.tokens.shape[1], one.tokens.shape[2]), []).append(index)
    logits: dict[int, Tensor] = {}
    for members in sizes.values():
        found = model.classify_entered(*_batch([layouts[index] for index in members]))
        logits.update(zip(members, found, strict=True))
    return torch.stack([logits[index] for index in range(len(layouts))])


def _batch(layouts: list[Layout]) -> tuple[Tensor, Tensor | None]:
    tokens = torch.cat([one.tokens for one in layouts])
    if all(one.missing is None for one in layouts):
        return tokens, None
    none = torch.zeros(1, *tokens.shape[1:3], dtype=torch.bool, device=tokens.device)
    return tokens, torch.cat([none if one.missing is None else one.missing for one in layouts])

"""What is fixed before training: the widths of the network and what a segment is.

The two published sizes are `SMALL` and `MEDIUM`. Source: Carzaniga 2025, arXiv:2506.20354.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from models.clinical.errors import InvalidInput
from models.mvpa.wavelet import coefficients

SEGMENT_SECONDS = 5.0
RATE_HZ = 512.0
MOST_CHANNELS = 128  # rows of the released channel codebook


@dataclass(frozen=True)
class MVPAConfig:
    """Sizes of the network.

    `width` D of a token; `layers`; `query_heads` H and `key_heads` KV, H a multiple of KV; `inner` width of
    the MLP; `positions` and `channels` the rows of the two codebooks, so the most segments and channels at
    once; `segment_samples` samples of one channel in a segment. `content_window`: how many segments back a
    query compares contents; before that only time and space count. `lora_rank` 0 means no adapters; else
    their product is scaled by `lora_alpha` / `lora_rank`. Raises InvalidInput where these cannot be.
    """

    width: int
    layers: int
    query_heads: int
    key_heads: int
    inner: int
    positions: int
    channels: int
    segment_samples: int
    content_window: int = 10
    lora_rank: int = 0
    lora_alpha: float = 16

    def __post_init__(self) -> None:
        for one in fields(self):
            least = 0 if one.name in {"content_window", "lora_rank"} else 1
            if not getattr(self, one.name) >= least:
                _refuse(one.name, getattr(self, one.name), f">= {least}")
        if self.width % self.query_heads:
            _refuse("width", self.width, f"a multiple of {self.query_heads} query heads")
        if self.query_heads % self.key_heads:
            _refuse("query_heads", self.query_heads, f"a multiple of {self.key_heads} key heads")
        if self.channels > MOST_CHANNELS:
            _refuse("channels", self.channels, f"<= {MOST_CHANNELS}")

    @property
    def head_width(self) -> int:
        """d, the width of one head."""
        return self.width // self.query_heads

    @property
    def key_width(self) -> int:
        """KV d, the width of all keys of one token."""
        return self.key_heads * self.head_width

    @property
    def segment_values(self) -> int:
        """How many wavelet coefficients a segment has: 2,610 for 2,560 samples."""
        return coefficients(self.segment_samples)


def _refuse(name: str, value: float, bound: str) -> None:
    raise InvalidInput(f"{name} = {value} must be {bound}", value=value, bound=bound)


SMALL = MVPAConfig(
    width=768,
    layers=12,
    query_heads=12,
    key_heads=4,
    inner=1728,
    positions=110,
    channels=MOST_CHANNELS,
    segment_samples=2560,
)
MEDIUM = MVPAConfig(
    width=2048,
    layers=24,
    query_heads=16,
    key_heads=8,
    inner=5632,
    positions=110,
    channels=MOST_CHANNELS,
    segment_samples=2560,
)

"""A segment of one channel as a token: its wavelet coefficients, brought to one size, through one matrix.

    e = W rmsnorm(db4(x)),     rmsnorm(y) = g y / sqrt(mean(y^2) + 1e-5)

No z-scoring before: the norm removes the amplifier's gain, and a channel's offset is one coefficient of many.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.mvpa.config import MVPAConfig
from models.mvpa.wavelet import decompose

EPSILON = 1e-5


class SegmentEncoder(nn.Module):
    """Segments to embeddings."""

    def __init__(self, config: MVPAConfig) -> None:
        super().__init__()
        self.ln = nn.RMSNorm(config.segment_values, eps=EPSILON)
        self.proj = nn.Linear(config.segment_values, config.width, bias=False)

    def forward(self, segments: Tensor) -> Tensor:
        """Segments (..., samples), in microvolt, to embeddings (..., D)."""
        with torch.autocast(segments.device.type, enabled=False):  # bands differ by orders of magnitude
            normed = self.ln(decompose(segments))
        embedded: Tensor = self.proj(normed)
        return embedded.to(normed.dtype)

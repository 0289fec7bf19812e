"""A segment of one channel as a token: its wavelet coefficients, brought to one size, through one matrix.

    e = W rmsnorm(db4(x)),     rmsnorm(y) = g y / sqrt(mean(y^2) + 1e-5)

No z-scoring before: the norm removes the amplifier's gain, and a channel's offset is one coefficient of many.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.mvpa.config import MVPAConfig
from models.mvpa.wavelet import decompose

EPSILON = 1e-5


class SegmentEncoder(nn.Module):
    """Segments to embeddings."""

    def __init__(self, config: MVPAConfig) -> None:
        super().__init__()
        self.samples = config.segment_samples
        self.ln = nn.RMSNorm(config.segment_values, eps=EPSILON)
        self.proj = nn.Linear(config.segment_values, config.width, bias=False)

    def forward(self, segments: Tensor) -> Tensor:
        """Segments (..., samples), in microvolt, to embeddings (..., D), in the precision of the weights.

        Raises InvalidInput where they are no tensor of floating numbers or samples are not `segment_samples`.
        """
        segments = self.in_weights_precision(segments)
        if segments.shape[-1:] != (self.samples,):
            raise InvalidInput(
                f"segments of shape {tuple(segments.shape)} are not (..., {self.samples} samples)",
                value=tuple(segments.shape),
                bound=f"(..., {self.samples})",
            )
        with torch.autocast(segments.device.type, enabled=False):  # bands differ by orders of magnitude
            normed = self.ln(decompose(segments))
        embedded: Tensor = self.proj(normed)
        return embedded.to(normed.dtype)

    def in_weights_precision(self, segments: Tensor) -> Tensor:
        """Segments as the weights' type; raises InvalidInput where they are no tensor of floating numbers."""
        if not isinstance(segments, Tensor) or not segments.is_floating_point():
            found = segments.dtype if isinstance(segments, Tensor) else type(segments).__name__
            raise InvalidInput(
                f"segments are {found}, not a tensor of floating numbers",
                value=str(found),
                bound="a floating tensor",
                unit="uV",
            )
        return segments.to(self.proj.weight.dtype)

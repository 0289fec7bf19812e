"""A signal as a picture shows it: the lowest and the highest value of each of a few stretches.

C  channels     n  samples     P  stretches
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.clinical.errors import InvalidInput
from models.clinical.recording import Samples


def envelope(values: Samples, stretches: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Lowest and highest (C, P) of `values` (C, n); NaN where one sample of the stretch is missing.

    Raises InvalidInput where there are fewer samples than stretches.
    """
    samples = values.shape[1]
    if not 1 <= stretches <= samples:
        raise InvalidInput(
            f"{stretches} stretches of {samples} samples",
            value=stretches,
            bound=f"1 to {samples} stretches",
        )
    begins = np.arange(stretches) * samples // stretches
    low = np.minimum.reduceat(values, begins, axis=1)
    high = np.maximum.reduceat(values, begins, axis=1)
    return low.astype(np.float32), high.astype(np.float32)

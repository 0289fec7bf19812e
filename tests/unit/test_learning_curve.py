"""The learning curve: more stays teach more, and nobody is scored by trees that saw him."""

import numpy as np
import pytest

from benchmarks.learning_curve import SHARES, Hours, measured

STAYS, HOURS = 450, 8


def hours(tells: float) -> Hours:
    """Hours of stays that a channel knows by name, with one that tells the label `tells` times its noise."""
    rng = np.random.default_rng(3)
    septic = np.repeat(rng.random(STAYS) < 0.3, HOURS)
    name = np.repeat(rng.permutation(STAYS), HOURS)
    sign = tells * septic + rng.normal(size=STAYS * HOURS)
    return Hours(
        np.stack([name, sign], axis=1).astype(np.float32),
        septic.astype(np.int8),
        np.full(STAYS, HOURS),
        np.arange(STAYS) % 3 == 0,
        rng.random(STAYS),
    )


def test_a_row_a_share_and_more_stays_teach_more() -> None:
    quarter, half, whole = measured(hours(tells=1.5))
    shares = [row.stays / whole.stays for row in (quarter, half, whole)]
    assert shares == pytest.approx(SHARES, abs=0.1)
    assert whole.stays == STAYS * 2 // 3
    assert quarter.septic == whole.septic < STAYS / 3
    assert quarter.auroc < whole.auroc
    assert quarter.doublings is None
    assert half.doublings is not None


def test_nobody_is_scored_by_trees_that_saw_him() -> None:
    *_, whole = measured(hours(tells=0.0))
    assert abs(whole.auroc - 0.5) < 0.1  # trees that saw them know every stay by its name

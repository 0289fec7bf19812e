"""Another sampling rate, block by block: polyphase filtering that gives the same numbers however it is cut.

For rates r and R with R / r = U / D in lowest terms, output k is

    y[k] = sum_j h[H + k·D - j·U] x[j]

h is a low-pass of 2·H + 1 taps at the lower of the two Nyquist frequencies (Kaiser, beta 5, H = 10·max(U,
D)), as in scipy.signal.resample_poly. Before its first and after its last sample a signal goes on with that
sample's value. A missing sample (NaN) is missing in every output that it reaches.

A rate need not be a fraction of the other with moderate terms: one that a recorder states as 511.999 Hz is
read as 512 Hz. The fraction is the simplest within 1 part in a million, 0.1 s a day, or where simple ones are
too near for that, the closest: between rates up to a thousandfold apart it is off by no more than 5.1 parts,
0.44 s a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.signal import firwin, upfirdn  # type: ignore[import-untyped]

from models.clinical.errors import InvalidInput
from models.clinical.recording import Recording, Samples

Signal = npt.NDArray[np.floating]

LARGEST_FACTOR = 100_000  # of U and D: 173.61 Hz to 512 Hz needs 51,200
SIMPLER = (1000, 10_000)  # factors that are tried before: the filter is as long as the larger of U and D
EXACT, NEAR, FARTHEST = 1e-12, 1e-6, 5.1e-6  # relative: recorders' clocks are off by ten times that
HALF_LENGTH = 10  # of the filter, in samples of the lower rate
KAISER_BETA = 5.0


@dataclass(frozen=True, eq=False)
class Polyphase:
    """`up` U, `down` D and the taps `h` of one change of rate; made by `polyphase`."""

    up: int
    down: int
    taps: npt.NDArray[np.float64]

    @property
    def half(self) -> int:
        """H, the taps on either side of the middle one."""
        return (len(self.taps) - 1) // 2

    def first_input(self, output: int) -> int:
        """The first input that `output` needs, moved back to a whole number of D: all cuts align there."""
        return (output * self.down - self.half) // self.up // self.down * self.down

    def last_input(self, output: int) -> int:
        """The last input that `output` needs."""
        return (output * self.down + self.half) // self.up

    def outputs(self, values: Signal, first_input: int, first: int, stop: int) -> npt.NDArray[np.float64]:
        """Outputs [first, stop) from `values` (C, n), of which the first is input `first_input`.

        `first_input` is a multiple of D and reaches back, and `values` forward, as far as the outputs need.
        """
        lead = -self.half % self.down
        padded = np.concatenate([np.zeros(lead), self.taps])
        skipped = first + (self.half + lead - first_input * self.up) // self.down
        filtered = upfirdn(padded, values.astype(np.float64), self.up, self.down, axis=-1)
        found: npt.NDArray[np.float64] = filtered[:, skipped : skipped + stop - first]
        return found


@lru_cache(maxsize=16)
def polyphase(from_hz: float, to_hz: float) -> Polyphase:
    """The change from one rate to another. Raises InvalidInput where no fraction of moderate size is near."""
    if not (0.0 < from_hz < np.inf and 0.0 < to_hz < np.inf):
        raise InvalidInput(
            f"from {from_hz} Hz to {to_hz} Hz: both must be > 0 Hz", value=to_hz, bound="> 0", unit="Hz"
        )
    wanted = Fraction(to_hz) / Fraction(from_hz)
    ratio = fraction_near(wanted)
    if _distance(ratio, wanted) > FARTHEST:
        raise InvalidInput(
            f"from {from_hz} Hz to {to_hz} Hz: no fraction with terms up to {LARGEST_FACTOR} "
            f"is within {1e6 * FARTHEST:g} parts in a million",
            value=to_hz,
            bound=f"U, D <= {LARGEST_FACTOR}",
            unit="Hz",
        )
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return Polyphase(1, 1, np.ones(1))
    largest = max(up, down)
    taps = firwin(2 * HALF_LENGTH * largest + 1, 1 / largest, window=("kaiser", KAISER_BETA)) * up
    return Polyphase(up, down, taps)


def fraction_near(wanted: Fraction) -> Fraction:
    """The closest fraction where that is exact; else the simplest that is near; else the closest again."""
    closest = _closest(wanted, LARGEST_FACTOR)
    if _distance(closest, wanted) <= EXACT:
        return closest
    simpler = (_closest(wanted, largest) for largest in SIMPLER)
    return next((ratio for ratio in simpler if _distance(ratio, wanted) <= NEAR), closest)


def _closest(wanted: Fraction, largest: int) -> Fraction:
    """The closest fraction with terms up to `largest`, or the closest to none."""
    if wanted <= 1:
        return wanted.limit_denominator(largest)
    below_one = (1 / wanted).limit_denominator(largest)
    return 1 / below_one if below_one else Fraction(0)


def _distance(ratio: Fraction, wanted: Fraction) -> float:
    return abs(float(ratio / wanted) - 1.0)


def resample(values: Signal, from_hz: float, to_hz: float) -> Samples:
    """`values` (C, n) at another rate, (C, ceil(n · R / r))."""
    change = polyphase(from_hz, to_hz)
    count = values.shape[1]
    stop = -(-count * change.up // change.down)
    return _clamped(change, values, 0, count, (0, stop))


class StreamingResampler:
    """Samples in as they come, samples at the other rate out as soon as they are certain.

    What `push` returned so far, and `finish` after it, is what `resample` gives for all at once, bit for bit.
    Output lags behind input by half the filter, `delay_seconds`.
    """

    def __init__(self, from_hz: float, to_hz: float) -> None:
        self._change = polyphase(from_hz, to_hz)
        self.delay_seconds = self._change.half / self._change.up / from_hz
        self._held: Signal | None = None
        self._held_from, self._received, self._given = 0, 0, 0

    def push(self, values: Signal) -> Samples:
        """The outputs (C, m) that `values` (C, n) make certain. Raises InvalidInput for another C."""
        if self._held is not None and len(self._held) != len(values):
            raise InvalidInput(
                f"{len(values)} channels; expected {len(self._held)} as before",
                value=len(values),
                bound="same C",
            )
        self._held = values if self._held is None else np.concatenate([self._held, values], axis=1)
        self._received += values.shape[1]
        # the first output whose last input has not come
        ready = -(-(self._received * self._change.up - self._change.half) // self._change.down)
        return self._give(max(ready, self._given))

    def finish(self) -> Samples:
        """The outputs that are left, the last value going on. Nothing can be pushed after it."""
        return self._give(-(-self._received * self._change.up // self._change.down))

    def _give(self, stop: int) -> Samples:
        if self._held is None or stop == self._given or not self._received:
            return np.empty((0 if self._held is None else len(self._held), 0), dtype=np.float32)
        given = _clamped(self._change, self._held, self._held_from, self._received, (self._given, stop))
        self._given = stop
        drop = max(self._change.first_input(stop), 0) - self._held_from
        if drop > 0:
            self._held, self._held_from = self._held[:, drop:], self._held_from + drop
        return given


def resampled(recording: Recording, rate_hz: float) -> Recording:
    """The recording with every channel at `rate_hz`, still read in windows; no gap is filtered across."""
    channels = tuple(replace(channel, rate_hz=rate_hz) for channel in recording.channels)
    return replace(recording, channels=channels, samples=_ResampledSamples(recording, rate_hz))


@dataclass(frozen=True, eq=False)
class _ResampledSamples:
    recording: Recording
    rate_hz: float

    def read(self, channels: Sequence[int], first: int, stop: int) -> Samples:
        values = np.full((len(channels), stop - first), np.nan, dtype=np.float32)
        native = [self.recording.channels[channel].rate_hz for channel in channels]
        for from_hz in set(native):
            rows = [row for row, rate_hz in enumerate(native) if rate_hz == from_hz]
            members = [channels[row] for row in rows]
            stretches = zip(
                self.recording.numbered(self.rate_hz), self.recording.numbered(from_hz), strict=True
            )
            for (_, start, count), (_, first_input, inputs) in stretches:
                begin, end = max(start, first), min(start + count, stop)
                if begin < end and inputs:  # a stretch may be too short for one sample of the slower rate
                    found = self._stretch(
                        members, from_hz, (first_input, inputs), (begin - start, end - start)
                    )
                    values[rows, begin - first : end - first] = found
        return values

    def _stretch(
        self, members: Sequence[int], from_hz: float, inputs: tuple[int, int], outputs: tuple[int, int]
    ) -> Samples:
        """Outputs [a, b) of one stretch, whose inputs begin at sample `inputs[0]` and are `inputs[1]`."""
        change, (before, count), (first, stop) = polyphase(from_hz, self.rate_hz), inputs, outputs
        held_from = min(max(change.first_input(first), 0), count - 1)
        held_to = min(change.last_input(stop - 1) + 1, count)
        held = self.recording.samples.read(members, before + held_from, before + max(held_to, held_from + 1))
        return _clamped(change, held, held_from, count, outputs)


def _clamped(
    change: Polyphase, held: Signal, held_from: int, count: int, outputs: tuple[int, int]
) -> Samples:
    """Outputs [first, stop) of a signal of `count` inputs, of which `held` (C, n) begin at `held_from`."""
    first, stop = outputs
    if first >= stop or not count:
        return np.empty((len(held), 0), dtype=np.float32)
    start, end = change.first_input(first), change.last_input(stop - 1) + 1
    wanted = np.clip(np.arange(start, end), 0, count - 1) - held_from
    return change.outputs(held[:, wanted], start, first, stop).astype(np.float32)

"""What electrodes record when nothing happens: 1/f noise with a rhythm in it, alike on neighbours, and hum.

The noise is made in blocks that fade into each other, each from its own stream of random numbers, so any
window of any day costs what it covers and is always the same. Two fades whose squares sum to 1 keep the
variance constant.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.simulate.ieeg_subject import SubjectTraits

BLOCK_SECONDS = 8.0
LOWEST_HZ = 0.5  # an amplifier's high-pass: below it the spectrum is flat
RHYTHM_GAIN, RHYTHM_WIDTH_HZ = 1.5, 1.5
SHARED_BY_SHAFT, SHARED_BY_ALL = 0.4, 0.1  # parts of a channel's variance

Noise = npt.NDArray[np.float32]


def noise_block(
    random: np.random.Generator,
    traits: SubjectTraits,
    shaft: npt.NDArray[np.int64],
    samples: int,
    rate_hz: float,
) -> Noise:
    """Noise (C, samples) of the traits' amplitudes; `shaft` (C,) numbers the electrode of a channel."""
    sources = len(shaft) + int(shaft.max()) + 2
    drawn = _coloured(random, traits, (sources, samples), rate_hz)
    own, by_shaft, by_all = drawn[: len(shaft)], drawn[len(shaft) : -1], drawn[-1]
    parts = np.sqrt([1.0 - SHARED_BY_SHAFT - SHARED_BY_ALL, SHARED_BY_SHAFT, SHARED_BY_ALL]).tolist()
    mixed = parts[0] * own + parts[1] * by_shaft[shaft] + parts[2] * by_all
    noise: Noise = np.multiply(traits.amplitude.astype(np.float32)[:, None], mixed)
    return noise


def faded(before: Noise, block: Noise) -> Noise:
    """The second half of one block going over into the first half of the next, (C, samples / 2)."""
    half = block.shape[1] // 2
    angle = (np.pi / 2 * np.arange(half) / half).astype(np.float32)
    fading: Noise = before[:, half : 2 * half] * np.cos(angle) + block[:, :half] * np.sin(angle)
    return fading


def hum(traits: SubjectTraits, seconds: npt.NDArray[np.float64], line_hz: float) -> Noise:
    """The mains (C, n) at these times, with a third harmonic, in one phase everywhere."""
    phase = 2 * np.pi * line_hz * seconds
    wave: Noise = (traits.line[:, None] * (np.sin(phase) + 0.3 * np.sin(3 * phase))).astype(np.float32)
    return wave


def _coloured(
    random: np.random.Generator, traits: SubjectTraits, shape: tuple[int, int], rate_hz: float
) -> Noise:
    """Noise of unit variance whose power falls as 1 / f^slope, with a bump at the subject's rhythm."""
    frequency = np.fft.rfftfreq(shape[1], 1.0 / rate_hz)
    bump = RHYTHM_GAIN * np.exp(-0.5 * ((frequency - traits.rhythm_hz) / RHYTHM_WIDTH_HZ) ** 2)
    gain = np.maximum(frequency, LOWEST_HZ) ** (-traits.slope / 2) * (1.0 + bump)
    gain[0] = 0.0
    gain /= np.sqrt(2 * (gain**2).sum() / shape[1] ** 2) * np.sqrt(shape[1])
    white = random.standard_normal(shape, dtype=np.float32)
    spectrum = np.fft.rfft(white, axis=1) * gain.astype(np.float32)
    coloured: Noise = np.asarray(np.fft.irfft(spectrum, shape[1], axis=1), dtype=np.float32)
    return coloured

"""A score every five seconds from frames as they come.

Each complete segment is embedded once, joins the context and is scored: P(seizure) = softmax(logits)[1], at
the time of the segment's end, from nothing later. There is no score, and a reason, where too many channels
or too much of the past is missing, after a pause until there is a past again, and where the network gives
no number. So a stream that is cut off is never calm. Memory is constant: one segment of samples and the
context.

How frames were cut does not matter: the same samples give the same bits in frames of any length, at once or
live, on one machine with one number of threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import torch
from torch import Tensor, nn

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.score import Score, ScoreStatus
from models.clinical.segmenter import Refused, Segment, Segmenter
from models.mvpa.config import RATE_HZ
from models.mvpa.context import Context, Entered
from models.mvpa.network import MVPFormer
from models.seizure import SegmentScore

_NAMED = 4  # missing channels that a reason lists


@dataclass(frozen=True)
class DetectorConfig:
    """When a score means something.

    `context` segments, the present one included, that the network reads; `fewest_segments` of them and
    `fewest_share` of the channels of each that must be there; `threshold` from which a score counts towards
    an alarm. Raises InvalidInput where these cannot be.
    """

    context: int = 25  # about two minutes: what the benchmark holds in real time on one core
    fewest_segments: int = 6  # half a minute
    fewest_share: float = 0.5
    rate_hz: float = RATE_HZ
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 1 <= self.fewest_segments <= self.context:
            raise InvalidInput(
                f"fewest_segments = {self.fewest_segments} must be 1 to {self.context}, the context",
                value=self.fewest_segments,
                bound=f"1 to {self.context}",
            )
        if not 0.0 < self.fewest_share <= 1.0:
            raise InvalidInput(
                f"fewest_share = {self.fewest_share} must be above 0 and at most 1",
                value=self.fewest_share,
                bound="(0, 1]",
            )
        if not 0.0 < self.threshold <= 1.0:
            raise InvalidInput(
                f"threshold = {self.threshold} must be above 0 and at most 1",
                value=self.threshold,
                bound="(0, 1]",
            )


class Detector:
    """One stream scored by one network with a classifier head."""

    name = "mvpa"

    def __init__(self, model: MVPFormer, config: DetectorConfig | None = None) -> None:
        self.model, self.config = model.eval(), config or DetectorConfig()
        if model.classifier is None:
            raise InvalidInput("a detector needs a classifier head", value=None, bound="a classifier head")
        if self.config.context > model.config.positions:
            raise InvalidInput(
                f"a context of {self.config.context} segments; this network takes {model.config.positions}",
                value=self.config.context,
                bound=f"<= {model.config.positions} segments",
            )
        self._segmenter = Segmenter(model.config.segment_samples, self.config.rate_hz, model.config.channels)
        self._context = Context(self.config.context)
        self._forecast: dict[str, Tensor] = {}  # of the next segment: an embedding (D,) a channel

    @property
    def rate_hz(self) -> float:
        """The rate at which frames must come."""
        return self.config.rate_hz

    @cached_property
    def version(self) -> str:
        """A hash of configuration and weights."""
        digest = hashlib.sha256(repr((self.model.config, self.config)).encode())
        for name, value in sorted(self.model.state_dict().items()):
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    @property
    def threshold(self) -> float:
        """The score from which a segment counts towards an alarm."""
        return self.config.threshold

    def feed(self, frame: Frame) -> list[Score]:
        """The scores of the segments that `frame` completes.

        Raises InvalidInput where the frame is refused, see `Segmenter.feed`; the stream goes on without it.
        """
        return [self._score(segment) for segment in self._segmenter.feed(frame)]

    def advance(self, now: datetime) -> list[Score]:
        """No score, and the reason, for each segment that is over by `now` though its samples never came."""
        return [self._score(segment) for segment in self._segmenter.advance(now)]

    @property
    def refused(self) -> tuple[Refused, ...]:
        """Frames that were held because of their clocks, and that the newest call refused after all."""
        return self._segmenter.refused

    def give_up(self) -> None:
        """Refuse frames that are still held: none follows."""
        self._segmenter.give_up()

    def run(self, frames: Iterable[Frame]) -> Iterator[Score]:
        """The scores of a whole recording, as the bedside would have seen them."""
        for frame in frames:
            yield from self.feed(frame)
            yield from self.advance(frame.start)  # a recording's clock is right: no frame is held

    def _score(self, segment: Segment) -> Score:
        if segment.restarted:
            self._context.clear()
            self._forecast.clear()
        present = _present(segment)
        try:
            self._remember(segment, present)
            surprise = self._surprise(segment, present)
            lacking = self._lacking(segment, present)
            if lacking:
                return Score(segment.end, None, ScoreStatus.INDETERMINATE, lacking)
            value = self._probability()
        except Exception as error:  # whatever a network does, the next segment is scored
            return Score(segment.end, None, ScoreStatus.ABSENT, f"the network failed: {error}")
        if not 0.0 <= value <= 1.0:
            return Score(segment.end, None, ScoreStatus.ABSENT, "the network gave no number")
        return SegmentScore(segment.end, value, ScoreStatus.PRESENT, surprise=surprise)

    def _remember(self, segment: Segment, present: Tensor) -> None:
        """Embed a segment, where the weights are; one that cannot be is missing in the context."""
        device, missing = self.model.positional_embedding.weight.device, ~present
        try:
            with torch.inference_mode():
                values = torch.from_numpy(segment.values).to(device)[None, None]
                tokens = self.model.enter(self.model.embed(values, missing.to(device)[None, None]))[0, 0]
        except Exception:
            self._forget(segment)
            raise
        self._context.append(Entered(segment.channels, tokens, present.to(device)))

    def _forget(self, segment: Segment) -> None:
        """Keep the place of a segment that could not be embedded: those before it are as far away as ever."""
        self._forecast.clear()
        if len(self._context):
            newest, count = self._context.newest, len(segment.channels)
            tokens = newest.tokens.new_zeros(count, newest.tokens.shape[1])
            present = newest.present.new_zeros(count)
            self._context.append(Entered(segment.channels, tokens, present))

    def _surprise(self, segment: Segment, present: Tensor) -> tuple[tuple[str, float], ...]:
        """1 - cosine of forecast and embedding for each channel that has both; the forecast is used up."""
        forecast, self._forecast = self._forecast, {}
        names = [
            name
            for name, has in zip(segment.channels, present.tolist(), strict=True)
            if has and name in forecast
        ]
        if not names:
            return ()
        rows = [segment.channels.index(name) for name in names]
        came = self._context.newest.tokens[rows, : self.model.config.width]
        expected = torch.stack([forecast[name] for name in names])
        far = 1.0 - nn.functional.cosine_similarity(expected, came, dim=-1).double()
        return tuple(zip(names, far.clamp(0.0, 2.0).tolist(), strict=True))

    def _lacking(self, segment: Segment, present: Tensor) -> str:
        """Why there can be no score, or nothing."""
        share = self.config.fewest_share
        if float(present.float().mean()) < share:
            absent = [name for name, has in zip(segment.channels, present.tolist(), strict=True) if not has]
            named = ", ".join(absent[:_NAMED]) + (", ..." if len(absent) > _NAMED else "")
            return f"{len(absent)} of {len(segment.channels)} channels without signal: {named}"
        known = self._context.known(share)
        if known < self.config.fewest_segments:
            return f"{known} of the {self.config.fewest_segments} segments that a score needs"
        return ""

    def _probability(self) -> float:
        layout = self._context.layout()
        with torch.inference_mode():
            last = self.model.transform_entered(layout.tokens, layout.missing, asked=1)[:, 0]  # (1, C, D)
            logits = self.model.classify_last(last, layout.missing)
            if self.model.generative is not None:
                newest = self._context.newest
                expected = self.model.generative(last[0])[newest.present]
                there = [
                    name for name, has in zip(newest.channels, newest.present.tolist(), strict=True) if has
                ]
                self._forecast = dict(zip(there, expected, strict=True))
        return float(torch.softmax(logits.double(), dim=-1)[0, 1])


def _present(segment: Segment) -> Tensor:
    """Which channels (C,) the segment has, on the processor: all samples there, and not all alike."""
    values = torch.from_numpy(segment.values)
    return torch.isfinite(values).all(-1) & (values.amax(-1) > values.amin(-1))

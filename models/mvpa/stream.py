"""A detector beside the one who sends: a bounded queue in between, nothing dropped in silence.

    source --put--> [ at most `frames` frames ] --> detector --> [ at most `outcomes` ] --> reader

Whoever sends faster than the network scores waits in `put`, or is told by `offer` that there is no room. If
nobody reads the outcomes the detector waits too, so memory never grows.

Latency: a segment's score is ready at most (the frames waiting before its last one x cost of a frame) + one
segment's cost after its last frame was taken. With frames of f seconds and c seconds of computation a segment
(c < 5, else it is not real time) that is at most (`frames` f / 5 + 2) c: with the defaults, frames of 1 s and
c = 4 s, 15 s at worst, and c where nothing waits. `slowest_seconds` is c as it was.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TypeVar

from models.clinical.errors import InvalidInput
from models.clinical.frames import Frame
from models.clinical.score import Score
from models.clinical.segmenter import Refused
from models.mvpa.detector import Detector

FRAMES, OUTCOMES = 8, 256
_GLANCE_SECONDS = 0.05  # how often a wait looks whether the stream was closed


Outcome = Score | Refused
Item = TypeVar("Item")


class DetectorStream:
    """Feeds a detector in a thread of its own; use it in a `with` block, or `close` it."""

    def __init__(self, detector: Detector, *, frames: int = FRAMES, outcomes: int = OUTCOMES) -> None:
        if frames < 1 or outcomes < 1:
            raise InvalidInput("a queue holds at least 1", value=min(frames, outcomes), bound=">= 1")
        self._detector = detector
        self._frames: queue.Queue[Frame | None] = queue.Queue(frames)
        self._outcomes: queue.Queue[Outcome | None] = queue.Queue(outcomes)
        self._closed, self._finished = threading.Event(), threading.Event()
        self.slowest_seconds = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def offer(self, frame: Frame) -> bool:
        """Hand over a frame if there is room; False where there is none and the frame stays the caller's."""
        self._check_open()
        try:
            self._frames.put_nowait(frame)
        except queue.Full:
            return False
        return True

    def put(self, frame: Frame) -> None:
        """Hand over a frame, waiting for room. Raises InvalidInput where the stream is closed or finished."""
        while not self.offer(frame):
            self._closed.wait(_GLANCE_SECONDS)

    def finish(self) -> None:
        """Say that no frame follows: `outcomes` ends after the last."""
        self._check_open()
        self._finished.set()
        self._hand(self._frames, None)

    def outcomes(self) -> Iterator[Outcome]:
        """Scores and refused frames in order, until the stream is finished or closed."""
        while True:
            try:
                outcome = self._outcomes.get(timeout=_GLANCE_SECONDS)
            except queue.Empty:
                if self._closed.is_set():
                    return
                continue
            if outcome is None:
                return
            yield outcome

    def close(self) -> None:
        """Stop; what still waits is dropped, which the caller chose."""
        self._closed.set()
        self._thread.join()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise InvalidInput("the stream is closed", value="closed", bound="open")
        if self._finished.is_set():
            raise InvalidInput("the stream is finished", value="finished", bound="open")

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                frame = self._frames.get(timeout=_GLANCE_SECONDS)
            except queue.Empty:
                continue
            for outcome in self._outcomes_of(frame):
                self._hand(self._outcomes, outcome)
            if frame is None:
                return

    def _outcomes_of(self, frame: Frame | None) -> list[Outcome | None]:
        if frame is None:
            self._detector.give_up()
            return [*self._detector.refused, None]
        start = time.perf_counter()
        try:
            scores = self._detector.feed(frame)
        except InvalidInput as error:
            return [Refused(frame.start, str(error))]
        except Exception as error:  # whatever one frame does, nobody waits for ever and the next is taken
            return [Refused(frame.start, f"{type(error).__name__}: {error}")]
        self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - start)
        return [*self._detector.refused, *scores]

    def _hand(self, to: queue.Queue[Item], item: Item) -> None:
        """Wait for room, unless the stream is closed meanwhile."""
        while not self._closed.is_set():
            try:
                to.put(item, timeout=_GLANCE_SECONDS)
            except queue.Full:
                continue
            return

"""The service's time: the wall clock, or for demonstrations a clock that starts elsewhere and runs faster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from service.settings import Settings


def wall_now() -> datetime:
    """The wall clock in UTC: leases and heartbeats use it whatever the service clock shows."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """The service clock: at wall instant `anchor` it shows `start`, and it runs at `speed`.

    Without `start` it is the wall clock. Two processes with equal settings show equal times.
    """

    start: datetime | None = None
    anchor: datetime | None = None
    speed: float = 1.0

    @classmethod
    def of(cls, settings: Settings) -> Clock:
        """The clock these settings describe."""
        return cls(settings.clock_start, settings.clock_anchor, settings.clock_speed)

    @property
    def simulated(self) -> bool:
        """Whether this is not the wall clock."""
        return self.start is not None

    def at(self, wall: datetime) -> datetime:
        """What this clock shows at wall instant `wall`: start + speed (wall - anchor)."""
        if self.start is None or self.anchor is None:
            return wall
        return self.start + self.speed * (wall - self.anchor)

    def now(self) -> datetime:
        """The service's current time, UTC."""
        return self.at(wall_now())

"""The service's public HTTP API as a bedside gateway uses it: patient with outages, never in doubt.

Every request may be repeated, because the API is idempotent: a row that was stored before the connection
broke comes back as a duplicate. So a failure that may pass is retried until `patience` is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from urllib.parse import quote

import httpx

from models.clinical.errors import EarlyWarningError
from pipelines.bedside import BedsideStay, Reading

TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0


class ServiceUnreachable(EarlyWarningError):
    """The service did not answer, or only with failures, for as long as patience lasted."""


class ServiceRefused(EarlyWarningError):
    """The service understood a request and refused it; `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class ServiceTime:
    """The service clock as read from it: never later than the service's own `now`, see `at`."""

    now: datetime
    speed: float
    simulated: bool
    read_at: float

    def at(self, monotonic_seconds: float) -> datetime:
        """What the service clock shows at least, at a reading of this process's monotonic clock."""
        return self.now + self.speed * timedelta(seconds=monotonic_seconds - self.read_at)


@dataclass(frozen=True)
class RowVerdict:
    """What became of one row: `status` is accepted, corrected, withdrawn, duplicate or rejected."""

    status: str
    reason: str = ""
    detail: str = ""


class ServiceClient:
    """Posts stays and observations over one kept connection, closed by `with`.

    `on_trouble` hears why it waits.
    """

    def __init__(
        self,
        http: httpx.Client,
        patience: timedelta = timedelta(minutes=5),
        on_trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._http = http
        self._patience_seconds = patience.total_seconds()
        self._on_trouble = on_trouble

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post_stay(self, stay: BedsideStay, discharged_at: datetime | None = None) -> None:
        """Announce a stay, or its discharge. Raises ServiceRefused, ServiceUnreachable."""
        self._request("POST", "/v1/stays", stay_body(stay, discharged_at))

    def post_readings(self, rows: Sequence[tuple[str, Reading]]) -> list[RowVerdict]:
        """Post (stay id, reading) rows in one request: a verdict for each, in order."""
        body = {"observations": [reading_body(stay_id, reading) for stay_id, reading in rows]}
        answer = self._request("POST", "/v1/observations", body)
        verdicts = [
            RowVerdict(row["status"], row.get("reason") or "", row.get("detail") or "")
            for row in answer["rows"]
        ]
        if len(verdicts) != len(rows):
            raise ServiceRefused(f"{len(rows)} rows posted, {len(verdicts)} answered", httpx.codes.OK)
        return verdicts

    def post_segments(self, stay_id: str, body: Mapping[str, object]) -> list[str]:
        """Post scores of a live recording's segments: what became of each, in order.

        Accepted, duplicate, conflict (another score stands) or rejected. Raises ServiceRefused,
        ServiceUnreachable.
        """
        answer = self._request("POST", f"/v1/stays/{quote(stay_id, safe='')}/segment-scores", body)
        return [one["status"] for one in answer["segments"]]

    def time(self) -> ServiceTime:
        """The service clock. Read after the answer has come, so that it is never ahead."""
        answer = self._request("GET", "/v1/stays", None)
        clock = answer["clock"]
        now = datetime.fromisoformat(answer["now"])
        return ServiceTime(now, float(clock["speed"]), bool(clock["simulated"]), time.monotonic())

    def _request(self, method: str, path: str, body: Mapping[str, object] | None) -> dict[str, Any]:
        """Send until it is answered with success or refusal, waiting twice as long after each failure."""
        gives_up = time.monotonic() + self._patience_seconds
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                response = self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                if not _may_pass(response):
                    return _answer(response)
                trouble = f"{response.status_code} {response.reason_phrase}"
                wait = max(wait, _retry_after(response))
            if time.monotonic() + wait > gives_up:
                raise ServiceUnreachable(f"{method} {self._http.base_url}{path}: {trouble}")
            self._on_trouble(f"{trouble}; trying again in {wait:.1f} s")
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def stay_body(stay: BedsideStay, discharged_at: datetime | None = None) -> dict[str, object]:
    """The stay as `POST /v1/stays` takes it."""
    return {
        "stay_id": stay.stay_id,
        "subject_id": stay.subject_id,
        "admitted_at": stay.admitted_at.isoformat(),
        "bed": stay.bed,
        "care_unit": stay.care_unit,
        "age_years": stay.age_years,
        "sex": stay.sex,
        "hospital_admitted_at": _text(stay.hospital_admitted_at),
        "discharged_at": _text(discharged_at),
        "synthetic": stay.synthetic,
    }


def reading_body(stay_id: str, reading: Reading) -> dict[str, object]:
    """The reading as a row of `POST /v1/observations`; floats survive JSON bit for bit."""
    named = {"identifier": reading.identifier, "status": str(reading.status)} if reading.identifier else {}
    return {
        "stay_id": stay_id,
        "time": reading.time.isoformat(),
        "known_at": reading.known_at.isoformat(),
        "variable": reading.variable,
        "value": reading.value,
        "unit": reading.unit,
        **named,
    }


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _may_pass(response: httpx.Response) -> bool:
    return response.status_code == TOO_MANY_REQUESTS or response.status_code >= SERVER_ERROR


def _retry_after(response: httpx.Response) -> float:
    """Seconds the service asks to wait; its other form, a date, is left to our own waiting."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _answer(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise ServiceRefused(
            f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:500]}",
            response.status_code,
        )
    answer: dict[str, Any] = response.json()
    return answer

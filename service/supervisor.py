"""The demonstration ward of `make run`: web, worker, replay and a seizure detector as child processes on an
embedded database.

The service clock is simulated: it starts at the wall clock's time and runs faster. Replay fills the beds with
simulated people, or with past records moved to today, and goes on as that clock runs. The detector watches
beds with simulated intracranial EEG.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from models.clinical.errors import EarlyWarningError
from service.children import Child, Say, stop_signals, supervise

HOST = "127.0.0.1"
PORTS_TRIED = 50
LOOK_EVERY_SECONDS = 1.0
RECORDED_BEDS = 2  # with simulated intracranial EEG, beside the others


class NoFreePort(EarlyWarningError):
    """Every port that was tried is taken by another program."""


@dataclass(frozen=True)
class Demonstration:
    """What is shown: `data` is a CinC 2019 zip or folder, None for simulated people."""

    data: Path | None = None
    beds: int = 24
    # an hour in thirty seconds: onsets come within minutes, one core keeps up with scoring 24 beds, and an
    # acknowledgement of four hours lasts two minutes
    clock_speed: float = 120.0
    port: int = 8000
    var: Path = Path("var")


def run(demonstration: Demonstration, say: Say) -> None:
    """Show the ward until Ctrl-C or SIGTERM; `say` hears what goes on, a line at a time.

    Raises NoFreePort, or ChildFailed when a process crashes again and again.
    """
    started = datetime.now(UTC)
    folder = demonstration.var / f"demo-{started:%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True)
    port = free_port(demonstration.port)
    if port != demonstration.port:
        say(f"port {demonstration.port} is taken by another program: using {port}")
    url = f"http://{HOST}:{port}"
    environment = _environment(demonstration, folder, started, port)
    children = [
        Child(name, [sys.executable, "-m", "prodrome", *command], environment, folder / f"{name}.log")
        for name, command in _commands(demonstration, url, started).items()
    ]
    for line in _introduction(demonstration, folder):
        say(line)
    with stop_signals() as stop, httpx.Client(base_url=url, timeout=5.0) as http:
        supervise(children, stop, say, each_round=_Announcer(http, say).look)
    say("stopped")


def free_port(first: int) -> int:
    """The first port from `first` on that nobody listens on. Raises NoFreePort naming the range."""
    last = min(first + PORTS_TRIED, 65536)
    for port in range(first, last):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise NoFreePort(f"ports {first} to {last - 1} on {HOST} are all taken: free one or choose another")


def _environment(demonstration: Demonstration, folder: Path, started: datetime, port: int) -> dict[str, str]:
    return {
        "PRODROME_DATABASE_URL": f"sqlite:///{(folder / 'prodrome.db').resolve()}",
        "PRODROME_HOST": HOST,
        "PRODROME_PORT": str(port),
        "PRODROME_SCORING_URL": f"http://{HOST}:{free_port(port + 1)}",
        "PRODROME_CLOCK_START": started.isoformat(),
        "PRODROME_CLOCK_ANCHOR": started.isoformat(),
        "PRODROME_CLOCK_SPEED": repr(demonstration.clock_speed),
    }


def _commands(demonstration: Demonstration, url: str, started: datetime) -> dict[str, list[str]]:
    """Arguments of the command line. Replay is told the start, so that after a crash it sends the same."""
    source = ["simulate"] if demonstration.data is None else ["cinc2019", str(demonstration.data)]
    beds = ["--url", url, "--beds", str(demonstration.beds), "--start", started.isoformat()]
    watch = ["watch-recordings", "--url", url, "--start", started.isoformat()]
    return {
        "web": ["serve"],
        "worker": ["worker"],
        "replay": ["replay", *source, *beds],
        "recordings": [*watch, "--beds", str(RECORDED_BEDS)],
    }


def _introduction(demonstration: Demonstration, folder: Path) -> list[str]:
    if demonstration.data is None:
        what = f"SYNTHETIC: {demonstration.beds} beds of simulated people; nobody on this board exists."
    else:
        what = (
            f"PAST RECORDS: {demonstration.data} replayed into {demonstration.beds} beds as if it were today."
        )
    seconds = 3600 / demonstration.clock_speed
    return [
        what,
        f"SIMULATED CLOCK: one hour passes in {seconds:g} s.",
        f"SYNTHETIC: {RECORDED_BEDS} beds more with simulated intracranial EEG.",
        "Not a certified medical device. Database and logs: " + str(folder),
    ]


class _Announcer:
    """Says once when the board is up, when scoring has begun and when the first alert is there."""

    def __init__(self, http: httpx.Client, say: Say) -> None:
        self._http = http
        self._say = say
        self._began = self._looked = time.monotonic()
        self._awaited: list[tuple[str, Callable[[httpx.Response], str]]] = [
            ("/health/live", lambda _: f"the board is at {http.base_url}  (Ctrl-C stops everything)"),
            ("/health/ready", lambda _: "the worker is ready and scores"),
            ("/v1/alerts", _first_alert),
        ]

    def look(self) -> None:
        """Ask for what is awaited next, at most once a second; trouble is only a reason to ask again."""
        now = time.monotonic()
        if not self._awaited or now - self._looked < LOOK_EVERY_SECONDS:
            return
        self._looked = now
        path, announcement = self._awaited[0]
        try:
            response = self._http.get(path)
        except httpx.TransportError:
            return
        text = announcement(response) if response.is_success else ""
        if text:
            self._say(f"{now - self._began:4.0f} s  {text}")
            del self._awaited[0]


def _first_alert(response: httpx.Response) -> str:
    alerts = response.json()["alerts"]
    if not alerts:
        return ""
    alert = alerts[0]
    return f"first alert: bed {alert['bed']}, {alert['condition_name']} {alert['value']:.2f}"

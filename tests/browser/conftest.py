"""A real service (web and worker as processes on a temporary database) and a real Chromium.

`service` is shared by a whole session: tests use beds of their own. `own_service` may be stopped and started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.ports import HOST, free_port

PATIENCE_SECONDS = 90.0  # a busy machine starts two Python processes slowly
EXPECT_MS = 20_000.0
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]

# NEWS2 points: none, and 3 + 3 + 2 + 2 of 20
CALM = {
    "heart_rate": (72, "1/min"),
    "respiratory_rate": (15, "1/min"),
    "systolic_pressure": (122, "mmHg"),
    "oxygen_saturation": (97, "%"),
    "temperature": (36.8, "degC"),
}
SICK = {
    "heart_rate": (124, "1/min"),
    "respiratory_rate": (29, "1/min"),
    "systolic_pressure": (84, "mmHg"),
    "oxygen_saturation": (96, "%"),
    "temperature": (39.4, "degC"),
}
Readings = dict[str, tuple[float, str]]


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until `true`, or fail naming what was awaited."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, f"waited {PATIENCE_SECONDS:g} s for {what}"
        time.sleep(0.1)


@dataclass
class Service:
    """Web and worker as an operator starts them, and the public API to put data in."""

    folder: Path
    port: int = field(default_factory=free_port)
    scoring_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self, command: str) -> None:
        """Start `serve` or `worker`."""
        settings = {
            "PRODROME_DATABASE_URL": f"sqlite:///{self.folder / 'ward.db'}",
            "PRODROME_PORT": str(self.port),
            "PRODROME_SCORING_URL": f"http://{HOST}:{self.scoring_port}",
            "PRODROME_MODEL": "news2",
        }
        with (self.folder / f"{command}.log").open("ab") as log:
            self.processes[command] = subprocess.Popen(
                [sys.executable, "-m", "prodrome", command],
                env=os.environ | settings,
                stdout=log,
                stderr=log,
            )

    def stop(self, command: str) -> None:
        process = self.processes.pop(command)
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)

    def is_ready(self) -> bool:
        return self._answers("/health/ready")

    def is_live(self) -> bool:
        return self._answers("/health/live")

    def _answers(self, path: str) -> bool:
        try:
            return httpx.get(f"{self.url}{path}").is_success
        except httpx.TransportError:
            return False

    def post(self, path: str, body: object) -> Any:
        response = httpx.post(f"{self.url}/v1/{path}", json=body, timeout=PATIENCE_SECONDS)
        response.raise_for_status()
        return response.json()

    def admit(self, bed: str, hours_ago: float = 4, synthetic: bool = False, unit: str = "4B") -> str:
        """A stay in `bed`, admitted so that its last grid hour was ten minutes ago."""
        admitted_at = datetime.now(UTC) - timedelta(hours=hours_ago, minutes=10)
        self.post(
            "stays",
            {
                "stay_id": f"stay-{bed}",
                "subject_id": f"subject-{bed}",
                "admitted_at": admitted_at.isoformat(),
                "bed": bed,
                "care_unit": unit,
                "age_years": 64,
                "sex": "female",
                "synthetic": synthetic,
            },
        )
        return f"stay-{bed}"

    def observe(self, stay: str, readings: Readings, minutes_ago: float = 12) -> None:
        """Readings that became known at once; twelve minutes ago is before the last grid hour."""
        self.post("observations", {"observations": observations(stay, readings, minutes_ago)})

    def tiles(self) -> list[Any]:
        tiles: list[Any] = httpx.get(f"{self.url}/v1/stays", timeout=PATIENCE_SECONDS).json()["stays"]
        return tiles

    def tile(self, stay: str) -> Any:
        return next(tile for tile in self.tiles() if tile["stay_id"] == stay)

    def wait_scored(self, stay: str) -> None:
        until(lambda: self.tile(stay)["score"]["value"] is not None, f"a score of {stay}")


def observations(stay: str, readings: Readings, minutes_ago: float) -> list[dict[str, object]]:
    """The rows of `readings` for `POST /v1/observations`."""
    time_text = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()
    row = {"stay_id": stay, "time": time_text, "known_at": time_text}
    return [
        row | {"variable": name, "value": value, "unit": unit} for name, (value, unit) in readings.items()
    ]


def _running(folder: Path) -> Iterator[Service]:
    service = Service(folder)
    try:
        service.start("serve")
        service.start("worker")
        until(service.is_ready, f"the service; its logs are in {folder}")
        yield service
    finally:
        for command in list(service.processes):
            service.stop(command)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from _running(tmp_path_factory.mktemp("ward"))


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    yield from _running(tmp_path)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser; skips where there is none."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no chromium on this machine: make browser installs one")
    expect.set_options(timeout=EXPECT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


class Desk:
    """Opens pages of the board in a browser that knows somebody's initials, and listens to the console."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def open(self, url: str, initials: str = "JK", width: int = 1280, height: int = 720, **more: Any) -> Page:
        """A page at `url` in a browser of its own; `more` goes to the browser context."""
        context = self._browser.new_context(viewport={"width": width, "height": height}, **more)
        self._contexts.append(context)
        remembered = f'localStorage.setItem("prodrome.board", JSON.stringify({{initials: "{initials}"}}))'
        context.add_init_script(f'localStorage.getItem("prodrome.board") ?? {remembered}')
        page = context.new_page()
        page.set_default_timeout(EXPECT_MS)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        return page

    def _listen(self, message: ConsoleMessage) -> None:
        # the rules have no posterior: the board asks once and shows the points alone
        expected = "/posterior" in message.location.get("url", "")
        if message.type in {"error", "warning"} and not expected:
            self.complaints.append(message.text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def desk(chromium: Browser) -> Iterator[Desk]:
    """Pages without a single complaint: script errors, blocked by the Content-Security-Policy, not found."""
    desk = Desk(chromium)
    yield desk
    desk.close()
    assert desk.complaints == []


@pytest.fixture
def desk_with_trouble(chromium: Browser) -> Iterator[Desk]:
    """Pages that are expected to complain: their service is stopped or refuses."""
    desk = Desk(chromium)
    yield desk
    desk.close()


def screenshot(page: Page, name: str) -> None:
    """Keep a picture to look at."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")

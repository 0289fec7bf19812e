"""`prodrome run` as a person starts it: a live ward with an alert, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.ports import HOST, free_port

SECONDS = 100.0  # the promise is two minutes


class Run:
    """The command and what it has printed so far."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prodrome", "run", "--port", str(self.port), "--beds", "4", *options],
            cwd=folder,
            env={**os.environ, "PRODROME_MODEL": "news2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(output)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def board(self) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = httpx.get(f"http://{HOST}:{self.port}/v1/stays").json()
        return found

    def wait_for(self, done: Callable[[], bool]) -> None:
        gives_up = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < gives_up, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.2)


@pytest.fixture
def stopped() -> Iterator[list[Run]]:
    """Whatever a test starts is stopped with it."""
    runs: list[Run] = []
    yield runs
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(20)


def test_a_live_ward_with_an_alert_that_stops_cleanly(tmp_path: Path, stopped: list[Run]) -> None:
    run = Run(tmp_path)
    stopped.append(run)
    run.wait_for(lambda: "first alert" in run.text)
    assert "SYNTHETIC: 4 beds of simulated people" in run.text
    assert f"http://{HOST}:{run.port}" in run.text
    before = run.board()["stays"]
    assert all(tile["synthetic"] for tile in before)
    assert {tile["bed"] for tile in before} <= {"01", "02", "03", "04", "E1", "E2"}
    run.wait_for(lambda: run.board()["stays"] != before)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(20) == 0
    assert run.text.endswith("stopped\n")
    with pytest.raises(httpx.ConnectError):
        run.board()


@pytest.mark.data
def test_a_live_ward_of_past_records(tmp_path: Path, data_folder: Path, stopped: list[Run]) -> None:
    run = Run(tmp_path, "--data", str(data_folder / "icu" / "cinc2019" / "training_setA.zip"))
    stopped.append(run)
    run.wait_for(lambda: "first alert" in run.text)
    assert "PAST RECORDS" in run.text
    assert all(tile["synthetic"] is (tile["bed"] in {"E1", "E2"}) for tile in run.board()["stays"])
    run.process.terminate()
    assert run.process.wait(20) == 0

"""The supervisor: real child processes that run, crash, refuse to stop, and a port that is taken."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.children import Child, ChildFailed, Patience, stop_signals, supervise
from service.clock import Clock
from service.settings import Settings
from service.supervisor import (
    HOST,
    PORTS_TRIED,
    Demonstration,
    NoFreePort,
    _commands,
    _environment,
    _introduction,
    free_port,
)

QUICK = Patience(first_wait_seconds=0.1, crashes=3, grace_seconds=0.5)
SLEEP = "import time; time.sleep(60)"


def child(folder: Path, script: str, name: str = "worker") -> Child:
    return Child(name, [sys.executable, "-c", script], {"PRODROME_MODEL": "news2"}, folder / f"{name}.log")


def stop_when(stop: threading.Event, done: Callable[[], bool]) -> Callable[[], None]:
    """For `each_round`: stop when `done`, or after 20 s, so that no failure hangs."""
    gives_up = time.monotonic() + 20

    def look() -> None:
        if done() or time.monotonic() > gives_up:
            stop.set()

    return look


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_children_run_until_stopped_and_are_gone_then(tmp_path: Path) -> None:
    stop, said = threading.Event(), list[str]()
    children = [child(tmp_path, SLEEP, "web"), child(tmp_path, SLEEP)]
    pids: list[int] = []

    def running() -> bool:
        pids[:] = [child.pid for child in children if child.pid]
        return len(pids) == len(children)

    supervise(children, stop, said.append, QUICK, stop_when(stop, running))
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)
    assert said == []


def test_a_crashed_child_is_started_again_with_its_environment(tmp_path: Path) -> None:
    again = tmp_path / "again"
    script = f"""
import os, pathlib, sys, time
if not pathlib.Path({str(again)!r}).exists():
    pathlib.Path({str(again)!r}).write_text(os.environ["PRODROME_MODEL"])
    sys.exit(3)
print("up", flush=True)
time.sleep(60)
"""
    stop, said = threading.Event(), list[str]()
    log = tmp_path / "worker.log"
    up = stop_when(stop, lambda: log.exists() and "up" in log.read_text())
    supervise([child(tmp_path, script)], stop, said.append, QUICK, up)
    assert again.read_text() == "news2"
    assert said[0].startswith("worker ended with status 3; starting it again in 0.1 s")
    assert "up" in log.read_text()


def test_a_child_that_crashes_on_fails_clearly_and_takes_the_others_along(tmp_path: Path) -> None:
    stop, said = threading.Event(), list[str]()
    web = child(tmp_path, SLEEP, "web")
    with pytest.raises(ChildFailed, match=r"(?s)worker ended with status 1, 3 times in a row.*no such table"):
        supervise([web, child(tmp_path, "raise SystemExit('no such table')")], stop, said.append, QUICK)
    assert web.pid is None
    assert len(said) == 2


def test_a_child_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    stop, said = threading.Event(), list[str]()
    deaf = child(
        tmp_path, "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True)\n" + SLEEP
    )
    hears = stop_when(stop, lambda: deaf.log.exists() and "deaf" in deaf.log.read_text())
    supervise([deaf], stop, said.append, QUICK, hears)
    assert said == ["worker did not stop within 0.5 s and was killed"]
    assert deaf.pid is None


def test_a_child_that_ends_well_is_left_alone(tmp_path: Path) -> None:
    stop, said = threading.Event(), list[str]()
    replay = child(tmp_path, "print('once')", "replay")
    supervise([replay], stop, said.append, QUICK, stop_when(stop, lambda: replay.finished))
    assert said == ["replay has finished"]
    assert replay.log.read_text() == "once\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_and_their_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signals() as stop:
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is before


def test_a_taken_port_is_passed_over_and_none_left_is_said() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port(port) <= port + PORTS_TRIED
    with socket.socket() as taken:
        taken.bind((HOST, 65535))
        taken.listen()
        with pytest.raises(NoFreePort, match=r"ports 65535 to 65535 on 127\.0\.0\.1 are all taken"):
            free_port(65535)


def test_all_three_processes_share_one_simulated_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = datetime(2026, 11, 22, 8, tzinfo=UTC)
    for name, value in _environment(Demonstration(), tmp_path, started, 8123).items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert settings.port == 8123
    assert settings.scoring_url.port not in (None, 8123)
    assert settings.database_url == f"sqlite:///{tmp_path / 'prodrome.db'}"
    clock = Clock.of(settings)
    assert clock.simulated
    assert clock.at(started.replace(second=30)) == started.replace(hour=9)


def test_replay_is_told_what_to_send_and_people_are_told_what_they_see(tmp_path: Path) -> None:
    started = datetime(2026, 11, 22, 8, tzinfo=UTC)
    simulated = Demonstration(beds=6)
    assert _commands(simulated, "http://h:1", started)["replay"] == [
        *("replay", "simulate", "--url", "http://h:1", "--beds", "6"),
        *("--start", "2026-11-22T08:00:00+00:00"),
    ]
    assert _introduction(simulated, tmp_path)[0].startswith("SYNTHETIC: 6 beds of simulated people")
    records = Demonstration(data=Path("set_a.zip"))
    assert _commands(records, "http://h:1", started)["replay"][:3] == ["replay", "cinc2019", "set_a.zip"]
    assert _introduction(records, tmp_path)[0].startswith("PAST RECORDS: set_a.zip")
    assert "one hour passes in 30 s" in _introduction(records, tmp_path)[1]
    assert _commands(records, "http://h:1", started)["recordings"] == [
        *("watch-recordings", "--url", "http://h:1"),
        *("--start", "2026-11-22T08:00:00+00:00", "--beds", "2"),
    ]
    assert "2 beds more with simulated intracranial EEG" in _introduction(records, tmp_path)[2]

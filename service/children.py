"""Child processes that are started, watched, started again when they crash, and stopped for good.

Each child has its own session, so that Ctrl-C in a terminal reaches only the parent, which then stops the
children in order. Their output goes to a file each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.clinical.errors import EarlyWarningError

POLL_SECONDS = 0.2
TAIL_LINES = 15

Say = Callable[[str], None]


class ChildFailed(EarlyWarningError):
    """A child process crashed again and again; the message holds the end of its output."""


@dataclass(frozen=True)
class Patience:
    """How a crash is answered: wait, twice as long each time, until it has crashed too often too soon."""

    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 15.0
    crashes: int = 5
    settled_seconds: float = 30.0  # a child that ran this long starts with a clean slate
    grace_seconds: float = 10.0  # between asking a child to stop and killing it


class Child:
    """One child process: `command` is run with `environment` and writes to `log`."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_after = 0.0
        self._crashes = 0
        self.finished = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def watch(self, patience: Patience, say: Say) -> None:
        """Start it if it is time to, and notice when it ended. Raises ChildFailed when it crashes on."""
        if self.finished or self.pid is not None:
            return
        if self._process is None:
            if time.monotonic() >= self._start_after:
                self._start()
            return
        status, self._process = self._process.returncode, None
        if status == 0:
            self.finished = True
            say(f"{self.name} has finished")
        else:
            self._crashed(status, patience, say)

    def ask_to_stop(self) -> None:
        """SIGTERM, if it runs."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def wait_or_kill(self, seconds: float) -> bool:
        """Wait for its end; True if it came by itself, else it is killed."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def _start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 our own command line, no input in it
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started_at = time.monotonic()

    def _crashed(self, status: int, patience: Patience, say: Say) -> None:
        now = time.monotonic()
        settled = now - self._started_at >= patience.settled_seconds
        self._crashes = 1 if settled else self._crashes + 1
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        if self._crashes >= patience.crashes:
            raise ChildFailed(f"{self.name} {how}, {self._crashes} times in a row:\n{tail(self.log)}")
        wait = min(patience.first_wait_seconds * 2 ** (self._crashes - 1), patience.longest_wait_seconds)
        self._start_after = now + wait
        say(f"{self.name} {how}; starting it again in {wait:g} s (its output: {self.log})")


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])


def supervise(
    children: Sequence[Child],
    stop: threading.Event,
    say: Say,
    patience: Patience | None = None,
    each_round: Callable[[], None] = lambda: None,
) -> None:
    """Keep the children running until `stop` is set; stops them all whatever ends it.

    Raises ChildFailed when one crashes again and again.
    """
    patience = patience or Patience()
    try:
        while not stop.wait(POLL_SECONDS):
            for child in children:
                child.watch(patience, say)
            each_round()
    finally:
        stop_all(children, patience.grace_seconds, say)


def stop_all(children: Sequence[Child], grace_seconds: float, say: Say) -> None:
    """Ask every child to stop, last started first, and kill those that have not after `grace_seconds`."""
    for child in reversed(children):
        child.ask_to_stop()
    give_up = time.monotonic() + grace_seconds
    for child in reversed(children):
        if not child.wait_or_kill(give_up - time.monotonic()):
            say(f"{child.name} did not stop within {grace_seconds:g} s and was killed")


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; the handlers before it are put back. Main thread only."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda *_: stop.set())
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

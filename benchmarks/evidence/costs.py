"""What work costs: processor time in turns, and the peak memory of a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time

import numpy as np


def seconds_in_turns(
    works: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = process_time,
) -> dict[str, list[float]]:
    """The seconds of each repeat of each work, after one call each that pays for compilation and caches.

    They take turns, so that whatever else the machine does meets them alike.
    """
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            start = clock()
            work()
            spent[name].append(clock() - start)
    return {name: times[1:] for name, times in spent.items()}


def median_seconds(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median processor time of each work."""
    return {name: float(np.median(times)) for name, times in seconds_in_turns(works, repeats).items()}


def peak_mb() -> float:
    """The peak resident memory of this process in MB; that of getrusage begins with its parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (peak_kb,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(peak_kb) / 1024


def peak_of_process(script: str, *arguments: object) -> float:
    """What `script --in-process arguments`, a process of its own, prints: its peak memory in MB."""
    command = [sys.executable, script, "--in-process", *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

"""Ports for servers that tests start: no two alike, in one process of pytest or in several side by side."""

import itertools
import os
import socket

HOST = "127.0.0.1"
FIRST_PORT = 18_000  # below the range from which systems take ports for outgoing connections
PORTS_PER_PROCESS = 2_000

_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.count(FIRST_PORT + PORTS_PER_PROCESS * _process)


def free_port() -> int:
    """A port nobody listens on and that no other call was given."""
    for port in _ports:
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("itertools.count does not end")

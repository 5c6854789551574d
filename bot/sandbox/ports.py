"""Ports for what the sandbox starts: each process takes them out of a part that no other process has."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle

_FIRST_PORT, _PORTS_EACH, _PARTS = 20_000, 300, 40


def free_port() -> int:
    """A port that is free just now, and that nobody is given unasked before it is used.

    From below the range out of which the kernel gives ports to those who do not care which (Linux: 32768 and up).

    Raises:
        OSError: forty other processes have taken a part each.
    """
    ports = _ports()
    while True:
        port = next(ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@cache
def _ports() -> Iterator[int]:
    """The ports of this process's part, again and again. The part is given back when the process ends."""
    for number in range(os.getpid(), os.getpid() + _PARTS):
        first = _FIRST_PORT + number % _PARTS * _PORTS_EACH
        if _hold(first):
            # Every other one: OpenBao takes the next port as well, for its cluster.
            return cycle(range(first + 2, first + _PORTS_EACH, 2))
    raise OSError("every part of the ports is taken by another process")


def _hold(port: int) -> bool:
    """Whoever holds the first port of a part has the part, until the process ends. False where another has it."""
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return False
    holder.detach()
    return True

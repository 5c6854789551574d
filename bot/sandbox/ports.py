"""Ports for what the sandbox starts: each process takes them out of a part that no other process has."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

_FIRST_PORT, _PORTS_EACH, _PARTS = 20_000, 300, 40


def free_port() -> int:
    """A port that is free just now, and that nobody is given unasked before it is used.

    From below the range out of which the kernel gives ports to those who do not care which (Linux: 32768 and up).

    Raises:
        OSError: forty other processes have taken a part each.
    """
    for port in _ports():
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the ports of a part are given again and again")


@cache
def _ports() -> Iterator[int]:
    """The ports of this process's part, again and again. The part is given back when the process ends."""
    for part in (number % _PARTS for number in range(os.getpid(), os.getpid() + _PARTS)):
        if _take(part):
            begin = _FIRST_PORT + part * _PORTS_EACH
            # Every other one: OpenBao takes the next port as well, for its cluster.
            return cycle(range(begin, begin + _PORTS_EACH, 2))
    raise OSError("every part of the ports is taken by another process")


def _take(part: int) -> bool:
    """Takes a part: a lock on a file that stays open. False where another process has it."""
    try:
        handle = os.open(Path(tempfile.gettempdir()) / f"taskgroup-bot-ports-{part}", os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    return True

"""Free ports for the servers of the sandbox. Each process takes them from a block that no other process uses."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle

# Below the range that the kernel assigns ports from (Linux: 32768 and up).
_FIRST_PORT, _PORTS_PER_BLOCK, _BLOCKS = 20_000, 300, 40


def free_port() -> int:
    """A port that is free, and that no other process of the sandbox or of the tests is given before it is used.

    Raises:
        OSError: other processes hold all 40 blocks.
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
    """The ports of this process's block, endlessly. The block is free again when the process ends."""
    for number in range(os.getpid(), os.getpid() + _BLOCKS):
        first = _FIRST_PORT + number % _BLOCKS * _PORTS_PER_BLOCK
        if _reserve_block(first):
            # Every second port: OpenBao uses the next one as well, for its cluster.
            return cycle(range(first + 2, first + _PORTS_PER_BLOCK, 2))
    raise OSError("every block of ports is taken by another process")


def _reserve_block(first_port: int) -> bool:
    """Reserves a block by binding its first port until the process ends. False if another process has it."""
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", first_port))
    except OSError:
        holder.close()
        return False
    holder.detach()
    return True

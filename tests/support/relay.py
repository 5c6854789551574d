"""A relay that forgets connections, as firewalls and load balancers do with idle ones."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LOOK_SECONDS = 0.02


class Forgetting(Enum):
    """What happens to bytes that arrive on a forgotten connection."""

    #: The sender gets a reset.
    RESET = auto()
    #: They are dropped, and the sender gets nothing.
    SILENT = auto()


class Relay:
    """Relays connections to a port of this machine. Use `relaying` to make one.

    Attributes:
        port: where it listens.
        connections: how many it has accepted so far.
    """

    def __init__(self, port: int, forgetting: Forgetting, idle_seconds: float | None) -> None:
        self._server_port = port
        self._forgetting = forgetting
        self._idle_seconds = idle_seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._known = 0
        self._generation = 0
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        """Forgets all connections that are open now."""
        with self._changed:
            self._generation += 1
        self.wait_until_forgotten()

    def wait_until_forgotten(self) -> None:
        """Waits until the relay has forgotten every connection, or its ends have closed it."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._known == 0, timeout=30)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._changed:
            self._generation += 1

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                self._known += 1
                generation = self._generation
            threading.Thread(target=self._carry, args=(client, generation), daemon=True).start()

    def _carry(self, client: socket.socket, generation: int) -> None:
        with client:
            try:
                is_forgotten = self._relay(client, generation)
            finally:
                with self._changed:
                    self._known -= 1
                    self._changed.notify_all()
            if is_forgotten:
                self._forgotten(client)

    def _relay(self, client: socket.socket, generation: int) -> bool:
        """Relays bytes until one end closes the connection (False) or the relay forgets it (True)."""
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._server_port)) as server,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(client, selectors.EVENT_READ, (client, server))
            selector.register(server, selectors.EVENT_READ, (server, client))
            used_at = time.monotonic()
            while True:
                readable = selector.select(_LOOK_SECONDS)
                if self._generation > generation:
                    return True
                if not readable and self._idle_seconds and time.monotonic() - used_at > self._idle_seconds:
                    return True
                for key, _ in readable:
                    source, target = key.data
                    part = source.recv(65536)
                    if not part:
                        return False
                    target.sendall(part)
                    used_at = time.monotonic()
        return False

    def _forgotten(self, client: socket.socket) -> None:
        with suppress(OSError):
            while client.recv(65536):
                if self._forgetting is Forgetting.RESET:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    return


@contextmanager
def relaying(port: int, forgetting: Forgetting, idle_seconds: float | None = None) -> Iterator[Relay]:
    """Runs a relay to a port of this machine.

    Arguments:
        idle_seconds: the relay forgets a connection that has been idle for longer; None for never.
    """
    relay = Relay(port, forgetting, idle_seconds)
    try:
        yield relay
    finally:
        relay.stop()

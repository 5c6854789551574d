"""Hears that the process is to end, from its first moment, and sees to it that it then ends in time.

How to end well is left to whoever has work in hand; this is for when that hangs.
"""

from __future__ import annotations

import os
import signal
import threading
import time


class Shutdown:
    """Whether SIGTERM or SIGINT came.

    `asked` is set when one did. After another `grace_seconds` the process is ended with 0, whatever hangs; they are
    none until something is in hand.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.grace_seconds = 0.0


def listen_for_signals() -> Shutdown:
    """From now on both signals are heard, once for the process, in its main thread."""
    shutdown = Shutdown()
    heard, signalled = os.pipe()
    os.set_blocking(signalled, False)
    # A handler runs only between two steps of the main thread, which may hang in one: looking up a name, or writing
    # to a log that nobody reads. The interpreter writes to the pipe at once.
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_end, args=(shutdown, heard), name="stopping", daemon=True).start()
    return shutdown


def _end(shutdown: Shutdown, heard: int) -> None:
    os.read(heard, 1)
    shutdown.asked.set()
    time.sleep(shutdown.grace_seconds)
    os._exit(0)

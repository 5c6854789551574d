"""Receives SIGTERM and SIGINT from the first moment of the process, and ends the process in time whatever hangs.

An orderly stop is left to `bot.app`.
"""

from __future__ import annotations

import os
import signal
import threading
import time


class Shutdown:
    """Whether the process was asked to end.

    `asked` is set by SIGTERM or SIGINT. The process then ends with exit code 0 after at most `grace_seconds`, 0 until
    there is work to finish.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.grace_seconds = 0.0


def listen_for_signals() -> Shutdown:
    """Handles SIGTERM and SIGINT from now on. Called once, in the main thread."""
    shutdown = Shutdown()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    # Python runs a signal handler between two steps of the main thread, which can hang in one: in a DNS look-up, or in
    # a write to a full pipe. The interpreter itself writes to this pipe at once.
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_end_process, args=(shutdown, read_end), name="shutdown", daemon=True).start()
    return shutdown


def _end_process(shutdown: Shutdown, read_end: int) -> None:
    os.read(read_end, 1)
    shutdown.asked.set()
    time.sleep(shutdown.grace_seconds)
    os._exit(0)

"""Handles SIGTERM and SIGINT, and ends the process in time even if a thread hangs.

`bot.app` stops the parts of the bot in order.
"""

from __future__ import annotations

import os
import signal
import threading
import time


class Shutdown:
    """Whether the process has to end.

    SIGTERM or SIGINT sets `requested`. The process then ends with exit code 0 after at most `grace_seconds`, which is 0
    until the bot has started.
    """

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.grace_seconds = 0.0


def listen_for_signals() -> Shutdown:
    """Handles SIGTERM and SIGINT from now on. Call it once, in the main thread."""
    shutdown = Shutdown()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    # Python runs a signal handler in the main thread, between two bytecode instructions. The main thread can hang in
    # one, such as a DNS lookup or a write to a full pipe, but the interpreter writes to this pipe without delay.
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_end_process, args=(shutdown, read_end), name="shutdown", daemon=True).start()
    return shutdown


def _end_process(shutdown: Shutdown, read_end: int) -> None:
    os.read(read_end, 1)
    shutdown.requested.set()
    time.sleep(shutdown.grace_seconds)
    os._exit(0)

"""Sets up logging: one handler on stderr that limits floods and removes secrets.

`bot.redaction` finds the secrets.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

from bot.redaction import scrub

# Libraries that log bodies below WARNING.
QUIET_LOGGERS = ("slack_bolt", "slack_sdk", "urllib3", "hvac", "waitress", "websockets", "alembic")


# Loggers that write a line for a request from outside. A sender could fill the log with them.
FLOODED_LOGGERS = frozenset(
    {
        "waitress",
        "waitress.queue",
        "bot.slack.transport",
        "bot.listeners",
        "bot.listeners.receiver",
        "bot.listeners.middleware",
        "bot.listeners.responder",
    }
)
FLOOD_SECONDS = 60.0


class FloodFilter(logging.Filter):
    """Passes one record a minute of each kind of line of `FLOODED_LOGGERS`, and counts the others in the next one.

    Lines of one kind have the same message before its arguments are filled in, and the same type of exception.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # By kind: when the last record passed, and how many have not since then.
        self._passed: dict[tuple[str, str, object], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record. Adds to its message how many were left out before."""
        if record.name not in FLOODED_LOGGERS:
            return True
        kind = (record.name, str(record.msg), record.exc_info and record.exc_info[0])
        now = self._monotonic()
        with self._lock:
            passed_at, left_out = self._passed.get(kind, (-FLOOD_SECONDS, 0))
            if now - passed_at < FLOOD_SECONDS:
                self._passed[kind] = (passed_at, left_out + 1)
                return False
            self._passed[kind] = (now, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out:,} more lines like this were left out)", None
        return True


class LogFilter(logging.Filter):
    """Removes secrets from each record of a handler, and from its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces the message and the traceback of the record. Returns True, so that every record is written."""
        record.msg, record.args = scrub(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = scrub(logging.Formatter().formatException(record.exc_info))
        elif record.exc_text:
            record.exc_text = scrub(record.exc_text)
        return True


def set_up_logging(level: str) -> None:
    """Logs to stderr from this level on, and from WARNING on for libraries that log bodies.

    Arguments:
        level: DEBUG, INFO, WARNING or ERROR.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(FloodFilter())
    handler.addFilter(LogFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))

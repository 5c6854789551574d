"""Sets up logging: one handler on stderr that removes secrets from its records.

`bot.redaction` finds the secrets.
"""

from __future__ import annotations

import logging
import sys

from bot.redaction import scrub

# Libraries that log bodies below WARNING.
QUIET_LOGGERS = ("slack_bolt", "slack_sdk", "urllib3", "hvac", "waitress", "websockets", "alembic")


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
    handler.addFilter(LogFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))

"""Nothing secret is logged, and libraries that log bodies are quiet."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest

from bot.logs import FloodFilter, LogFilter


def test_a_log_record_is_scrubbed_with_its_traceback() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(LogFilter())
    logger = logging.getLogger("test.redaction")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        raise ValueError("token hvs.CAESIJabcdefghijklmnop")
    except ValueError:
        logger.exception("with %s", "xoxb-123456789012-abcdef")
    written_before = logging.makeLogRecord({"msg": "", "exc_text": "token hvs.CAESIJabcdefghijklmnop"})
    handler.handle(written_before)
    logger.removeHandler(handler)
    assert "CAESIJ" not in stream.getvalue()
    assert "123456789012" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize(("level", "logged"), [("DEBUG", ["hvac warning", "bot info"]), ("ERROR", [])])
def test_libraries_that_log_bodies_log_warnings_at_most(level: str, logged: list[str]) -> None:
    # In a process of its own, since it changes the loggers of the whole process.
    program = (
        "import logging, bot.logs\n"
        f"bot.logs.set_up_logging({level!r})\n"
        "logging.getLogger('hvac').info('body')\n"
        "logging.getLogger('hvac').warning('hvac warning')\n"
        "logging.getLogger('bot').info('bot info')\n"
        "logging.getLogger('bot').error('token hvs.CAESIJabcdefghijklmnop')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    messages = [line.split(" ", 4)[-1] for line in ended.stderr.splitlines()]
    assert messages == [*logged, "token [hidden]"]


def test_of_a_flood_one_line_a_minute_is_written_and_counts_the_others() -> None:
    now = 0.0
    flood_filter = FloodFilter(lambda: now)

    def written(name: str, text: str, *args: object) -> str | None:
        record = logging.LogRecord(name, logging.WARNING, "", 0, text, args, None)
        return record.getMessage() if flood_filter.filter(record) else None

    assert written("waitress.queue", "Task queue depth is %d", 1) == "Task queue depth is 1"
    assert [written("waitress.queue", "Task queue depth is %d", number) for number in range(50)] == [None] * 50
    assert written("waitress.queue", "another line") == "another line"
    assert [written("bot.jobs.worker", "words") for _ in range(2)] == ["words"] * 2
    now = 60.0
    assert written("waitress.queue", "Task queue depth is %d", 9) == (
        "Task queue depth is 9 (50 more lines like this were left out)"
    )
    assert written("waitress.queue", "Task queue depth is %d", 9) is None

"""Remembers whether the database took the last write. It may refuse writes while it answers queries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# After a failed write, a write is tried at this interval.
WRITE_AGAIN_SECONDS = 5.0
# Errors of the database itself, unlike those of a statement, such as a constraint.
WRITE_FAILURES = (OperationalError, InternalError, PoolTimeoutError)


class CannotWrite(Exception):
    """The last write to the database failed. The message is the database's own."""


class LastWrite:
    """The last write of one process. Threads share it.

    Attributes:
        problem: why it failed, such as a read-only database or a full disk; None if it succeeded.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self._tried_at = time.monotonic()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Records whether the write in its block fails."""
        self._tried_at = time.monotonic()
        try:
            yield
        except WRITE_FAILURES as error:
            self.problem = str(getattr(error, "orig", error)).partition("\n")[0][:200]
            raise
        self.problem = None

    @property
    def is_due_again(self) -> bool:
        """Whether the last write failed 5 s ago or earlier."""
        return self.problem is not None and time.monotonic() - self._tried_at >= WRITE_AGAIN_SECONDS

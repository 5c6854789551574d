"""Reads the rows for the report on a request: the request, its audit rows, and the samples of its group.

`bot.domain.report` makes the report from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from bot.domain.report import Report, Sample, sum_up
from bot.store import audit, groups, requests


def report_on(connection: Connection, request_id: str, now: datetime) -> Report | None:
    """The report on the request with this id; None if there is none.

    Raises:
        ValueError, TypeError: the request or its audit rows do not have the form that the bot writes.
    """
    request = requests.get(connection, request_id)
    if request is None:
        return None
    events, unverified_rows = audit.events_of(connection, request_id)
    started_at = request.attempt.answered_at if request.attempt is not None else None
    samples: Sequence[Sample] = ()
    if started_at is not None:
        samples = groups.samples_of(connection, request.group_key, started_at, request.ended_at or now)
    head = audit.newest(connection)
    return sum_up(request, events, samples, head.hash if head is not None else "", unverified_rows, now)

"""A sample report: a migration that ran for two hours, was slower for a while, and left some objects behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.audit_events import AuditEvent
from bot.domain.report import Sample, sum_up
from bot.domain.request import Attempt, LastSeen, State
from bot.domain.request_record import RecordedEvent
from bot.domain.task_group import Progress
from tests.gallery.requests import APPROVED_AT, REQUEST_ID, REQUESTS, SENT_AT
from tests.support.values import GROUP, NOON, request

ENDED_AT = SENT_AT + timedelta(hours=2)
_BEFORE = Progress(1_000_000_000_000, 415_000_000_000, 1000, 400)
_AFTER = Progress(1_000_000_000_000, 1_000_000_000_000, 1000, 951, 12, 37)


def _reading(minute: int) -> Sample:
    """100 MB/s, but for half an hour only a quarter of it."""
    slow = min(max(minute - 60, 0), 30)
    return Sample(SENT_AT + timedelta(minutes=minute), _BEFORE.complete_bytes + (minute * 4 - slow * 3) * 1_500_000_000)


DONE = request(
    State.DONE,
    group=replace(GROUP, settings=(*GROUP.settings, ("consistency_check", "size_last_modified"))),
    attempt=Attempt(1, "UCAROL00", APPROVED_AT, sent_at=SENT_AT, answered_at=SENT_AT, before=_BEFORE),
    last_seen=LastSeen(ENDED_AT, _AFTER),
    ended_at=ENDED_AT,
)
EVENTS = [
    RecordedEvent(AuditEvent.REQUEST_CREATED, "UALICE00", NOON, {"fingerprint": "f", "approvals needed": 1}),
    RecordedEvent(AuditEvent.VOTE_ADDED, "UCAROL00", APPROVED_AT, {"team": "T0TEST0001"}),
    RecordedEvent(AuditEvent.PUT_ACCEPTED, "bot", SENT_AT, {"number": 1, "huawei_request_id": REQUEST_ID}),
]
REPORT = sum_up(DONE, EVENTS, [_reading(minute) for minute in range(1, 120)], "3f" * 32, 0, ENDED_AT)
NOT_APPROVED = sum_up(request(State.DENIED), EVENTS[:1], [], "3f" * 32, 0, NOON)
IN_PARTS = sum_up(REQUESTS["Failed, for three reasons"], EVENTS, [], "3f" * 32, 0, ENDED_AT)

"""Compares a request with its audit rows, because everybody who can write to the database can change the request.

A request that does not agree with them is void, or pending again if the bot's key has changed.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Request, State
from bot.domain.request_record import UNSENT_STATES, Authenticity, RequestRecord, ask_again
from bot.jobs.context import Context, report_foreign_row, save_and_notify
from bot.jobs.current_settings import current_policy
from bot.store import audit, outbox, requests, tables
from bot.store.audit import BOT, Event
from bot.store.outbox import Delivery, Notice
from bot.ui.problem_texts import KEY_CHANGED, TAMPERED, UNVERIFIED, is_bug
from bot.ui.thread import key_changed


def check_record(context: Context, request: Request) -> Authenticity:
    """Whether a request is what its audit rows prove, see `RequestRecord.authenticity`.

    Raises:
        requests.Stale: another worker changed the request after it was read.
    """
    with context.store.read() as connection:
        current = requests.get(connection, request.id)
        record = audit.record_of(connection, request.id)
    if current is None or current.version != request.version:
        raise requests.Stale(request.id)
    return authenticity_of(record, request)


def authenticity_of(record: RequestRecord, request: Request) -> Authenticity:
    """Like `RequestRecord.authenticity`. A pending request may have no other problem than those the bot gives it."""
    is_pending, problem = request.state is State.PENDING, request.problem
    if is_pending and problem not in (None, KEY_CHANGED) and not is_bug(problem):
        return Authenticity.FORGED
    return record.authenticity(request)


def is_forged(connection: Connection, request: Request) -> bool:
    """Whether a request for which nothing was sent does not agree with its audit rows. Both are of one snapshot."""
    if request.state not in UNSENT_STATES:
        return False
    return authenticity_of(audit.record_of(connection, request.id), request) is Authenticity.FORGED


def save_not_authentic(
    connection: Connection, context: Context, request: Request, authenticity: Authenticity
) -> Request:
    """Stores that a request does not agree with its audit rows: it is void, or pending again without approvals.

    A request without a row of a known key that says what people approve is pending again only if its rows can be from
    before the key. Otherwise anybody who can insert rows could make one, with a requester and a group of their choice.

    Raises:
        requests.Stale: another worker changed the request first.
    """
    now = context.now()
    report_foreign_row(request.id, tables.requests.name, authenticity)
    policy = current_policy(context, request)
    if authenticity is Authenticity.FORGED or policy is None:
        problem = TAMPERED if authenticity is Authenticity.FORGED else None
        void = request.with_state(State.VOID, at=now, problem=problem)
        name = AuditEvent.REQUEST_TAMPERED if problem else AuditEvent.REQUEST_VOID
        return save_and_notify(connection, request, void, now, Event(name, BOT, request.id))
    if not (
        audit.record_of(connection, request.id).fingerprint or audit.may_be_older_than_keys(connection, request.id)
    ):
        void = request.with_state(State.VOID, at=now, problem=UNVERIFIED)
        event = Event(AuditEvent.REQUEST_VOID, BOT, request.id, {"why": authenticity.value})
        return save_and_notify(connection, request, void, now, event)
    pending = replace(ask_again(request, policy, now), problem=KEY_CHANGED)
    outbox.add_notice(connection, Notice(Delivery.THREAD, "", key_changed(pending), request.id), now)
    return requests.save(connection, request, pending, now, Event(AuditEvent.REQUEST_ASKED_AGAIN, BOT, request.id))

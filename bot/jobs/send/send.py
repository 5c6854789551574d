"""Sends the PUT of an approved request: checks the group once more, reads the keys, calls OMS, stores the reply.

`approved → sending` is committed before the PUT by a compare-and-set on the request's version. A worker that finds a
request in `sending` never sends: it settles the request by looking at the group (`bot.jobs.follow`).
"""

from __future__ import annotations

import logging
import secrets
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain import put_outcome
from bot.domain.audit_events import AuditEvent
from bot.domain.put_outcome import PutReply, PutReplyKind
from bot.domain.request import Attempt, Problem, Request, State, Verb
from bot.domain.request_record import Authenticity
from bot.domain.schedule import Step, due_at, next_step
from bot.domain.task_group import TaskGroup
from bot.huawei.errors import HuaweiError, TooLate, Unanswered
from bot.huawei.oms import Oms
from bot.jobs.context import CHECK_KEY_EVERY, WAIT_FOR_KEY, Context, save_and_notify
from bot.jobs.current_settings import current_plan
from bot.jobs.follow.follow import explain_group
from bot.jobs.problems import RetryHint, explain
from bot.jobs.record_check import check_record, save_not_authentic
from bot.jobs.send import approval
from bot.jobs.send.keys import CallBody, KeysUnfit, read_body, record_closed
from bot.jobs.send.put_reply import Reply, audit_detail, explain_reply, put_reply, reply_before_put
from bot.redaction import scrub
from bot.slack.errors import LookupFailed
from bot.store import audit, requests
from bot.store.audit import BOT, Detail, Event, Fact, append
from bot.vault.errors import VaultError

log = logging.getLogger(__name__)

# The PUT is sent within this time after OMS showed the group. This is shorter than what is left of any lease when
# `sending` is committed: no other worker takes over before the PUT.
SEND_WITHIN = timedelta(seconds=5)


class _Changed(Exception):
    """The group is no longer as approved. `request` is the request that follows from it. Nothing was sent."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.id)
        self.request = request


def send_request(context: Context, request: Request) -> datetime | None:
    """Sends the PUT of a request whose time has come, or stores why it is not sent.

    The caller has claimed the row.

    Returns:
        When to try again, because another replica may know the key of the request; otherwise None.

    Raises:
        requests.Stale: another worker changed the request first. Nothing was sent.
    """
    plan, attempt = request.plan, request.attempt
    if attempt is None or next_step(request, context.now()) is not Step.SEND:
        return None
    authenticity = check_record(context, request)
    if authenticity is Authenticity.UNKNOWN_KEY and _waits_for_key(context, request):
        return context.now() + CHECK_KEY_EVERY
    if authenticity is not Authenticity.AUTHENTIC:
        with context.store.write() as connection:
            save_not_authentic(connection, context, request, authenticity)
        return None
    if current_plan(context, request) != plan:
        void = request.with_state(State.VOID, at=context.now())
        _save(context, request, void, Event(AuditEvent.REQUEST_VOID, BOT, request.id))
        return None
    try:
        group = context.identity.call(plan.project, lambda oms: oms.show(request.group.group_id), plan.project_id)
        shown_at = context.now()
        _check_group(request, attempt, group, shown_at)
        # Waiting for the circuit breaker and logging in at IAM may take long, so both come before the keys are read.
        with context.identity.ready(plan.project, plan.project_id) as oms:
            pending = approval.pending_again(context, request)
            if pending is not None:
                approval.save_pending_again(context, request, pending)
                return None
            body = read_body(context, request)
            sending, reply = _send_once(context, oms, request, attempt, group, shown_at, body)
    except LookupFailed as error:
        again = PutReply(PutReplyKind.TRY_AGAIN)
        postponed = put_outcome.after_reply(request, again, context.now())
        detail: Detail = {"number": attempt.number, "code": f"Slack {error.code}", "huawei_request_id": None}
        waiting = replace(postponed.request, problem=approval.not_confirmed(context, error))
        _save_waiting(context, request, waiting, Event(postponed.event, BOT, request.id, detail))
    except _Changed as changed:
        event = Event(AuditEvent.GROUP_CHANGED, BOT, request.id, {"status": int(changed.request.group.status)})
        save = _save_waiting if changed.request.state is State.APPROVED else _save
        save(context, request, changed.request, event)
    except (HuaweiError, VaultError) as error:
        if reply_before_put(error).kind is PutReplyKind.TRY_AGAIN:
            _save_postponed(context, request, attempt.number, error)
        else:
            _save_not_started(context, request, explain(error, plan, RetryHint.RETRY))
    except KeysUnfit as unfit:
        _save_not_started(context, request, unfit.problem)
    else:
        _save_reply(context, sending, attempt.number, reply)
    return None


def _waits_for_key(context: Context, request: Request) -> bool:
    due = due_at(request)
    return not context.store.is_sqlite and due is not None and context.now() - due < WAIT_FOR_KEY


def _check_group(request: Request, attempt: Attempt, group: TaskGroup, now: datetime) -> None:
    """Raises `_Changed` if the group is no longer as approved."""
    changed = put_outcome.before_put(request, attempt, group, explain_group(request), now)
    if changed is not None:
        raise _Changed(changed)


def _send_once(
    context: Context,
    oms: Oms,
    request: Request,
    attempt: Attempt,
    group: TaskGroup,
    shown_at: datetime,
    body: CallBody,
) -> tuple[Request, Reply]:
    """Commits `approved → sending`, then sends the PUT.

    Reads the group once more if OMS showed it too long ago.

    Arguments:
        group: as OMS showed it at `shown_at`.

    Returns:
        The request as it was committed, and OMS's reply.

    Raises:
        requests.Stale: another worker changed the request first. Nothing was sent.
        _Changed: the group is no longer as approved. Nothing was sent.
        HuaweiError: the group could not be read. Nothing was sent.
    """
    with ExitStack() as if_not_sent:
        # If the PUT is sent, the audit event "sending" records how the Vault login ended.
        if_not_sent.callback(record_closed, context, request, body)
        now = context.now()
        if now - shown_at > SEND_WITHIN:
            group = oms.show(request.group.group_id)
            shown_at = now = context.now()
            _check_group(request, attempt, group, now)
        # From the commit on, other workers assume that the PUT was sent.
        sending = _start_sending(context, request, attempt, group, body, now)
        if_not_sent.pop_all()
        return sending, _put(context, oms, sending, body, shown_at)


def _start_sending(
    context: Context, request: Request, attempt: Attempt, group: TaskGroup, body: CallBody, now: datetime
) -> Request:
    """Commits `approved → sending`. This is the only guard of the PUT: for each attempt it lets one worker through.

    Raises:
        requests.Stale: the request is no longer as it was read, or no longer to be sent.
    """
    if next_step(request, now) is not Step.SEND:
        raise requests.Stale(request.id)
    detail: dict[str, Fact] = {"verb": request.verb.value, "number": attempt.number, **body.closed}
    if request.scope is not None:
        detail["scope"] = request.scope.value
    event = Event(AuditEvent.PUT_SENDING, BOT, request.id, detail)
    with context.store.write() as connection:
        sending = requests.save(connection, request, put_outcome.sending(request, attempt, group, now), now, event)
        if audit.record_of(connection, request.id).has_unapproved_put:
            # The request was changed after `check_record`. The next step finds out how.
            raise requests.Stale(request.id)
        return sending


def _put(context: Context, oms: Oms, request: Request, body: CallBody, shown_at: datetime) -> Reply:
    """Sends the one PUT of an attempt. The reply contains no key, whatever fails.

    Arguments:
        shown_at: when OMS last showed the group. If that is too long ago, nothing is sent.
    """
    group_id, content = request.group.group_id, body.content.reveal().encode()
    if context.now() - shown_at > SEND_WITHIN:
        return TooLate("the bot was held up")
    try:
        return oms.retry(group_id, content) if request.verb is Verb.RETRY else oms.start(group_id, content)
    except HuaweiError as error:
        # The context and the traceback refer to the HTTP request, whose body contains the keys.
        error.__context__ = None
        return error.with_traceback(None)
    except Exception as error:  # noqa: BLE001
        # A bug may show after the bytes left, so the outcome is unknown. Its traceback is not logged: the local
        # variables contain the keys.
        reference = f"F-{secrets.token_hex(4).upper()}"
        log.error("bug %s in the PUT: %s: %s", reference, type(error).__name__, scrub(str(error), body.keys))
        return Unanswered(f"the bot failed, reference {reference}")


def _save_reply(context: Context, sending: Request, number: int, reply: Reply) -> None:
    """Stores OMS's reply.

    If the reply took longer than the lease, another worker has settled the request by looking at the group. The reply
    is then late, and changes the request only as far as `put_outcome.after_late_reply` allows.
    """
    now = context.now()
    with context.store.write() as connection:
        current = requests.lock(connection, sending.id)
        if current is None:
            return
        if current.version == sending.version:
            outcome = put_outcome.after_reply(current, put_reply(reply), now)
            event = Event(outcome.event, BOT, sending.id, audit_detail(number, reply))
            save_and_notify(connection, current, _explained(outcome.request, reply), now, event)
            return
        late = put_outcome.after_late_reply(current, number, put_reply(reply), now)
        detail = {**audit_detail(number, reply), "late": True}
        if late is None:
            append(connection, Event(AuditEvent.PUT_ANSWERED_LATE, BOT, sending.id, detail), now)
            return
        event = Event(late.event, BOT, sending.id, detail)
        save_and_notify(connection, current, _explained(late.request, reply), now, event)


def _save_postponed(context: Context, request: Request, number: int, error: HuaweiError | VaultError) -> None:
    """Stores that an error before the PUT may pass. The attempt is tried again as after a throttled PUT.

    Raises:
        requests.Stale: the request was changed since it was read.
    """
    outcome = put_outcome.after_reply(request, reply_before_put(error), context.now())
    event = Event(outcome.event, BOT, request.id, audit_detail(number, error))
    _save_waiting(context, request, _explained(outcome.request, error), event)


def _save_waiting(context: Context, request: Request, waiting: Request, event: Event) -> None:
    """Stores a request that stays approved and is tried again later.

    The card is not updated if it shows the same group and the same problem already, so that a long outage does not use
    up Slack's limits.

    Raises:
        requests.Stale: the request was changed since it was read.
    """
    if waiting.group != request.group or _without_call(waiting.problem) != _without_call(request.problem):
        _save(context, request, waiting, event)
        return
    with context.store.write() as connection:
        current = requests.lock(connection, request.id)
        if current is None or current.version != request.version:
            raise requests.Stale(request.id)
        requests.save_without_new_version(connection, replace(waiting, problem=request.problem), context.now(), event)


def _without_call(problem: Problem | None) -> Problem | None:
    """The problem without the fields that differ from call to call."""
    return problem and replace(problem, message="", huawei_request_id=None)


def _save_not_started(context: Context, request: Request, problem: Problem) -> None:
    not_started = request.with_state(State.NOT_STARTED, at=context.now(), problem=problem)
    detail: Detail = {
        "code": problem.code,
        "why": problem.meaning,
        "huawei_request_id": problem.huawei_request_id or "",
    }
    _save(context, request, not_started, Event(AuditEvent.REQUEST_NOT_STARTED, BOT, request.id, detail))


def _explained(request: Request, reply: Reply | VaultError) -> Request:
    return replace(request, problem=explain_reply(reply, request))


def _save(context: Context, old: Request, new: Request, event: Event) -> None:
    with context.store.write() as connection:
        save_and_notify(connection, old, new, context.now(), event)

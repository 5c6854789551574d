"""Reads the task group of a request after the PUT: settles a PUT without a clear reply, and follows a started group.

`bot.domain.outcome` decides what a reading of the group means for the request.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain import outcome
from bot.domain.audit_events import STATE_EVENTS, AuditEvent
from bot.domain.request import Attempt, LastSeen, Problem, Request, State
from bot.domain.schedule import FOLLOW_EVERY, SETTLE_EVERY, due_at, next_step
from bot.domain.sweep_plan import YOUNG_EVERY
from bot.domain.task_group import TaskGroup
from bot.domain.watched_group import WatchedGroup, after_reading
from bot.huawei.error_catalogue import NOT_FOUND
from bot.huawei.errors import HuaweiError, Rejected
from bot.jobs.context import Context, save_and_notify
from bot.jobs.problems import RetryHint, explain, explain_reason
from bot.jobs.worker import Failed, Finished, Rescheduled, Result, backoff
from bot.store import groups, requests, sweeps
from bot.store.audit import BOT, Event
from bot.store.queue import Claim
from bot.ui import problem_texts as texts
from bot.ui.problem_texts import group_problem
from bot.vault.errors import VaultError

# A card whose content stays the same is still updated this often, so that the time it shows is recent.
UPDATE_CARD_AFTER = timedelta(seconds=60)
# The card says that the group cannot be read once more than this many readings in a row have failed.
SILENT_FAILURES = 2


def settle_request(context: Context, request: Request, claim: Claim) -> Result:
    """Reads the group to find out whether a PUT without a clear reply started it. Sends nothing.

    Raises:
        requests.Stale: another worker changed the request first.
    """
    if request.state is State.SENDING and request.attempt is not None:
        request = _save_interrupted(context, request, request.attempt)
    try:
        group = _read_group(context, request)
    except (HuaweiError, VaultError) as error:
        return _reading_failed(context, request, claim, error)
    now = context.now()
    settled = outcome.settle(request, group, explain_group(request), now)
    if settled is None:
        return Finished(now + SETTLE_EVERY)
    event = Event(AuditEvent.PUT_SETTLED, BOT, request.id, {"status": int(group.status), "state": settled.state.value})
    with context.store.write() as connection:
        save_and_notify(connection, request, settled, now, event)
    return Rescheduled()


def follow_request(context: Context, request: Request, claim: Claim) -> Result:
    """Takes one reading of a group for which OMS accepted the PUT, and stores what has changed.

    Uses the reading of a sweep if there is a new one. Otherwise reads the group from OMS, unless the request is due
    only because a sweep made it due.

    Raises:
        requests.Stale: another worker changed the request first.
    """
    with context.store.read() as connection:
        watched = groups.get(connection, request.group_key)
        is_throttled = sweeps.get(connection, request.plan.project).throttled > 0
    now = context.now()
    if watched is not None and _seen_at(request) < watched.seen_at and now - watched.seen_at < FOLLOW_EVERY:
        return _follow(context, request, watched)
    if next_step(request, now) is None:
        return Finished(due_at(request))
    if is_throttled and request.state is State.MOVING:
        # OMS is throttling the sweeps. Calls for single groups would make it worse.
        return Finished(now + FOLLOW_EVERY)
    try:
        group = _read_group(context, request)
    except (HuaweiError, VaultError) as error:
        return _reading_failed(context, request, claim, error)
    return _follow(context, request, _save_watched(context, request, watched, group))


def _seen_at(request: Request) -> datetime:
    """When the group was last read, or when OMS accepted the PUT or the pause, whichever is later.

    A reading from before this time shows nothing new.
    """
    times = [
        request.last_seen.at if request.last_seen else None,
        request.attempt.answered_at if request.attempt else None,
        request.pause.sent_at if request.pause else None,
    ]
    return max((at for at in times if at is not None), default=request.created_at)


def _save_watched(context: Context, request: Request, before: WatchedGroup | None, group: TaskGroup) -> WatchedGroup:
    """Stores a group that was read for this request, in the same way as a sweep does."""
    name, now = request.plan.project, context.now()
    limits = context.projects[name].watch_limits
    watched = after_reading(before, request.group_key, name, group, now, limits)
    with context.store.write() as connection:
        groups.save(connection, [watched])
    return watched


def _follow(context: Context, request: Request, watched: WatchedGroup) -> Result:
    """Stores what a reading of the group changes in the request."""
    group, now = watched.group, watched.seen_at
    followed = outcome.follow(request, group, explain_group(request), now, watched.movement)
    if not _changes_card(request, followed):
        return Finished(due_at(followed))
    events = []
    if followed.state is not request.state:
        events.append(Event(STATE_EVENTS[followed.state], BOT, request.id, {"status": int(group.status)}))
    with context.store.write() as connection:
        save_and_notify(connection, request, followed, now, *events)
        if followed.state is State.MOVING and request.state is not State.MOVING:
            sweeps.make_due(connection, request.plan.project, context.now() + YOUNG_EVERY)
    return Rescheduled()


def explain_group(request: Request) -> outcome.ExplainGroup:
    """Explains what a reading of the request's group shows."""

    def explain_kind(kind: outcome.GroupProblem, group: TaskGroup) -> Problem:
        if kind is outcome.GroupProblem.FAILED:
            return explain_reason(group.error, request.plan, RetryHint.REQUEST_AGAIN)
        return group_problem(kind, group, approved=request.group)

    return explain_kind


def _save_interrupted(context: Context, request: Request, attempt: Attempt) -> Request:
    """Stores that the worker that committed `sending` has died, or could not store the reply.

    It is not known whether the PUT was sent.
    """
    now = context.now()
    problem = Problem("", "", "", "The bot was interrupted while it called OMS, so it doesn't know the answer.", "")
    interrupted = replace(request, attempt=replace(attempt, unanswered_at=now))
    unknown = interrupted.with_state(State.UNKNOWN, at=now, problem=problem)
    with context.store.write() as connection:
        return save_and_notify(connection, request, unknown, now, Event(AuditEvent.PUT_FOUND, BOT, request.id))


def _read_group(context: Context, request: Request) -> TaskGroup:
    plan, group_id = request.plan, request.group.group_id
    return context.identity.call(plan.project, lambda oms: oms.show(group_id), plan.project_id)


def _changes_card(old: Request, new: Request) -> bool:
    if old.last_seen is None or new.last_seen is None or old.problem != new.problem:
        return True
    return (
        _shown(old, old.last_seen) != _shown(new, new.last_seen)
        or new.last_seen.at - old.last_seen.at >= UPDATE_CARD_AFTER
    )


def _shown(request: Request, seen: LastSeen) -> tuple[object, ...]:
    """What the card shows, without the values that change all the time, such as the rate."""
    activity = seen.movement.activity if seen.movement else None
    return request.state, request.announced, request.group.status, request.group.sub_tasks, seen.progress, activity


def _reading_failed(context: Context, request: Request, claim: Claim, error: HuaweiError | VaultError) -> Result:
    """Reads the group again later. The card says that it cannot be read once several readings in a row have failed."""
    now = context.now()
    if claim.tries >= SILENT_FAILURES and _says_not_found(error):
        event = Event(AuditEvent.REQUEST_FAILED, BOT, request.id, {"why": "the group is not there anymore"})
        with context.store.write() as connection:
            save_and_notify(connection, request, outcome.group_deleted(request, group_problem, now), now, event)
        return Rescheduled()
    if claim.tries == SILENT_FAILURES:
        problem = _reading_problem(request, error)
        event = Event(AuditEvent.GROUP_NOT_VISIBLE, BOT, request.id, {"code": problem.code, "why": problem.meaning})
        with context.store.write() as connection:
            requests.save(connection, request, replace(request, problem=problem), now, event)
    return Failed(now + max(backoff(claim.tries), SETTLE_EVERY))


def _reading_problem(request: Request, error: HuaweiError | VaultError) -> Problem:
    not_read = explain(error, request.plan, RetryHint.NOTHING, "")
    meaning = f"{texts.GROUP_NOT_READ} {not_read.meaning}"
    if request.state is State.UNKNOWN and request.problem is not None:
        # The problem with the PUT stays on the card, because people look it up by its code.
        put = request.problem
        meaning = f"{put.meaning} {texts.GROUP_NOT_READ} {texts.with_references(not_read)}"
        return replace(put, meaning=meaning, next_step=not_read.next_step)
    return replace(not_read, meaning=meaning)


def _says_not_found(error: Exception) -> bool:
    """Whether OMS itself says that there is no such group. A 404 of a gateway does not count."""
    answer = error.answer if isinstance(error, Rejected) else None
    return answer is not None and answer.code in NOT_FOUND

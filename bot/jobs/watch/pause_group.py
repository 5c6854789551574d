"""Pauses a task group for a person who pressed Pause below its status, whether or not there is a request for it.

If an open request follows the group, the click has the same effect as a click on the card of that request
(`bot.jobs.decide`). Otherwise the click is recorded first, and a second message in the inbox sends the pause. So the
channel learns who paused the group even after a crash. As in `bot.jobs.follow.pause`, the call may be sent twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from bot.domain.audit_events import AuditEvent
from bot.domain.decisions import PAUSABLE_STATES
from bot.domain.policy import account_refusal
from bot.domain.task_group import RUNNING_STATUSES, GroupStatus
from bot.domain.watched_group import after_first_reading
from bot.huawei.errors import HuaweiError
from bot.jobs.ask import read_oms
from bot.jobs.ask.read_oms import Failure, Found
from bot.jobs.context import Context, reply, reply_address
from bot.jobs.current_settings import are_groups_unknown, names_in_projects, visible_projects
from bot.jobs.decide.apply_action import handle_action
from bot.jobs.follow.pause import TRY_FOR, nothing_paused, stop_if_running
from bot.jobs.problems import RetryHint, explain, may_pass
from bot.jobs.worker import backoff
from bot.slack.errors import GroupsUnknown
from bot.store import groups, inbox, outbox, requests
from bot.store.audit import BOT, Event, Fact, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Delivery, Notice
from bot.ui import refusals
from bot.ui import watched_group as texts
from bot.ui.problem_texts import NOTHING_PAUSED
from bot.vault.errors import VaultError

_PAUSED_STATUSES = frozenset({GroupStatus.PAUSED, GroupStatus.PAUSING})


def request_pause(context: Context, message: Message, try_again_at: Callable[[], datetime | None]) -> datetime | None:
    """Records that a person pressed Pause for a group, if the person may pause it and it runs.

    Arguments:
        try_again_at: returns when to try again; None if the answer could then come too late for the person.

    Returns:
        When to try again, or None if there is nothing more to do.

    Raises:
        LookupFailed: Slack does not tell who the person is, or which user groups they are in, although the decision
            depends on it.
    """
    person = context.people.look_up_now(message.person, names_in_projects(context, context.projects))
    projects = visible_projects(context, person)
    if not projects:
        outsider = account_refusal(person)
        if outsider is None and are_groups_unknown(context, person):
            raise GroupsUnknown
        text = refusals.outsider_text(outsider) if outsider is not None else refusals.NO_SUCH_GROUP
        _refuse(context, message, text, outsider.value if outsider is not None else "no such group")
        return None
    with context.store.read() as connection:
        request = requests.find_open(connection, message.group_key)
        card = outbox.get_card(connection, request.id) if request is not None else None
    if request is not None and card is not None and request.state in PAUSABLE_STATES:
        on_card = replace(message, channel=card.channel, message_ts=card.ts or "")
        handle_action(context, replace(on_card, kind=Kind.PAUSE, request_id=request.id))
        return None
    found, failures = _find(context, projects, message.group_key)
    if found is None:
        again = try_again_at() if any(failure.may_pass for failure in failures) else None
        if again is None:
            _refuse(context, message, _not_found_text(message, failures), "no such group")
        return again
    if found.group.status in RUNNING_STATUSES:
        _save_requested(context, message, found)
    else:
        event = Event(AuditEvent.PAUSE_NOT_NEEDED, BOT, None, _detail(message, found))
        reply(context, message, texts.not_running(found.group, found.project), event)
    return None


def send_pause(context: Context, message: Message, received_at: datetime, tries: int) -> datetime | None:
    """Pauses the group of a recorded click, and notifies the person and the channel.

    Sends no pause after `TRY_FOR`, because nobody expects it to happen anymore.

    Arguments:
        received_at: when the click was recorded.
        tries: how many tries have failed so far.

    Returns:
        When to try again, or None if there is nothing more to do.
    """
    if context.now() >= received_at + TRY_FOR:
        _save_not_paused(context, message, texts.pause_too_late(message.group_id), {"why": "too late"})
        return None
    again = context.now() + backoff(tries)
    may_try_again = again < received_at + TRY_FOR
    found, failures = _find(context, list(context.projects), message.group_key)
    if found is None:
        if may_try_again and any(failure.may_pass for failure in failures):
            return again
        _save_not_paused(context, message, _not_found_text(message, failures), {"why": "no such group"})
        return None
    try:
        group, accepted = context.identity.send(
            found.project, lambda oms: stop_if_running(oms, message.group_id), found.project_id
        )
    except (HuaweiError, VaultError) as error:
        if may_try_again and may_pass(error):
            return again
        plan = context.projects[found.project].plan(found.project, found.project_id, None)
        problem = explain(error, plan, RetryHint.NOTHING, nothing_paused(error))
        detail: dict[str, Fact] = {"code": problem.code, "huawei_request_id": problem.huawei_request_id}
        _save_not_paused(context, message, texts.not_paused(found.group, problem, plan.console_url), detail)
        return None
    if accepted is None and group.status not in _PAUSED_STATUSES:
        _save_not_paused(context, message, texts.not_running(group, found.project), {"status": int(group.status)})
    else:
        request_id = accepted.huawei_request_id if accepted is not None else None
        _save_paused(context, message, replace(found, group=group), {"huawei_request_id": request_id})
    return None


def _find(context: Context, projects: list[str], key: str) -> tuple[Found | None, list[Failure]]:
    """The group as OMS shows it now, or None; and the projects that could not be searched for it."""
    found, failures = read_oms.search(context, projects, key.rpartition("/")[2])
    return next((one for one in found if one.key == key), None), failures


def _not_found_text(message: Message, failures: list[Failure]) -> str:
    if not failures:
        return f"{refusals.NO_SUCH_GROUP} {NOTHING_PAUSED}"
    not_read = " ".join(refusals.group_not_read(message.group_id, failure.text) for failure in failures)
    return f"{not_read} {NOTHING_PAUSED}"


def _refuse(context: Context, message: Message, text: str, why: str) -> None:
    detail: dict[str, Fact] = {"kind": message.kind.value, "team": message.team_id, "message": message.record_key}
    reply(context, message, text, Event(AuditEvent.ACTION_REFUSED, message.person, None, detail | {"why": why}))


def _save_requested(context: Context, message: Message, found: Found) -> None:
    now = context.now()
    to_send = replace(message, kind=Kind.SEND_PAUSE, key=f"{message.key}/pause")
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return
        inbox.put_for_later(connection, to_send, now, now)
        if groups.get(connection, found.key) is None:
            # Without a row, a sweep would not know that the bot paused the group.
            limits = context.projects[found.project].watch_limits
            groups.save(connection, [after_first_reading(found.key, found.project, found.group, now, limits)])
        groups.set_paused(connection, message.group_key, now)
        append(connection, Event(AuditEvent.PAUSE_REQUESTED, message.person, None, _detail(message, found)), now)


def _save_paused(context: Context, message: Message, found: Found, detail: dict[str, Fact]) -> None:
    now = context.now()
    channel = context.projects[found.project].channel
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return
        # Again, because a sweep forgets the press if the group still runs some time later.
        groups.set_paused(connection, message.group_key, now)
        outbox.add_notice(connection, Notice(*reply_address(message), texts.you_paused(found.group)), now)
        text = texts.paused_by(found.group, found.project, message.person)
        outbox.add_notice(connection, Notice(Delivery.CHANNEL, channel, text), now)
        append(connection, Event(AuditEvent.PAUSE_ACCEPTED, BOT, None, _detail(message, found) | detail), now)


def _save_not_paused(context: Context, message: Message, text: str, detail: dict[str, Fact]) -> None:
    now = context.now()
    detail |= {"person": message.person, "group": message.group_id}
    with context.store.write() as connection:
        if not inbox.mark_decided(connection, message.key):
            return
        groups.set_paused(connection, message.group_key, None)
        outbox.add_notice(connection, Notice(*reply_address(message), text), now)
        append(connection, Event(AuditEvent.PAUSE_FAILED, BOT, None, detail), now)


def _detail(message: Message, found: Found) -> dict[str, Fact]:
    return {
        "person": message.person,
        "message": message.record_key,
        "project": found.project,
        "group": found.group.group_id,
        "status": int(found.group.status),
    }

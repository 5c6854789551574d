"""Tells everybody who could approve that a requester approved on their own.

The vote leaves one message for later, and that one for each person: whoever Slack does not tell of is looked up again
without anybody being told twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.request.model import Request
from bot.request.policy import Refusal, approver_names
from bot.request.votes import why_not_counted
from bot.slack import answers
from bot.slack.people import SlackCannotBeAsked
from bot.store import inbox, outbox, requests
from bot.store.audit import BOT, Event, append
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice, Way
from bot.work.loop import Failed, Finished, Result, backoff
from bot.work.settings import policy_now
from bot.work.tools import Tools

# Written by the bot itself: nobody waits for an answer to them.
KINDS = frozenset({Kind.TELL_APPROVERS, Kind.TELL_APPROVER})
TELL_WITHIN = timedelta(days=1)


def leave(connection: Connection, message: Message, request: Request, now: datetime) -> Event:
    """In the transaction of the vote: what makes everybody hear of it, and the row for the audit."""
    later = Message(
        Kind.TELL_APPROVERS,
        f"{message.sent_as}/approvers",
        request.requester,
        request.team_id,
        request_id=request.id,
    )
    inbox.put_for_later(connection, later, now, now)
    return Event("self approval", request.requester, request.id, {"reason": request.reason})


def work(tools: Tools, message: Message, received_at: datetime, tries: int) -> Result:
    """One message left by a vote, or by the message that was: tried for a day while Slack cannot be asked."""
    with tools.store.read() as connection:
        request = requests.get(connection, message.request_id)
    if request is None:
        return Finished()
    try:
        if message.kind is Kind.TELL_APPROVERS:
            _leave_one_for_each(tools, message, request)
        else:
            _tell(tools, message, request)
    except SlackCannotBeAsked:
        if tools.now() - received_at < TELL_WITHIN:
            return Failed(tools.now() + backoff(tries))
        with tools.store.write() as connection:
            detail = {"way": Way.DIRECT.value, "code": "Slack cannot be asked", "person": message.person}
            append(connection, Event("notice not sent", BOT, request.id, detail), tools.now())
    return Finished()


def _leave_one_for_each(tools: Tools, message: Message, request: Request) -> None:
    names = approver_names(request.policy)
    groups = tools.people.members(names)
    others = frozenset().union(*(groups.get(name, {name}) for name in names)) - {request.requester}
    now = tools.now()
    with tools.store.write() as connection:
        for user_id in sorted(others):
            one = replace(message, kind=Kind.TELL_APPROVER, key=f"{message.key}/{user_id}", person=user_id)
            inbox.put_for_later(connection, one, now, now)


def _tell(tools: Tools, message: Message, request: Request) -> None:
    refusal = why_not_counted(request, tools.people.look_up(message.person), policy_now(tools, request))
    if refusal is Refusal.GROUPS_UNKNOWN:
        raise SlackCannotBeAsked("it does not tell who is in the user groups")
    if refusal is not None:
        return
    now = tools.now()
    with tools.store.write() as connection:
        if inbox.mark_decided(connection, message.key):
            text = answers.self_approval(request)
            outbox.add_notice(connection, Notice(Way.DIRECT, message.person, text, request.id), now)
            append(connection, Event("told of self approval", BOT, request.id, {"person": message.person}), now)

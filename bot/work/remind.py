"""Reminds people of a request that waits for them, in its thread: at half time and shortly before the end, no more.

At the same moment it looks whether a quorum could still come together, and whether what would be called has changed.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from bot.request.model import Request, State
from bot.request.next_step import Step, next_step, reminders_at
from bot.request.votes import still_missing
from bot.slack import answers
from bot.slack.people import SlackCannotBeAsked
from bot.store import outbox, requests
from bot.store.audit import BOT, Event
from bot.store.claims import Claim
from bot.store.outbox import Notice, Way
from bot.work.loop import Failed, Kept, Result, backoff
from bot.work.quorum import out_of_reach
from bot.work.settings import plan_now, policy_now
from bot.work.tools import Tools, save_turn


def work(tools: Tools, request: Request, claim: Claim) -> Result:
    """One reminder that is due."""
    try:
        gone = out_of_reach(tools, request.policy, policy_now(tools, request), request.requester, request.reason)
    except SlackCannotBeAsked:
        return Failed(tools.now() + backoff(claim.tries))
    with tools.store.write() as connection:
        locked = requests.lock(connection, request.id)
        if locked is not None and next_step(locked, tools.now()) is Step.REMIND:
            _remind(connection, tools, locked, gone)
    return Kept()


def _remind(connection: Connection, tools: Tools, request: Request, gone: tuple[tuple[str, ...], ...]) -> None:
    now = tools.now()
    if plan_now(tools, request) != request.plan:
        void = request.turned(State.VOID, at=now)
        save_turn(connection, request, void, now, Event("void", BOT, request.id))
        return
    times = reminders_at(request)
    passed = sum(at <= now for at in times)
    if gone:
        what, notice = "no quorum possible", Notice(Way.DIRECT, request.requester, answers.nobody_left(request, gone))
    elif passed < len(times):
        text = answers.reminder_at_half_time(request, still_missing(request))
        what, notice = "reminded", Notice(Way.THREAD, "", text)
    else:
        what, notice = "reminded", Notice(Way.THREAD, "", answers.reminder_before_the_end(request))
    card = outbox.get_card(connection, request.id)
    # A card that could not be posted has no thread, and whoever asked was told of that.
    if notice.way is Way.DIRECT or (card is not None and card.ts is not None):
        outbox.add_notice(connection, replace(notice, request_id=request.id), now)
    # Nothing on the card changes, so its version stays, and Slack is not asked to edit it.
    requests.note(connection, replace(request, reminders=passed), now, Event(what, BOT, request.id, {"number": passed}))

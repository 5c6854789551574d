"""Works on a request whose time has come: ends it, sends it, settles it, or looks how its group gets on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.oms.catalogue import NOT_FOUND
from bot.oms.errors import OmsError, Refused
from bot.request.group import TaskGroup
from bot.request.model import Attempt, AttemptState, Request, State, Trouble
from bot.request.next_step import SETTLE_EVERY, Step, due_at, next_step
from bot.store import requests
from bot.store.audit import BOT, Event
from bot.store.claims import Claim
from bot.store.requests import AttemptTurn
from bot.vault_faults import VaultFault
from bot.work import outcome, pause, release, remind
from bot.work.caller import KeyRests
from bot.work.loop import Failed, Finished, Kept, Result, backoff
from bot.work.settings import can_be_followed
from bot.work.tools import Tools, save_turn
from bot.work.trouble import Then, trouble_of

LOOKING_STEPS = frozenset({Step.SETTLE, Step.FOLLOW, Step.PAUSE})
# A card that shows the same for longer is edited all the same, for its own time to be fresh.
SHOW_AGAIN_AFTER = timedelta(seconds=60)
# So many looks may fail before the card says so.
SILENT_FAILURES = 2


def work(tools: Tools, claim: Claim) -> Result:
    """One request that is due."""
    with tools.store.read() as connection:
        request = requests.get(connection, str(claim.key))
    if request is None:
        return Finished()
    step = next_step(request, tools.now())
    try:
        if step in LOOKING_STEPS and not can_be_followed(tools, request):
            _end(tools, request, State.UNFOLLOWED)
            return Kept()
        match step:
            case Step.EXPIRE:
                _end(tools, request, State.EXPIRED)
            case Step.LAPSE:
                _end(tools, request, State.LAPSED)
            case Step.REMIND:
                return remind.work(tools, request, claim)
            case Step.RELEASE:
                release.advance(tools, request)
            case Step.SETTLE:
                return _settle(tools, request, claim)
            case Step.FOLLOW:
                return _follow(tools, request, claim)
            case Step.PAUSE:
                return pause.work(tools, request, claim)
            case None:
                pass
    except requests.Stale:
        # Somebody else was quicker; what is now true is looked at again at once.
        return Finished(tools.now())
    return Kept()


def confess(tools: Tools, claim: Claim, reference: str) -> None:
    """The bot itself failed at a request: its card shows the reference."""
    if claim.tries > 0:
        return
    now = tools.now()
    with tools.store.write() as connection:
        request = requests.lock(connection, str(claim.key))
        if request is None or not request.is_open:
            return
        trouble = Trouble("", "", "", "The bot failed at this request, and tries again.", "", None, reference)
        event = Event("fault", BOT, request.id, {"reference": reference})
        requests.save(connection, request, replace(request, trouble=trouble), now, event)


def _end(tools: Tools, request: Request, state: State) -> None:
    now = tools.now()
    with tools.store.write() as connection:
        save_turn(connection, request, request.turned(state, at=now), now, Event(state.value, BOT, request.id))


def _settle(tools: Tools, request: Request, claim: Claim) -> Result:
    if request.state is State.SENDING and request.attempt is not None:
        request = _is_unknown(tools, request, request.attempt)
    try:
        group = _look(tools, request)
    except (OmsError, VaultFault, KeyRests) as fault:
        return _not_seen(tools, request, claim, fault)
    now = tools.now()
    new = outcome.settled(request, group, now)
    if new is None:
        return Finished(now + SETTLE_EVERY)
    detail = {"status": int(group.status), "state": new.state.value}
    event = Event("settled", BOT, request.id, detail)
    with tools.store.write() as connection:
        save_turn(connection, request, new, now, event, attempt=AttemptTurn(AttemptState.UNKNOWN, AttemptState.SETTLED))
    return Kept()


def _is_unknown(tools: Tools, request: Request, attempt: Attempt) -> Request:
    """An attempt found `sending` was somebody's who died: whether the PUT left is not known, and none is sent."""
    now = tools.now()
    trouble = Trouble("", "", "", "The bot was stopped while it called OMS, so the answer is not known.", "")
    found = replace(request, attempt=replace(attempt, unanswered_at=now))
    unknown = found.turned(State.UNKNOWN, at=now, trouble=trouble)
    event = Event("found sending", BOT, request.id)
    with tools.store.write() as connection:
        return save_turn(
            connection, request, unknown, now, event, attempt=AttemptTurn(AttemptState.SENDING, AttemptState.UNKNOWN)
        )


def _follow(tools: Tools, request: Request, claim: Claim) -> Result:
    try:
        group = _look(tools, request)
    except (OmsError, VaultFault, KeyRests) as fault:
        return _not_seen(tools, request, claim, fault)
    now = tools.now()
    new = outcome.followed(request, group, now)
    if not _is_worth_showing(request, new):
        return Finished(due_at(new))
    with tools.store.write() as connection:
        events = []
        if new.state is not request.state:
            events.append(Event(new.state.value, BOT, request.id, {"status": int(group.status)}))
        save_turn(connection, request, new, now, *events)
    return Kept()


def _look(tools: Tools, request: Request) -> TaskGroup:
    plan, group_id = request.plan, request.group.group_id
    return tools.callers.call(plan.project, lambda oms: oms.show(group_id), plan.project_id)


def _is_worth_showing(old: Request, new: Request) -> bool:
    if old.sight is None or new.sight is None or old.trouble != new.trouble:
        return True
    same = (old.state, old.sight.progress, old.group.status) == (new.state, new.sight.progress, new.group.status)
    return not same or new.sight.at - old.sight.at >= SHOW_AGAIN_AFTER


def _not_seen(tools: Tools, request: Request, claim: Claim, fault: OmsError | VaultFault | KeyRests) -> Result:
    """The group could not be looked at: tried again, and said on the card when it lasts."""
    now = tools.now()
    if claim.tries >= SILENT_FAILURES and _is_not_there(fault):
        with tools.store.write() as connection:
            event = Event(State.FAILED.value, BOT, request.id, {"why": "the group is not there any more"})
            save_turn(connection, request, outcome.gone(request, now), now, event)
        return Kept()
    if claim.tries == SILENT_FAILURES:
        seen = trouble_of(fault, request.plan, Then.NOTHING, "")
        trouble = replace(seen, meaning=f"The bot cannot see how the group gets on. {seen.meaning}")
        if request.state is State.UNKNOWN and request.trouble is not None:
            # What was said of the call itself stays: it is what people will look for.
            called = request.trouble
            trouble = replace(called, meaning=f"{called.meaning} {trouble.meaning}", next_step=seen.next_step)
        with tools.store.write() as connection:
            event = Event("not seen", BOT, request.id, {"code": trouble.code, "why": trouble.meaning})
            requests.save(connection, request, replace(request, trouble=trouble), now, event)
    return Failed(now + max(backoff(claim.tries), SETTLE_EVERY))


def _is_not_there(fault: Exception) -> bool:
    """Not for a gateway that does not know the address: that says nothing of the group."""
    answer = fault.answer if isinstance(fault, Refused) else None
    return answer is not None and answer.code in NOT_FOUND

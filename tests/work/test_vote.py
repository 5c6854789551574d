"""One press decides once, what it decides is written down whole, and it stays so whatever comes after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.config import Project
from bot.request.group import GroupStatus, Scope
from bot.request.model import Policy, Request, State, Verb
from bot.sandbox.oms_server import Answer
from bot.sandbox.slack import world as w
from bot.sandbox.slack.world import Posted
from bot.sandbox.town import Town
from bot.slack import answers
from bot.slack.message import line
from bot.store import claims, outbox, requests, rests, tables
from bot.store.audit import links
from bot.store.claims import Claim
from bot.store.inbox import Kind, Message
from bot.store.outbox import Notice, Way
from bot.store.rests import Rest
from bot.work import follow, release, vote
from bot.work.caller import KeyRests
from bot.work.loop import REQUESTS
from bot.work.tools import Tools
from tests.support.inside import asked, at, follow_once, press, taken, tools_of
from tests.support.story import starts
from tests.support.values import GROUP

NARROW = Policy((w.ALICE,), ((w.CAROL,),), self_approval=False)
TWO = Policy(("*",), ((w.CAROL, w.DAVE),) * 2, self_approval=False)


@pytest.fixture
def inside(new_town: Callable[..., Town]) -> Iterator[tuple[Town, Tools]]:
    town = new_town()
    with tools_of(town) as tools:
        yield town, tools


def with_settings(tools: Tools, **changes: object) -> Tools:
    """The bot, started again with another bot.toml."""
    project = tools.projects["media"]
    changed = Project.model_validate(project.model_dump() | {"requesters": list(project.requesters)} | changes)
    return replace(tools, projects={"media": changed})


def approval(request_id: str, card: Posted) -> Message:
    return Message(Kind.APPROVE, "1", w.CAROL, w.TEAM_ID, card.channel, request_id=request_id, message_ts=card.ts)


def is_claimed(tools: Tools, request_id: str) -> bool:
    with tools.store.read() as connection:
        query = select(tables.requests.c.claimed_by).where(tables.requests.c.id == request_id)
        return connection.execute(query).scalar() is not None


def notices(tools: Tools) -> list[Notice]:
    with tools.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id).order_by(tables.notices.c.id)).scalars().all()
        return [outbox.get_notice(connection, number)[0] for number in numbers]


def told(tools: Tools, *events: str) -> list[tuple[str, dict[str, Any]]]:
    """Who did each of these, and its facts, as the audit has them."""
    with tools.store.read() as connection:
        return [(link.actor, json.loads(link.detail)) for link in links(connection) if link.event in events]


def voters(tools: Tools, request: Request) -> list[str]:
    with tools.store.read() as connection:
        return [one.person for one in requests.votes_of(connection, request.id)]


def attempt(tools: Tools, request: Request) -> str:
    with tools.store.read() as connection:
        query = select(tables.attempts.c.state).where(tables.attempts.c.request_id == request.id)
        found: str = connection.execute(query).scalar_one()
        return found


@pytest.mark.parametrize("person", [w.CAROL, w.BOB])
def test_a_press_that_is_worked_on_twice_decides_once(inside: tuple[Town, Tools], person: str) -> None:
    _, tools = inside
    request, card = asked(*inside, policy=TWO)
    message = Message(Kind.APPROVE, "1", person, w.TEAM_ID, card.channel, request_id=request.id, message_ts=card.ts)
    taken(tools, message)
    vote.work(tools, message)
    vote.work(tools, message)
    assert len(told(tools, "approve", "refused")) == 1
    assert voters(tools, request) == ([w.CAROL] if person == w.CAROL else [])
    assert len(notices(tools)) == (0 if person == w.CAROL else 1)


def test_a_guest_hears_the_same_of_a_request_that_is_there_and_of_one_that_is_not(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside)
    town.workspace.users[w.BOB]["is_restricted"] = True
    press(tools, Kind.APPROVE, w.BOB, request, card)
    message = Message(Kind.APPROVE, "1", w.BOB, w.TEAM_ID, card.channel, request_id="R-00000099", message_ts=card.ts)
    taken(tools, message)
    vote.work(tools, message)
    assert [notice.text for notice in notices(tools)] == ["Guests cannot do this. Nothing was changed."] * 2
    assert [notice.request_id for notice in notices(tools)] == [None, None]


def test_a_copy_is_told_and_marked_for_who_sees_the_project_and_for_nobody_else(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside, policy=NARROW)
    elsewhere = town.workspace.add_message(w.GENERAL, w.BOT_USER_ID, "a copy", [], None)
    press(tools, Kind.APPROVE, w.BOB, request, elsewhere)
    [no] = notices(tools)
    assert (no.text, no.request_id) == (answers.NO_SUCH_REQUEST, None)
    same_ts = Posted(w.GENERAL, card.ts, w.BOT_USER_ID, "a copy", [], None)
    for posted in (elsewhere, same_ts):
        press(tools, Kind.APPROVE, w.CAROL, request, posted)
        [answer, mark] = notices(tools)[-2:]
        assert (answer.text, answer.request_id) == (answers.THAT_WAS_A_COPY, request.id)
        assert (mark.way, mark.address) == (Way.COPY, f"{posted.channel} {posted.ts}")
    assert voters(tools, request) == []
    assert [detail["why"] for _, detail in told(tools, "refused")] == ["not a reader", "copy", "copy"]


def test_everybody_who_voted_is_looked_at_again_when_the_quorum_fills(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside, policy=TWO)
    assert press(tools, Kind.APPROVE, w.CAROL, request, card).state is State.PENDING
    approved = press(tools, Kind.APPROVE, w.DAVE, request, card)
    assert approved.state is State.ACCEPTED
    assert approved.decision is not None
    assert approved.decision.people == (w.CAROL, w.DAVE)
    [(_, opened)] = told(tools, "attempt opened")
    assert opened["approved by"] == [w.CAROL, w.DAVE]
    other, card = asked(*inside, 2, policy=TWO)
    press(tools, Kind.APPROVE, w.CAROL, other, card)
    town.workspace.users[w.CAROL]["deleted"] = True
    assert press(tools, Kind.APPROVE, w.DAVE, other, card).state is State.PENDING


def test_a_vote_that_was_withdrawn_is_gone(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    request, card = asked(*inside, policy=TWO)
    press(tools, Kind.APPROVE, w.CAROL, request, card)
    without = press(tools, Kind.WITHDRAW, w.CAROL, request, card)
    assert (without.tally, voters(tools, request)) == (None, [])
    assert press(tools, Kind.APPROVE, w.DAVE, request, card).state is State.PENDING


def test_another_choice_takes_the_votes_out_and_tells_the_thread_whose(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    failed = Scope.FAILED_OBJECTS
    group = replace(GROUP, status=GroupStatus.MIGRATION_FAILED, records_failed_objects=True)
    request, card = asked(*inside, policy=TWO, verb=Verb.RETRY, scope=Scope.ALL_OBJECTS, group=group)
    press(tools, Kind.APPROVE, w.CAROL, request, card)
    assert press(tools, Kind.CHOOSE, w.ALICE, request, card, scope=failed.value).scope is failed
    assert voters(tools, request) == []
    [(actor, detail)] = told(tools, "choose")
    assert (actor, detail["scope"], detail["void approvals"]) == (w.ALICE, failed.value, [w.CAROL])
    assert notices(tools)[-1].text.endswith(
        f"The approval of <@{w.CAROL}> was for something else and no longer counts."
    )


def test_what_is_called_off_before_its_time_is_never_sent(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    request, card = asked(*inside, start_at=tools.now() + timedelta(hours=1))
    assert press(tools, Kind.APPROVE, w.CAROL, request, card).state is State.APPROVED
    assert (attempt(tools, request), is_claimed(tools, request.id)) == ("ready", False)
    assert press(tools, Kind.CANCEL, w.ALICE, request, card).state is State.CANCELLED
    assert (attempt(tools, request), starts(town)) == ("settled", [])


def test_the_requester_is_told_who_denied_and_why_and_so_is_the_audit(inside: tuple[Town, Tools]) -> None:
    _, tools = inside
    request, card = asked(*inside)
    denied = press(tools, Kind.DENY, w.CAROL, request, card, text="not <!channel> today")
    assert denied.state is State.DENIED
    [direct] = [notice for notice in notices(tools) if notice.way is Way.DIRECT]
    assert direct.address == w.ALICE
    assert line(direct.text).text.endswith(f"denied by <@{w.CAROL}>. Reason: not &lt;!channel&gt; today")
    [(actor, detail)] = told(tools, "deny")
    assert (actor, detail["reason"]) == (w.CAROL, "not <!channel> today")


def test_an_approver_who_was_taken_out_of_the_settings_meanwhile_approves_nothing(
    inside: tuple[Town, Tools],
) -> None:
    town, tools = inside
    request, card = asked(*inside)
    later = with_settings(tools, approvers=[w.DAVE, w.BOB])
    assert press(later, Kind.APPROVE, w.CAROL, request, card) == request
    assert "no longer name you" in notices(tools)[-1].text
    assert starts(town) == []
    assert press(later, Kind.APPROVE, w.DAVE, request, card).decision is not None
    assert len(starts(town)) == 1


def test_where_enough_of_a_project_is_in_hand_an_approval_leaves_its_call_to_the_loop(
    inside: tuple[Town, Tools],
) -> None:
    town, tools = inside
    request, card = asked(*inside)
    for number in range(REQUESTS.each or 0):
        tools.held.take(Claim(tables.requests.name, f"R-1000000{number}", 0, whose="media"))
    assert press(tools, Kind.APPROVE, w.CAROL, request, card).state is State.APPROVED
    assert starts(town) == []
    with tools.store.write() as connection:
        [claim] = claims.claim_due(connection, REQUESTS, tools.owner, tools.now(), 10)
    follow.work(tools, claim)
    assert len(starts(town)) == 1


@pytest.mark.parametrize("is_alone", [True, False])
def test_that_the_requester_approves_is_left_to_be_told_once(inside: tuple[Town, Tools], is_alone: bool) -> None:
    town, tools = inside
    place = [w.ALICE, w.CAROL, w.APPROVERS_GROUP]
    tools = with_settings(tools, approvers=place, approvals=1 if is_alone else 2, self_approval=True)
    request, card = asked(town, tools)
    own = press(tools, Kind.APPROVE, w.ALICE, request, card)
    assert own.state is (State.ACCEPTED if is_alone else State.PENDING)
    [(actor, detail)] = told(tools, "self approval")
    assert (actor, detail) == (w.ALICE, {"reason": request.reason})
    assert left_to_tell(tools) == 1
    if not is_alone:
        assert press(tools, Kind.APPROVE, w.CAROL, request, card).state is State.ACCEPTED
        assert len(told(tools, "self approval")) == 1
        assert left_to_tell(tools) == 1


def left_to_tell(tools: Tools) -> int:
    with tools.store.read() as connection:
        query = select(func.count()).where(tables.inbox.c.kind == Kind.TELL_APPROVERS)
        return connection.execute(query).scalar_one()


def test_whoever_presses_retry_lets_a_resting_identity_be_tried_once_more(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    with tools.store.write() as connection:
        path = "secret/oms/media/caller"
        rests.lock(connection, Rest(path, "", 1, "APIG.0301", 1, tools.now(), is_awake=False, is_in_use=False))
    request, card = asked(*inside)
    rested = press(tools, Kind.APPROVE, w.CAROL, request, card)
    assert (rested.state, starts(town)) == (State.NOT_STARTED, [])
    assert press(tools, Kind.RETRY, w.ALICE, request, card).state is State.ACCEPTED


@pytest.mark.parametrize("fault", [RuntimeError("a fault"), requests.Stale("R-00000001")])
def test_a_release_that_fails_leaves_the_request_free_for_the_loop(
    inside: tuple[Town, Tools], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    _, tools = inside
    request, card = asked(*inside)
    claimed: list[bool] = []

    def fail(*_: object) -> None:
        claimed.append(is_claimed(tools, request.id))
        raise fault

    monkeypatch.setattr(release, "advance", fail)
    message = approval(request.id, card)
    taken(tools, message)
    if isinstance(fault, requests.Stale):
        vote.work(tools, message)  # somebody else was quicker: no fault of this person's
    else:
        with pytest.raises(RuntimeError):
            vote.work(tools, message)
    assert claimed == [True]
    assert not is_claimed(tools, request.id)
    with tools.store.read() as connection:
        approved = requests.get(connection, request.id)
    assert approved is not None
    assert approved.state is State.APPROVED


def test_who_retries_what_was_to_start_at_a_time_wakes_the_key(inside: tuple[Town, Tools]) -> None:
    town, tools = inside
    start_at = tools.now() + timedelta(hours=1)
    request, card = asked(town, tools, start_at=start_at)
    assert press(tools, Kind.APPROVE, w.CAROL, request, card).state is State.APPROVED
    assert starts(town) == [], "not before its time"
    then = at(tools, start_at)
    town.oms.fault("show", Answer(401, "APIG.0301"))
    assert follow_once(then, request.id).state is State.NOT_STARTED
    with pytest.raises(KeyRests):
        tools.callers.call("media", lambda oms: oms.show(request.group.group_id))
    assert press(then, Kind.RETRY, w.CAROL, request, card).state is State.ACCEPTED
    assert [call.status for call in starts(town)] == [200]

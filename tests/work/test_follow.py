"""Looking at a group until it ends: what is found half done is settled, what cannot be seen is said, a pause is sent.

One town for all of them; each request is of a group of its own, approved by carol, and worked on in this process.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.config import Project
from bot.oms.client import Oms
from bot.request.group import TaskGroup
from bot.request.model import AttemptState, Request, State
from bot.sandbox import oms_world as ow
from bot.sandbox.oms_server import Answer, Drop
from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from bot.store import requests, tables
from bot.store.audit import links
from bot.store.claims import Claim
from bot.store.inbox import Kind
from bot.work import follow
from bot.work.caller import _Lane
from bot.work.loop import Failed, Finished, Kept, Result
from bot.work.settings import can_be_followed, plan_now
from bot.work.tools import Tools
from tests.support.inside import asked, at, press, stored, town_and_tools
from tests.support.story import starts

NUMBERS = itertools.count(1)
SECOND = timedelta(seconds=1)


class Followed:
    """A request that carol has approved; `begin` sends it, and its group then runs and moves nothing by itself."""

    def __init__(self, town: Town, tools: Tools) -> None:
        self.town, self.tools = town, tools
        start_at = tools.now() + timedelta(minutes=1)
        self.made, self.posted = asked(town, tools, next(NUMBERS), start_at=start_at)
        press(tools, Kind.APPROVE, w.CAROL, self.made, self.posted)
        self.tools = at(tools, start_at)
        self.group = town.world.groups[self.made.group.group_id]
        self.group.bytes_per_second = 0

    @property
    def request(self) -> Request:
        return stored(self.tools, self.made.id)

    def begin(self) -> None:
        assert self.look() == Kept()
        assert self.request.state is State.ACCEPTED
        self.group.turns.clear()
        self.group.status = ow.MONITORING

    def stands(self, state: State, attempt: AttemptState) -> None:
        """As if whoever had it in hand had died just there."""
        old, now = self.request, self.tools.now()
        assert old.attempt is not None
        new = replace(old, attempt=replace(old.attempt, sent_at=now)).turned(state, at=now)
        with self.tools.store.write() as connection:
            assert requests.turn_attempt(connection, old.id, 1, AttemptState.READY, attempt, now)
            requests.save(connection, old, new, now)

    def pause(self) -> None:
        press(self.tools, Kind.PAUSE, w.BOB, self.request, self.posted)
        assert self.request.state is State.PAUSING

    def look(self, after: timedelta = timedelta(), tries: int = 0) -> Result:
        """One step so much later, after so many that failed."""
        self.tools = at(self.tools, self.tools.now() + after)
        return follow.work(self.tools, Claim(tables.requests.name, self.made.id, tries))

    def events(self) -> list[str]:
        with self.tools.store.read() as connection:
            return [link.event for link in links(connection, self.made.id)]

    def puts(self) -> list[str]:
        return [call.path.rpartition("/")[2] for call in starts(self.town) if self.group.id in call.path]


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Town, Tools]]:
    with town_and_tools() as made:
        yield made


@pytest.fixture
def followed(place: tuple[Town, Tools]) -> Iterator[Followed]:
    town, tools = place
    town.slack.api._buckets.clear()
    yield Followed(town, tools)
    town.oms.calm()
    tools.callers._lanes["media"] = _Lane(tools.callers._lanes["media"].guard)


def test_what_is_found_sending_is_never_sent_and_looked_at_until_it_is_known(followed: Followed) -> None:
    followed.stands(State.SENDING, AttemptState.SENDING)
    for seconds in (0, 59):
        assert followed.look(seconds * SECOND) == Finished(followed.tools.now() + 3 * SECOND)
        assert followed.request.state is State.UNKNOWN
    assert followed.events().count("found sending") == 1
    assert followed.look(SECOND) == Kept()
    assert followed.request.state is State.NOT_STARTED
    assert followed.puts() == []


@pytest.mark.parametrize("state", [State.SENDING, State.UNKNOWN])
def test_an_attempt_that_somebody_else_has_answered_is_left_to_them(followed: Followed, state: State) -> None:
    followed.stands(state, AttemptState.ANSWERED)
    before = followed.request
    followed.group.status = ow.MONITORING
    assert followed.look() == Finished(followed.tools.now()), "what is now true is looked at again at once"
    assert followed.request == before


def test_a_look_that_comes_too_late_changes_nothing(followed: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    followed.begin()
    show = Oms.show

    def show_and_turn(oms: Oms, group_id: str) -> TaskGroup:
        followed.pause()
        return show(oms, group_id)

    monkeypatch.setattr(Oms, "show", show_and_turn)
    assert followed.look(3 * SECOND) == Finished(followed.tools.now())
    assert followed.request.state is State.PAUSING


def test_a_card_that_would_read_the_same_is_edited_once_a_minute(followed: Followed) -> None:
    followed.begin()
    followed.group.complete_bytes += 1
    assert followed.look(3 * SECOND) == Kept()
    shown = followed.request.version
    for _ in range(5):
        assert followed.look(10 * SECOND) == Finished(followed.tools.now() + 10 * SECOND)
    assert followed.request.version == shown
    assert followed.look(10 * SECOND) == Kept()
    assert followed.request.version == shown + 1


def test_what_cannot_be_seen_is_said_once_and_tried_again(followed: Followed) -> None:
    followed.begin()
    followed.town.oms.fault("show", *[Answer(404, "APIG.0101")] * 4)
    for tries, seconds in enumerate((3, 3, 4, 8)):
        assert followed.look(3 * SECOND, tries) == Failed(followed.tools.now() + seconds * SECOND)
        assert (followed.request.trouble is not None) == (tries >= 2)
    assert followed.events().count("not seen") == 1
    assert followed.request.state is State.ACCEPTED, "a gateway that knows no such address says nothing of the group"


def test_a_fault_of_the_bot_is_on_the_card_of_what_is_open_and_told_once(followed: Followed) -> None:
    claim = Claim(tables.requests.name, followed.made.id, 0)
    follow.confess(followed.tools, replace(claim, tries=1), "F-1")
    assert followed.request.trouble is None
    follow.confess(followed.tools, claim, "F-2")
    told = followed.request
    assert told.trouble is not None
    assert told.trouble.reference == "F-2"
    press(followed.tools, Kind.CANCEL, w.ALICE, told, followed.posted)
    follow.confess(followed.tools, claim, "F-3")
    assert followed.request.trouble is None
    assert followed.events().count("fault") == 1


def test_a_group_that_stands_still_already_needs_no_pause(followed: Followed) -> None:
    followed.begin()
    followed.look(3 * SECOND)
    followed.pause()
    followed.group.status = ow.PAUSED
    assert followed.look() == Kept()
    assert followed.request.state is State.PAUSED_AGAIN
    assert "nothing to pause" in followed.events()
    assert followed.puts() == ["start"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(429, "APIG.0308"), "Nothing was paused."),
        (Answer(400, "OMS.1038"), "Nothing was paused."),
        (Answer(503, "APIG.0601"), ""),
        (Drop(done=False), ""),
    ],
)
def test_a_pause_is_tried_three_times_and_claims_no_more_than_is_known(
    followed: Followed, answer: Answer | Drop, said: str
) -> None:
    followed.begin()
    followed.pause()
    followed.town.oms.fault("stop", *[answer] * 3)
    for tries in (0, 1):
        assert followed.look(tries=tries) == Failed(followed.tools.now() + 3 * SECOND)
        assert followed.request.state is State.PAUSING
    assert followed.look(tries=2) == Kept()
    failed = followed.request
    assert failed.state is State.ACCEPTED
    assert failed.pause is not None
    assert failed.pause.failure is not None
    assert ("Nothing was paused." in failed.pause.failure.meaning) == bool(said)
    assert followed.puts() == ["start", "stop", "stop", "stop"]


CHANGES: list[tuple[Callable[[Project], dict[str, object]], bool]] = [
    (lambda project: {"project_id": "f" * 32}, False),
    (lambda project: {"oms_url": "https://elsewhere.example"}, False),
    (lambda project: {"iam_url": "https://elsewhere.example"}, True),
    (lambda project: {"vault": project.vault.model_copy(update={"source": {"another-bucket": "x"}})}, True),
    (lambda project: {"vault": project.vault.model_copy(update={"destination": "elsewhere"})}, True),
]


@pytest.mark.parametrize(("change", "is_followed"), CHANGES)
def test_a_change_of_what_would_be_called_is_seen_and_one_of_where_the_group_is_ends_the_looking(
    followed: Followed, change: Callable[[Project], dict[str, object]], is_followed: bool
) -> None:
    request, tools = followed.request, followed.tools
    assert plan_now(tools, request) == request.plan
    project = tools.projects["media"]
    changed = replace(tools, projects={"media": project.model_copy(update=change(project))})
    assert plan_now(changed, request) != request.plan
    assert can_be_followed(changed, request) == is_followed
    left_to_iam = replace(tools, projects={"media": project.model_copy(update={"project_id": None})})
    assert plan_now(left_to_iam, request) == request.plan
    assert can_be_followed(left_to_iam, request)

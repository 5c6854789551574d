"""Who cannot be looked up is nobody, and while Slack hangs not everybody waits for it in turn."""

from __future__ import annotations

import json
import threading
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.domain.policy import AccountKind, Person
from bot.redaction import Secret
from bot.sandbox.slack import workspace as w
from bot.slack.transport import new_client
from bot.slack.users import FAILURE_CACHE_SECONDS, GROUP_CACHE_SECONDS, LookupFailed, Users
from tests.support.wire import BROKEN_ANSWERS, answering, ok


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_half_an_answer_tells_nobody_who_somebody_is(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url:
        people = Users(new_client(Secret(w.BOT_TOKEN), f"{url}/api/"), w.TEAM_ID, ["S0GROUP001"], lambda: 0.0)
        with pytest.raises(LookupFailed):
            people.look_up("UALICE00")
        with pytest.raises(LookupFailed):
            people.members(["S0GROUP001"])


USER = {"id": "UALICE00", "team_id": w.TEAM_ID, "tz": "Asia/Singapore"}


@contextmanager
def told(**answer: object) -> Iterator[Users]:
    """People, where Slack answers whatever it is asked with this."""
    with answering(ok(json.dumps(answer).encode())) as url:
        yield Users(new_client(Secret(w.BOT_TOKEN), f"{url}/api/"), w.TEAM_ID, ["S0GROUP001"], lambda: 0.0)


@pytest.mark.parametrize(
    ("changes", "account_kind"),
    [
        ({}, AccountKind.FULL),
        ({"is_restricted": True}, AccountKind.GUEST),
        ({"is_ultra_restricted": True}, AccountKind.GUEST),
        ({"is_bot": True}, AccountKind.BOT),
        ({"id": "USLACKBOT"}, AccountKind.BOT),
        ({"deleted": True}, AccountKind.DEACTIVATED),
        ({"is_stranger": True}, AccountKind.EXTERNAL),
        ({"team_id": "T0OTHER001"}, AccountKind.EXTERNAL),
        ({"team_id": None}, AccountKind.EXTERNAL),
    ],
)
def test_an_account_is_what_slack_says_that_it_is(changes: dict[str, object], account_kind: AccountKind) -> None:
    with told(ok=True, user=USER | changes, users=["UALICE00"]) as people:
        person = people.look_up("UALICE00")
    assert (person.account_kind, person.groups, person.groups_known) == (account_kind, frozenset({"S0GROUP001"}), True)


@pytest.mark.parametrize("error", ["user_not_found", "user_not_visible"])
def test_who_is_not_there_is_a_stranger_in_no_group(error: str) -> None:
    with told(ok=False, error=error) as people:
        assert people.look_up("UALICE00") == Person("UALICE00", "", AccountKind.EXTERNAL)
        assert people.time_zone("UALICE00").key == "UTC"


def test_who_could_be_in_a_group_that_slack_does_not_tell_of_is_in_none() -> None:
    with told(ok=True, user=USER) as people:
        person = people.look_up("UALICE00")
    assert (person.account_kind, person.groups, person.groups_known) == (AccountKind.FULL, frozenset(), False)


@pytest.mark.parametrize(
    "answer", [{"ok": False, "error": "ratelimited"}, {"ok": True}, {"ok": True, "user": "UALICE00"}]
)
def test_any_other_answer_tells_nobody_who_somebody_is(answer: dict[str, object]) -> None:
    with told(**answer) as people, pytest.raises(LookupFailed):
        people.look_up("UALICE00")


@pytest.mark.parametrize(
    ("tz", "zone"), [("Asia/Singapore", "Asia/Singapore"), ("Mars/Base", "UTC"), ("../x", "UTC"), (None, "UTC")]
)
def test_a_zone_that_is_none_is_utc(tz: str | None, zone: str) -> None:
    with told(ok=True, user=USER | {"tz": tz}) as people:
        assert people.time_zone("UALICE00").key == zone


def test_a_zone_is_known_on_a_machine_that_has_none() -> None:
    try:
        zoneinfo.reset_tzpath([])
        zoneinfo.ZoneInfo.clear_cache()
        with told(ok=True, user=USER) as people:
            noon = datetime(2026, 3, 2, 12, tzinfo=people.time_zone("UALICE00"))
    finally:
        zoneinfo.reset_tzpath()
    assert noon.utcoffset() == timedelta(hours=8)


MEMBERS = frozenset({"US1"})


class Groups(WebClient):
    """Slack's list of a group's members, held up for as long as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.is_down = False
        self.waits_for: dict[str, threading.Event] = {}

    def usergroups_users_list(self, *, usergroup: str, **_: Any) -> Any:
        self.asked.append(usergroup)
        if usergroup in self.waits_for:
            self.waits_for[usergroup].wait(20)
        if self.is_down:
            raise TimeoutError
        return {"users": [f"U{usergroup}"]}


class Clock:
    now = 0.0


@pytest.fixture
def groups() -> Groups:
    return Groups()


@pytest.fixture
def asking(groups: Groups) -> Callable[[str], frozenset[str] | None]:
    """Asks who is in a group; None where Slack does not tell."""
    people = Users(groups, "T", ["S1", "S2"], lambda: Clock.now)
    Clock.now = 0.0

    def ask(name: str) -> frozenset[str] | None:
        try:
            return people.members([name])[name]
        except LookupFailed:
            return None

    return ask


def test_members_are_asked_for_once_a_minute(groups: Groups, asking: Callable[[str], frozenset[str] | None]) -> None:
    assert asking("S1") == asking("S1") == MEMBERS
    Clock.now += GROUP_CACHE_SECONDS
    assert asking("S1") == MEMBERS
    assert groups.asked == ["S1", "S1"]


def test_a_slack_that_hangs_is_waited_for_once_by_all(
    groups: Groups, asking: Callable[[str], frozenset[str] | None]
) -> None:
    groups.is_down = True
    hangs = groups.waits_for["S1"] = threading.Event()
    found: list[frozenset[str] | None] = []
    threads = [threading.Thread(target=lambda: found.append(asking("S1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    hangs.set()
    for thread in threads:
        thread.join()
    assert found == [None] * 8
    assert groups.asked == ["S1"]
    groups.is_down = False
    assert asking("S1") is None
    Clock.now += FAILURE_CACHE_SECONDS
    assert asking("S1") == MEMBERS


def test_a_group_that_hangs_holds_up_no_other(groups: Groups, asking: Callable[[str], frozenset[str] | None]) -> None:
    hangs = groups.waits_for["S1"] = threading.Event()
    waiting = threading.Thread(target=asking, args=("S1",))
    waiting.start()
    assert asking("S2") == frozenset({"US2"})
    assert waiting.is_alive()
    hangs.set()
    waiting.join()


def test_what_was_known_is_not_used_once_it_is_old_and_slack_does_not_tell(
    groups: Groups, asking: Callable[[str], frozenset[str] | None]
) -> None:
    assert asking("S1") == MEMBERS
    groups.is_down = True
    Clock.now += GROUP_CACHE_SECONDS
    assert asking("S1") is None

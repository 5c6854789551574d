"""A failed lookup raises an error, and threads that look up the same group share one call to Slack."""

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
from bot.sandbox.slack.ids import BOT_TOKEN, TEAM_ID
from bot.slack.errors import LookupFailed
from bot.slack.transport import new_client
from bot.slack.user_groups import FAILURE_CACHE_SECONDS, GROUP_CACHE_SECONDS
from bot.slack.users import (
    CONFIRM_ROUNDS,
    KNOWN_SECONDS,
    OUTSIDER_SECONDS,
    RECENT_SECONDS,
    UNKNOWN_BURST,
    UNKNOWN_EVERY_SECONDS,
    Users,
)
from tests.support.wire import BROKEN_ANSWERS, answering, ok


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_a_broken_answer_fails_the_lookup(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url:
        users = Users(new_client(Secret(BOT_TOKEN), f"{url}/api/"), TEAM_ID, lambda: 0.0)
        with pytest.raises(LookupFailed):
            users.look_up("UALICE00", ["S0GROUP001"])
        with pytest.raises(LookupFailed):
            users.members(["S0GROUP001"])


USER = {"id": "UALICE00", "team_id": TEAM_ID, "tz": "Asia/Singapore"}


def in_organization(team_id: str, *teams: str) -> dict[str, object]:
    """The fields of users.info in Enterprise Grid."""
    organization = {"id": "W0ALICE001", "enterprise_id": "E0COMPANY1", "enterprise_name": "Company", "is_admin": False}
    return {"team_id": team_id, "enterprise_user": organization | {"is_owner": False, "teams": list(teams)}}


@contextmanager
def users_of(**answer: object) -> Iterator[Users]:
    """Users of a Slack that answers every call with this."""
    with answering(ok(json.dumps(answer).encode())) as url:
        yield Users(new_client(Secret(BOT_TOKEN), f"{url}/api/"), TEAM_ID, lambda: 0.0)


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
        # Enterprise Grid: `team_id` is one of a person's workspaces, and `teams` are all of them.
        (in_organization("T0OTHER001", "T0OTHER001", TEAM_ID), AccountKind.FULL),
        (in_organization("E0COMPANY1", TEAM_ID), AccountKind.FULL),
        (in_organization(TEAM_ID, TEAM_ID, "T0OTHER001"), AccountKind.FULL),
        (in_organization("T0OTHER001", "T0OTHER001"), AccountKind.EXTERNAL),
        (in_organization("T0OTHER001"), AccountKind.EXTERNAL),
        (in_organization("T0OTHER001", TEAM_ID) | {"is_stranger": True}, AccountKind.EXTERNAL),
        (in_organization("T0OTHER001", TEAM_ID) | {"is_restricted": True}, AccountKind.GUEST),
        (in_organization("T0OTHER001", TEAM_ID) | {"is_bot": True}, AccountKind.BOT),
        (in_organization("T0OTHER001", TEAM_ID) | {"deleted": True}, AccountKind.DEACTIVATED),
        ({"team_id": "T0OTHER001", "enterprise_user": TEAM_ID}, AccountKind.EXTERNAL),
        ({"team_id": "T0OTHER001", "enterprise_user": {"teams": TEAM_ID}}, AccountKind.EXTERNAL),
        ({"team_id": None}, AccountKind.EXTERNAL),
    ],
)
def test_the_account_kind_follows_from_what_slack_returns(
    changes: dict[str, object], account_kind: AccountKind
) -> None:
    with users_of(ok=True, user=USER | changes, users=["UALICE00"]) as users:
        person = users.look_up("UALICE00", ["S0GROUP001"])
    assert (person.account_kind, person.groups, person.groups_known) == (account_kind, frozenset({"S0GROUP001"}), True)


@pytest.mark.parametrize("error", ["user_not_found", "user_not_visible"])
def test_an_unknown_user_is_external_and_in_no_group(error: str) -> None:
    with users_of(ok=False, error=error) as users:
        assert users.look_up("UALICE00", ["S0GROUP001"]) == Person("UALICE00", "", AccountKind.EXTERNAL)
        assert users.time_zone("UALICE00").key == "UTC"


def test_a_person_is_in_no_group_while_its_members_are_unknown() -> None:
    with users_of(ok=True, user=USER) as users:
        person = users.look_up("UALICE00", ["S0GROUP001"])
    assert (person.account_kind, person.groups, person.groups_known) == (AccountKind.FULL, frozenset(), False)


@pytest.mark.parametrize(
    "answer", [{"ok": False, "error": "ratelimited"}, {"ok": True}, {"ok": True, "user": "UALICE00"}]
)
def test_any_other_answer_fails_the_lookup(answer: dict[str, object]) -> None:
    with users_of(**answer) as users, pytest.raises(LookupFailed):
        users.look_up("UALICE00", ["S0GROUP001"])


@pytest.mark.parametrize(
    ("tz", "zone"), [("Asia/Singapore", "Asia/Singapore"), ("Mars/Base", "UTC"), ("../x", "UTC"), (None, "UTC")]
)
def test_an_unknown_time_zone_is_utc(tz: str | None, zone: str) -> None:
    with users_of(ok=True, user=USER | {"tz": tz}) as users:
        assert users.time_zone("UALICE00").key == zone


def test_time_zones_are_known_on_a_machine_without_zone_data() -> None:
    try:
        zoneinfo.reset_tzpath([])
        zoneinfo.ZoneInfo.clear_cache()
        with users_of(ok=True, user=USER) as users:
            noon = datetime(2026, 3, 2, 12, tzinfo=users.time_zone("UALICE00"))
    finally:
        zoneinfo.reset_tzpath()
    assert noon.utcoffset() == timedelta(hours=8)


MEMBERS = frozenset({"US1"})


class Groups(WebClient):
    """A client whose `usergroups.users.list` waits until the test lets it answer."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.is_down = False
        self.waits_for: dict[str, threading.Event] = {}

    def usergroups_users_list(self, *, usergroup: str, **_: Any) -> Any:
        self.calls.append(usergroup)
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
def members_of(groups: Groups) -> Callable[[str], frozenset[str] | None]:
    """Looks up the members of a group; None when that fails."""
    users = Users(groups, "T", lambda: Clock.now)
    Clock.now = 0.0

    def look_up(name: str) -> frozenset[str] | None:
        try:
            return users.members([name])[name]
        except LookupFailed:
            return None

    return look_up


def test_the_members_of_a_group_are_cached_for_a_minute(
    groups: Groups, members_of: Callable[[str], frozenset[str] | None]
) -> None:
    assert members_of("S1") == members_of("S1") == MEMBERS
    Clock.now += GROUP_CACHE_SECONDS
    assert members_of("S1") == MEMBERS
    assert groups.calls == ["S1", "S1"]


def test_concurrent_lookups_share_one_call_that_hangs_and_its_failure(
    groups: Groups, members_of: Callable[[str], frozenset[str] | None]
) -> None:
    groups.is_down = True
    hangs = groups.waits_for["S1"] = threading.Event()
    found: list[frozenset[str] | None] = []
    threads = [threading.Thread(target=lambda: found.append(members_of("S1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    hangs.set()
    for thread in threads:
        thread.join()
    assert found == [None] * 8
    assert groups.calls == ["S1", "S1"], "one call and its repeat"
    groups.is_down = False
    assert members_of("S1") is None
    Clock.now += FAILURE_CACHE_SECONDS
    assert members_of("S1") == MEMBERS


def test_a_call_that_hangs_does_not_delay_another_group(
    groups: Groups, members_of: Callable[[str], frozenset[str] | None]
) -> None:
    hangs = groups.waits_for["S1"] = threading.Event()
    waiting = threading.Thread(target=members_of, args=("S1",))
    waiting.start()
    assert members_of("S2") == frozenset({"US2"})
    assert waiting.is_alive()
    hangs.set()
    waiting.join()


def test_expired_members_are_not_used_when_slack_does_not_answer(
    groups: Groups, members_of: Callable[[str], frozenset[str] | None]
) -> None:
    assert members_of("S1") == MEMBERS
    groups.is_down = True
    Clock.now += GROUP_CACHE_SECONDS
    assert members_of("S1") is None


def test_a_group_that_is_disabled_or_deleted_is_empty_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    with users_of(ok=False, error="no_such_subteam") as users:
        for _ in range(2):
            assert users.members(["S0GROUP001", "UALICE00"]) == {"S0GROUP001": frozenset()}
        assert users.unavailable(["S0GROUP001", "S0GROUP002", "UALICE00"]) == ("S0GROUP001",)
        assert users.all_unavailable() == ("S0GROUP001",)
    assert [record.getMessage() for record in caplog.records] == [
        "user group S0GROUP001 is disabled or deleted in Slack, so it counts as empty. Enable it there, or remove it "
        "from bot.toml"
    ]


def test_a_lasting_refusal_is_kept_with_its_method_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with users_of(ok=False, error="missing_scope") as users:
        for _ in range(2):
            with pytest.raises(LookupFailed):
                users.look_up("UALICE00", [])
    assert [(method, denial.code) for method, denial in users.denials.items()] == [("users.info", "missing_scope")]
    denial = users.denial_behind(LookupFailed("users.info: missing_scope"))
    assert denial is not None
    assert denial.code == "missing_scope"
    assert users.denial_behind(LookupFailed("usergroups.users.list: internal_error")) is None, "another method may pass"
    assert len(caplog.records) == 1


def test_only_the_groups_among_the_names_are_looked_up(groups: Groups) -> None:
    users = Users(groups, "T", lambda: Clock.now)
    users.members(["S1", "UALICE00", "*", "S1"])
    assert groups.calls == ["S1"]


class People(WebClient):
    """A client whose `users.info` returns these changes of a full member, and counts its calls.

    Attributes:
        members: the members of every user group.
    """

    def __init__(self, **changes: object) -> None:
        super().__init__()
        self.changes = changes
        self.members: list[str] = []
        self.calls: list[str] = []

    def users_info(self, *, user: str, **_: Any) -> Any:
        self.calls.append(user)
        return {"user": USER | {"id": user} | self.changes}

    def usergroups_users_list(self, *, usergroup: str, **_: Any) -> Any:
        self.calls.append(usergroup)
        return {"users": list(self.members)}


@pytest.mark.parametrize(
    "change", [{"is_restricted": True}, {"deleted": True}, {"is_bot": True}, {"team_id": "T0OTHER001"}]
)
def test_the_verdict_about_an_outsider_is_kept_for_a_minute(change: dict[str, object]) -> None:
    client, clock = People(**change), Clock()
    clock.now = 0.0
    users = Users(client, TEAM_ID, lambda: clock.now)
    kinds = [users.look_up("U1", ["*"]).account_kind for _ in range(20)]
    assert len(set(kinds)) == 1
    assert (kinds[0] is not AccountKind.FULL, client.calls) == (True, ["U1"])
    client.changes = {}
    clock.now = OUTSIDER_SECONDS
    assert users.look_up("U1", ["*"]).account_kind is AccountKind.FULL


def test_a_person_who_presses_often_costs_twelve_look_ups_a_minute() -> None:
    client, clock = People(), Clock()
    users = users_at(client, clock)
    for tenth in range(600):
        clock.now = tenth / 10
        users.look_up_now("U1", ["U1", "*"])
    assert len(client.calls) == 60 / RECENT_SECONDS == 12


def test_a_person_is_looked_up_again_after_five_seconds() -> None:
    client, clock = People(), Clock()
    users = users_at(client, clock)
    for look_up in (users.look_up, users.look_up_now):
        client.changes = {}
        clock.now += OUTSIDER_SECONDS
        assert look_up("U1", ["U1"]).account_kind is AccountKind.FULL
        client.changes = {"deleted": True}
        clock.now += RECENT_SECONDS
        assert look_up("U1", ["U1"]).account_kind is AccountKind.DEACTIVATED


def test_unknown_people_together_use_a_part_of_the_look_ups_and_known_people_the_rest() -> None:
    client, clock = People(), Clock()
    clock.now = 0.0
    users = Users(client, TEAM_ID, lambda: clock.now, ["UNAMED"])
    users.look_up("UVERIFIED", ["UVERIFIED"])
    # Full members whom nothing names stay unknown.
    for number in range(UNKNOWN_BURST - 1):
        users.look_up(f"U{number}", ["UNAMED"])
    for stranger in ("U998", "U999"):
        with pytest.raises(LookupFailed):
            users.look_up(stranger, ["UNAMED"])
    users.look_up("UNAMED", ["UNAMED"])
    assert [users.is_known(one) for one in ("UNAMED", "UVERIFIED", "U0")] == [True, True, False]
    clock.now = UNKNOWN_EVERY_SECONDS
    users.look_up("UVERIFIED", ["UVERIFIED"])
    users.look_up("U0", ["UNAMED"])
    with pytest.raises(LookupFailed):
        users.look_up("U1", ["UNAMED"])
    clock.now += KNOWN_SECONDS
    assert [users.is_known(one) for one in ("UNAMED", "UVERIFIED")] == [True, False]


def test_members_who_may_only_request_leave_the_look_ups_of_approvers_free() -> None:
    """With `requesters = ["*"]`, bot.toml names every full member, and any of them can press buttons all the time."""
    client, clock = People(), Clock()
    users = Users(client, TEAM_ID, lambda: clock.now, ["*", "UCAROL"])
    client.members = ["UDAVE"]
    users.members(["S1"])
    names, refused = ["*", "UCAROL", "S1"], 0
    for second in range(60):
        clock.now = float(second)
        for presser in range(20):
            try:
                users.look_up_now(f"UMEMBER{presser}", names)
            except LookupFailed:
                refused += 1
    members = [call for call in client.calls if call.startswith("UMEMBER")]
    assert len(members) <= UNKNOWN_BURST + 60 / UNKNOWN_EVERY_SECONDS
    assert refused
    assert [users.look_up_now(one, names).id for one in ("UCAROL", "UDAVE")] == ["UCAROL", "UDAVE"]


def test_members_of_a_user_group_that_was_looked_up_are_known() -> None:
    users = Users(Groups(), "T", lambda: 0.0)
    assert not users.is_known("US1")
    users.members(["S1"])
    assert users.is_known("US1")


def users_at(client: WebClient, clock: Clock) -> Users:
    clock.now = 0.0
    return Users(client, TEAM_ID, lambda: clock.now)


def test_an_approver_is_confirmed_with_an_answer_that_is_younger_than_five_seconds() -> None:
    client, clock = People(), Clock()
    users = users_at(client, clock)
    users.look_up_now("U1", ["U1"])
    client.changes = {"deleted": True}
    clock.now = RECENT_SECONDS - 0.1
    assert users.confirm("U1", ["U1"]).account_kind is AccountKind.FULL
    assert client.calls == ["U1"]
    clock.now = RECENT_SECONDS
    assert users.confirm("U1", ["U1"]).account_kind is AccountKind.DEACTIVATED
    assert users_at(client, Clock()).confirm("U1", ["U1"]).account_kind is AccountKind.DEACTIVATED, (
        "nobody asked before"
    )


class SlowPeople(People):
    """Slack takes `seconds` for each answer about a person."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds
        self.deactivated: set[str] = set()

    def users_info(self, *, user: str, **_: Any) -> Any:
        self.calls.append(user)
        answer = {"user": USER | {"id": user, "deleted": user in self.deactivated}}
        self.clock.now += self.seconds
        return answer


def test_an_approver_whose_answer_became_old_during_the_others_is_confirmed_again() -> None:
    clock = Clock()
    client = SlowPeople(clock, 2.0)
    users = users_at(client, clock)
    users.confirm("U2", [])
    users.confirm("U1", [])
    client.calls.clear()
    clock.now += 1.5
    # The answer about U2 is too old, and while Slack answers again, that about U1 becomes so, too.
    client.deactivated.add("U1")
    kinds = [person.account_kind for person in users.confirm_all(["U1", "U2"], [])]
    assert kinds == [AccountKind.DEACTIVATED, AccountKind.FULL]
    assert client.calls == ["U2", "U1"]


def test_recent_answers_about_all_approvers_cost_no_call() -> None:
    clock = Clock()
    client = SlowPeople(clock, 1.0)
    users = users_at(client, clock)
    assert [person.id for person in users.confirm_all(["U1", "U2", "U3"], [])] == ["U1", "U2", "U3"]
    assert [person.id for person in users.confirm_all(["U1", "U2", "U3"], [])] == ["U1", "U2", "U3"]
    assert client.calls == ["U1", "U2", "U3"]


def test_approvers_are_not_confirmed_by_answers_that_are_never_recent_together() -> None:
    clock = Clock()
    client = SlowPeople(clock, RECENT_SECONDS)
    users = users_at(client, clock)
    with pytest.raises(LookupFailed, match="answers take too long"):
        users.confirm_all(["U1", "U2"], [])
    assert client.calls == ["U1", "U2"] * CONFIRM_ROUNDS


def test_threads_that_confirm_the_same_person_share_one_call() -> None:
    client, barrier = People(), threading.Barrier(8)
    users = users_at(client, Clock())
    found: list[Person] = []

    def confirm() -> None:
        barrier.wait()
        found.append(users.confirm("U1", ["U1"]))

    threads = [threading.Thread(target=confirm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.account_kind for one in found} == {AccountKind.FULL}
    assert client.calls == ["U1"]


@pytest.mark.parametrize("change", [{"is_restricted": True}, {"deleted": True}])
def test_an_approver_is_not_confirmed_with_an_older_verdict_that_they_are_an_outsider(
    change: dict[str, object],
) -> None:
    client, clock = People(**change), Clock()
    users = users_at(client, clock)
    assert users.look_up_now("U1", ["U1"]).account_kind is not AccountKind.FULL
    client.changes = {}
    clock.now = RECENT_SECONDS
    assert users.confirm("U1", ["U1"]).account_kind is AccountKind.FULL
    assert users.look_up_now("U1", ["U1"]).account_kind is AccountKind.FULL, "the verdict is replaced"


def test_a_person_who_is_a_full_member_again_can_decide_a_minute_later() -> None:
    client, clock = People(deleted=True), Clock()
    users = users_at(client, clock)
    for clock.now in (0.0, OUTSIDER_SECONDS / 2):
        users.look_up_now("U1", ["U1"])
    client.changes = {}
    clock.now = OUTSIDER_SECONDS
    assert users.look_up_now("U1", ["U1"]).account_kind is AccountKind.FULL


@pytest.mark.parametrize("look_up", [Users.look_up_now, Users.confirm])
def test_a_member_who_left_a_user_group_does_not_count_after_five_seconds(
    look_up: Callable[[Users, str, list[str]], Person],
) -> None:
    client, clock = People(), Clock()
    users = users_at(client, clock)
    client.members = ["U1"]
    assert look_up(users, "U1", ["S1"]).groups == {"S1"}
    client.members = []
    clock.now = RECENT_SECONDS
    assert users.look_up("U1", ["S1"]).groups == {"S1"}, "enough to show something"
    assert look_up(users, "U1", ["S1"]).groups == frozenset()


def test_an_approver_who_joined_a_user_group_is_confirmed_before_its_cache_ends() -> None:
    client, clock = People(), Clock()
    users = users_at(client, clock)
    assert users.look_up_now("U1", ["S1"]).groups == frozenset()
    client.members = ["U1"]
    clock.now = RECENT_SECONDS
    assert users.confirm("U1", ["S1"]).groups == {"S1"}


def test_people_in_no_user_group_cost_one_look_up_of_it_a_minute() -> None:
    client, clock = People(), Clock()
    users = users_at(client, clock)
    client.members = ["UAPPROVER"]
    for second in range(0, 60, 6):
        clock.now = float(second)
        users.look_up_now("USTRANGER", ["S1"])
    assert client.calls.count("S1") == 1


def test_confirming_approvers_uses_none_of_the_look_ups_of_unknown_people() -> None:
    client, clock = People(), Clock()
    client.members = [f"U{number}" for number in range(2 * UNKNOWN_BURST)]
    users = users_at(client, clock)
    for approver in client.members:
        assert users.confirm(approver, ["S1"]).groups == {"S1"}
    for number in range(UNKNOWN_BURST):
        users.look_up(f"USTRANGER{number}", ["S1"])
    with pytest.raises(LookupFailed):
        users.look_up("USTRANGER", ["S1"])
    # A process that has just started does not know who is in the group.
    users = users_at(client, clock)
    for number in range(UNKNOWN_BURST):
        users.look_up(f"USTRANGER{number}", [])
    assert users.confirm("U1", ["S1"]).groups == {"S1"}

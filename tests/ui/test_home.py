"""The App Home view: the order of its requests, and its totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bot.domain.request import LastSeen, Pause, Policy, Request, State, VoteProgress
from bot.domain.task_group import RUNNING_STATUSES, GroupStatus
from bot.domain.watched_group import Activity, Movement, WatchedGroup
from bot.sandbox.slack.checks import problems_of_view
from bot.ui.blocks import fingerprint
from bot.ui.formatting import local_time
from bot.ui.home import MAX_LINES, HomeContent, home_sections, home_view
from bot.ui.status import status_text
from tests.support.values import GROUP, HALF, NOON, person, request

CAROL = person("UCAROL00", "S0LEADS00")
CAROL_OR_DAVE = Policy(("*",), (("UCAROL00", "UDAVE000"),) * 2, self_approval=False)
POLICIES = {"media": CAROL_OR_DAVE}


def ordered(*requests: Request) -> dict[str, list[str]]:
    """The ids of the requests in each section, as carol sees them."""
    return ordered_of(HomeContent(requests))


def ordered_of(content: HomeContent) -> dict[str, list[str]]:
    """The ids of the requests and the keys of the groups in each section, as carol sees them."""
    return {
        one.title: [shown.id if isinstance(shown, Request) else shown.key for shown in one.items]
        for one in home_sections(content, CAROL, POLICIES)
    }


def view(requests: Sequence[Request], permalinks: dict[str, str] | None = None) -> dict[str, Any]:
    sections = home_sections(HomeContent(requests), CAROL, POLICIES)
    shown: dict[str, Any] = home_view(sections, permalinks or {}, "/resume-taskgroup", "help", NOON).to_dict()
    assert problems_of_view(shown) == []
    return shown


def pending(number: int, **changes: object) -> Request:
    return replace(request(number=number, policy=CAROL_OR_DAVE), **changes)  # type: ignore[arg-type]


def test_requests_that_wait_for_the_reader_come_first_then_their_own_then_running_ones() -> None:
    assert ordered(
        request(State.NOT_STARTED, 1),
        request(State.MOVING, 2),
        pending(3, requester="UCAROL00"),
        pending(4),
        request(State.NOT_STARTED, 5, requester="UCAROL00"),
    ) == {
        "Waiting for your approval": ["R-00000004"],
        "Your requests": ["R-00000005", "R-00000003"],
        "Running": ["R-00000002"],
        "Trouble": ["R-00000001", "R-00000005"],
    }


def test_the_request_that_expires_first_is_the_first_that_waits_for_the_reader() -> None:
    sooner = NOON + timedelta(hours=1)
    assert ordered(pending(1), pending(2, expires_at=sooner)) == {
        "Waiting for your approval": ["R-00000002", "R-00000001"]
    }


def test_a_request_waits_for_the_reader_only_if_their_approval_would_fill_an_open_slot() -> None:
    voted = pending(1, vote_progress=VoteProgress(("UCAROL00",), (("UDAVE000",),)))
    one_of_each = Policy(("*",), (("S0LEADS00",), ("UDAVE000",)), self_approval=False)
    leads_voted = replace(voted, id="R-00000002", policy=one_of_each)
    leads_voted = replace(leads_voted, vote_progress=VoteProgress(("UERIN000",), (("UDAVE000",),)))
    not_named = pending(3)
    without_carol = {"media": Policy(("*",), (("UDAVE000",),), self_approval=False)}
    assert ordered(voted, leads_voted) == {"Other open requests": ["R-00000001", "R-00000002"]}
    [section] = home_sections(HomeContent([not_named]), CAROL, without_carol)
    assert section.title == "Other open requests"
    by_carol = pending(4, requester="UCAROL00", policy=replace(CAROL_OR_DAVE, self_approval=True))
    assert ordered(by_carol) == {"Your requests": ["R-00000004"]}


def test_each_request_is_one_line_with_a_link_to_its_card_and_no_buttons() -> None:
    shown = view([pending(1)], {"R-00000001": "https://slack.example/p1"})
    texts = [block["text"]["text"] for block in shown["blocks"] if "text" in block]
    assert texts == [
        "Waiting for your approval (1)",
        f"{status_text(pending(1))} <https://slack.example/p1|See the card>",
        "help",
    ]
    assert [
        element["action_id"]
        for block in shown["blocks"]
        for element in block.get("elements", ())
        if "action_id" in element
    ] == ["request", "refresh"]


def test_more_requests_than_fit_are_counted_and_the_view_stays_within_the_limits_of_slack() -> None:
    mine = [pending(number, requester="UCAROL00") for number in range(100, 170)]
    running = [request(State.MOVING, number) for number in range(200, 220)]
    others = [request(State.APPROVED, number) for number in range(300, 312)]
    shown = view([*others, *running, *mine, pending(1)])
    texts = [text for block in shown["blocks"] for text in _texts(block)]
    assert [text for text in texts if text.endswith(")")] == [
        "Waiting for your approval (1)",
        "Your requests (70)",
        "Running (20)",
        "Other open requests (12)",
    ]
    more = "more; type `/resume-taskgroup list`"
    assert [text for text in texts if text.startswith("and ")] == [f"and 11 {more}", f"and 12 {more}"]
    assert sum(text.startswith("R-") for text in texts) == MAX_LINES
    assert len(shown["blocks"]) <= 100


def watched(number: int, status: GroupStatus, movement: Movement | None = None) -> WatchedGroup:
    group = replace(GROUP, group_id=f"6a6b6c6d-0000-4000-8000-{number:012d}", status=status)
    activity = Activity.MOVING if status in RUNNING_STATUSES else Activity.STOPPED
    return WatchedGroup(f"group {number}", "media", group, NOON, NOON, movement or Movement(activity))


STALLED = Movement(Activity.STALLED, 0, still_since=NOON - timedelta(minutes=20))


def test_groups_without_a_request_are_sorted_by_their_status() -> None:
    content = HomeContent(
        [],
        watched=[
            watched(1, GroupStatus.MONITORING),
            watched(2, GroupStatus.MIGRATION_FAILED),
            watched(3, GroupStatus.COMPLETED),
            watched(4, GroupStatus.MONITORING, STALLED),
            watched(5, GroupStatus.PAUSED),
            watched(6, GroupStatus.MONITORING, Movement(Activity.MOVING, 1_000, slow_since=NOON, is_slow=True)),
            watched(7, GroupStatus.PAUSING),
            watched(8, GroupStatus.PAUSED),
            watched(9, GroupStatus.DELETED),
        ],
        paused_with_bot=["group 8"],
    )
    assert ordered_of(content) == {
        "Running": ["group 1", "group 7"],
        "Trouble": ["group 2", "group 4", "group 5", "group 6"],
        "Ended in the last 24 hours": ["group 3", "group 8", "group 9"],
    }


def test_a_group_with_a_request_is_shown_only_as_the_request() -> None:
    moving, done = request(State.MOVING, 1), request(State.DONE, 2, group=replace(GROUP, group_id="another"))
    groups = [
        replace(watched(1, GroupStatus.MONITORING), key=moving.group_key),
        replace(watched(2, GroupStatus.COMPLETED), key=done.group_key),
    ]
    assert ordered_of(HomeContent([moving], [done], 1, groups)) == {
        "Running": [moving.id],
        "Ended in the last 24 hours": [done.id],
    }


def test_a_request_whose_group_stalled_or_failed_is_in_trouble() -> None:
    stalled = request(State.MOVING, 1, last_seen=LastSeen(NOON, HALF, STALLED))
    failed, denied = request(State.FAILED, 2, group=replace(GROUP, group_id="another")), request(State.DENIED, 3)
    assert ordered_of(HomeContent([stalled], [failed, denied], 2)) == {
        "Trouble": [stalled.id, failed.id],
        "Ended in the last 24 hours": [denied.id],
    }


def test_the_total_of_the_trouble_counts_the_requests_of_the_reader() -> None:
    mine = request(State.MOVING, 1, requester="UCAROL00", last_seen=LastSeen(NOON, HALF, STALLED))
    assert ordered(mine) == {"Your requests": [mine.id], "Trouble": [mine.id]}


def test_a_group_that_was_paused_outside_the_bot_is_in_trouble_and_one_that_a_person_paused_has_ended() -> None:
    outside = request(State.PAUSED_AGAIN, 1)
    pause = Pause("UBOB0000", NOON, State.MOVING, sent_at=NOON)
    paused = request(State.PAUSED_AGAIN, 2, group=replace(GROUP, group_id="another"), pause=pause)
    assert ordered_of(HomeContent([], [outside, paused], 2)) == {
        "Trouble": [outside.id],
        "Ended in the last 24 hours": [paused.id],
    }


def test_a_request_whose_group_has_a_newer_request_is_left_out() -> None:
    failed, paused, done = request(State.FAILED, 1), request(State.PAUSED_AGAIN, 2), request(State.DONE, 3)
    assert ordered_of(HomeContent([], [done, paused, failed], 3)) == {"Ended in the last 24 hours": [done.id]}
    pending_again = pending(4)
    assert ordered_of(HomeContent([pending_again], [failed], 1)) == {"Waiting for your approval": [pending_again.id]}
    denied = request(State.DENIED, 5)
    assert ordered_of(HomeContent([], [denied, failed], 2)) == {
        "Trouble": [failed.id],
        "Ended in the last 24 hours": [denied.id],
    }


def test_a_group_that_was_started_or_deleted_after_its_request_is_shown_as_it_is_now() -> None:
    failed = request(State.FAILED)
    later = NOON + timedelta(minutes=1)
    for status, title in ((GroupStatus.MONITORING, "Running"), (GroupStatus.COMPLETED, "Ended in the last 24 hours")):
        group = replace(watched(1, status), key=failed.group_key, seen_at=later)
        shown = ordered_of(HomeContent([], [failed], 1, [group]))
        assert group.key in shown[title]
        assert failed.id in shown["Ended in the last 24 hours"]
        assert "Trouble" not in shown
    before = replace(watched(1, GroupStatus.MONITORING), key=failed.group_key, seen_at=NOON)
    assert ordered_of(HomeContent([], [failed], 1, [before])) == {"Trouble": [failed.id]}
    deleted = replace(failed, group=replace(GROUP, status=GroupStatus.DELETED))
    assert ordered_of(HomeContent([], [deleted], 1)) == {"Ended in the last 24 hours": [deleted.id]}


def test_requests_that_ended_and_were_not_read_are_counted() -> None:
    ended = [request(State.DENIED, number) for number in range(100, 180)]
    [section] = home_sections(HomeContent([], ended, 5_000), CAROL, POLICIES)
    assert (section.title, section.total, len(section.items)) == ("Ended in the last 24 hours", 5_000, MAX_LINES)


def test_a_group_shows_its_project_and_the_time_of_an_old_reading() -> None:
    def shown(now: datetime) -> str:
        sections = home_sections(HomeContent([], watched=[watched(1, GroupStatus.MONITORING)]), CAROL, POLICIES)
        view = home_view(sections, {}, "/x", "help", now).to_dict()
        assert problems_of_view(view) == []
        text: str = view["blocks"][3]["text"]["text"]
        return text

    assert shown(NOON + timedelta(minutes=1)).endswith(", running, 40\u00a0%, moving, project media")
    assert shown(NOON + timedelta(hours=1)).endswith(f", project media, as of {local_time(NOON)}")


def test_a_view_with_the_same_content_has_the_same_fingerprint_at_another_time() -> None:
    def printed(now: datetime, *requests: Request) -> str:
        return fingerprint(home_view(home_sections(HomeContent(requests), CAROL, POLICIES), {}, "/x", "help", now))

    later = NOON + timedelta(minutes=5)
    assert printed(NOON, pending(1)) == printed(later, pending(1))
    assert printed(NOON, pending(1)) != printed(NOON, pending(2))


def _texts(block: dict[str, Any]) -> list[str]:
    parts = [block["text"]] if "text" in block else block.get("elements", ())
    return [part["text"] for part in parts if isinstance(part.get("text"), str)]


def test_app_home_says_when_it_was_updated_and_that_there_is_nothing() -> None:
    texts = [text for block in view([])["blocks"] for text in _texts(block)]
    assert texts == [f"As of {local_time(NOON)}", "There are no open requests.", "help"]


def test_a_button_that_belongs_to_no_request_has_no_value() -> None:
    [buttons] = [block["elements"] for block in view([])["blocks"] if block["type"] == "actions"]
    assert [(one["action_id"], one["text"]["text"], one.get("value")) for one in buttons] == [
        ("request", "New request", None),
        ("refresh", "Refresh", None),
    ]

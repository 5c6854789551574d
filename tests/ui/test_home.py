"""The App Home view: the order of its requests, and its totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.domain.request import Policy, Request, State, VoteProgress
from bot.sandbox.slack.checks import problems_of_view
from bot.ui.formatting import local_time
from bot.ui.home import MAX_LINES, home_sections, home_view
from bot.ui.status import status_text
from tests.support.values import NOON, person, request

CAROL = person("UCAROL00", "S0LEADS00")
CAROL_OR_DAVE = Policy(("*",), (("UCAROL00", "UDAVE000"),) * 2, self_approval=False)
POLICIES = {"media": CAROL_OR_DAVE}


def ordered(*requests: Request) -> dict[str, list[str]]:
    """The ids of the requests in each section, as carol sees them."""
    return {one.title: [shown.id for shown in one.requests] for one in home_sections(requests, CAROL, POLICIES)}


def view(requests: Sequence[Request], permalinks: dict[str, str] | None = None) -> dict[str, Any]:
    sections = home_sections(requests, CAROL, POLICIES)
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
        "Other open requests": ["R-00000001"],
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
    [section] = home_sections([not_named], CAROL, without_carol)
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
    others = [request(State.NOT_STARTED, number) for number in range(300, 312)]
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

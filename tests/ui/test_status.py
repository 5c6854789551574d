"""The status text names the group, the people who decided, and what the request waits for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.request import Decision, Policy, Request, State, VoteProgress
from bot.ui.formatting import local_time
from bot.ui.start_time import start_terms
from bot.ui.status import status_text
from tests.support.values import GROUP, NOON, request

TWO_SLOTS = Policy(("*",), (("UCAROL00",), ("UDAVE000",)), False)
LATER = NOON + timedelta(hours=1)
GROUP_LINE = f"Group `{GROUP.group_id}` in project media."
PENDING = f'R-00000001 · Resume "nightly images". {GROUP_LINE}'


def test_the_status_text_names_who_decided() -> None:
    assert "Approved by <@UCAROL00>" in status_text(request(State.DONE))
    assert "Canceled by <@UCAROL00>" in status_text(request(State.CANCELLED))
    denied = status_text(request(State.DENIED))
    assert "Denied by <@UCAROL00>" in denied
    assert "Approved" not in denied


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (request(), f"{PENDING} Needs one approval from <@UCAROL00>. Expires {local_time(request().expires_at)}."),
        (
            request(start_at=LATER, policy=TWO_SLOTS, vote_progress=VoteProgress(("UDAVE000",), (("UCAROL00",),))),
            f"{PENDING} 1 of 2 approved (<@UDAVE000>). Still needed: <@UCAROL00>. "
            f"Expires {local_time(request().expires_at)}. {start_terms(request(start_at=LATER))}",
        ),
        (
            request(State.APPROVED, start_at=LATER),
            f'R-00000001 · Approved, scheduled: "nightly images". {GROUP_LINE} '
            f"Approved by <@UCAROL00> {local_time(NOON)}. It starts {local_time(LATER)}.",
        ),
        (
            request(State.NOT_STARTED),
            f'R-00000001 · Not resumed: "nightly images". {GROUP_LINE} Approved by <@UCAROL00> {local_time(NOON)}. '
            f"OMS.0072: It may not. Nothing was started. "
            f"The approval is valid until {local_time(request().expires_at)}.",
        ),
    ],
)
def test_the_status_text_says_what_a_request_waits_for(made: Request, text: str) -> None:
    assert status_text(made) == text


def test_the_status_text_of_a_denied_request_has_the_reason() -> None:
    denied = request(State.DENIED, ending=Decision(("UCAROL00",), NOON, "The source is being cleaned up."))
    assert status_text(denied).endswith("Reason: The source is being cleaned up.")

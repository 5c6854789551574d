"""The status text names the group, the people who decided, and what the request waits for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.request import Request, State, VoteProgress
from bot.ui.formatting import local_time
from bot.ui.start_time import start_terms
from bot.ui.status import status_text
from tests.support.values import GROUP, NOON, request

LATER = NOON + timedelta(hours=1)
PENDING = f"R-00000001: Resume migration: nightly images. Group `{GROUP.group_id}` in project media."


def test_the_status_text_names_who_decided() -> None:
    assert "Approved by <@UCAROL00>" in status_text(request(State.DONE))
    assert "Cancelled by <@UCAROL00>" in status_text(request(State.CANCELLED))
    denied = status_text(request(State.DENIED))
    assert "Denied by <@UCAROL00>" in denied
    assert "Approved" not in denied


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (request(), f"{PENDING} Needs 1 of <@UCAROL00> until {local_time(request().expires_at)}."),
        (
            request(start_at=LATER, vote_progress=VoteProgress(("UDAVE000",), (("UCAROL00",),))),
            f"{PENDING} Needs 1 of <@UCAROL00> until {local_time(request().expires_at)}, approved so far by "
            f"<@UDAVE000>. {start_terms(request(start_at=LATER))}",
        ),
        (
            request(State.APPROVED, start_at=LATER),
            f"R-00000001: Approved, waits for its time: nightly images. Group `{GROUP.group_id}` in project media. "
            f"Approved by <@UCAROL00> {local_time(NOON)}. It starts {local_time(LATER)}.",
        ),
        (
            request(State.NOT_STARTED),
            f"R-00000001: Not resumed: OMS.0072, it may not. Group `{GROUP.group_id}`, nightly images, in project "
            f"media. Approved by <@UCAROL00> {local_time(NOON)}. "
            f"The approval holds until {local_time(request().expires_at)}.",
        ),
    ],
)
def test_the_status_text_says_what_a_request_waits_for(made: Request, text: str) -> None:
    assert status_text(made) == text

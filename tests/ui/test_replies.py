"""Answers to one person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.request import State
from bot.ui.formatting import local_time
from bot.ui.replies import already_open_by_you, request_created
from tests.support.values import GROUP, NOON, request

LATER = NOON + timedelta(hours=1)


def test_a_created_request_names_its_group_and_start_time() -> None:
    text = 'Asked. <@UCAROL00> may approve. Request R-00000001: "nightly images", group `'
    assert request_created(request(), None) == f"{text}{GROUP.group_id}`."
    assert f"It starts {local_time(LATER)}, not at once. Request " in request_created(request(start_at=LATER), None)
    unnamed = request(group=replace(GROUP, description=" "))
    assert request_created(unnamed, None).endswith(f"Request R-00000001: group `{GROUP.group_id}`.")


def test_only_a_pending_request_can_be_replaced() -> None:
    assert "cancel that request first" in already_open_by_you(request(), None)
    assert "cancel" not in already_open_by_you(request(State.MOVING), None)

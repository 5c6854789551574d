"""Lines of the thread that quote an error."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.request import Pause, Problem, State
from bot.domain.task_group import Scope
from bot.ui.formatting import local_time
from bot.ui.thread import half_time_reminder, pause_failed, scope_changed, thread_line
from tests.support.values import NOON, PLAN, request


def test_a_thread_line_quotes_the_message_and_request_id_of_oms() -> None:
    problem = Problem(
        "OMS", "OMS.0072", "No <!channel> for you.", "It may not. Nothing was started.", "Grant it.", "abc123"
    )
    text = "It may not. Nothing was started. OMS said: No &lt;!channel&gt; for you. Next: Grant it."
    for state, what in ((State.NOT_STARTED, "wasn't resumed"), (State.FAILED, "failed")):
        assert thread_line(request(state, problem=problem)) == (
            f'<@UALICE00>, "nightly images" {what} (OMS.0072). {text} Huawei request id `abc123`.'
        )
    failed_pause = Pause("UCAROL00", NOON, State.MOVING, NOON, problem)
    assert pause_failed(request(State.MOVING, pause=failed_pause)) == (
        f'<@UCAROL00>, "nightly images" wasn\'t paused (OMS.0072). {text} Huawei request id `abc123`.'
    )


def test_a_message_of_oms_that_the_meaning_repeats_is_left_out() -> None:
    problem = Problem("OMS", "OMS.0072", "It may not", "It may not. Nothing was started.", "", None)
    assert thread_line(request(State.NOT_STARTED, problem=problem)) == (
        '<@UALICE00>, "nightly images" wasn\'t resumed (OMS.0072). It may not. Nothing was started.'
    )


def test_the_first_reminder_names_who_can_give_the_missing_approval() -> None:
    pending = request()
    assert half_time_reminder(pending, (("UCAROL00", "SLEADS00"),)) == (
        f"Still waiting for one approval from <@UCAROL00> or <!subteam^SLEADS00>. "
        f"Expires {local_time(pending.expires_at)}."
    )


def test_a_changed_scope_is_posted_with_the_approvals_that_no_longer_count() -> None:
    assert scope_changed(request(scope=Scope.ALL_OBJECTS), "UDAVE000", ["UCAROL00"]) == (
        "<@UDAVE000> chose to retry all objects. The approval by <@UCAROL00> for the other choice no longer "
        "counts. The request needs approval again."
    )


def test_a_line_that_points_to_the_console_links_to_it_if_its_address_is_known() -> None:
    line = thread_line(request(State.NOT_FOLLOWED)) or ""
    assert line.endswith("Check the group in the Huawei Cloud console.")
    linked = thread_line(request(State.NOT_FOLLOWED, plan=replace(PLAN, console_url="https://console.example/?a=1&b")))
    assert (linked or "").endswith("in <https://console.example/?a=1&amp;b|the Huawei Cloud console>.")

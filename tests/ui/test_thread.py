"""Lines of the thread that quote an error."""

from __future__ import annotations

from bot.domain.request import Pause, Problem, State
from bot.ui.thread import pause_failed, thread_line
from tests.support.values import NOON, request


def test_a_thread_line_quotes_the_message_and_request_id_of_oms() -> None:
    problem = Problem(
        "OMS", "OMS.0072", "No <!channel> for you.", "It may not. Nothing was started.", "Grant it.", "abc123"
    )
    text = "It may not. Nothing was started. OMS said: No &lt;!channel&gt; for you. Next: Grant it."
    for state, begins in ((State.NOT_STARTED, "Not resumed"), (State.FAILED, "Migration failed")):
        assert thread_line(request(state, problem=problem)) == (
            f"<@UALICE00>: {begins}: OMS.0072, {text.replace('It', 'it', 1)} Huawei request id `abc123`."
        )
    failed_pause = Pause("UCAROL00", NOON, State.MOVING, NOON, problem)
    assert pause_failed(request(State.MOVING, pause=failed_pause)) == (
        f"Not paused: OMS.0072, {text} Huawei request id `abc123`."
    )


def test_a_message_of_oms_that_the_meaning_repeats_is_left_out() -> None:
    problem = Problem("OMS", "OMS.0072", "It may not", "It may not. Nothing was started.", "", None)
    assert thread_line(request(State.NOT_STARTED, problem=problem)) == (
        "<@UALICE00>: Not resumed: OMS.0072, it may not. Nothing was started."
    )

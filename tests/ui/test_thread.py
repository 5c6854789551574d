"""Lines of the thread about errors, reminders, and how a group moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.announcements import Announced
from bot.domain.request import LastSeen, Pause, Problem, Request, State
from bot.domain.task_group import Progress, Scope, SubTasks
from bot.domain.watched_group import Activity, Movement, Trouble
from bot.ui.formatting import local_time
from bot.ui.thread import announcement_line, half_time_reminder, pause_failed, scope_changed, thread_line
from tests.support.values import GROUP, HALF, NOON, PLAN, request


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


def moving(announced: Announced, movement: Movement, progress: Progress = HALF) -> Request:
    """A request whose group was read 49 minutes after noon."""
    seen = LastSeen(NOON + timedelta(minutes=49), progress, movement)
    group = replace(GROUP, sub_tasks=SubTasks(total=3, executing=1, complete=2))
    return request(State.MOVING, announced=announced, last_seen=seen, group=group)


STEADY = Movement(Activity.MOVING, rate=1_000_000, rate_since=NOON)
FINE = moving(Announced(), STEADY)
STALLED = moving(Announced(Trouble.STALLED, NOON), Movement(Activity.STALLED, still_since=NOON))
SLOW = moving(Announced(Trouble.SLOW, NOON), replace(STEADY, slow_since=NOON, is_slow=True))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            FINE,
            STALLED,
            f'<@UALICE00>, "nightly images" has stalled at 40 %. Nothing has moved since {local_time(NOON)}, '
            "although a sub-task is running. Check the group in the Huawei Cloud console.",
        ),
        (
            STALLED,
            moving(Announced(), STEADY, replace(HALF, speed_bytes_per_second=1_000_000)),
            '<@UALICE00>, "nightly images" is moving again at 40 %. It was stalled for 49 min.',
        ),
        (STALLED, FINE, '<@UALICE00>, "nightly images" has moved again at 40 %. It was stalled for 49 min.'),
        (
            FINE,
            SLOW,
            '<@UALICE00>, "nightly images" is slow. The rate has been below the limit for this project '
            f"(slow_below in bot.toml) since {local_time(NOON)}. "
            "1.0 MB/s over the last few minutes, about 1.5 h left.",
        ),
        (
            SLOW,
            FINE,
            '"nightly images" is no longer slow. 1.0 MB/s over the last few minutes, about 1.5 h left.',
        ),
        (
            FINE,
            moving(Announced(milestone=25, milestone_at=NOON), STEADY),
            '"nightly images" is 40 % done: 4.0 of 10.0 GB, 400 of 1,000 objects. '
            "1.0 MB/s over the last few minutes, about 1.5 h left.",
        ),
        (FINE, moving(Announced(milestone=25), STEADY), None),
        (FINE, FINE, None),
        (STALLED, STALLED, None),
    ],
)
def test_the_thread_line_says_how_the_movement_has_changed(old: Request, new: Request, line: str | None) -> None:
    assert announcement_line(old, new) == line


def test_the_percentage_is_left_out_where_the_total_is_not_known() -> None:
    unknown = moving(STALLED.announced, Movement(Activity.STALLED, still_since=NOON), Progress(complete_bytes=5))
    assert (announcement_line(FINE, unknown) or "").startswith(
        '<@UALICE00>, "nightly images" has stalled. Nothing has moved since'
    )

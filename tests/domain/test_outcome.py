"""The state after a reading of the group: moving only if something moved, failed with the reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain import outcome
from bot.domain.announcements import Announced
from bot.domain.outcome import GroupProblem, accepted, not_paused
from bot.domain.request import LastSeen, Pause, Problem, Request, State, Verb
from bot.domain.task_group import ErrorReason, GroupStatus, Progress, Scope, TaskGroup
from bot.domain.watched_group import Activity, Movement, Trouble
from bot.ui.problem_texts import group_problem
from tests.support.values import GROUP, HALF, NOON, request

SOON, MINUTE = NOON + timedelta(seconds=3), NOON + timedelta(seconds=60)
FAILURE = Problem("OMS", "TRF.0151", "Invalid AK/SK", "The access key is wrong.", "Look at secret/source.")


def explain(kind: GroupProblem, group: TaskGroup) -> Problem:
    return FAILURE if kind is GroupProblem.FAILED else group_problem(kind, group)


def follow(request: Request, group: TaskGroup, now: datetime) -> Request:
    return outcome.follow(request, group, explain, now)


def settle(request: Request, group: TaskGroup, now: datetime) -> Request | None:
    return outcome.settle(request, group, explain, now)


def group(status: GroupStatus, **progress: int) -> TaskGroup:
    return replace(GROUP, status=status, progress=replace(HALF, **progress))


def test_a_running_status_alone_is_not_moving() -> None:
    assert follow(request(State.ACCEPTED), group(GroupStatus.MONITORING), SOON).state is State.ACCEPTED


def test_more_bytes_objects_or_skips_are_moving() -> None:
    for more in ({"complete_bytes": 4_000_000_001}, {"success_objects": 401}, {"skipped_objects": 1}):
        assert follow(request(State.ACCEPTED), group(GroupStatus.MONITORING, **more), SOON).state is State.MOVING


def test_more_failed_objects_are_not_moving() -> None:
    assert (
        follow(request(State.ACCEPTED), group(GroupStatus.MONITORING, failed_objects=5), SOON).state is State.ACCEPTED
    )


def test_a_status_that_oms_updates_late_is_not_paused_again() -> None:
    seen = follow(request(State.ACCEPTED), group(GroupStatus.PAUSED), SOON)
    assert seen.state is State.ACCEPTED
    assert follow(seen, group(GroupStatus.PAUSED), MINUTE).state is State.NOT_STARTED


def test_a_group_that_ran_and_is_paused_was_paused_again() -> None:
    ran = follow(request(State.ACCEPTED), group(GroupStatus.MONITORING), SOON)
    assert follow(ran, group(GroupStatus.PAUSED), MINUTE).state is State.PAUSED_AGAIN
    assert follow(request(State.MOVING), group(GroupStatus.PAUSED), SOON).state is State.PAUSED_AGAIN

    shutdown = follow(request(State.ACCEPTED), group(GroupStatus.PAUSING), SOON)
    assert follow(shutdown, group(GroupStatus.PAUSED), MINUTE).state is State.PAUSED_AGAIN
    moved = follow(request(State.ACCEPTED), group(GroupStatus.PAUSED, success_objects=401), SOON)
    assert moved.state is State.PAUSED_AGAIN, "a group that has moved has run"


def test_a_group_that_moved_stays_moving_when_its_counters_start_again() -> None:
    restarted = follow(request(State.MOVING), group(GroupStatus.MONITORING, complete_bytes=0, success_objects=0), SOON)
    assert restarted.state is State.MOVING
    assert restarted.last_seen == LastSeen(SOON, restarted.group.progress)


def test_progress_seen_before_the_put_is_not_shown_as_seen_after_it() -> None:
    answered = accepted(request(State.SENDING), "abc123", SOON)
    assert answered.last_seen is None
    assert answered.attempt is not None
    assert (answered.attempt.answered_at, answered.attempt.huawei_request_id) == (SOON, "abc123")


def test_a_failed_group_shows_why_it_failed() -> None:
    for state in (State.ACCEPTED, State.MOVING):
        seen = follow(request(state), group(GroupStatus.MIGRATION_FAILED), SOON)
        assert (seen.state, seen.problem) == (State.FAILED, FAILURE)


def test_a_put_without_a_clear_reply_is_settled_by_the_group() -> None:
    unknown = request(State.UNKNOWN)
    assert settle(unknown, group(GroupStatus.PAUSED), SOON) is None
    for status, state in (
        (GroupStatus.PAUSING, State.ACCEPTED),  # the group was paused before the PUT, so it has run since
        (GroupStatus.PAUSED, State.NOT_STARTED),
        (GroupStatus.EXECUTING, State.ACCEPTED),
        (GroupStatus.COMPLETED, State.DONE),
        (GroupStatus.MIGRATION_FAILED, State.FAILED),
        (GroupStatus.DELETED, State.FAILED),
    ):
        new = settle(unknown, group(status), MINUTE)
        assert new is not None
        assert new.state is state


def test_a_settled_request_still_shows_the_reply_to_the_put() -> None:
    reply = Problem("OMS", "OMS.0065", "words", "It runs.", "", "abc123", side="the task group")
    unknown = request(State.UNKNOWN, problem=reply, started_elsewhere=True)
    nothing = settle(unknown, group(GroupStatus.PAUSED), MINUTE)
    assert nothing is not None
    assert nothing.problem is not None
    assert nothing.problem.meaning == "It runs. A minute after the call, OMS still shows the group as paused."
    assert replace(nothing.problem, meaning=reply.meaning, next_step="") == reply
    assert not nothing.started_elsewhere
    assert unknown.attempt is not None
    answered = replace(unknown, attempt=replace(unknown.attempt, huawei_request_id="abc123"))
    began = settle(answered, group(GroupStatus.EXECUTING), SOON)
    assert began is not None
    assert began.attempt is not None
    assert began.attempt.huawei_request_id == "abc123"
    assert began.started_elsewhere
    late = follow(replace(answered, state=State.ACCEPTED), group(GroupStatus.PAUSED), MINUTE)
    assert late.problem is not None
    assert late.problem.huawei_request_id == "abc123"


def test_the_progress_of_a_retry_is_measured_from_where_the_counters_start_again() -> None:
    retried = request(State.ACCEPTED, verb=Verb.RETRY, scope=Scope.ALL_OBJECTS)
    failed = replace(group(GroupStatus.MIGRATION_FAILED), error=ErrorReason("TRF.0151", "Invalid AK/SK"))
    seen = follow(replace(retried, group=failed), failed, SOON)
    assert seen.state is State.ACCEPTED, "OMS may update the status late"
    late = follow(seen, failed, MINUTE)
    assert late.state is State.NOT_STARTED
    assert late.problem is not None
    assert (late.problem.code, late.problem.message) == ("TRF.0151", "Invalid AK/SK")
    assert "AK/SK" not in late.problem.meaning, "the message of OMS is not mixed into the bot's own"
    restarted = follow(seen, group(GroupStatus.MONITORING, complete_bytes=0, success_objects=0), SOON)
    assert restarted.state is State.ACCEPTED
    assert (
        follow(restarted, group(GroupStatus.MONITORING, complete_bytes=1, success_objects=0), MINUTE).state
        is State.MOVING
    )
    assert follow(restarted, failed, SOON).state is State.FAILED, "it ran, and failed again"


def test_a_pause_ends_when_the_group_is_paused_and_fails_after_a_minute() -> None:
    pausing = request(State.PAUSING, pause=Pause("UCAROL00", NOON, State.MOVING, sent_at=NOON))
    assert follow(pausing, group(GroupStatus.PAUSING), MINUTE).state is State.PAUSING
    assert follow(pausing, group(GroupStatus.MONITORING), SOON).state is State.PAUSING
    assert follow(pausing, group(GroupStatus.PAUSED), SOON).state is State.PAUSED_AGAIN
    assert follow(pausing, group(GroupStatus.COMPLETED), SOON).state is State.DONE
    nothing = follow(pausing, group(GroupStatus.MONITORING), MINUTE)
    assert nothing.state is State.MOVING
    assert nothing.pause is not None
    assert nothing.pause.failure is not None
    waiting = request(State.PAUSING, pause=Pause("UCAROL00", NOON, State.ACCEPTED))
    assert not_paused(waiting, nothing.pause.failure, SOON).state is State.ACCEPTED, "as it was before"


def test_a_completed_group_is_done_from_any_state() -> None:
    for state in (State.ACCEPTED, State.MOVING):
        done = follow(request(state), group(GroupStatus.COMPLETED, complete_bytes=10_000_000_000), SOON)
        assert done.state is State.DONE
        assert done.last_seen is not None
        assert done.last_seen.progress == Progress(10_000_000_000, 10_000_000_000, 1000, 400)


STALLED = Movement(Activity.STALLED, still_since=NOON)


def test_a_stall_of_a_running_group_is_posted_with_the_same_change() -> None:
    running = group(GroupStatus.MONITORING)
    for state in (State.ACCEPTED, State.MOVING):
        seen = outcome.follow(request(state), running, explain, MINUTE, STALLED)
        assert seen.state is state
        assert seen.last_seen == LastSeen(MINUTE, running.progress, STALLED)
        assert seen.announced == Announced(Trouble.STALLED, NOON)
        moved = outcome.follow(seen, group(GroupStatus.MONITORING, success_objects=401), explain, MINUTE, STALLED)
        assert moved.announced.trouble is Trouble.STALLED, "it has stalled again since"
        moving = Movement(Activity.MOVING, still_since=MINUTE)
        moved = outcome.follow(seen, group(GroupStatus.MONITORING, success_objects=401), explain, MINUTE, moving)
        assert moved.announced == Announced()


def test_nothing_is_posted_about_an_unknown_movement_or_a_group_that_ends_or_is_paused() -> None:
    shown = request(State.MOVING, announced=Announced(Trouble.STALLED, NOON))
    assert follow(shown, group(GroupStatus.MONITORING), MINUTE).announced == shown.announced
    done = outcome.follow(request(State.MOVING), group(GroupStatus.COMPLETED), explain, MINUTE, STALLED)
    assert (done.state, done.announced) == (State.DONE, Announced())
    pausing = request(State.PAUSING, pause=Pause("UCAROL00", NOON, State.MOVING, NOON))
    for running in (GroupStatus.MONITORING, GroupStatus.PAUSING):
        assert outcome.follow(pausing, group(running), explain, SOON, STALLED).announced == Announced()


def test_a_milestone_counts_from_the_progress_before_the_start() -> None:
    moving = Movement(Activity.MOVING, rate=100_000, rate_since=NOON)
    for complete_bytes, milestone in ((4_900_000_000, 0), (5_000_000_000, 50)):
        running = group(GroupStatus.MONITORING, complete_bytes=complete_bytes)
        assert outcome.follow(request(State.MOVING), running, explain, MINUTE, moving).announced.milestone == milestone

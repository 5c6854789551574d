"""What happens to the groups of a simulated week: mostly by somebody's hand in the console, and at random."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from bot.domain.request import Request, State
from bot.jobs.watch.mute import mute_group
from bot.sandbox.huawei import console
from bot.sandbox.huawei.group import (
    CREATION_FAILED,
    EXECUTING,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    Condition,
    Group,
)
from bot.sandbox.huawei.oms_state import OmsState
from bot.sandbox.slack.ids import ALICE, CAROL, MIGRATIONS, TEAM_ID
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store.inbox import Kind, Message
from tests.support.blocks import buttons
from tests.support.in_process import context_of, create_request, press_button, store_message, stored_request
from tests.support.simulated_time import simulated_time
from tests.support.simulated_week import BUSY_FOR, HOUR, MINUTE, SECOND, STALL_AFTER, Away, Mute, Week

Action = Callable[[Week, str], None]

WEEK = timedelta(days=7)
_RUNNING = (EXECUTING, MONITORING)
_FAILED = (CREATION_FAILED, MIGRATION_FAILED)
#: Nothing of the script happens this long before and after an outage, so that what is told then is of the outage.
CALM = 3 * MINUTE


#: How many times something happens to some groups, how many requests are made, and how many times Mute is pressed.
MOMENTS, REQUESTS, MUTES = 40, 8, 6


def run_week(seed: int, groups: int) -> Week:
    """A week of this many groups, in a sandbox of its own."""
    sandbox = Sandbox().open()
    try:
        with context_of(sandbox) as real, simulated_time(sandbox, real) as (context, clock):
            week = Week(sandbox, context, clock, seed)
            write_script(week, groups)
            week.run_until(week.start + WEEK)
    finally:
        sandbox.close()
    return week


def write_script(week: Week, groups: int) -> None:
    """Fills the week.

    Arguments:
        groups: how many groups there are at the beginning. Some of them are in trouble already.
    """
    # Something happens to each group about once.
    at_once = max(4, groups // 15)
    for number in range(groups):
        add_group(week, number, (MONITORING, MONITORING, MONITORING, PAUSED, MIGRATION_FAILED)[number % 5])
    for day, (away, hours) in enumerate(
        ((Away.BOT, 5), (Away.OMS, 1), (Away.SLACK, 4), (Away.BOT, 9), (Away.SLACK, 2), (Away.OMS_LIMITS, 1)), start=1
    ):
        start = week.start + timedelta(days=day) + _spread(week, 8 * HOUR)
        week.outage(away, start, hours * HOUR)
        for _ in range(4):
            _moment(week, start + CALM + _spread(week, hours * HOUR - 2 * CALM), at_once)
    for _ in range(MOMENTS):
        _moment(week, _calm_time(week), at_once)
    for number in range(1, REQUESTS + 1):
        _request(week, number, _calm_time(week))
    for _ in range(MUTES):
        week.at(_calm_time(week), lambda: _mute(week))


def add_group(week: Week, number: int, status: int = MONITORING) -> None:
    """Adds a group that would run for longer than the week."""
    group_id = f"4d4d4d4d-0000-4000-8000-{number:012d}"
    group = Group(group_id, f"group {number}", status, total_bytes=900 * 10**9, bytes_per_second=1_000_000)
    week.oms.groups[group_id] = group


def _spread(week: Week, longest: timedelta) -> timedelta:
    return timedelta(seconds=week.random.uniform(0, longest.total_seconds()))


def _calm_time(week: Week) -> datetime:
    """A time at which everything works."""
    while True:
        time = week.start + 10 * MINUTE + _spread(week, WEEK - 30 * MINUTE)
        if not any(one.start - CALM < time < one.end + CALM for one in week.outages):
            return time


def _moment(week: Week, time: datetime, at_once: int) -> None:
    week.be_busy(time - MINUTE, time + BUSY_FOR)
    for _ in range(week.random.randint(1, at_once)):
        week.at(time, lambda: _happen(week, week.random.choice([*week.oms.groups])))


def _happen(week: Week, group_id: str) -> None:
    """Lets something happen to a group, unless a request follows it."""
    group = week.group(group_id)
    if group is None or group.pending_changes or week.is_followed(group_id):
        return
    if group.status in _FAILED:
        week.random.choice([_retry, _retry, _delete])(week, group_id)
    elif group.status == PAUSED:
        week.random.choice([_resume] * 5 + [_delete])(week, group_id)
    elif group.status in _RUNNING and group.condition is not Condition.USUAL:
        week.random.choice([_condition(Condition.USUAL)] * 3 + [_pause, _fail])(week, group_id)
    elif group.status == MONITORING:
        week.random.choice(_SCENES)(week, group_id)
    elif group.status not in _RUNNING:
        add_group(week, len(week.oms.groups))


def _in_console(act: Callable[[OmsState, str], None]) -> Action:
    return lambda week, group_id: act(week.oms, group_id)


def _condition(condition: Condition) -> Action:
    def change(week: Week, group_id: str) -> None:
        console.set_condition(week.oms, group_id, condition)
        if condition is Condition.STALLED:
            told_at = week.clock() + STALL_AFTER
            week.be_busy(told_at - MINUTE, told_at + BUSY_FOR)

    return change


def _fail(week: Week, group_id: str) -> None:
    with week.oms.up_to_date(group_id) as group:
        group.status, group.error = MIGRATION_FAILED, ("TRF.0151", "Invalid AK/SK of the source end.")


def _retry(week: Week, group_id: str) -> None:
    with week.oms.up_to_date(group_id) as group:
        week.oms.schedule_run(group)


def _finish(week: Week, group_id: str) -> None:
    with week.oms.up_to_date(group_id) as group:
        group.complete_bytes = group.reachable_bytes


def _pause_briefly(week: Week, group_id: str) -> None:
    """Pauses a group, and resumes it a little later."""
    console.pause(week.oms, group_id)
    week.at(week.clock() + SECOND * week.random.randint(5, 90), lambda: _resume(week, group_id))


def _resume(week: Week, group_id: str) -> None:
    group = week.group(group_id)
    if group is not None and group.status == PAUSED and not group.pending_changes:
        console.resume(week.oms, group_id)


_pause, _delete = _in_console(console.pause), _in_console(console.delete)
_SCENES: list[Action] = [
    *[_pause] * 4,
    _pause_briefly,
    *[_fail] * 3,
    *[_condition(Condition.STALLED)] * 4,
    *[_condition(Condition.SLOW)] * 2,
    _condition(Condition.QUEUED),
    _condition(Condition.RESTORING),
    _in_console(console.grow),
    _in_console(console.fail_in_parts),
    _finish,
]


def _mute(week: Week) -> None:
    """Presses one of the buttons Mute for a day in the channel."""
    messages = [one for one in week.sandbox.workspace.messages if one.channel == MIGRATIONS]
    found = [(one, button) for one in messages for button in buttons(one.blocks) if button["action_id"] == "mute"]
    if not found:
        return
    pressed, button = week.random.choice(found)
    now, key = week.clock(), str(button["value"])
    message = Message(
        Kind.MUTE_FOR_A_DAY,
        f"mute {now.isoformat()}",
        ALICE,
        TEAM_ID,
        pressed.channel,
        group_key=key,
        message_ts=pressed.ts,
        received_at=now,
    )
    store_message(week.context, message)
    mute_group(week.context, message)
    week.be_busy(now, now + MINUTE)
    week.mutes.append(Mute(key.rsplit("/", 1)[1], pressed.ts, now, now + timedelta(days=1)))


# Requests


def _request(week: Week, number: int, time: datetime) -> None:
    week.be_busy(time - MINUTE, time + BUSY_FOR)
    week.at(time, lambda: _create(week, number))


def _create(week: Week, number: int) -> None:
    made, posted = create_request(week.sandbox, week.context, number)
    group_id = made.group.group_id
    # A migration of 25 min to an hour.
    week.oms.groups[group_id].bytes_per_second = week.random.randint(1_600_000, 4_000_000)
    week.cards[posted.ts] = group_id
    week.changed(group_id, "new")
    week.at(week.clock() + 20 * SECOND, lambda: _approve(week, made, posted))


def _approve(week: Week, made: Request, posted: PostedMessage) -> None:
    group_id = made.group.group_id
    press_button(week.context, Kind.APPROVE, CAROL, made, posted)
    week.changed(group_id, "running")
    scene = week.random.choice((None, "paused", "failed", "stalled", "parts", "pressed", "stalled"))
    time = week.clock() + 5 * MINUTE + _spread(week, 20 * MINUTE)
    if scene is not None:
        week.be_busy(time - MINUTE, time + BUSY_FOR)
        week.at(time, lambda: _happen_to_request(week, made, posted, scene))


def _happen_to_request(week: Week, made: Request, posted: PostedMessage, scene: str) -> None:
    group_id = made.group.group_id
    group = week.group(group_id)
    if group is None or group.status != MONITORING:
        return
    match scene:
        case "pressed" if not week.is_away(*Away) and stored_request(week.context, made.id).state is State.MOVING:
            press_button(week.context, Kind.PAUSE, ALICE, made, posted)
        case "paused" | "pressed":
            console.pause(week.oms, group_id)
            week.changed(group_id, "paused")
        case "failed":
            _fail(week, group_id)
            week.changed(group_id, "failed")
        case "parts":
            console.fail_in_parts(week.oms, group_id)
        case "stalled":
            _condition(Condition.STALLED)(week, group_id)
            week.changed(group_id, "stalled")
            again = week.clock() + 18 * MINUTE + _spread(week, 20 * MINUTE)
            week.be_busy(again - MINUTE, again + BUSY_FOR)
            week.at(again, lambda: _move_on(week, group_id))


def _move_on(week: Week, group_id: str) -> None:
    console.set_condition(week.oms, group_id, Condition.USUAL)
    week.changed(group_id, "running")

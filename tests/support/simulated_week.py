"""A simulated week of a project: a script, the stand-ins of OMS and Slack, and the jobs of the bot, on one clock.

Records what was so at each sweep, and each message with the time when Slack showed it. What should have been told is
left to `tests.support.week_oracle`.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, NamedTuple, NoReturn

from bot.domain.task_group import TaskGroup
from bot.huawei.identity import Identity
from bot.huawei.wire import read_group
from bot.jobs import request_dispatcher
from bot.jobs.context import Context
from bot.jobs.watch.sweep import sweep_project
from bot.jobs.worker import Finished, Result
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.huawei.group import DELETED, PAUSED, PAUSING, Condition, Group, SubTaskCounts
from bot.sandbox.huawei.oms_state import OmsState
from bot.sandbox.huawei.rejection import Rejection
from bot.sandbox.slack.ids import MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.store import tables
from bot.store.queue import Claim
from tests.support.blocks import text_objects
from tests.support.simulated_time import SHOW, Clock, Handler, run_for

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
#: Sweeps have their usual pace for this time after something happens. Later they are this far apart, so that a week
#: takes minutes.
BUSY_FOR, QUIET_EVERY = 3 * MINUTE, 9 * MINUTE
STALL_AFTER = 15 * MINUTE
#: A group whose condition is SLOW is below it, and no other group that moves.
SLOW_BELOW = "200 KB/s"


class Away(Enum):
    """What does not work for some time."""

    BOT = auto()
    OMS = auto()
    #: OMS answers with 429.
    OMS_LIMITS = auto()
    SLACK = auto()


#: No group can be read.
NO_OMS = (Away.OMS, Away.OMS_LIMITS)


@dataclass(frozen=True)
class Outage:
    """A time in which something does not work."""

    away: Away
    start: datetime
    end: datetime


class Amounts(NamedTuple):
    """How much of a group is migrated."""

    complete_bytes: int
    total_bytes: int
    migrated: int  # objects, as the others
    failed: int
    total: int


@dataclass(frozen=True)
class Seen:
    """What is so in a group."""

    status: int
    speed: int  # bytes per second
    condition: Condition
    amounts: Amounts
    sub_tasks: SubTaskCounts | None  # None for a group that OMS does not have any more
    is_followed: bool  # whether a request was made for it

    @property
    def stands(self) -> bool:
        """Whether its speed is 0."""
        return self.speed == 0

    @property
    def counters(self) -> tuple[object, ...]:
        """What changes while the group does anything."""
        return self.amounts, self.sub_tasks


@dataclass(frozen=True)
class Version:
    """A message of the bot as Slack showed it from a time on."""

    at: datetime
    ts: str
    thread_ts: str | None
    text: str  # every text in its blocks, a line or more each, or its text if there are none


@dataclass(frozen=True)
class Mute:
    """A person pressed Mute for a day."""

    group: str
    ts: str  # of the message
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Change:
    """What became so in the group of a request."""

    at: datetime
    state: str  # `running`, `stalled`, `paused`, `failed` or `done`


class Week:
    """The project media of a sandbox with the jobs of its bot. `at` adds to the script, `run_until` carries it out."""

    def __init__(self, sandbox: Sandbox, context: Context, clock: Clock, seed: int) -> None:
        self.sandbox, self.clock, self.random = sandbox, clock, random.Random(seed)
        self.start = clock()
        self.oms = sandbox.oms.state
        self.oms.groups.clear()
        self.oms.now = clock
        identity: Any = _Reader(self, context.identity)
        project = context.projects["media"].model_copy(update={"slow_below": SLOW_BELOW})
        self.context = replace(context, now=clock, identity=identity, projects={"media": project})
        self.outages: list[Outage] = []
        self.mutes: list[Mute] = []
        self.sweeps: list[tuple[datetime, dict[str, Seen]]] = []
        self.versions: list[Version] = []
        self.cards: dict[str, str] = {}  # the group of each card, by the `ts` of the card
        self.changes: dict[str, list[Change]] = {}  # of the groups of requests
        self.readings: dict[str, dict[int, list[Seen]]] = {}  # of the groups of requests, by the second
        self._shown: dict[str, object] = {}
        self._script: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._busy: list[tuple[datetime, datetime]] = [(self.start, self.start + BUSY_FOR)]
        self._handlers: dict[str, Handler] = {
            tables.sweeps.name: self._sweep,
            tables.requests.name: lambda one, claim: self._observed(request_dispatcher.advance_request, one, claim),
            **{name: self._recorded(handler) for name, handler in SHOW.items()},
        }

    def at(self, time: datetime, act: Callable[[], None]) -> None:
        """Lets something happen at a time."""
        heapq.heappush(self._script, (time, next(self._order), act))

    def be_busy(self, start: datetime, end: datetime) -> None:
        """Lets the sweeps have their usual pace in this time."""
        self._busy.append((start, end))

    def outage(self, away: Away, start: datetime, length: timedelta) -> None:
        """Lets something not work for some time."""
        self.outages.append(Outage(away, start, start + length))
        self.be_busy(start - MINUTE, start)
        self.be_busy(start + length, start + length + BUSY_FOR)
        if away is Away.OMS_LIMITS:
            self.be_busy(start, start + length)  # The sweeps slow down of their own accord.
        if away is not Away.BOT:
            begin, end = self._slack_switches() if away is Away.SLACK else self._oms_switches(away)
            self.at(start, begin)
            self.at(start + length, end)

    def is_away(self, *away: Away) -> bool:
        now = self.clock()
        return any(one.start <= now < one.end for one in self.outages if one.away in away)

    def run_until(self, end: datetime) -> None:
        """Lets the script happen, and runs the jobs unless the bot is away."""
        while self._script and self._script[0][0] < end:
            time, _, act = heapq.heappop(self._script)
            self._run_jobs(time)
            act()
        self._run_jobs(end)

    def group(self, group_id: str) -> Group | None:
        """The group as it is now; None if OMS does not have it any more."""
        group = self.oms.groups.get(group_id)
        if group is None or (group.gone_at is not None and self.clock() >= group.gone_at):
            return None
        self._observe(group)
        return group

    def is_followed(self, group_id: str) -> bool:
        """Whether a request is open for the group."""
        changes = self.changes.get(group_id, [])
        return bool(changes) and changes[-1].state in ("new", "running", "stalled")

    def changed(self, group_id: str, state: str) -> None:
        """Notes what the script did to a group of a request."""
        self.changes.setdefault(group_id, []).append(Change(self.clock(), state))
        self._read_followed()

    def _run_jobs(self, end: datetime) -> None:
        if self.is_away(Away.BOT):
            self.clock.time = end
        else:
            run_for(self.context, self.clock, max(0.0, (end - self.clock()).total_seconds()), self._handlers)

    def _sweep(self, context: Context, claim: Claim) -> Result:
        result = self._observed(sweep_project, context, claim)
        now = self.clock()
        if not self.is_away(*NO_OMS):
            self.sweeps.append((now, {group_id: self._seen(group_id) for group_id in self.oms.groups}))
        if any(start <= now < end for start, end in self._busy):
            return result
        return Finished(min([now + QUIET_EVERY, *(start for start, _ in self._busy if start > now)]))

    def _seen(self, group_id: str) -> Seen:
        """What is so in a group whose counters are those of now."""
        found, followed = self.oms.groups[group_id], group_id in self.changes
        if found.gone_at is not None and self.clock() >= found.gone_at:
            return Seen(DELETED, 0, Condition.USUAL, Amounts(0, 0, 0, 0, 0), None, followed)
        amounts = Amounts(
            found.complete_bytes, found.listed_bytes, found.migrated_objects, found.failed_objects, found.objects
        )
        return Seen(found.status, found.speed, found.condition, amounts, found.sub_task_counts(), followed)

    def _observed(self, job: Handler, context: Context, claim: Claim) -> Result:
        self._read_followed()
        result = job(context, claim)
        self._read_followed()
        return result

    def _read_followed(self) -> None:
        """Notes what is so in the groups of requests."""
        for group_id in self.changes:
            self.group(group_id)
            self.readings.setdefault(group_id, {}).setdefault(int(self.clock().timestamp()), []).append(
                self._seen(group_id)
            )

    def _observe(self, group: Group) -> None:
        """Brings a group up to date, and notes when the group of a request ended, or was paused by the bot."""
        before, ends_at = group.runs, self.clock()
        if group.runs and group.speed and group.moved_at:
            left = group.reachable_bytes - group.complete_bytes
            ends_at = min(ends_at, group.moved_at + timedelta(seconds=left / group.speed))
        with self.oms.up_to_date(group.id):
            pass
        changes = self.changes.get(group.id)
        if changes and changes[-1].state in ("running", "stalled"):
            is_starting = not group.starts or group.pending_changes
            if group.status == PAUSING or (group.status == PAUSED and not is_starting):
                changes.append(Change(self.clock(), "paused"))
            elif before and not group.runs:
                changes.append(Change(ends_at, "failed" if group.failures else "done"))

    def _recorded(self, show: Handler) -> Handler:
        def show_and_record(context: Context, claim: Claim) -> Result:
            result = show(context, claim)
            self._record()
            return result

        return show_and_record

    def _record(self) -> None:
        for message in self.sandbox.workspace.messages:
            if message.channel == MIGRATIONS and self._shown.get(message.ts) is not message.blocks:
                self._shown[message.ts] = message.blocks
                text = "\n".join(one["text"] for one in text_objects(message.blocks)) or message.text
                self.versions.append(Version(self.clock(), message.ts, message.thread_ts, text))

    def _oms_switches(self, away: Away) -> tuple[Callable[[], None], Callable[[], None]]:
        faults, answer = self.sandbox.oms.faults, Answer(503, "OMS.0001", "Service unavailable.")
        if away is Away.OMS_LIMITS:
            answer = Answer(429, "OMS.0002", "Too many requests.")

        def begin() -> None:
            for endpoint in ("list", "show", "tasks"):
                faults.add(endpoint, *[answer] * 10_000)

        return begin, faults.clear

    def _slack_switches(self) -> tuple[Callable[[], None], Callable[[], None]]:
        outage = self.sandbox.slack.outage
        return lambda: setattr(outage, "status", 503), lambda: setattr(outage, "status", None)


class _Reader:
    """The bot's identity at OMS, which reads groups from the stand-in in this process. The rest it calls by HTTP.

    Tens of thousands of calls by HTTP would take most of the time of the test.
    """

    def __init__(self, week: Week, identity: Identity) -> None:
        self._week, self._identity = week, identity

    def __getattr__(self, name: str) -> Any:
        return getattr(self._identity, name)

    def call(self, project: str, ask: Callable[[Any], Any], project_id: str | None = None) -> Any:
        if not self._week.is_away(*NO_OMS):
            try:
                return ask(_Groups(self._week.oms))
            except Rejection:
                pass  # The real call explains it.
        return self._identity.call(project, ask, project_id)


class _Groups:
    """`Oms` without HTTP, for its lists of groups and single groups."""

    def __init__(self, state: OmsState) -> None:
        self._state = state

    def groups(self, status: int | None = None) -> list[TaskGroup]:
        return [read_group(one) for one in self._state.list_groups(status)]

    def show(self, group_id: str) -> TaskGroup:
        return read_group(self._state.show(group_id))

    def tasks(self, *_: object) -> NoReturn:
        raise Rejection(400, "OMS.0001", "By HTTP.")

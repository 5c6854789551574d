"""Sums up a request in any state for its report: what moved and how fast, who approved it, which calls OMS accepted.

Pure. `bot.store.reports` reads the rows that the report is made from, and `bot.ui.report` has its text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from bot.domain.audit_events import AuditEvent
from bot.domain.request import LastSeen, Request, State, Vote
from bot.domain.request_record import RecordedEvent, RequestRecord
from bot.domain.task_group import Progress

#: A report is posted when a request ends in one of these states, because its group ran.
REPORTED_STATES = frozenset({State.DONE, State.FAILED, State.PAUSED_AGAIN})
#: The most points that a line in a chart can have in Slack.
MAX_POINTS = 20
#: The shortest time between two points of `Report.rates`.
MIN_POINT_TIME = timedelta(minutes=1)
#: The shortest part of a run for which a rate is computed. Over a shorter time, the rate would be wrong, because OMS
#: counts some objects only when they are complete.
MIN_RATE_TIME = timedelta(seconds=30)

_ACCEPTED_CALLS = frozenset({AuditEvent.PUT_ACCEPTED, AuditEvent.PAUSE_ACCEPTED})


@dataclass(frozen=True)
class Sample:
    """How many bytes of a group had been migrated at a point in time."""

    at: datetime
    complete_bytes: int


@dataclass(frozen=True)
class Rate:
    """The mean rate during one part of a run."""

    since: datetime
    until: datetime
    bytes_per_second: int


@dataclass(frozen=True)
class AcceptedCall:
    """A call that OMS accepted."""

    event: str  # the value of `AuditEvent.PUT_ACCEPTED` or `AuditEvent.PAUSE_ACCEPTED`
    at: datetime
    huawei_request_id: str  # empty if the answer had none


@dataclass(frozen=True)
class Report:
    """What has happened to a request so far. "This time" means since OMS accepted the call."""

    request: Request
    started_at: datetime | None  # when OMS accepted the call, or the group was found running; None until then
    until: datetime  # the end of the request; while it is open, the time of the last reading of the group
    progress: Progress  # the last known progress
    moved_bytes: int | None  # this time; None if that is not known
    moved_objects: int | None  # migrated this time; None if that is not known
    average_rate: int | None  # bytes per second this time; None if that is not known
    fastest: Rate | None  # the part between two readings with the highest rate; None if only the whole run is known
    rates: tuple[Rate, ...]  # the rate over this time in equal parts, at most `MAX_POINTS`; empty if that is not known
    approvals: tuple[Vote, ...]  # the ones that count
    calls: tuple[AcceptedCall, ...]
    made_at: datetime  # when the report was made
    newest_hash: str  # of the audit chain at that time; empty if it is not known
    unverified_rows: int  # how many audit rows of this request cannot be verified as written by the bot

    @property
    def took(self) -> timedelta | None:
        """How long the group has run this time; None if it was not started."""
        return None if self.started_at is None else max(self.until - self.started_at, timedelta())


def sum_up(
    request: Request,
    events: Sequence[RecordedEvent],
    samples: Sequence[Sample],
    newest_hash: str,
    unverified_rows: int,
    now: datetime,
) -> Report:
    """The report on a request.

    Arguments:
        events: the audit events of the request, oldest first.
        samples: of the group, oldest first. Those from before the start or after the last reading are ignored.
        newest_hash: see `Report.newest_hash`.
        unverified_rows: see `Report.unverified_rows`.
    """
    attempt, last_seen = request.attempt, request.last_seen
    started_at = attempt.answered_at if attempt is not None else None
    until = request.ended_at or (last_seen.at if last_seen is not None else now)
    moved_bytes = moved_objects = average = fastest = None
    rates: tuple[Rate, ...] = ()
    if attempt is not None and attempt.before is not None and last_seen is not None and started_at is not None:
        moved_bytes = max(last_seen.progress.complete_bytes - attempt.before.complete_bytes, 0)
        moved_objects = max(last_seen.progress.success_objects - attempt.before.success_objects, 0)
        average = _per_second(moved_bytes, until - started_at)
        curve = _curve(attempt.before, started_at, samples, last_seen)
        fastest = _fastest(curve)
        rates = _rates(curve)
    return Report(
        request=request,
        started_at=started_at,
        until=until,
        progress=last_seen.progress if last_seen is not None else request.group.progress,
        moved_bytes=moved_bytes,
        moved_objects=moved_objects,
        average_rate=average,
        fastest=fastest,
        rates=rates,
        approvals=_approvals(events),
        calls=tuple(
            AcceptedCall(event.name, event.at, str(event.detail.get("huawei_request_id") or ""))
            for event in events
            if event.name in _ACCEPTED_CALLS
        ),
        made_at=now,
        newest_hash=newest_hash,
        unverified_rows=unverified_rows,
    )


def _approvals(events: Sequence[RecordedEvent]) -> tuple[Vote, ...]:
    record = RequestRecord()
    for event in events:
        record = record.with_event(event)
    return record.votes


def _per_second(moved_bytes: int, time: timedelta) -> int | None:
    seconds = time.total_seconds()
    return round(moved_bytes / seconds) if seconds > 0 else None


def _curve(before: Progress, started_at: datetime, samples: Sequence[Sample], last_seen: LastSeen) -> list[Sample]:
    """The migrated bytes over the time of the run. They never decrease, and the steps are `MIN_RATE_TIME` or longer."""
    between = [sample for sample in samples if started_at < sample.at < last_seen.at]
    last = Sample(last_seen.at, last_seen.progress.complete_bytes)
    rising: list[Sample] = []
    for sample in (Sample(started_at, before.complete_bytes), *between, last):
        # A later sample with fewer bytes shows that OMS had not reset the counters of a retried group yet.
        while rising and rising[-1].complete_bytes > sample.complete_bytes:
            rising.pop()
        rising.append(sample)
    spaced = rising[:1]
    for sample in rising[1:]:
        if sample.at - spaced[-1].at >= MIN_RATE_TIME:
            spaced.append(sample)
    return spaced if spaced[-1] == rising[-1] else [*(spaced[:-1] or spaced), rising[-1]]


def _fastest(curve: Sequence[Sample]) -> Rate | None:
    """The step of the curve with the highest rate; None if there is only one step."""
    if len(curve) < 3:
        return None
    return max((_mean_rate(old, new) for old, new in pairwise(curve)), key=lambda step: step.bytes_per_second)


def _mean_rate(old: Sample, new: Sample) -> Rate:
    moved = new.complete_bytes - old.complete_bytes
    return Rate(old.at, new.at, round(moved / (new.at - old.at).total_seconds()))


def _rates(curve: Sequence[Sample]) -> tuple[Rate, ...]:
    """The mean rate in equal parts of the run. Assumes that the rate between two readings is constant."""
    whole = curve[-1].at - curve[0].at
    count = min(MAX_POINTS, len(curve) - 1, whole // MIN_POINT_TIME)
    if count < 1:
        return ()
    times = [*(curve[0].at + whole * part / count for part in range(count)), curve[-1].at]
    found = []
    for since, until in pairwise(times):
        moved = _bytes_at(curve, until) - _bytes_at(curve, since)
        found.append(Rate(since, until, round(moved / (until - since).total_seconds())))
    return tuple(found)


def _bytes_at(curve: Sequence[Sample], at: datetime) -> float:
    index = min(bisect_right(curve, at, key=lambda sample: sample.at), len(curve) - 1)
    old, new = curve[index - 1], curve[index]
    return old.complete_bytes + (new.complete_bytes - old.complete_bytes) * ((at - old.at) / (new.at - old.at))

"""The facts of a report as pairs of a title and a text, for Slack and for the terminal.

Pure. `bot.domain.report` computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.audit_events import AuditEvent
from bot.domain.report import AcceptedCall, Report
from bot.ui.formatting import duration, rate, size, size_of_total, sparkline

#: What OMS compares after it copied an object, by the `consistency_check` of the group (ShowTaskGroup).
CONSISTENCY_CHECKS: Mapping[str, str] = {
    "size_last_modified": "size and time",
    "crc64": "CRC64 checksums (size and time for objects without one)",
    "no_check": "size and time (nothing for objects whose size the source doesn't state)",
}

#: A run of this time has readings between its start and its end, unless OMS was not reachable or `keep` has passed.
SAMPLED_FROM = timedelta(minutes=3)


@dataclass(frozen=True)
class Markup:
    """How people, times and texts from outside the bot are formatted."""

    person: Callable[[str], str]  # a user id
    time: Callable[[datetime], str]
    text: Callable[[str], str]


def facts(report: Report, markup: Markup) -> Iterator[tuple[str, str]]:
    """The known facts about the run, the requester and the approvers, each as a title and a text."""
    request, progress, took = report.request, report.progress, report.took
    if took is not None and report.started_at is not None:
        yield "Moved", _moved(report)
        done = f"{progress.success_objects:,} migrated, {progress.skipped_objects:,} skipped"
        yield "Objects", f"{done}, {progress.failed_objects:,} failed, of {progress.total_objects:,}"
        yield "Time", _time(report, report.started_at, took, markup)
    if report.moved_bytes and report.average_rate is not None:
        yield "Rate", f"{rate(report.average_rate)} on average{_fastest(report)}"
    check = dict(request.group.settings).get("consistency_check", "")
    if check:
        yield "Consistency check mode", CONSISTENCY_CHECKS.get(check.lower()) or markup.text(check)
    yield "Requested by", f"{markup.person(request.requester)}, {markup.time(request.created_at)}"
    if report.approvals:
        approvals = (f"{markup.person(vote.person)}, {markup.time(vote.at)}" for vote in report.approvals)
        yield "Approved by", "; ".join(approvals)


def call_name(report: Report, call: AcceptedCall) -> str:
    """`resume`, `retry` or `pause`."""
    return "pause" if call.event == AuditEvent.PAUSE_ACCEPTED else report.request.verb.value


def rate_bars(report: Report) -> str:
    """`▂▅█▁  each bar is 6 min, up to 220 MB/s`: the rate over time. Empty if it is not known, or nothing moved."""
    rates = [part.bytes_per_second for part in report.rates]
    if len(rates) < 2 or not any(rates):
        return ""
    return f"{sparkline(rates)}  each bar is {part_time(report)}, up to {rate(max(rates))}"


def part_time(report: Report) -> str:
    """How long each part of `Report.rates` is."""
    return duration(round((report.rates[0].until - report.rates[0].since).total_seconds()))


def _moved(report: Report) -> str:
    progress = report.progress
    if progress.total_bytes:
        in_all = f"{size_of_total(progress.complete_bytes, progress.total_bytes)} in all"
    else:
        in_all = f"{size(progress.complete_bytes)} in all"
    if report.moved_bytes is None or report.moved_objects is None:
        return in_all
    if not report.moved_objects:
        # OMS counts an object when it is complete, and its bytes before.
        return f"{size(report.moved_bytes) if report.moved_bytes else 'nothing'} this time, {in_all}"
    objects = "1 object" if report.moved_objects == 1 else f"{report.moved_objects:,} objects"
    return f"{size(report.moved_bytes)} in {objects} this time, {in_all}"


def _time(report: Report, started_at: datetime, took: timedelta, markup: Markup) -> str:
    so_far = " so far" if report.request.is_open else ""
    times = markup.time(started_at)
    if took >= timedelta(minutes=1):
        times = f"{times} to {markup.time(report.until)}"
    return f"{duration(int(took.total_seconds()))}{so_far}, {times}"


def _fastest(report: Report) -> str:
    """The highest rate and how long it lasted, or that it is not known. Empty for a short or an even run."""
    fastest, took = report.fastest, report.took
    if fastest is not None:
        if fastest.bytes_per_second <= (report.average_rate or 0):
            return ""
        lasted = duration(round((fastest.until - fastest.since).total_seconds()))
        return f", {rate(fastest.bytes_per_second)} over the fastest {lasted}"
    if took is None or took < SAMPLED_FROM:
        return ""
    return " (the rate over time isn't known, because no readings from the run are stored)"

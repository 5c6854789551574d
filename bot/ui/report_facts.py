"""The facts of a report as pairs of a title and a text, for Slack and for the terminal.

Pure. `bot.domain.report` computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.domain.audit_events import AuditEvent
from bot.domain.report import AcceptedCall, Report
from bot.ui.formatting import duration, rate, size, size_of_total, sparkline

#: What OMS compares after it copied an object, by the `consistency_check` of the group (ShowTaskGroup).
CONSISTENCY_CHECKS: Mapping[str, str] = {
    "size_last_modified": "size and time (each copy has the size of its source object and isn't older)",
    "crc64": "CRC64 checksums (size and time for objects without one)",
    "no_check": "size and time (nothing for objects whose size the source doesn't state)",
}


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
        seconds = int(took.total_seconds())
        so_far = " so far" if request.is_open else ""
        times = f"{markup.time(report.started_at)} to {markup.time(report.until)}"
        yield "Time", f"{duration(seconds)}{so_far}, {times}"
    if report.moved_bytes and report.average_rate is not None and report.best_rate is not None:
        yield "Rate", f"{rate(report.average_rate)} on average, {rate(report.best_rate)} at peak"
    check = dict(request.group.settings).get("consistency_check", "")
    if check:
        yield "Consistency check", CONSISTENCY_CHECKS.get(check.lower()) or markup.text(check)
    yield "Requested by", f"{markup.person(request.requester)}, {markup.time(request.created_at)}"
    if report.approvals:
        approvals = (f"{markup.person(vote.person)}, {markup.time(vote.at)}" for vote in report.approvals)
        yield "Approved by", "; ".join(approvals)


def call_name(report: Report, call: AcceptedCall) -> str:
    """`resume`, `retry` or `pause`."""
    return "pause" if call.event == AuditEvent.PAUSE_ACCEPTED else report.request.verb.value


def rate_bars(report: Report) -> str:
    """`▂▅█▁  up to 220 MB/s`: the rate over time. Empty if it is not known, or nothing moved."""
    rates = [part.bytes_per_second for part in report.rates]
    return f"{sparkline(rates)}  up to {rate(max(rates))}" if len(rates) > 1 and any(rates) else ""


def _moved(report: Report) -> str:
    progress = report.progress
    if progress.total_bytes:
        in_all = f"{size_of_total(progress.complete_bytes, progress.total_bytes)} in all"
    else:
        in_all = f"{size(progress.complete_bytes)} in all"
    if report.moved_bytes is None or report.moved_objects is None:
        return in_all
    objects = "1 object" if report.moved_objects == 1 else f"{report.moved_objects:,} objects"
    return f"{size(report.moved_bytes)} in {objects} this time, {in_all}"

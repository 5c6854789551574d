"""The report at the end of a request: a message in the thread of its card, with the rate over time.

Pure. `bot.domain.report` computes what is in it. `bot.ui.report_file` has the report for the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bot.domain.audit_events import AuditEvent
from bot.domain.report import AcceptedCall, Report
from bot.ui.blocks import SlackMessage, context_block, fields, line_chart, section, slack_message, text_message
from bot.ui.formatting import (
    duration,
    escape_mrkdwn,
    inline_code,
    local_time,
    mention,
    rate,
    size,
    size_of_total,
    sparkline,
    unit_of,
)
from bot.ui.states import headline
from bot.ui.thread import thread_line

#: What OMS compares after it copied an object, by the `consistency_check` of the group (ShowTaskGroup).
CONSISTENCY_CHECKS: Mapping[str, str] = {
    "size_last_modified": "size and time (each copy has the size of its source object and isn't older)",
    "crc64": "CRC64 checksums (size and time for objects without one)",
    "no_check": "size and time (nothing for objects whose size the source doesn't state)",
}


@dataclass(frozen=True)
class Markup:
    """How people, times and texts from outside the bot are written."""

    person: Callable[[str], str]  # a user id
    time: Callable[[datetime], str]
    text: Callable[[str], str]


_MRKDWN = Markup(mention, local_time, escape_mrkdwn)


def report_message(report: Report) -> SlackMessage:
    """The message for a workspace that takes no charts: the rate over time is a line of bars."""
    bars = rate_bars(report)
    return _message(report, (section(f"Rate over time  {bars}").to_dict(),) if bars else ())


def report_message_with_chart(report: Report) -> SlackMessage | None:
    """The message with a chart of the rate over time; None if there is nothing to draw."""
    return _message(report, (_chart(report),)) if rate_bars(report) else None


def rate_bars(report: Report) -> str:
    """`▂▅█▁  up to 220 MB/s`: the rate over time. Empty if it is not known, or nothing moved."""
    rates = [part.bytes_per_second for part in report.rates]
    return f"{sparkline(rates)}  up to {rate(max(rates))}" if len(rates) > 1 and any(rates) else ""


def facts(report: Report, markup: Markup) -> Iterator[tuple[str, str]]:
    """What is known about the run, the requester and the approvers: a title and a text each."""
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
        yield "Rate", f"{rate(report.average_rate)} on average, {rate(report.best_rate)} at best"
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


def _message(report: Report, rate_over_time: tuple[dict[str, object], ...]) -> SlackMessage:
    request = report.request
    line = text_message(thread_line(request) or escape_mrkdwn(headline(request)))
    known = list(facts(report, _MRKDWN))
    sources = [
        f"Huawei request id {inline_code(call.huawei_request_id, 80)} ({call_name(report, call)})"
        for call in report.calls
        if call.huawei_request_id
    ]
    sources.append(f"Newest hash of the audit `{report.newest_hash}`")
    said = slack_message(" ".join((line.text, *(f"{title}: {text}." for title, text in known))), [fields(*known)])
    return replace(
        said,
        blocks=(
            *(line.blocks or (section(line.text).to_dict(),)),
            *said.blocks,
            *rate_over_time,
            context_block(" · ".join(sources)).to_dict(),
        ),
    )


def _chart(report: Report) -> dict[str, object]:
    unit_bytes, unit = unit_of(max(part.bytes_per_second for part in report.rates))
    points = []
    for part in report.rates:
        elapsed = duration(round((part.until - report.rates[0].since).total_seconds()))
        points.append((elapsed, round(part.bytes_per_second / unit_bytes, 2)))
    return line_chart("Rate over time", "Time since the start", f"{unit}/s", "Rate", points)

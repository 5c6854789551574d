"""The report at the end of a request: a message in the thread of its card, with the rate over time.

Pure. `bot.ui.report_file` has the report for the terminal.
"""

from __future__ import annotations

from dataclasses import replace

from bot.domain.report import Report
from bot.ui.blocks import SlackMessage, context_block, fields, line_chart, section, slack_message, text_message
from bot.ui.failure_causes import causes_blocks, causes_summary, failed_list_line
from bot.ui.formatting import (
    duration,
    escape_mrkdwn,
    inline_code,
    local_time,
    local_time_with_seconds,
    mention,
    unit_of,
)
from bot.ui.report_facts import Markup, call_name, facts, part_time, rate_bars
from bot.ui.states import headline
from bot.ui.thread import thread_line

_UNVERIFIED = "The bot didn't write every audit row of this request. Run `taskgroup-bot audit verify`."
_MRKDWN = Markup(mention, local_time, escape_mrkdwn)


def report_message(report: Report) -> SlackMessage:
    """The message for a workspace that accepts no charts: the rate over time is a line of bars."""
    bars = rate_bars(report)
    return _message(report, (section(f"Rate over time  {bars}").to_dict(),) if bars else ())


def report_message_with_chart(report: Report) -> SlackMessage | None:
    """The message with a chart of the rate over time; None if there is nothing to draw."""
    return _message(report, (_chart(report),)) if rate_bars(report) else None


def _message(report: Report, rate_over_time: tuple[dict[str, object], ...]) -> SlackMessage:
    request = report.request
    line = text_message(thread_line(request) or escape_mrkdwn(headline(request)))
    known = list(facts(report, _MRKDWN))
    sources = [
        f"Huawei request id {inline_code(call.huawei_request_id, 80)} ({call_name(report, call)})"
        for call in report.calls
        if call.huawei_request_id
    ]
    made_at = local_time_with_seconds(report.made_at)
    sources.append(f"Newest audit hash `{report.newest_hash or 'unknown'}` as of {made_at}")
    if report.unverified_rows:
        sources.append(_UNVERIFIED)
    sentences = [line.text, *(f"{title}: {text}." for title, text in known), causes_summary(request)]
    sentences.append(failed_list_line(request))
    said = slack_message(" ".join(filter(None, sentences)), [fields(*known), *causes_blocks(request)])
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
        value = part.bytes_per_second / unit_bytes
        # As `rate` rounds it.
        points.append((elapsed, round(value, 1) if value < 10 else round(value)))
    time = f"Time since the start, in steps of {part_time(report)}"
    return line_chart("Rate over time", time, f"{unit}/s", "Rate", points)

"""The report on a request as Markdown and as JSON, for `taskgroup-bot report`.

Pure. Texts from outside the bot are escaped, so that they neither control the terminal nor format anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from bot.domain.report import Report
from bot.domain.request import Decision
from bot.redaction import visible
from bot.ui.formatting import capitalized
from bot.ui.problem_texts import with_references
from bot.ui.report_facts import Markup, call_name, facts, rate_bars
from bot.ui.states import ended_as, headline

# An underscore inside a word formats nothing, so names stay as they are.
_FORMATTING = re.compile(r"[\\`*\[\]<>|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def report_markdown(report: Report) -> str:
    """The report as Markdown: a headline, and a line for each fact."""
    request = report.request
    lines = [f"# {_escaped(headline(request))}", ""]
    lines += [f"- {title}: {text}" for title, text in _all_facts(report)]
    return "\n".join(map(visible, lines))


def _all_facts(report: Report) -> Iterator[tuple[str, str]]:
    request = report.request
    group, plan = request.group, request.plan
    prefix = f"/{group.destination.save_prefix}" if group.destination.save_prefix else ""
    source = f"{group.source.cloud_type} {group.source.bucket} ({group.source.region})"
    yield "Request", f"{request.id}, {request.verb}, {request.state}"
    yield "Group", f"{group.group_id} in project {_escaped(plan.project)}"
    yield "Source", _escaped(source)
    yield "Destination", _escaped(f"OBS {group.destination.bucket}{prefix} ({group.destination.region})")
    if request.scope is not None:
        yield "Retries", request.scope.value
    yield "Reason", _escaped(request.reason) or "none given"
    yield from facts(report, _MARKDOWN)
    if request.ending is not None:
        yield f"{capitalized(ended_as(request.state))} by", _decision(request.ending)
    if request.pause is not None:
        yield "Pause pressed by", f"{request.pause.person}, {_utc(request.pause.at)}"
    if request.ended_at is not None:
        yield "Ended", _utc(request.ended_at)
    if request.problem is not None:
        yield "Problem", _escaped(f"{with_references(request.problem)} {request.problem.next_step}")
    yield from _causes(report)
    bars = rate_bars(report)
    if bars:
        yield "Rate over time", bars
    for call in report.calls:
        yield f"Huawei request id of the {call_name(report, call)}", f"{_escaped(call.huawei_request_id) or 'none'}"
    yield "Newest audit hash", f"{report.newest_hash or 'unknown'} as of {_utc(report.made_at)}"


def _causes(report: Report) -> Iterator[tuple[str, str]]:
    """Why sub-tasks failed, and where the list of failed objects is."""
    known, failed_list = report.request.failure_causes, _failed_list(report)
    if known is not None:
        yield "Failed sub-tasks", f"{known.all_failed:,} as of {_utc(known.read_at)}"
        for cause in known.causes:
            problem = cause.problem
            title = f"Failed with {_escaped(problem.code)}" if problem.code else "Failed without an error code"
            sub_tasks = "1 sub-task" if cause.sub_tasks == 1 else f"{cause.sub_tasks:,} sub-tasks"
            yield title, _escaped(f"{sub_tasks}. {problem.meaning} Next: {problem.next_step}")
        if known.not_read is not None:
            yield "Causes", _escaped(f"{known.not_read.meaning} Next: {known.not_read.next_step}")
    if failed_list is not None:
        place = f"{failed_list['key']} in the destination bucket {failed_list['bucket']}"
        yield "List of failed objects", _escaped(place)


def _failed_list(report: Report) -> dict[str, str] | None:
    """Where OMS put the list of failed objects; None if there is none."""
    group = report.request.group
    has_list = group.failed_list and report.progress.failed_objects
    return {"bucket": group.destination.bucket, "key": group.failed_list} if has_list else None


def _decision(decision: Decision) -> str:
    reason = f", reason: {_escaped(decision.reason)}" if decision.reason else ""
    return f"{', '.join(decision.people)}, {_utc(decision.at)}{reason}"


def _escaped(text: str) -> str:
    return _FORMATTING.sub(r"\\\g<0>", " ".join(visible(text).split()))


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_MARKDOWN = Markup(str, _utc, _escaped)


def report_json(report: Report) -> str:
    """The report as JSON in ASCII: sizes in bytes, rates in bytes per second, times in ISO 8601."""
    request = report.request
    group = request.group
    shown = {
        "request": request.id,
        "state": request.state,
        "verb": request.verb,
        "scope": request.scope,
        "project": request.plan.project,
        "group": {
            "id": group.group_id,
            "description": group.description,
            "source": asdict(group.source),
            "destination": asdict(group.destination),
            "consistency_check": dict(group.settings).get("consistency_check"),
        },
        "reason": request.reason,
        "requested": {"person": request.requester, "at": request.created_at},
        "approved": [{"person": vote.person, "at": vote.at} for vote in report.approvals],
        "ending": asdict(request.ending) if request.ending is not None else None,
        "started_at": report.started_at,
        "until": report.until,
        "ended_at": request.ended_at,
        "seconds": report.took.total_seconds() if report.took is not None else None,
        "moved_bytes": report.moved_bytes,
        "moved_objects": report.moved_objects,
        "progress": asdict(report.progress),
        "average_rate": report.average_rate,
        "fastest": asdict(report.fastest) if report.fastest is not None else None,
        "rates": [asdict(part) for part in report.rates],
        "calls": [asdict(call) | {"call": call_name(report, call)} for call in report.calls],
        "problem": asdict(request.problem) if request.problem is not None else None,
        "failure_causes": asdict(request.failure_causes) if request.failure_causes is not None else None,
        "failed_list": _failed_list(report),
        "made_at": report.made_at,
        "audit": {"newest_hash": report.newest_hash, "unverified_rows": report.unverified_rows},
    }
    return json.dumps(shown, indent=2, default=datetime.isoformat)

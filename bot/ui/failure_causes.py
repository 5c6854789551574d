"""Texts about why sub-tasks of a group failed, and where OMS put the list of failed objects.

Pure. Requests and alerts have the causes (`bot.domain.failure_causes`).
"""

from __future__ import annotations

from dataclasses import replace

from slack_sdk.models.blocks import Block

from bot.domain.failure_causes import FailureCause, FailureCauses
from bot.domain.request import Problem, Request
from bot.domain.task_group import TaskGroup
from bot.ui.blocks import context_block, section
from bot.ui.formatting import capitalized, escape_mrkdwn, inline_code, join_words, link_console, quoted_name
from bot.ui.progress import latest_progress

#: A card and a thread line show this many causes.
MAX_SHOWN = 5


def causes_blocks(request: Request) -> list[Block]:
    """The most frequent causes, or why they are not known, and where the list of failed objects is."""
    known, console_url = request.failure_causes, request.plan.console_url
    blocks: list[Block] = [section(cause) for cause in _causes(known, request.problem, console_url)]
    return blocks + [context_block(remark) for remark in _remarks(_with_progress(request), known)]


def causes_lines(
    group: TaskGroup, known: FailureCauses | None, explained: Problem | None, console_url: str
) -> list[str]:
    """As `causes_blocks`, in lines, or how many sub-tasks failed while the causes are not known. mrkdwn.

    Arguments:
        explained: the problem above these lines.
    """
    failed = group.sub_tasks.failed
    count = [f"{_count(failed)}."] if known is None and failed else []
    return [*count, *_causes(known, explained, console_url), *_remarks(group, known)]


def causes_summary(request: Request) -> str:
    """`250 failed sub-tasks, 120 with TRF.0159 and 80 with TRF.0156.`; empty if no cause is known. mrkdwn."""
    known = request.failure_causes
    if known is None or not known.causes:
        return ""
    parts = [f"{cause.sub_tasks:,} with {_code(cause)}" for cause in known.causes[:MAX_SHOWN]]
    return f"{_sub_tasks(known)}, {join_words(parts)}."


def causes_line(request: Request) -> str:
    """The line for the thread with the causes; empty if they were not read."""
    known = request.failure_causes
    if known is None:
        return ""
    name = escape_mrkdwn(quoted_name(request.group))
    count = known.all_failed
    sub_tasks = "1 sub-task" if count == 1 else f"{count:,} sub-tasks"
    others = "" if request.ended_at is not None else " The others continue."
    lines = [f"{sub_tasks} of {name} failed.{others}"]
    for cause in known.causes[:MAX_SHOWN]:
        problem = cause.problem
        text = f"• {cause.sub_tasks:,} with {_code(cause)}. {escape_mrkdwn(problem.meaning)}"
        lines.append(f"{text} Next: {escape_mrkdwn(problem.next_step)}")
    if rest := _others(known):
        lines.append(f"• {rest}")
    return link_console("\n".join(lines), request.plan.console_url)


def failed_list_line(request: Request) -> str:
    """Where OMS put the list of failed objects; empty if there is none. mrkdwn."""
    return _failed_list(_with_progress(request))


def _with_progress(request: Request) -> TaskGroup:
    return replace(request.group, progress=latest_progress(request))


def _failed_list(group: TaskGroup) -> str:
    failed = group.progress.failed_objects
    if not group.failed_list or not failed:
        return ""
    objects = "1 failed object" if failed == 1 else f"{failed:,} failed objects"
    bucket = escape_mrkdwn(group.destination.bucket)
    return f"OMS put the list of {objects} in the destination bucket {bucket} as {inline_code(group.failed_list, 300)}."


def _causes(known: FailureCauses | None, explained: Problem | None, console_url: str) -> list[str]:
    """The most frequent causes. A single one is left out if it is explained already."""
    causes = known.causes[:MAX_SHOWN] if known is not None else ()
    if len(causes) == 1 and _is_explained(causes[0], explained):
        return []
    return [_cause(cause, console_url, is_explained=_is_explained(cause, explained)) for cause in causes]


def _is_explained(cause: FailureCause, explained: Problem | None) -> bool:
    return explained is not None and bool(cause.problem.code) and cause.problem.code == explained.code


def _cause(cause: FailureCause, console_url: str, *, is_explained: bool) -> str:
    problem = cause.problem
    lead = f"*{capitalized(_code(cause))}: {_count(cause.sub_tasks)}*"
    if is_explained:
        return f"{lead}, explained above"
    next_step = link_console(escape_mrkdwn(problem.next_step), console_url)
    return f"{lead} · {escape_mrkdwn(problem.side)}\n{escape_mrkdwn(problem.meaning)}\n*Next:* {next_step}"


def _remarks(group: TaskGroup, known: FailureCauses | None) -> list[str]:
    """How many sub-tasks failed for other reasons, why the causes are not known, and where the failed objects are."""
    remarks = [_others(known) if known is not None else ""]
    if known is not None and known.not_read is not None:
        remarks.append(f"{escape_mrkdwn(known.not_read.meaning)} Next: {escape_mrkdwn(known.not_read.next_step)}")
    return list(filter(None, (*remarks, _failed_list(group))))


def _code(cause: FailureCause) -> str:
    return escape_mrkdwn(cause.problem.code) if cause.problem.code else "no error code"


def _sub_tasks(known: FailureCauses) -> str:
    return _count(known.all_failed)


def _count(failed: int) -> str:
    return "1 failed sub-task" if failed == 1 else f"{failed:,} failed sub-tasks"


def _others(known: FailureCauses) -> str:
    """How many failed sub-tasks have a cause that is not shown; empty if all causes are shown."""
    shown = sum(cause.sub_tasks for cause in known.causes[:MAX_SHOWN])
    rest = known.all_failed - shown
    if not known.causes or rest <= 0:
        return ""
    return f"{rest:,} more for other reasons"

"""Texts about why sub-tasks of a group failed, and where OMS put the list of failed objects.

Pure. The request has the causes (`bot.domain.failure_causes`).
"""

from __future__ import annotations

from slack_sdk.models.blocks import Block

from bot.domain.failure_causes import FailureCause, FailureCauses
from bot.domain.request import Request
from bot.ui.blocks import context_block, section
from bot.ui.formatting import escape_mrkdwn, inline_code, join_words, link_console, quoted_name
from bot.ui.progress import latest_progress

#: A card and a thread line show this many causes.
MAX_SHOWN = 5


def causes_blocks(request: Request) -> list[Block]:
    """The most frequent causes, or why they are not known, and where the list of failed objects is."""
    known, blocks = request.failure_causes, list[Block]()
    if known is not None:
        blocks += [section(_cause(request, known, cause)) for cause in known.causes[:MAX_SHOWN]]
        if rest := _others(known):
            blocks.append(context_block(rest))
        if known.not_read is not None:
            next_step = escape_mrkdwn(known.not_read.next_step)
            blocks.append(context_block(f"{escape_mrkdwn(known.not_read.meaning)} Next: {next_step}"))
    if failed_list := failed_list_line(request):
        blocks.append(context_block(failed_list))
    return blocks


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
    count = _failed_sub_tasks(known)
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
    progress, group = latest_progress(request), request.group
    if not group.failed_list or not progress.failed_objects:
        return ""
    objects = "1 failed object" if progress.failed_objects == 1 else f"{progress.failed_objects:,} failed objects"
    bucket = escape_mrkdwn(group.destination.bucket)
    return f"OMS put the list of {objects} in the destination bucket {bucket} as {inline_code(group.failed_list, 300)}."


def _cause(request: Request, known: FailureCauses, cause: FailureCause) -> str:
    problem = cause.problem
    count = f"*{cause.sub_tasks:,} of {_sub_tasks(known)}* · {_code(cause)}"
    if request.problem is not None and problem.code and problem.code == request.problem.code:
        return f"{count}, explained above"
    next_step = link_console(escape_mrkdwn(problem.next_step), request.plan.console_url)
    return f"{count} · {escape_mrkdwn(problem.side)}\n{escape_mrkdwn(problem.meaning)}\n*Next:* {next_step}"


def _code(cause: FailureCause) -> str:
    return escape_mrkdwn(cause.problem.code) if cause.problem.code else "no error code"


def _failed_sub_tasks(known: FailureCauses) -> int:
    # The group and the list of its sub-tasks are read at different times, so their numbers can differ.
    return max(known.failed_sub_tasks, known.listed_sub_tasks)


def _sub_tasks(known: FailureCauses) -> str:
    count = _failed_sub_tasks(known)
    return "1 failed sub-task" if count == 1 else f"{count:,} failed sub-tasks"


def _others(known: FailureCauses) -> str:
    """How many failed sub-tasks have a cause that is not shown; empty if all causes are shown."""
    shown = sum(cause.sub_tasks for cause in known.causes[:MAX_SHOWN])
    rest = _failed_sub_tasks(known) - shown
    if not known.causes or rest <= 0:
        return ""
    return f"{rest:,} more for other reasons"

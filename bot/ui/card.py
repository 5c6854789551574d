"""The card of a request: one message in the project's channel that says how it stands, in every state.

Pure: a function of the request. Its buttons are in `buttons`, what is said only to one person in `answers`.
"""

from __future__ import annotations

from slack_sdk.models.blocks import Block

from bot.domain.decisions import is_self_approved, missing_approvers
from bot.domain.progress import percent
from bot.domain.request import Problem, Request, State
from bot.domain.task_group import Progress, TaskGroup, status_name
from bot.ui.blocks import SlackMessage, context_block, fields, header, plain_section, section, slack_message
from bot.ui.buttons import buttons, warnings
from bot.ui.formatting import (
    approvals_needed,
    bar,
    code,
    duration,
    escape_mrkdwn,
    local_time,
    local_time_with_seconds,
    mentions,
    size,
    size_of,
    user_text,
)
from bot.ui.replies import after_first_sentence, original_message, self_approval_line
from bot.ui.status import group_name, headline, headline_states_problem

_STATES_WITH_PROGRESS = frozenset(
    {State.PENDING, State.ACCEPTED, State.MOVING, State.PAUSING, State.DONE, State.FAILED, State.PAUSED_AGAIN}
)


def card(request: Request) -> SlackMessage:
    """How a request stands, for everybody in the channel."""
    title = headline(request)
    blocks: list[Block] = [header(title), context_block(identity_line(request)), section(route_line(request.group))]
    if request.state in _STATES_WITH_PROGRESS:
        blocks.append(section(progress_line(request)))
    if is_self_approved(request):
        blocks.append(section(f":warning: *{self_approval_line(request)}*"))
    if request.state is State.PENDING:
        blocks.append(plain_section(f"Reason: {request.reason or 'none given'}"))
        blocks.append(fields(*_question(request)))
        blocks.extend(section(f":warning: *Warning:* {warning}") for warning in warnings(request))
        blocks.extend(buttons(request))
        blocks.append(context_block(keys_line(request)))
    else:
        blocks.extend(_trouble(request, visible_problem(request)))
        blocks.extend(buttons(request))
        blocks.append(context_block(history(request)))
    return slack_message(_sentence(request, title), blocks)


def identity_line(request: Request) -> str:
    """Which request, whole: it can be found again from any picture of the card."""
    name = f"*{escape_mrkdwn(group_name(request.group), 80)}* · " if headline_states_problem(request) else ""
    return f"{name}project {escape_mrkdwn(request.plan.project)} · group `{request.group.group_id}` · `{request.id}`"


def route_line(group: TaskGroup) -> str:
    source, destination = group.source, group.destination
    prefix = f"/{destination.save_prefix}" if destination.save_prefix else ""
    region = f" ({escape_mrkdwn(source.region)})" if source.region else ""
    return (
        f"{escape_mrkdwn(source.cloud_type)} *{escape_mrkdwn(source.bucket or 'list of URLs')}*{region}  →  "
        f"OBS *{escape_mrkdwn(destination.bucket + prefix)}* ({escape_mrkdwn(destination.region)})"
    )


def progress_line(request: Request) -> str:
    """The bar, the percentage and the amounts; only what OMS told."""
    progress = request.last_seen.progress if request.last_seen else request.group.progress
    share = percent(progress)
    shown = f"{bar(share)}  *{share} %*" if share is not None else "Size not known yet"
    parts = [part for part in (_amount(progress), _objects(progress)) if part]
    if request.state in (State.PENDING, State.PAUSED_AGAIN):
        parts.append(status_name(request.group.status))
    return f"{shown}     {' · '.join(parts)}"


def _amount(progress: Progress) -> str:
    if progress.total_bytes:
        return size_of(progress.complete_bytes, progress.total_bytes)
    return size(progress.complete_bytes) if progress.complete_bytes else ""


def _objects(progress: Progress) -> str:
    if not progress.total_objects:
        return ""
    text = f"{progress.handled_objects:,} of {progress.total_objects:,} objects"
    if progress.failed_objects:
        text += f", {progress.failed_objects:,} of them failed"
    return text


def _question(request: Request) -> list[tuple[str, str]]:
    asked = [
        ("Asked by", mentions([request.requester])),
        ("Needs", approval_line(request)),
        ("Until", local_time(request.expires_at)),
    ]
    if request.start_at is not None:
        asked.append(("Starts", f"{local_time(request.start_at)}, not at once"))
    if request.scope is not None:
        asked.append(("Retries", request.scope.value))
        error = request.group.error
        asked.append(
            (
                "Failed with",
                f"{escape_mrkdwn(error.code)} {escape_mrkdwn(error.message, 300)}".strip()
                if error
                else "no reason told",
            )
        )
    return asked


def approval_line(request: Request) -> str:
    """Who must approve; once somebody has, who that is, and who is still missing."""
    if request.vote_progress is None:
        return approvals_needed(missing_approvers(request))
    approved_by = mentions(request.vote_progress.people, "and")
    return f"{approvals_needed(missing_approvers(request))} still missing; approved by {approved_by}"


def keys_line(request: Request) -> str:
    """Which keys would be read: their paths and versions, never more."""
    checked = ", ".join(
        code(f"{request.plan.vault_mount}/{key.path}")
        + (f" v{key.version}" if key.version is not None else "")
        + (
            f" ({', '.join(escape_mrkdwn(name) for name in key.keys)})"
            if key.keys is not None
            else " (keys not checked)"
        )
        for key in request.keys
    )
    return f"Keys: {checked}. Read only after approval."


def visible_problem(request: Request) -> Problem | None:
    """What the card has to tell of what went wrong: with the request, or with pausing it."""
    if request.problem is None and request.pause is not None and request.state in (State.ACCEPTED, State.MOVING):
        return request.pause.failure
    return request.problem


def _trouble(request: Request, problem: Problem | None) -> list[Block]:
    if problem is None:
        return []
    is_failed_pause = request.pause is not None and problem is request.pause.failure
    # The headline of what was not started, and of what failed, has the code and the first sentence already.
    if headline_states_problem(request) and not is_failed_pause:
        lead, meaning = "", after_first_sentence(problem)
    else:
        lead, meaning = f"{escape_mrkdwn(problem.code)}: " if problem.code else "", escape_mrkdwn(problem.meaning)
    lead = f":warning: *Not paused:* {lead}" if is_failed_pause else lead
    text = f"{lead}{meaning}\n{original_message(problem)}".strip()
    blocks: list[Block] = [section(text)] if text else []
    if problem.next_step:
        holds = (
            f" The approval holds until {local_time(request.expires_at)}." if request.state is State.NOT_STARTED else ""
        )
        blocks.append(section(f"*Next:* {escape_mrkdwn(problem.next_step)}{holds}"))
    references = []
    if problem.side:
        references.append(f"Where it lies: {escape_mrkdwn(problem.side)}")
    if problem.huawei_request_id:
        references.append(f"Huawei request id {code(problem.huawei_request_id, 80)}")
    if problem.reference:
        references.append(f"reference {code(problem.reference)}")
    if references:
        blocks.append(context_block(" · ".join(references)))
    return blocks


def history(request: Request) -> str:
    """Who asked and who decided, when, and as of when the card speaks."""
    because = f", because: {user_text(request.reason)}" if request.reason else ""
    parts = [f"Asked by {mentions([request.requester])} {local_time(request.created_at)}{because}"]
    for done, what in ((request.decision, "approved"), (request.ending, request.state)):
        if done is not None:
            why = f", because: {user_text(done.reason)}" if done.reason else ""
            parts.append(f"{what} by {mentions(done.people, 'and')} {local_time(done.at)}{why}")
    if request.state is State.EXPIRED:
        parts.append(f"expired {local_time(request.expires_at)}")
    if request.scope is not None:
        parts.append(f"retries {request.scope}")
    if request.start_at is not None and request.state is State.APPROVED:
        parts.append(f"starts {local_time(request.start_at)}")
    if request.state is State.NOT_STARTED and request.attempt is not None and request.attempt.number > 1:
        parts.append(f"tried {request.attempt.number} times, last {local_time_with_seconds(request.attempt.opened_at)}")
    if request.pause is not None and request.pause.failure is None:
        word = "paused" if request.state is State.PAUSED_AGAIN else "pausing"
        parts.append(f"{word} by {mentions([request.pause.person])} {local_time(request.pause.at)}")
    if request.last_seen is not None:
        parts.append(f"updated {local_time_with_seconds(request.last_seen.at)}")
    if request.ended_at is not None and request.last_seen is not None and request.attempt is not None:
        began = request.attempt.answered_at or request.attempt.opened_at
        parts.append(f"took {duration(int((request.ended_at - began).total_seconds()))}")
    return " · ".join(parts)


def _sentence(request: Request, title: str) -> str:
    name = f" {escape_mrkdwn(group_name(request.group), 80)}," if headline_states_problem(request) else ""
    project = escape_mrkdwn(request.plan.project)
    text = f"{escape_mrkdwn(title)}.{name} Project {project}, group {request.group.group_id}, {request.id}."
    problem = visible_problem(request)
    if request.state is State.PENDING:
        reason = escape_mrkdwn(request.reason, 300) or "none given"
        text += f" {mentions([request.requester])} asks, reason: {reason}. Needs: {approval_line(request)}."
        text += "".join(f" Warning: {warning}." for warning in warnings(request))
    elif problem is not None:
        text += f" {escape_mrkdwn(problem.meaning)} {escape_mrkdwn(problem.next_step)}"
    return f"{text} {self_approval_line(request)}" if is_self_approved(request) else text

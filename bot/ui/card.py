"""The card of a request: one message in the project's channel that shows the request in its current state.

Pure. The texts and buttons of each state are in `bot.ui.states`.
"""

from __future__ import annotations

from slack_sdk.models.blocks import Block

from bot.domain.decisions import is_self_approved, missing_approvers
from bot.domain.request import Problem, Request, State
from bot.domain.task_group import TaskGroup, status_name
from bot.ui.blocks import SlackMessage, context_block, fields, header, plain_section, section, slack_message
from bot.ui.buttons import warnings
from bot.ui.formatting import (
    approvals_needed,
    duration,
    escape_mrkdwn,
    group_name,
    inline_code,
    local_time,
    local_time_with_seconds,
    mentions,
    user_text,
)
from bot.ui.problem_texts import after_first_sentence, original_message
from bot.ui.progress import latest_progress, progress_line
from bot.ui.start_time import start_terms
from bot.ui.states import STATES, headline, text_of
from bot.ui.status import headline_states_problem


def card(request: Request) -> SlackMessage:
    """The card. Its `text` describes in sentences what its blocks show."""
    row = STATES[request.state]
    blocks: list[Block] = [
        header(headline(request)),
        context_block(identity_line(request)),
        section(route_line(request.group)),
    ]
    if row.shows_progress:
        group_status = status_name(request.group.status) if row.shows_group_status else ""
        blocks.append(section(progress_line(latest_progress(request), group_status)))
    if is_self_approved(request):
        blocks.append(section(f":warning: *{row.self_approval}*"))
    if request.state is State.PENDING:
        blocks.append(plain_section(f"Reason: {request.reason or 'none given'}"))
        blocks.append(fields(*_request_fields(request)))
        if request.start_at is not None:
            blocks.append(section(start_terms(request)))
        blocks.extend(section(f":warning: *Warning:* {warning}") for warning in warnings(request))
        last_line = keys_line(request)
    else:
        blocks.extend(_problem_blocks(request, visible_problem(request)))
        last_line = history_line(request)
    blocks.extend(row.buttons(request))
    blocks.append(context_block(last_line))
    return slack_message(_summary(request), blocks)


def identity_line(request: Request) -> str:
    """The project, the whole group id and the request id, so that a screenshot of a card identifies its request."""
    name = f"*{escape_mrkdwn(group_name(request.group), 80)}* · " if headline_states_problem(request) else ""
    return f"{name}project {escape_mrkdwn(request.plan.project)} · group `{request.group.group_id}` · `{request.id}`"


def route_line(group: TaskGroup) -> str:
    """Source and destination."""
    source, destination = group.source, group.destination
    prefix = f"/{destination.save_prefix}" if destination.save_prefix else ""
    region = f" ({escape_mrkdwn(source.region)})" if source.region else ""
    return (
        f"{escape_mrkdwn(source.cloud_type)} *{escape_mrkdwn(source.bucket or 'list of URLs')}*{region}  →  "
        f"OBS *{escape_mrkdwn(destination.bucket + prefix)}* ({escape_mrkdwn(destination.region)})"
    )


def _request_fields(request: Request) -> list[tuple[str, str]]:
    found = [
        ("Asked by", mentions([request.requester])),
        ("Needs", approval_line(request)),
        ("Until", local_time(request.expires_at)),
    ]
    if request.start_at is not None:
        found.append(("Starts", f"{local_time(request.start_at)}, not at once"))
    if request.scope is not None:
        error, why = request.group.error, "no reason told"
        if error is not None:
            why = f"{escape_mrkdwn(error.code)} {escape_mrkdwn(error.message, 300)}".strip()
        found += [("Retries", request.scope.value), ("Failed with", why)]
    return found


def approval_line(request: Request) -> str:
    """The people who can fill each open slot, and those who have approved so far."""
    needed = approvals_needed(missing_approvers(request))
    if request.vote_progress is None:
        return needed
    return f"{needed} still missing; approved by {mentions(request.vote_progress.people, 'and')}"


def keys_line(request: Request) -> str:
    """The Vault paths that the bot reads after approval, with their versions and the names of their keys."""
    checked = ", ".join(
        inline_code(f"{request.plan.vault_mount}/{key.path}")
        + (f" v{key.version}" if key.version is not None else "")
        + (
            f" ({', '.join(escape_mrkdwn(name) for name in key.keys)})"
            if key.keys is not None
            else " (keys not checked)"
        )
        for key in request.keys
    )
    return f"Keys: {checked}. Read only after approval."


def history_line(request: Request) -> str:
    """The last line of the card: the requester, the decision, later events, and the time of the last update."""
    row = STATES[request.state]
    entries = [f"Asked by {mentions([request.requester])} {local_time(request.created_at)}{_because(request.reason)}"]
    for decision, what in ((request.decision, "approved"), (request.ending, request.state)):
        if decision is not None:
            by = f"{mentions(decision.people, 'and')} {local_time(decision.at)}{_because(decision.reason)}"
            entries.append(f"{what} by {by}")
    entries.append(text_of(row.history_end, request))
    entries.append(f"retries {request.scope}" if request.scope is not None else "")
    entries.append(text_of(row.history, request))
    if request.pause is not None and request.pause.failure is None:
        entries.append(f"{row.history_pause} by {mentions([request.pause.person])} {local_time(request.pause.at)}")
    if request.last_seen is not None:
        entries.append(f"updated {local_time_with_seconds(request.last_seen.at)}")
    if request.ended_at is not None and request.last_seen is not None and request.attempt is not None:
        began = request.attempt.answered_at or request.attempt.opened_at
        entries.append(f"took {duration(int((request.ended_at - began).total_seconds()))}")
    return " · ".join(filter(None, entries))


def _because(reason: str) -> str:
    return f", because: {user_text(reason)}" if reason else ""


def visible_problem(request: Request) -> Problem | None:
    """The problem that the card shows: the problem of the request, or of the last attempt to pause the group."""
    if request.problem is None and request.pause is not None and STATES[request.state].shows_failed_pause:
        return request.pause.failure
    return request.problem


def _problem_blocks(request: Request, problem: Problem | None) -> list[Block]:
    if problem is None:
        return []
    is_failed_pause = request.pause is not None and problem is request.pause.failure
    if headline_states_problem(request) and not is_failed_pause:
        # The headline already has the code and the first sentence.
        text = after_first_sentence(problem)
    else:
        text = f"{f'{escape_mrkdwn(problem.code)}: ' if problem.code else ''}{escape_mrkdwn(problem.meaning)}"
    lead = ":warning: *Not paused:* " if is_failed_pause else ""
    text = f"{lead}{text}\n{original_message(problem)}".strip()
    blocks: list[Block] = [section(text)] if text else []
    if problem.next_step:
        waits_for = text_of(STATES[request.state].waits_for, request)
        blocks.append(section(f"*Next:* {escape_mrkdwn(problem.next_step)} {waits_for}".rstrip()))
    references = []
    if problem.side:
        references.append(f"Where it lies: {escape_mrkdwn(problem.side)}")
    if problem.huawei_request_id:
        references.append(f"Huawei request id {inline_code(problem.huawei_request_id, 80)}")
    if problem.reference:
        references.append(f"reference {inline_code(problem.reference)}")
    if references:
        blocks.append(context_block(" · ".join(references)))
    return blocks


def _summary(request: Request) -> str:
    name = f" {escape_mrkdwn(group_name(request.group), 80)}," if headline_states_problem(request) else ""
    project, group_id = escape_mrkdwn(request.plan.project), request.group.group_id
    text = f"{escape_mrkdwn(headline(request))}.{name} Project {project}, group {group_id}, {request.id}."
    problem = visible_problem(request)
    if request.state is State.PENDING:
        reason = escape_mrkdwn(request.reason, 300) or "none given"
        text += f" {mentions([request.requester])} asks, reason: {reason}. Needs: {approval_line(request)}."
        text += "".join(f" Warning: {warning}." for warning in warnings(request))
    elif problem is not None:
        text += f" {escape_mrkdwn(problem.meaning)} {escape_mrkdwn(problem.next_step)}"
    return f"{text} {STATES[request.state].self_approval}" if is_self_approved(request) else text

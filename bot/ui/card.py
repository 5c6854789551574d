"""The card of a request: one message in the project's channel that shows the request in its current state.

Pure. The texts and buttons of each state are in `bot.ui.states`.
"""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.blocks import Block

from bot.domain.request import FOLLOWED_STATES, Problem, Request, State
from bot.domain.task_group import TaskGroup, status_name
from bot.ui.approvals import approvals_so_far, unavailable_note
from bot.ui.blocks import SlackMessage, context_block, fields, header, plain_section, section, slack_message
from bot.ui.buttons import warnings
from bot.ui.failure_causes import causes_blocks, causes_summary
from bot.ui.formatting import (
    escape_mrkdwn,
    inline_code,
    link_console,
    local_time,
    local_time_with_seconds,
    mentions,
    user_text,
)
from bot.ui.movement import last_reading, movement_details, movement_sentence, trouble
from bot.ui.problem_texts import original_message
from bot.ui.progress import latest_progress, moved_since_start, progress_line, progress_sentence
from bot.ui.start_time import start_terms
from bot.ui.state_texts import self_approval_line
from bot.ui.states import STATES, ended_as, headline, text_of


def card(request: Request, unavailable_groups: Sequence[str] = (), failure: Problem | None = None) -> SlackMessage:
    """The card. Its `text` describes in sentences what its blocks show.

    Arguments:
        unavailable_groups: the ids of the user groups that could approve, and are disabled or deleted in Slack.
        failure: why the group failed that a pending request would retry; None for other requests.
    """
    row = STATES[request.state]
    blocks: list[Block] = [
        header(headline(request)),
        context_block(identity_line(request)),
        section(route_line(request.group)),
    ]
    if row.shows_progress:
        group_status = status_name(request.group.status) if row.shows_group_status else ""
        total_grows = _shows_movement(request) and last_reading(request).total_grows
        blocks.append(section(progress_line(latest_progress(request), group_status, total_grows=total_grows)))
    if _shows_movement(request):
        blocks.append(context_block(movement_details(last_reading(request))))
        blocks.extend(_movement_note(request))
    self_approval = self_approval_line(request)
    if self_approval:
        blocks.append(section(f":warning: *{self_approval}*"))
    if request.state is State.PENDING:
        blocks.append(plain_section(f"Reason: {request.reason or 'none given'}"))
        blocks.append(fields(*_request_fields(request, unavailable_groups)))
        if request.start_at is not None:
            blocks.append(section(start_terms(request)))
        blocks.extend(section(f":warning: *Warning:* {warning}") for warning in warnings(request))
        if failure is not None:
            blocks.extend(_failure_blocks(request, failure))
        if request.problem is not None:
            blocks.extend(_problem_blocks(request, request.problem))
    else:
        blocks.extend(_problem_blocks(request, visible_problem(request)))
        blocks.extend(causes_blocks(request))
    blocks.extend(row.buttons(request))
    if row.shows_keys:
        blocks.append(context_block(keys_line(request)))
    if request.state is not State.PENDING:
        blocks.append(context_block(history_line(request)))
    return slack_message(_summary(request, failure), blocks)


def _shows_movement(request: Request) -> bool:
    """Whether the card shows how the group moves, and when it was last read."""
    return request.state in FOLLOWED_STATES and request.last_seen is not None


def _movement_text(request: Request) -> str:
    """Why the group does not move as it should. A problem means that the last reading of the group failed."""
    note = movement_sentence(last_reading(request)) if request.problem is None else ""
    return link_console(note, request.plan.console_url)


def _movement_note(request: Request) -> list[Block]:
    note = _movement_text(request)
    lead = ":warning: " if trouble(last_reading(request)) else ""
    return [section(f"{lead}{note}")] if note else []


def identity_line(request: Request) -> str:
    """The project, the whole group id and the request id, so that a screenshot of a card identifies its request."""
    project, group_id = escape_mrkdwn(request.plan.project), inline_code(request.group.group_id)
    return f"project {project} · group {group_id} · {inline_code(request.id)}"


def route_line(group: TaskGroup) -> str:
    """Source and destination."""
    destination = group.destination
    prefix = f"/{destination.save_prefix}" if destination.save_prefix else ""
    cdn = f", through CDN {inline_code(group.cdn_domain)}" if group.cdn_domain else ""
    return (
        f"{_source(group)}{cdn}  →  "
        f"OBS *{escape_mrkdwn(destination.bucket + prefix)}* ({escape_mrkdwn(destination.region)})"
    )


def _source(group: TaskGroup) -> str:
    source = group.source
    if group.task_type == "URL_LIST" or source.cloud_type == "URLSOURCE":
        return "*HTTP list of URLs*"
    region = f" ({escape_mrkdwn(source.region)})" if source.region else ""
    return f"{escape_mrkdwn(source.cloud_type)} *{escape_mrkdwn(source.bucket or 'unknown bucket')}*{region}"


def _request_fields(request: Request, unavailable_groups: Sequence[str]) -> list[tuple[str, str]]:
    found = [
        ("Requested by", mentions([request.requester])),
        ("Approvals", f"{approvals_so_far(request)}{unavailable_note(unavailable_groups)}"),
        ("Expires", local_time(request.expires_at)),
    ]
    if request.start_at is not None:
        found.append(("Starts", local_time(request.start_at)))
    if request.scope is not None:
        found.append(("Retries", _scope(request)))
    return found


def _scope(request: Request) -> str:
    """What is retried, and who chose it if a person did."""
    chosen_by = f", chosen by {mentions([request.scope_chosen_by])}" if request.scope_chosen_by else ""
    return f"{request.scope or ''}{chosen_by}"


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
    was_checked = "The paths and key names were checked when the request was created."
    when = "They are read only after approval." if request.state is State.PENDING else was_checked
    return f"Keys: {checked}. {when}"


def history_line(request: Request) -> str:
    """The last line of the card: the requester, the decision, later events, and the time of the last update."""
    row = STATES[request.state]
    requester = mentions([request.requester])
    entries = [f"Requested by {requester} {local_time(request.created_at)}{_because(request.reason)}"]
    for decision, what in ((request.decision, "approved"), (request.ending, ended_as(request.state))):
        if decision is not None:
            by = f"{mentions(decision.people, 'and')} {local_time(decision.at)}{_because(decision.reason)}"
            entries.append(f"{what} by {by}")
    entries.append(text_of(row.history_end, request))
    entries.append(f"retries {_scope(request)}" if request.scope is not None else "")
    entries.append(text_of(row.history, request))
    if request.pause is not None and request.pause.failure is None and row.history_pause:
        entries.append(f"{row.history_pause} {mentions([request.pause.person])} {local_time(request.pause.at)}")
    if request.last_seen is not None and not _shows_movement(request):
        entries.append(f"updated {local_time_with_seconds(request.last_seen.at)}")
    entries.append(moved_since_start(request) if row.shows_progress else "")
    return " · ".join(filter(None, entries))


def _because(reason: str) -> str:
    return f", reason: {user_text(reason)}" if reason else ""


def visible_problem(request: Request) -> Problem | None:
    """The problem that the card shows: the problem of the request, or of the last attempt to pause the group."""
    if request.problem is None and request.pause is not None and STATES[request.state].shows_failed_pause:
        return request.pause.failure
    return request.problem


def _failure_blocks(request: Request, failure: Problem) -> list[Block]:
    """Why the group failed before, and what to do so that the retry does not fail as well."""
    lead = f"*Failed with {escape_mrkdwn(failure.code)}.* " if failure.code else ""
    next_step = link_console(escape_mrkdwn(failure.next_step), request.plan.console_url)
    return [
        section(f"{lead}{escape_mrkdwn(failure.meaning)}\n{original_message(failure)}".strip()),
        section(f"*Before you approve:* {next_step}"),
    ]


def _problem_blocks(request: Request, problem: Problem | None) -> list[Block]:
    """What went wrong and what is next, or without a problem only what is next."""
    waits_for = text_of(STATES[request.state].waits_for, request)
    if problem is None:
        return [section(waits_for)] if waits_for else []
    is_failed_pause = request.pause is not None and problem is request.pause.failure
    lead = ":warning: *Not paused:* " if is_failed_pause else ""
    code = f"{escape_mrkdwn(problem.code)}: " if problem.code else ""
    blocks: list[Block] = [
        section(f"{lead}{code}{escape_mrkdwn(problem.meaning)}\n{original_message(problem)}".strip())
    ]
    references = []
    if problem.side:
        references.append(f"Side: {escape_mrkdwn(problem.side)}")
    if problem.huawei_request_id:
        references.append(f"Huawei request id {inline_code(problem.huawei_request_id, 80)}")
    if problem.reference:
        references.append(f"reference {inline_code(problem.reference)}")
    if references:
        blocks.append(context_block(" · ".join(references)))
    if problem.next_step:
        next_step = link_console(escape_mrkdwn(problem.next_step), request.plan.console_url)
        blocks.append(section(f"*Next:* {next_step} {waits_for}".rstrip()))
    elif waits_for:
        blocks.append(section(waits_for))
    return blocks


def _summary(request: Request, failure: Problem | None) -> str:
    project, group_id = escape_mrkdwn(request.plan.project), escape_mrkdwn(request.group.group_id)
    sentences = [
        f"{escape_mrkdwn(headline(request))}.",
        f"Project {project}, group {group_id}, {escape_mrkdwn(request.id)}.",
    ]
    problem = visible_problem(request)
    if request.state is State.PENDING:
        reason = escape_mrkdwn(request.reason, 300).rstrip(".") or "none given"
        sentences.append(f"Requested by {mentions([request.requester])}. Reason: {reason}.")
        sentences += [f"Warning: {warning}." for warning in warnings(request)]
        if failure is not None:
            code = f"Failed with {escape_mrkdwn(failure.code)}." if failure.code else ""
            sentences += [code, escape_mrkdwn(failure.meaning)]
    elif problem is not None:
        sentences += [escape_mrkdwn(problem.meaning), escape_mrkdwn(problem.next_step)]
    if _shows_movement(request):
        done = progress_sentence(latest_progress(request))
        sentences += [f"{done}." if done else "", _movement_text(request)]
    waits_for = text_of(STATES[request.state].waits_for, request)
    sentences += [causes_summary(request), waits_for, self_approval_line(request)]
    return " ".join(filter(None, sentences))

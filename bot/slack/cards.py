"""The card of a request: one message in the project's channel that says how it stands, in every state.

Pure: a function of the request. Its buttons are in `buttons`, what is said only to one person in `answers`.
"""

from __future__ import annotations

from slack_sdk.models.blocks import Block

from bot.request.group import Progress, TaskGroup
from bot.request.model import Request, State, Trouble
from bot.request.progress import percent
from bot.request.votes import is_break_glass, still_missing
from bot.slack.answers import break_glass, rest_of, said_by
from bot.slack.buttons import buttons, warnings
from bot.slack.headlines import group_name, headline, is_of_trouble
from bot.slack.message import Message, as_typed, context, fields, header, message, section
from bot.slack.words import (
    bar,
    clock,
    code,
    duration,
    needed,
    people,
    plain,
    quoted,
    size,
    size_of,
    status_name,
    to_the_second,
)

_STATES_WITH_PROGRESS = frozenset(
    {State.PENDING, State.ACCEPTED, State.MOVING, State.PAUSING, State.DONE, State.FAILED, State.PAUSED_AGAIN}
)


def card(request: Request) -> Message:
    """How a request stands, for everybody in the channel."""
    title = headline(request)
    blocks: list[Block] = [header(title), context(identity(request)), section(route(request.group))]
    if request.state in _STATES_WITH_PROGRESS:
        blocks.append(section(progress_line(request)))
    if is_break_glass(request):
        blocks.append(section(f":warning: *{break_glass(request)}*"))
    if request.state is State.PENDING:
        blocks.append(as_typed(f"Reason: {request.reason or 'none given'}"))
        blocks.append(fields(*_question(request)))
        blocks.extend(section(f":warning: *Warning:* {warning}") for warning in warnings(request))
        blocks.extend(buttons(request))
        blocks.append(context(keys_line(request)))
    else:
        blocks.extend(_trouble(request, trouble_shown(request)))
        blocks.extend(buttons(request))
        blocks.append(context(history(request)))
    return message(_sentence(request, title), blocks)


def identity(request: Request) -> str:
    """Which request, whole: it can be found again from any picture of the card."""
    name = f"*{plain(group_name(request.group), 80)}* · " if is_of_trouble(request) else ""
    return f"{name}project {plain(request.plan.project)} · group `{request.group.group_id}` · `{request.id}`"


def route(group: TaskGroup) -> str:
    source, destination = group.source, group.destination
    prefix = f"/{destination.save_prefix}" if destination.save_prefix else ""
    region = f" ({plain(source.region)})" if source.region else ""
    return (
        f"{plain(source.cloud_type)} *{plain(source.bucket or 'list of URLs')}*{region}  →  "
        f"OBS *{plain(destination.bucket + prefix)}* ({plain(destination.region)})"
    )


def progress_line(request: Request) -> str:
    """The bar, the percentage and the amounts; only what OMS told."""
    progress = request.sight.progress if request.sight else request.group.progress
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
        ("Asked by", people([request.requester])),
        ("Needs", needs(request)),
        ("Until", clock(request.expires_at)),
    ]
    if request.start_at is not None:
        asked.append(("Starts", f"{clock(request.start_at)}, not at once"))
    if request.scope is not None:
        asked.append(("Retries", request.scope.value))
        error = request.group.error
        asked.append(
            ("Failed with", f"{plain(error.code)} {plain(error.message, 300)}".strip() if error else "no reason told")
        )
    return asked


def needs(request: Request) -> str:
    """Who must approve; once somebody has, who that is, and who is still missing."""
    if request.tally is None:
        return needed(still_missing(request))
    return f"{needed(still_missing(request))} still missing; approved by {people(request.tally.people, 'and')}"


def keys_line(request: Request) -> str:
    """Which keys would be read: their paths and versions, never more."""
    checked = ", ".join(
        code(f"{request.plan.vault_mount}/{key.path}")
        + (f" v{key.version}" if key.version is not None else "")
        + (f" ({', '.join(plain(name) for name in key.keys)})" if key.keys is not None else " (keys not checked)")
        for key in request.keys
    )
    return f"Keys: {checked}. Read only after approval."


def trouble_shown(request: Request) -> Trouble | None:
    """What the card has to tell of what went wrong: with the request, or with pausing it."""
    if request.trouble is None and request.pause is not None and request.state in (State.ACCEPTED, State.MOVING):
        return request.pause.failure
    return request.trouble


def _trouble(request: Request, trouble: Trouble | None) -> list[Block]:
    if trouble is None:
        return []
    is_failed_pause = request.pause is not None and trouble is request.pause.failure
    # The headline of what was not started, and of what failed, has the code and the first sentence already.
    if is_of_trouble(request) and not is_failed_pause:
        lead, meaning = "", rest_of(trouble)
    else:
        lead, meaning = f"{plain(trouble.code)}: " if trouble.code else "", plain(trouble.meaning)
    lead = f":warning: *Not paused:* {lead}" if is_failed_pause else lead
    text = f"{lead}{meaning}\n{said_by(trouble)}".strip()
    blocks: list[Block] = [section(text)] if text else []
    if trouble.next_step:
        holds = f" The approval holds until {clock(request.expires_at)}." if request.state is State.NOT_STARTED else ""
        blocks.append(section(f"*Next:* {plain(trouble.next_step)}{holds}"))
    references = []
    if trouble.side:
        references.append(f"Where it lies: {plain(trouble.side)}")
    if trouble.huawei_request_id:
        references.append(f"Huawei request id {code(trouble.huawei_request_id, 80)}")
    if trouble.reference:
        references.append(f"reference {code(trouble.reference)}")
    if references:
        blocks.append(context(" · ".join(references)))
    return blocks


def history(request: Request) -> str:
    """Who asked and who decided, when, and as of when the card speaks."""
    because = f", because: {quoted(request.reason)}" if request.reason else ""
    parts = [f"Asked by {people([request.requester])} {clock(request.asked_at)}{because}"]
    for done, what in ((request.decision, "approved"), (request.ending, request.state)):
        if done is not None:
            why = f", because: {quoted(done.reason)}" if done.reason else ""
            parts.append(f"{what} by {people(done.people, 'and')} {clock(done.at)}{why}")
    if request.state is State.EXPIRED:
        parts.append(f"expired {clock(request.expires_at)}")
    if request.scope is not None:
        parts.append(f"retries {request.scope}")
    if request.start_at is not None and request.state is State.APPROVED:
        parts.append(f"starts {clock(request.start_at)}")
    if request.state is State.NOT_STARTED and request.attempt is not None and request.attempt.number > 1:
        parts.append(f"tried {request.attempt.number} times, last {to_the_second(request.attempt.opened_at)}")
    if request.pause is not None and request.pause.failure is None:
        word = "paused" if request.state is State.PAUSED_AGAIN else "pausing"
        parts.append(f"{word} by {people([request.pause.person])} {clock(request.pause.at)}")
    if request.sight is not None:
        parts.append(f"updated {to_the_second(request.sight.at)}")
    if request.ended_at is not None and request.sight is not None and request.attempt is not None:
        began = request.attempt.answered_at or request.attempt.opened_at
        parts.append(f"took {duration(int((request.ended_at - began).total_seconds()))}")
    return " · ".join(parts)


def _sentence(request: Request, title: str) -> str:
    name = f" {plain(group_name(request.group), 80)}," if is_of_trouble(request) else ""
    text = f"{plain(title)}.{name} Project {plain(request.plan.project)}, group {request.group.group_id}, {request.id}."
    trouble = trouble_shown(request)
    if request.state is State.PENDING:
        reason = plain(request.reason, 300) or "none given"
        text += f" {people([request.requester])} asks, reason: {reason}. Needs: {needs(request)}."
        text += "".join(f" Warning: {warning}." for warning in warnings(request))
    elif trouble is not None:
        text += f" {plain(trouble.meaning)} {plain(trouble.next_step)}"
    return f"{text} {break_glass(request)}" if is_break_glass(request) else text

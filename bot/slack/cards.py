"""The card of a request: one message in the project's channel that says how it stands, in every state.

Pure: a function of the request. What is said only to one person is in `answers`; sending is in `posting`.
"""

from __future__ import annotations

from slack_sdk.models.blocks import Block, ButtonElement

from bot.request.group import Progress, TaskGroup
from bot.request.model import Request, State
from bot.request.progress import percent
from bot.request.votes import is_break_glass, still_missing
from bot.slack.answers import BREAK_GLASS
from bot.slack.headlines import group_name, headline
from bot.slack.message import Message, actions, button, confirm, context, fields, header, message, section
from bot.slack.words import bar, clock, duration, needed, people, plain, size, size_of

_STATES_WITH_PROGRESS = frozenset(
    {State.PENDING, State.ACCEPTED, State.MOVING, State.DONE, State.FAILED, State.PAUSED_AGAIN}
)


def card(request: Request) -> Message:
    """How a request stands, for everybody in the channel."""
    title = headline(request)
    blocks: list[Block] = [header(title), context(identity(request)), section(route(request.group))]
    if request.state in _STATES_WITH_PROGRESS:
        blocks.append(section(progress_line(request)))
    if is_break_glass(request):
        blocks.append(section(f":warning: *{BREAK_GLASS}*"))
    if request.state is State.PENDING:
        blocks.append(fields(*_question(request)))
        blocks.extend(section(f":warning: *Warning* {warning}") for warning in warnings(request.group))
        blocks.append(actions("decide", *_decision_buttons(request)))
        blocks.append(context(keys_line(request)))
    else:
        blocks.extend(_trouble(request))
        if request.state is State.NOT_STARTED:
            blocks.append(actions("again", _retry_button(request)))
        blocks.append(context(history(request)))
    return message(_sentence(request, title), blocks)


def identity(request: Request) -> str:
    """Which request, whole: it can be found again from any picture of the card."""
    return f"project {plain(request.plan.project)} · group `{request.group.group_id}` · `{request.id}`"


def route(group: TaskGroup) -> str:
    source, destination = group.source, group.destination
    prefix = f"/{destination.save_prefix}" if destination.save_prefix else ""
    return (
        f"{plain(source.cloud_type)} *{plain(source.bucket)}* ({plain(source.region or 'no region')})  →  "
        f"OBS *{plain(destination.bucket + prefix)}* ({plain(destination.region)})"
    )


def progress_line(request: Request) -> str:
    """The bar, the percentage and the amounts; only what OMS told, with when it told it."""
    progress = request.sight.progress if request.sight else request.group.progress
    share = percent(progress)
    shown = f"{bar(share)}  *{share} %*" if share is not None else "Size not known yet"
    parts = [part for part in (_amount(progress), _objects(progress)) if part]
    line = f"{shown}     {' · '.join(parts)}"
    return f"{line} · paused" if request.state in (State.PENDING, State.PAUSED_AGAIN) else line


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


def warnings(group: TaskGroup) -> list[str]:
    """What resuming this group may cost, beyond time."""
    found = []
    if group.restores_archives:
        found.append("resuming repeats the archive restores at the source: hours, and a second bill")
    if group.overwrite_mode == "FULL_OVERWRITE":
        found.append("objects already at the destination are copied again and overwritten")
    return found


def _question(request: Request) -> list[tuple[str, str]]:
    reason = plain(request.reason, 500) or "none given"
    return [
        ("Reason", reason),
        ("Asked by", people([request.requester])),
        ("Needs", needs(request)),
        ("Until", clock(request.expires_at)),
    ]


def needs(request: Request) -> str:
    """Who must approve; once somebody has, who that is, and who is still missing."""
    if request.tally is None:
        return needed(still_missing(request))
    return f"{needed(still_missing(request))} still missing; approved by {people(request.tally.people, 'and')}"


def _decision_buttons(request: Request) -> list[ButtonElement]:
    name, of_group = group_name(request.group), f"group {request.group.group_id}"
    dialog = confirm(
        "Resume this migration?",
        f"{name}, {of_group}, project {request.plan.project}. The bot then reads the source and destination keys "
        "and asks OMS to resume.",
        "Approve",
        "Not yet",
    )
    stop = confirm(
        "Cancel this request?", f"{name}. Nothing is started. It can be asked again.", "Cancel it", "Keep it"
    )
    buttons = [
        button("Approve", "approve", request.id, says=f"Approve resuming {of_group}", style="primary", confirm=dialog),
        button("Deny", "deny", request.id, says=f"Deny resuming {of_group}", style="danger"),
        button("Cancel", "cancel", request.id, says=f"Cancel the request for {of_group}", confirm=stop),
    ]
    if request.tally is not None:
        says = f"Withdraw my approval of resuming {of_group}"
        buttons.append(button("Withdraw my approval", "withdraw", request.id, says=says))
    return buttons


def _retry_button(request: Request) -> ButtonElement:
    return button("Retry", "retry", request.id, says=f"Retry resuming group {request.group.group_id}", style="primary")


def keys_line(request: Request) -> str:
    """Which keys would be read: their paths and versions, never more."""
    checked = ", ".join(
        f"`{plain(request.plan.vault_mount)}/{plain(key.path)}`"
        + (f" v{key.version}" if key.version is not None else "")
        + (f" ({', '.join(plain(name) for name in key.keys)})" if key.keys is not None else " (keys not checked)")
        for key in request.keys
    )
    return f"Keys: {checked}. Read only after approval."


def _trouble(request: Request) -> list[Block]:
    trouble = request.trouble
    if trouble is None:
        return []
    said = f"\n{plain(trouble.where)} said: {plain(trouble.message, 300)}" if trouble.message else ""
    blocks: list[Block] = [section(f"{trouble.meaning}{said}")]
    if trouble.next_step:
        holds = f" The approval holds until {clock(request.expires_at)}." if request.state is State.NOT_STARTED else ""
        blocks.append(section(f"*Next* {trouble.next_step}{holds}"))
    references = []
    if trouble.huawei_request_id:
        references.append(f"Huawei request id `{plain(trouble.huawei_request_id, 80)}`")
    if trouble.reference:
        references.append(f"reference `{trouble.reference}`")
    if references:
        blocks.append(context(" · ".join(references)))
    return blocks


def history(request: Request) -> str:
    """Who asked and who decided, when, and as of when the card speaks."""
    parts = [f"Asked by {people([request.requester])} {clock(request.asked_at)}"]
    decision = request.decision
    if decision is not None:
        word = {State.DENIED: "denied", State.CANCELLED: "cancelled"}.get(request.state, "approved")
        why = f", because: {plain(decision.reason, 500)}" if decision.reason else ""
        parts.append(f"{word} by {people(decision.people, 'and')} {clock(decision.at)}{why}")
    if request.reason:
        parts.append(f"reason: {plain(request.reason, 500)}")
    if request.sight is not None:
        parts.append(f"seen {clock(request.sight.at)}")
    if request.ended_at is not None and request.sight is not None and request.attempt is not None:
        began = request.attempt.answered_at or request.attempt.opened_at
        parts.append(f"took {duration(int((request.ended_at - began).total_seconds()))}")
    return " · ".join(parts)


def _sentence(request: Request, title: str) -> str:
    text = f"{plain(title)}. Project {plain(request.plan.project)}, group {request.group.group_id}, {request.id}."
    if request.state is State.PENDING:
        reason = plain(request.reason, 300) or "none given"
        text += f" {people([request.requester])} asks, reason: {reason}. Needs: {needs(request)}."
    elif request.trouble is not None:
        text += f" {request.trouble.meaning} {request.trouble.next_step}"
    return f"{text} {BREAK_GLASS}" if is_break_glass(request) else text

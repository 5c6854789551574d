"""Texts for one person: replies to commands and clicks, and direct messages about a request.

Pure. `bot.ui.refusals` has the replies that refuse something, `bot.ui.thread` the lines for everybody.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bot.domain.policy import approver_names
from bot.domain.progress import percent
from bot.domain.request import Request, State
from bot.domain.task_group import TaskGroup, status_name
from bot.ui.formatting import (
    approvals_needed,
    escape_mrkdwn,
    group_label,
    group_name,
    local_time,
    mentions,
    quoted_name,
    user_text,
)
from bot.ui.states import headline
from bot.ui.status import status_text

# Replies of the listeners, before anything is stored.
COMMAND_NOT_STORED = "Not taken, please type it again. The bot could not write it down."
CLICK_NOT_STORED = "Not taken, please press it again. The bot could not write it down."
FORM_NOT_STORED = "The bot could not write it down. Please close this and try again."
FORM_DID_NOT_OPEN = "Slack did not open the form. Nothing was changed. Please try again."
FOREIGN_PAYLOAD = "This does not come from the workspace and app that this bot serves. Nothing was changed."
UNKNOWN_CONTROL = "The bot does not know this button or form. Nothing was changed."


def help_text(command: str) -> str:
    """How to use the slash command."""
    return "\n".join(
        (
            f"`{command} GROUP_ID why you want it` asks for approval to resume a paused group, or retry a failed one.",
            "Several ids may stand first. `project=NAME` says which project, `at=22:30` when to start, in your zone.",
            f"`{command}` alone opens a form.",
            f"`{command} list` shows open requests, and paused and failed groups.",
            f"`{command} status ID` shows how a request (R-…) or a task group stands.",
        )
    )


def with_link(text: str, permalink: str | None) -> str:
    """The text, and a link to the card if its address is known."""
    return f"{text} <{permalink}|See the card>" if permalink else text


def with_group_id(group_id: str, text: str) -> str:
    """A line about one of several groups, which names the group."""
    return text if group_id in text else f"Group `{group_id}`: {text}"


# Replies to a new request.


def request_created(request: Request, permalink: str | None) -> str:
    approvers = mentions(approver_names(request.policy))
    starts = f" It starts {local_time(request.start_at)}, not at once." if request.start_at else ""
    text = f"Asked. {approvers} may approve.{starts} Request {request.id}: {group_label(request.group)}."
    return with_link(text, permalink)


def card_not_posted_yet(request: Request) -> str:
    """The request was created, and its card could not be posted at once."""
    return (
        f"Asked, as {request.id}, for {group_label(request.group)}, but the card is not in <#{request.channel}> yet. "
        "The bot goes on trying; if it may not write there, it tells you what to do."
    )


def already_open(request: Request, permalink: str | None) -> str:
    """The group has an open request by somebody else."""
    requester = mentions([request.requester])
    text = f"{requester} has already asked for this group: {request.id}, {group_label(request.group)}."
    return with_link(f"{text} Nothing was asked twice.", permalink)


def already_open_by_you(request: Request, permalink: str | None) -> str:
    """The group has an open request by the same person."""
    text = f"You have asked for this group already: {request.id}, {group_label(request.group)}. "
    text += "What you typed now was not taken."
    if request.state is State.PENDING:
        text += " To change the reason or the time, cancel that request first."
    return with_link(text, permalink)


def waits_until_paused(group_id: str) -> str:
    return f"Group `{group_id}` is still pausing. The bot asks for approval as soon as it is paused."


# Replies to `list` and `status`.

OPEN_REQUESTS = "*Open requests*"
NOTHING_LISTED = "none"
NO_REQUEST_FOR_GROUP = "Nobody has asked for it."


def resumable_groups(
    project: str, groups: Sequence[TaskGroup], requested: Collection[str], *, max_shown: int, unreadable: int
) -> list[str]:
    """A heading and a line for each group of a project that can be resumed or retried.

    Arguments:
        requested: ids of the groups that have an open request.
        unreadable: how many more groups OMS listed that the bot could not read.
    """
    lines = [
        f"`{group.group_id}` {escape_mrkdwn(group_name(group), 80)}, {status_name(group.status)}"
        + (", asked for already" if group.group_id in requested else "")
        for group in groups[:max_shown]
    ]
    if len(groups) > max_shown:
        lines.append(f"and more; the first {max_shown} are shown")
    if unreadable:
        lines.append(f"and {unreadable} that OMS describes in a way that the bot cannot read")
    return [_groups_of(project), *(lines or [NOTHING_LISTED])]


def groups_not_listed(project: str, meaning: str, next_step: str) -> list[str]:
    """As `resumable_groups`, when the groups could not be listed. The last arguments are sentences about the error."""
    why = f"{escape_mrkdwn(meaning)} Next: {escape_mrkdwn(next_step)}"
    return [_groups_of(project), f"They cannot be listed just now. {why}"]


def _groups_of(project: str) -> str:
    return f"*Groups of {project} that can be asked for*"


def group_status(group: TaskGroup, project: str) -> str:
    """The status and progress of a group, whether or not there is a request for it."""
    share = percent(group.progress)
    done = f", {share} % done" if share is not None else ""
    name = escape_mrkdwn(group_name(group), 80)
    return f"`{group.group_id}` {name} in project {project} is {status_name(group.status)} now{done}."


# Direct messages.


def denied(request: Request) -> str:
    """To the requester, after a denial."""
    ending = request.ending
    by = mentions(ending.people, "and") if ending else ""
    why = f" Reason: {user_text(ending.reason)}" if ending and ending.reason else " They gave no reason."
    return f"{by} denied {request.id} for {_name(request)}.{why}"


def self_approval_notice(request: Request) -> str:
    """To the other approvers, after the requester approved their own request."""
    return (
        f"Break-glass: {mentions([request.requester])} approved their own request {request.id} to {request.verb} "
        f"{_name(request)} in project {escape_mrkdwn(request.plan.project)}. Reason: {user_text(request.reason)}"
    )


def no_quorum_possible(request: Request, slots: Sequence[Sequence[str]]) -> str:
    """To the requester, when nobody can fill these slots any more."""
    return (
        f"{request.id} for {_name(request)} can't be approved anymore. It needs {approvals_needed(slots)}, and nobody "
        f"can give that. Cancel it, add approvers to projects.{escape_mrkdwn(request.plan.project)} in bot.toml, then "
        "request it again."
    )


def bot_not_in_channel(request: Request) -> str:
    """To the requester, when Slack rejects the card because the bot is not in its channel."""
    channel = f"<#{request.channel}>"
    next_step = f"The bot isn't in {channel}. Type `/invite` and the bot's name there; then the card follows."
    return f"{status_text(request)} {next_step}"


def channel_archived(request: Request) -> str:
    """To the requester, when Slack rejects the card because its channel is archived."""
    next_step = "is archived. Unarchive it, or set another channel in bot.toml and request again."
    return f"{status_text(request)} <#{request.channel}> {next_step}"


def card_rejected(request: Request, code: str) -> str:
    """To the requester, when Slack rejects the card for another reason. `code` is Slack's error."""
    next_step = f"Slack doesn't accept the card in <#{request.channel}> ({code}). Tell the bot's administrator."
    return f"{status_text(request)} {next_step}"


def card_deleted(request: Request) -> str:
    """To the requester, after somebody deleted the card's message."""
    return f"Someone deleted the card of {request.id}. {status_text(request)}"


def bug_in_card(request: Request, reference: str) -> str:
    """To the requester, after an unexpected error while the card was updated. The log has the same reference."""
    return (
        f"The bot couldn't update the card of {request.id} because of a bug. "
        f"Tell the bot's administrator: reference {reference}."
    )


def bug_in_command(reference: str) -> str:
    """After an unexpected error while the bot handled a command, click or form."""
    return (
        "The bot couldn't handle this because of a bug, and retries automatically. If nothing follows, tell the "
        f"bot's administrator: reference {reference}."
    )


def duplicate_card(request: Request, permalink: str | None) -> str:
    """The text that replaces a duplicate card, once somebody clicks a button on it."""
    text = f"This is a copy of the card of {request.id}. {escape_mrkdwn(headline(request), 200)}."
    return with_link(text, permalink)


def _name(request: Request) -> str:
    return escape_mrkdwn(quoted_name(request.group))

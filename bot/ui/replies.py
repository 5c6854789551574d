"""Texts for one person: replies to commands and clicks, and direct messages about a request.

Pure. `bot.ui.refusals` has the replies that refuse something, `bot.ui.thread` the lines for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.domain.approvals import missing_approvers
from bot.domain.request import Request, State
from bot.domain.task_group import FAILED_STATUSES, GroupStatus, TaskGroup, status_name
from bot.ui.formatting import (
    approvals_needed,
    capitalized,
    escape_mrkdwn,
    inline_code,
    local_time,
    mentions,
    quote,
    quoted_name,
    user_text,
)
from bot.ui.start_time import start_taken
from bot.ui.states import headline
from bot.ui.status import status_text

# Replies of the listeners, before anything is stored.
COMMAND_NOT_STORED = "The bot couldn't save your command. Nothing changed. Please type it again."
CLICK_NOT_STORED = "The bot couldn't save your click. Nothing changed. Please press the button again."
FORM_NOT_STORED = "The bot couldn't fill this form. Close it and try again."
FORM_DID_NOT_OPEN = "Slack didn't open the form. Nothing changed. Please try again."
TOO_MANY_FORMS = "The bot is opening too many other forms. Nothing changed. Please try again in a minute."
FOREIGN_PAYLOAD = "This bot serves another Slack workspace or app. Nothing changed. Tell the bot's administrator."
TOO_MANY = "You're sending too many commands and clicks. Nothing changed. Please try again in a minute."
UNKNOWN_CONTROL = "The bot doesn't recognize this button or form. Nothing changed. Tell the bot's administrator."
LOOKING_UP_LIST = "Looking up open requests and groups…"


def looking_up_groups(group_ids: Sequence[str]) -> str:
    """The acknowledgement of a command that names these groups."""
    if len(group_ids) > 1:
        return f"Looking up {len(group_ids)} groups…"
    return f"Looking up group {group_ids[0][:8]}…"


def looking_up_request(request_id: str) -> str:
    """The acknowledgement of a command that names this request."""
    return f"Looking up {request_id}…"


def other_command(command: str) -> str:
    """The app has several slash commands in Slack, and the person typed a command that is not in bot.toml."""
    return f"This bot's command is `{command}`. No request was created."


def help_text(command: str) -> str:
    """How to use the slash command."""
    return "\n".join(
        (
            f"`{command} GROUP_ID reason` requests approval to resume a paused task group or retry a failed one.",
            "Put the id of each group first. Then you can add `project=NAME` to name the project, and `at=22:30` to "
            "start at 22:30 in your time zone.",
            f"For example: `{command} GROUP_ID at=22:30 network is back`",
            f"`{command}` opens a form.",
            f"`{command} list` shows open requests, and failed, running and paused groups.",
            f"`{command} list failed`, `list running`, `list paused` and `list NAME` show only some groups, and "
            "`list failed 2` shows the second page.",
            f"`{command} status ID` shows the status of a request (R-…) or a task group. You can also type the group's "
            "name.",
        )
    )


def with_link(text: str, permalink: str | None) -> str:
    """The text, and a link to the card if its address is known: without `https://`, Slack could mention people."""
    return f"{text} <{permalink}|See the card>" if permalink and permalink.startswith("https://") else text


def with_group_id(group_id: str, text: str) -> str:
    """A line about one of several groups, which names the group."""
    return text if group_id in text else f"Group `{group_id}`: {text}"


# Replies to a new request.


def request_created(request: Request, permalink: str | None) -> str:
    """The request was created, and its card is in the channel."""
    slots = missing_approvers(request)
    can_approve = f"{mentions(dict.fromkeys(name for slot in slots for name in slot))} can approve."
    needed = f" {len(slots)} approvals are needed." if len(slots) > 1 else ""
    starts = f" {start_taken(request)}" if request.start_at else ""
    return with_link(f"{_created(request)}. {can_approve}{needed}{starts}", permalink)


def card_not_posted_yet(request: Request) -> str:
    """The request was created, and its card could not be posted at once."""
    return (
        f"{_created(request)}. Its card will appear in <#{request.channel}>. If the bot can't post it there, it sends "
        "you a message."
    )


def already_open(request: Request, permalink: str | None) -> str:
    """The group has an open request by someone else."""
    text = f"{mentions([request.requester])} has already requested this: {_named(request)}. No request was created."
    return with_link(text, permalink)


def already_open_by_you(request: Request, permalink: str | None) -> str:
    """The group has an open request by the same person."""
    text = f"You've already requested this: {_named(request)}. No request was created."
    if request.state is State.PENDING:
        text += " To change the reason or the start time, cancel that request first."
    return with_link(text, permalink)


def waits_until_paused(group: TaskGroup) -> str:
    """The group is still pausing."""
    return f"{capitalized(named_group(group))} is still pausing. The bot creates the request when the group is paused."


def _created(request: Request) -> str:
    return f"Created {request.id} to {request.verb.value} {named_group(request.group)}"


def _named(request: Request) -> str:
    return f"{request.id} for {named_group(request.group)}"


def named_group(group: TaskGroup) -> str:
    """The group's description, if it has one, in quotes, and its whole id, as mrkdwn."""
    name = escape_mrkdwn(group.description, 80)
    return f"{quote(name)} (group {inline_code(group.group_id)})" if name else f"group {inline_code(group.group_id)}"


# Replies to `list` and `status`. `bot.ui.lists` fits them into a message.

NO_REQUEST_FOR_GROUP = "This group has no requests."


def group_status(group: TaskGroup, project: str, noticed_at: datetime | None = None) -> str:
    """The status of a group, whether or not there is a request for it.

    Arguments:
        noticed_at: when a reading first showed the status; None to leave it out.
    """
    status = f"is {status_name(group.status)}"
    if group.status in FAILED_STATUSES:
        status = "failed"
    elif group.status is GroupStatus.DELETED:
        status = "was deleted"
    noticed = f", noticed {local_time(noticed_at)}" if noticed_at is not None else ""
    return f"{capitalized(named_group(group))} in project {project} {status}{noticed}."


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
    """To the requester, when nobody can fill these slots anymore."""
    return (
        f"{request.id} for {_name(request)} can't be approved anymore. It needs {approvals_needed(slots)}, and nobody "
        f"can give that. Cancel it, add approvers to projects.{escape_mrkdwn(request.plan.project)} in bot.toml, then "
        "request it again."
    )


def bot_not_in_channel(request: Request) -> str:
    """To the requester, when Slack rejects the card because the bot is not in its channel."""
    channel = f"<#{request.channel}>"
    next_step = f"The bot isn't in {channel}. Type `/invite` and the bot's name there, and the bot posts the card."
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
    """To the requester, after someone deleted the card's message."""
    new_card = " The bot posts a new one." if request.is_open else ""
    return f"Someone deleted the card of {request.id}.{new_card} {status_text(request)}"


def bug_in_card(request: Request, reference: str) -> str:
    """To the requester, after an unexpected error while the card was updated. The log has the same reference."""
    return (
        f"The bot couldn't update the card of {request.id} because of a bug. "
        f"Give the bot's administrator the reference {reference}."
    )


def bug_in_command(reference: str) -> str:
    """After an unexpected error while the bot handled a command, click or form."""
    return (
        "The bot couldn't handle this because of a bug, and retries automatically. If nothing follows, give the "
        f"bot's administrator the reference {reference}."
    )


def duplicate_card(request: Request, permalink: str | None) -> str:
    """The text that replaces a duplicate card, once someone clicks a button on it."""
    text = f"This is a copy of the card of {request.id}. {escape_mrkdwn(headline(request), 200)}."
    return with_link(text, permalink)


def _name(request: Request) -> str:
    return escape_mrkdwn(quoted_name(request.group))

"""The modal views: the form for a new request, the form to deny one, and notes that replace a form.

Pure. `bot.listeners` opens a modal, `bot.jobs.ask.request_form` and `bot.jobs.decide.deny_form` decide what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slack_sdk.models.blocks import (
    Block,
    InputBlock,
    Option,
    PlainTextInputElement,
    PlainTextObject,
    StaticSelectElement,
    TimePickerElement,
)
from slack_sdk.models.views import View

from bot.domain.command import MAX_REASON_CHARACTERS
from bot.domain.decisions import MAX_DENY_REASON_CHARACTERS
from bot.domain.progress import percent
from bot.domain.request import Request
from bot.domain.task_group import TaskGroup, status_name
from bot.ui.blocks import context_block, section, truncate
from bot.ui.card import route_line
from bot.ui.formatting import escape_mrkdwn, group_name, mentions, percentage, quoted_name

REQUEST_FORM, DENY_FORM = "request_form", "deny_form"
REQUEST_TITLE, DENY_TITLE = "Resume or retry a group", "Deny this request"
# Slack's limit for the options of a select menu.
MAX_OPTIONS = 100


def loading(title: str) -> View:
    """The modal that opens at once, before the bot knows what this person may do."""
    return note(title, "One moment.")


def note(title: str, text: str) -> View:
    """A modal with text only."""
    return View(
        type="modal", title=PlainTextObject(text=title), close=PlainTextObject(text="Close"), blocks=[section(text)]
    )


@dataclass(frozen=True)
class GroupChoice:
    """A task group that can be selected in the request form. `label` is plain text."""

    project: str
    group_id: str
    label: str


def group_choice(project: str, group: TaskGroup) -> GroupChoice:
    """The option for a group, with its name, project, status and progress."""
    share = percent(group.progress)
    done = f", {percentage(share)}" if share is not None else ""
    return GroupChoice(project, group.group_id, f"{group_name(group)} · {project} · {status_name(group.status)}{done}")


def groups_not_listed(project: str, meaning: str) -> str:
    """The remark for a project whose groups cannot be offered. `meaning` is a sentence about the error."""
    return f"The groups in {project} can't be listed right now. Type an id instead. {escape_mrkdwn(meaning)}"


def groups_left_out(number: int) -> str:
    """The remark if there are more groups than the form can offer."""
    return f"{number} more groups aren't in the list. To request one of them, type its id."


def request_form(
    projects: Sequence[str],
    choices: Sequence[GroupChoice],
    remark: str,
    group: TaskGroup | None = None,
    project: str = "",
    reason: str = "",
    can_schedule: bool = True,
) -> View:
    """The form for a new request: a group, a reason, a start time and, if there are several, a project.

    Arguments:
        projects: where this person may create requests.
        choices: the groups to select from.
        remark: mrkdwn below the fields; empty for none.
        group: the group of the button that opened the form; None to select one.
        project, reason: initial values.
        can_schedule: whether one of the projects allows a start time. If none does, the form has no field for it.
    """
    named = (
        [section(f"*{escape_mrkdwn(quoted_name(group))}* in project {escape_mrkdwn(project)}")]
        if group is not None
        else []
    )
    picker: list[Block] = []
    if choices and group is None:
        options = [
            Option(
                text=PlainTextObject(text=truncate(one.label, 75), emoji=False), value=f"{one.project} {one.group_id}"
            )
            for one in choices[:MAX_OPTIONS]
        ]
        element = StaticSelectElement(
            action_id="pick", options=options, placeholder=PlainTextObject(text="Paused and failed groups")
        )
        label = PlainTextObject(text="Task group")
        picker.append(InputBlock(block_id="pick", label=label, element=element, optional=True))
    typed = PlainTextInputElement(
        action_id="text", max_length=200, initial_value=group.group_id if group is not None else None
    )
    at = InputBlock(
        block_id="at",
        label=PlainTextObject(text="Start at"),
        element=TimePickerElement(action_id="at"),
        hint=PlainTextObject(text="In your time zone. Leave it empty to start as soon as the request is approved."),
        optional=True,
    )
    return View(
        type="modal",
        callback_id=REQUEST_FORM,
        title=PlainTextObject(text=REQUEST_TITLE),
        submit=PlainTextObject(text="Request"),
        close=PlainTextObject(text="Close"),
        blocks=[
            *named,
            *picker,
            InputBlock(
                block_id="group",
                label=PlainTextObject(text="Or type a task group id" if picker else "Task group id"),
                element=typed,
                hint=PlainTextObject(
                    text="The id of a paused or failed group, or a link to it in the Huawei Cloud console."
                ),
                optional=bool(picker),
            ),
            *_project_select(projects, project),
            InputBlock(
                block_id="reason",
                label=PlainTextObject(text="Reason"),
                element=PlainTextInputElement(
                    action_id="text", max_length=MAX_REASON_CHARACTERS, multiline=True, initial_value=reason or None
                ),
                optional=True,
            ),
            *([at] if can_schedule else []),
            *([context_block(remark)] if remark else []),
        ],
    )


def _project_select(projects: Sequence[str], initial: str) -> list[Block]:
    """The select menu of projects; no block if there is only one project."""
    options = {
        name: Option(text=PlainTextObject(text=name, emoji=False), value=name) for name in projects[:MAX_OPTIONS]
    }
    if len(options) < 2:
        return []
    element = StaticSelectElement(
        action_id="project",
        options=list(options.values()),
        initial_option=options.get(initial),
        placeholder=PlainTextObject(text="Any project"),
    )
    return [InputBlock(block_id="project", label=PlainTextObject(text="Project"), element=element, optional=True)]


def deny_form(request: Request, channel: str, message_ts: str) -> View:
    """The form that asks for the reason of a denial.

    Arguments:
        channel, message_ts: the message whose Deny button opened the form; empty if not known.
    """
    return View(
        type="modal",
        callback_id=DENY_FORM,
        # Slack returns this with the submission. The bot does not trust it: it checks the person and the message again.
        private_metadata=f"{request.id} {channel or '-'} {message_ts or '-'}",
        title=PlainTextObject(text=DENY_TITLE),
        submit=PlainTextObject(text="Deny"),
        close=PlainTextObject(text="Don't deny"),
        blocks=[
            section(_denied_request(request)),
            InputBlock(
                block_id="reason",
                label=PlainTextObject(text="Reason"),
                element=PlainTextInputElement(action_id="text", max_length=MAX_DENY_REASON_CHARACTERS, multiline=True),
                optional=True,
            ),
        ],
    )


def _denied_request(request: Request) -> str:
    return (
        f"{mentions([request.requester])} requests approval to {request.verb} "
        f"{escape_mrkdwn(quoted_name(request.group))} ({request.id}).\n{route_line(request.group)}\n"
        "If you deny the request, nothing is started. The requester sees your reason."
    )

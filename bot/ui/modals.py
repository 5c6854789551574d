"""The modal views: the form for a new request, the form to deny one, and plain notes in their place.

Pure. Opening them is left to `posting`, who gets which to `bot.jobs.ask.forms`.
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
from bot.ui.blocks import context_block, cut, section

REQUEST_FORM, DENY_FORM = "request_form", "deny_form"
REQUEST_TITLE, DENY_TITLE = "Ask for a migration", "Deny this request"
# Slack's limit for the options of a select menu.
MAX_CHOICES = 100


def loading(title: str) -> View:
    """What stands there until it is known who pressed."""
    return note(title, "One moment.")


def note(title: str, text: str) -> View:
    """A word in place of a form, with nothing to send in."""
    return View(
        type="modal", title=PlainTextObject(text=title), close=PlainTextObject(text="Close"), blocks=[section(text)]
    )


@dataclass(frozen=True)
class GroupChoice:
    """A group that can be picked: which, in which project, and what people call it."""

    project: str
    group_id: str
    label: str


def request_form(
    projects: Sequence[str],
    choices: Sequence[GroupChoice],
    remark: str,
    group_id: str = "",
    project: str = "",
    reason: str = "",
) -> View:
    """Asks for a group, a reason, a time and, where there are several, a project.

    Arguments:
        projects: where this person may ask.
        choices: the groups to pick from.
        remark: what else there is to say of them, such as a project that could not be asked.
        group_id, project, reason: what stands there already.
    """
    picker: list[Block] = []
    if choices and not group_id:
        options = [
            Option(text=PlainTextObject(text=cut(one.label, 75), emoji=False), value=f"{one.project} {one.group_id}")
            for one in choices[:MAX_CHOICES]
        ]
        element = StaticSelectElement(
            action_id="pick", options=options, placeholder=PlainTextObject(text="Paused and failed groups")
        )
        label = PlainTextObject(text="Task group")
        picker.append(InputBlock(block_id="pick", label=label, element=element, optional=True))
    typed = PlainTextInputElement(action_id="text", max_length=200, initial_value=group_id or None)
    at = InputBlock(
        block_id="at",
        label=PlainTextObject(text="Start at"),
        element=TimePickerElement(action_id="at"),
        hint=PlainTextObject(text="In your own time zone. Without it, as soon as it is approved"),
        optional=True,
    )
    return View(
        type="modal",
        callback_id=REQUEST_FORM,
        title=PlainTextObject(text=REQUEST_TITLE),
        submit=PlainTextObject(text="Ask"),
        close=PlainTextObject(text="Close"),
        blocks=[
            *picker,
            InputBlock(
                block_id="group",
                label=PlainTextObject(text="Or its id" if picker else "Task group id"),
                element=typed,
                hint=PlainTextObject(text="The UUID of a paused or failed group, or a link to it in the console"),
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
            at,
            *([context_block(remark)] if remark else []),
        ],
    )


def _project_select(projects: Sequence[str], chosen: str) -> list[Block]:
    """Which project an id is in; nothing where there is one alone."""
    options = {
        name: Option(text=PlainTextObject(text=name, emoji=False), value=name) for name in projects[:MAX_CHOICES]
    }
    if len(options) < 2:
        return []
    element = StaticSelectElement(
        action_id="project",
        options=list(options.values()),
        initial_option=options.get(chosen),
        placeholder=PlainTextObject(text="Wherever the group is"),
    )
    return [InputBlock(block_id="project", label=PlainTextObject(text="Project"), element=element, optional=True)]


def deny_form(request_id: str, channel: str, message_ts: str) -> View:
    """Asks why, of whoever denies."""
    return View(
        type="modal",
        callback_id=DENY_FORM,
        # Untrusted on its way back: an id and where the button was, checked again as any click is.
        private_metadata=f"{request_id} {channel or '-'} {message_ts or '-'}",
        title=PlainTextObject(text=DENY_TITLE),
        submit=PlainTextObject(text="Deny"),
        close=PlainTextObject(text="Keep it open"),
        blocks=[
            section(f"Request {request_id}. Nothing will be started. The requester sees the reason."),
            InputBlock(
                block_id="reason",
                label=PlainTextObject(text="Reason"),
                element=PlainTextInputElement(action_id="text", max_length=MAX_DENY_REASON_CHARACTERS, multiline=True),
                optional=True,
            ),
        ],
    )

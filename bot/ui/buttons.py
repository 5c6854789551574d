"""Builds the buttons of a card, their confirmation dialogs, and the choice of what to retry.

Pure. `bot.ui.states` defines which state has which buttons, `bot.domain.decisions` what a click does.
"""

from __future__ import annotations

from slack_sdk.models.blocks import Block, ButtonElement, Option, PlainTextObject, RadioButtonsElement

from bot.domain.approvals import missing_approvers
from bot.domain.decisions import can_choose_scope
from bot.domain.request import Request, State, Verb
from bot.domain.task_group import DELETED_STATUSES, Scope
from bot.ui.blocks import actions, button, confirm
from bot.ui.formatting import capitalized, ing_form, past_tense, quoted_name

_FULL_OVERWRITE = "FULL_OVERWRITE"


def no_buttons(request: Request) -> list[Block]:
    """No buttons."""
    return []


def decision_buttons(request: Request) -> list[Block]:
    """Approve, Deny, Cancel, Withdraw if someone has approved, and the choice of what to retry if there is one."""
    choice = [_scope_choice(request)] if can_choose_scope(request) else []
    decisions = [_approve(request), _deny(request), _cancel(request)]
    if request.vote_progress is not None:
        decisions.append(_withdraw(request))
    return [*choice, actions("decide", *decisions)]


def cancel_button_while_waiting(request: Request) -> list[Block]:
    """Cancel, for an approved request that waits for its start time or for its next try."""
    is_waiting = request.start_at is not None or request.problem is not None
    return [actions("waits", _cancel(request))] if is_waiting else []


def retry_and_cancel_buttons(request: Request) -> list[Block]:
    """Retry, Cancel, and the choice of what to retry if there is one, for an approved request that was not started."""
    choice = [_scope_choice(request)] if can_choose_scope(request) else []
    return [*choice, actions("again", _retry(request), _cancel(request))]


def pause_button(request: Request) -> list[Block]:
    """Pause, for a group that runs."""
    return [actions("running", _pause(request))]


def pause_group_button(group_key: str) -> ButtonElement:
    """Pause, for a group (`WatchedGroup.key`) without a card. There may be no request for it."""
    dialog = confirm(
        "Pause this group?",
        "It stays paused until a request to resume it is approved. The bot posts in the channel that you paused it.",
        "Pause it",
        "Let it run",
        style="danger",
    )
    label = f"Pause group {group_key.rpartition('/')[2]}"
    return button("Pause", "pause", group_key, accessibility_label=label, confirm=dialog)


def request_group_button(group_key: str, verb: Verb) -> ButtonElement:
    """Resume… or Retry…, for a group without a card. It opens the request form for the group."""
    label = f"{verb.capitalize()} group {group_key.rpartition('/')[2]}"
    return button(f"{verb.capitalize()}…", "request", group_key, accessibility_label=label)


def request_again_button(request: Request) -> list[Block]:
    """Request again, which opens the request form for the same group, unless the group was deleted."""
    if request.group.status in DELETED_STATUSES:
        return []
    label = f"Request again for group {request.group.group_id}"
    return [actions("ended", button("Request again", "request", request.id, accessibility_label=label))]


def warnings(request: Request) -> list[str]:
    """The side effects of starting this group again, such as a second bill. In lower case, without a period."""
    found = []
    if request.group.restores_archives:
        repeats = f"{ing_form(request.verb)} repeats the archive restores at the source"
        found.append(f"{repeats}, which takes hours and is billed again")
    if request.group.overwrite_mode == _FULL_OVERWRITE:
        found.append("objects already at the destination are copied again and overwritten")
    return found


def _scope_choice(request: Request) -> Block:
    overwrites = request.group.overwrite_mode == _FULL_OVERWRITE
    descriptions = {
        Scope.ALL_OBJECTS: f"Objects already at the destination are {'copied again' if overwrites else 'skipped'}",
        Scope.FAILED_OBJECTS: "The objects on OMS's list of failed objects",
    }
    options = {
        scope: Option(
            text=PlainTextObject(text=scope.capitalize(), emoji=False),
            value=scope.value,
            description=PlainTextObject(text=description, emoji=False),
        )
        for scope, description in descriptions.items()
    }
    initial = options[request.scope or Scope.ALL_OBJECTS]
    dialog = None
    if request.state is State.NOT_STARTED:
        dialog = confirm(
            "Change what is retried?",
            "The approval was for the other choice, so the request needs approval again.",
            "Change it",
            "Keep it",
        )
    element = RadioButtonsElement(
        action_id="scope", options=list(options.values()), initial_option=initial, confirm=dialog
    )
    # The action's value is the chosen option, so the block id carries the request id. It also contains the scope: a
    # changed block id makes Slack show `initial_option` instead of an earlier selection of the reader.
    return actions(f"{request.id} {request.scope}", element)


def _approve(request: Request) -> ButtonElement:
    title = f"{request.verb.capitalize()} this group?"
    dialog = confirm(title, _approval_dialog(request), "Approve", "Not yet")
    label = f"Approve {ing_form(request.verb)} group {request.group.group_id}"
    return button("Approve", "approve", request.id, accessibility_label=label, style="primary", confirm=dialog)


def _approval_dialog(request: Request) -> str:
    """The text of the dialog. It is cut at 300 characters, so warnings come first."""
    text = "".join(f"{warning.capitalize()}. " for warning in warnings(request))
    others = len(missing_approvers(request)) - 1
    if others > 0:
        text += f"Nothing starts until {others} more {'person approves' if others == 1 else 'people approve'} too. "
    if request.scope is not None:
        text += f"Retries {request.scope}. "
    if request.policy.self_approval and request.reason:
        text += "If this is your own request, approving it is break-glass, and all approvers are notified. "
    when = "Once it is approved, the bot" if others > 0 else "The bot"
    if request.start_at is not None:
        when = "At the time on the card, the bot"
    name = quoted_name(request.group)
    return f"{text}{when} reads the keys and asks OMS to {request.verb} {name} in project {request.plan.project}."


def _deny(request: Request) -> ButtonElement:
    label = f"Deny {ing_form(request.verb)} group {request.group.group_id}"
    return button("Deny", "deny", request.id, accessibility_label=label, style="danger")


def _withdraw(request: Request) -> ButtonElement:
    label = f"Withdraw my approval of {ing_form(request.verb)} group {request.group.group_id}"
    return button("Withdraw my approval", "withdraw", request.id, accessibility_label=label)


def _cancel(request: Request) -> ButtonElement:
    dialog = confirm(
        "Cancel this request?",
        f"{capitalized(quoted_name(request.group))} won't be {past_tense(request.verb)}. "
        "You can request it again later.",
        "Cancel request",
        "Keep request",
        style="danger",
    )
    label = f"Cancel the request for group {request.group.group_id}"
    return button("Cancel", "cancel", request.id, accessibility_label=label, confirm=dialog)


def _retry(request: Request) -> ButtonElement:
    label = f"Retry the request for group {request.group.group_id}"
    return button("Retry", "retry", request.id, accessibility_label=label, style="primary")


def _pause(request: Request) -> ButtonElement:
    later_warnings = "".join(f" Then {warning}." for warning in warnings(request))
    dialog = confirm(
        "Pause this group?",
        f"{capitalized(quoted_name(request.group))} stays paused until a new request to resume it is approved."
        f"{later_warnings}",
        "Pause it",
        "Let it run",
        style="danger",
    )
    label = f"Pause group {request.group.group_id}"
    return button("Pause", "pause", request.id, accessibility_label=label, confirm=dialog)

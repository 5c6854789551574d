"""The buttons of a card in each state, with the dialogs before they count, and the choice of what to retry. Pure.

What a press does is decided in `bot.domain.decisions`.
"""

from __future__ import annotations

from slack_sdk.models.blocks import Block, ButtonElement, Option, PlainTextObject, RadioButtonsElement

from bot.domain.decisions import can_choose_scope
from bot.domain.request import Request, State
from bot.domain.task_group import Scope
from bot.ui.blocks import actions, button, confirm
from bot.ui.status import RESUMING, group_name

_ASK_AGAIN_STATES = frozenset(
    {State.FAILED, State.PAUSED_AGAIN, State.CANCELLED, State.EXPIRED, State.APPROVAL_EXPIRED, State.VOID}
)
_SCOPES = {
    Scope.ALL_OBJECTS: "Objects that are at the destination already are skipped",
    Scope.FAILED_OBJECTS: "Those that OMS has on its list of failed objects",
}


def buttons(request: Request) -> list[Block]:
    """What can be pressed now."""
    match request.state:
        case State.PENDING:
            choice = [_choice(request)] if can_choose_scope(request) else []
            return [*choice, actions("decide", *_decisions(request))]
        case State.APPROVED if request.start_at is not None or request.problem is not None:
            return [actions("waits", _cancel(request))]
        case State.NOT_STARTED:
            return [actions("again", _retry(request), _cancel(request))]
        case State.ACCEPTED | State.MOVING:
            return [actions("running", _pause(request))]
        case state if state in _ASK_AGAIN_STATES:
            says = f"Ask again for group {request.group.group_id}"
            return [actions("ended", button("Ask again", "request", request.id, says=says))]
        case _:
            return []


def warnings(request: Request) -> list[str]:
    """What starting this group again may cost, beyond time."""
    doing = RESUMING[request.verb]
    found = []
    if request.group.restores_archives:
        found.append(f"{doing} repeats the archive restores at the source: hours, and a second bill")
    if request.group.overwrite_mode == "FULL_OVERWRITE":
        found.append("objects already at the destination are copied again and overwritten")
    return found


def _choice(request: Request) -> Block:
    options = {
        scope: Option(
            text=PlainTextObject(text=scope.capitalize(), emoji=False),
            value=scope.value,
            description=PlainTextObject(text=said, emoji=False),
        )
        for scope, said in _SCOPES.items()
    }
    chosen = options[request.scope or Scope.ALL_OBJECTS]
    element = RadioButtonsElement(action_id="scope", options=list(options.values()), initial_option=chosen)
    # The value of an action is its option's; a block id of its own makes Slack forget what somebody had clicked before.
    return actions(f"{request.id} {request.scope}", element)


def _decisions(request: Request) -> list[ButtonElement]:
    of_group = f"group {request.group.group_id}"
    doing = RESUMING[request.verb]
    found = [
        button(
            "Approve",
            "approve",
            request.id,
            says=f"Approve {doing} {of_group}",
            style="primary",
            confirm=confirm(f"{request.verb.capitalize()} this migration?", _before(request), "Approve", "Not yet"),
        ),
        button("Deny", "deny", request.id, says=f"Deny {doing} {of_group}", style="danger"),
        _cancel(request),
    ]
    if request.vote_progress is not None:
        says = f"Withdraw my approval of {doing} {of_group}"
        found.append(button("Withdraw my approval", "withdraw", request.id, says=says))
    return found


def _before(request: Request) -> str:
    """What the dialog says, the costs first: it is cut at 300 characters."""
    text = "".join(f"{warning.capitalize()}. " for warning in warnings(request))
    if request.scope is not None:
        text += f"Retries {request.scope}. "
    when = "At the time on the card, the bot" if request.start_at is not None else "The bot"
    if request.policy.self_approval and request.reason:
        text += "If you asked for it yourself, this is break-glass, and every approver is told. "
    which = f"Group: {group_name(request.group)}. Project: {request.plan.project}."
    return f"{text}{which} {when} reads the keys and asks OMS to {request.verb}."


def _cancel(request: Request) -> ButtonElement:
    dialog = confirm(
        "Cancel this request?",
        f"Group: {group_name(request.group)}. Nothing is started. It can be asked again.",
        "Cancel it",
        "Keep it",
        style="danger",
    )
    says = f"Cancel the request for group {request.group.group_id}"
    return button("Cancel", "cancel", request.id, says=says, confirm=dialog)


def _retry(request: Request) -> ButtonElement:
    says = f"Retry {RESUMING[request.verb]} group {request.group.group_id}"
    return button("Retry", "retry", request.id, says=says, style="primary")


def _pause(request: Request) -> ButtonElement:
    costs = "".join(f"Later, {warning}. " for warning in warnings(request))
    dialog = confirm(
        "Pause this migration?",
        f"{costs}{group_name(request.group)} stops until somebody asks to resume it and that is approved.",
        "Pause it",
        "Let it run",
        style="danger",
    )
    return button("Pause", "pause", request.id, says=f"Pause group {request.group.group_id}", confirm=dialog)

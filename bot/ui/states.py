"""How a request is shown in each state: its texts, and which buttons it has. One row of `STATES` per state.

Pure. Longer texts are in `bot.ui.state_texts`. `bot.ui.card`, `bot.ui.status` and `bot.ui.thread` lay the texts out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slack_sdk.models.blocks import Block

from bot.domain.request import Request, State
from bot.ui import buttons
from bot.ui import state_texts as texts
from bot.ui.approvals import approval_needed_again
from bot.ui.formatting import escape_mrkdwn, local_time, mentions, past_tense
from bot.ui.movement import running_headline

Text = str | Callable[[Request], str]


@dataclass(frozen=True)
class StateDisplay:
    """How a request is shown in one state. Callables take the request. An empty text is not shown."""

    headline: Text  # names the group; plain text
    thread_line: Text = ""  # the line posted to the thread when the request enters the state; mrkdwn
    waits_for: Text = ""  # sentences about what the request waits for or what follows, and until when; mrkdwn
    history_end: Text = ""  # entry of the card's last line for a request that the bot ended; mrkdwn
    history: Text = ""  # entry of the card's last line for what happened after the decision; mrkdwn
    history_pause: str = ""  # the words before the person who pressed Pause in the card's last line
    buttons: Callable[[Request], list[Block]] = buttons.no_buttons  # the blocks with the card's buttons
    shows_progress: bool = False  # whether the card has the progress bar
    shows_group_status: bool = False  # whether the status of the task group follows the progress bar
    shows_failed_pause: bool = False  # whether the card says why the last attempt to pause the group failed
    shows_keys: bool = False  # whether the card names the keys after the decision, because its next step may name them


def text_of(cell: Text, request: Request) -> str:
    """The text in a cell of the table, for this request."""
    return cell if isinstance(cell, str) else cell(request)


def headline(request: Request) -> str:
    """The headline of a request, in one line. Plain text."""
    return text_of(STATES[request.state].headline, request)


def ended_as(state: State) -> str:
    """`denied` or `canceled`, and for other states their value."""
    return "canceled" if state is State.CANCELLED else state.value


STATES: Mapping[State, StateDisplay] = {
    State.PENDING: StateDisplay(
        headline=lambda r: f"{r.verb.capitalize()} {texts.name_of(r)}",
        thread_line=approval_needed_again,
        waits_for=texts.pending_waits_for,
        buttons=buttons.decision_buttons,
        shows_progress=True,
        shows_group_status=True,
        shows_keys=True,
    ),
    State.APPROVED: StateDisplay(
        headline=texts.approved_headline,
        thread_line=texts.approved_line,
        waits_for=texts.approved_waits_for,
        buttons=buttons.cancel_button_while_waiting,
    ),
    State.SENDING: StateDisplay(headline=lambda r: f"Asking OMS to {r.verb} {texts.name_of(r)}"),
    State.UNKNOWN: StateDisplay(
        headline=lambda r: f"Checking whether {texts.name_of(r)} was {past_tense(r.verb)}",
        thread_line=texts.unknown_line,
    ),
    State.NOT_STARTED: StateDisplay(
        headline=lambda r: f"Not {past_tense(r.verb)}: {texts.name_of(r)}",
        thread_line=lambda r: texts.problem_line(r, f"wasn't {past_tense(r.verb)}"),
        waits_for=lambda r: f"The approval is valid until {local_time(r.approval_valid_until)}.",
        history=texts.tries,
        buttons=buttons.retry_and_cancel_buttons,
        shows_keys=True,
    ),
    State.ACCEPTED: StateDisplay(
        headline=running_headline,
        thread_line=texts.accepted_line,
        buttons=buttons.pause_button,
        shows_progress=True,
        shows_failed_pause=True,
    ),
    State.MOVING: StateDisplay(
        headline=running_headline,
        thread_line=lambda r: f"{escape_mrkdwn(running_headline(r))}.",
        buttons=buttons.pause_button,
        shows_progress=True,
        shows_failed_pause=True,
    ),
    State.PAUSING: StateDisplay(
        headline=lambda r: f"Pausing {texts.name_of(r)}",
        thread_line=lambda r: f"{mentions([r.pause.person])} pressed Pause." if r.pause is not None else "",
        history_pause="pausing, requested by",
        shows_progress=True,
    ),
    State.DONE: StateDisplay(
        headline=texts.done_headline,
        thread_line=texts.done_line,
        history_pause="done before it could be paused by",
        shows_progress=True,
    ),
    State.FAILED: StateDisplay(
        headline=lambda r: f"Migration failed: {texts.name_of(r)}",
        thread_line=lambda r: texts.problem_line(r, "failed"),
        buttons=buttons.request_again_button,
        shows_progress=True,
        shows_keys=True,
    ),
    State.PAUSED_AGAIN: StateDisplay(
        headline=texts.paused_again_headline,
        thread_line=texts.paused_again_line,
        waits_for=texts.PRESS_REQUEST_AGAIN,
        history_pause="paused by",
        buttons=buttons.request_again_button,
        shows_progress=True,
        shows_group_status=True,
    ),
    State.NOT_FOLLOWED: StateDisplay(
        headline=lambda r: f"No longer followed, the settings changed: {texts.name_of(r)}",
        thread_line=texts.not_followed_line,
        waits_for=texts.not_followed_waits_for,
    ),
    State.APPROVAL_EXPIRED: StateDisplay(
        headline=lambda r: f"Not {past_tense(r.verb)}, the approval expired: {texts.name_of(r)}",
        thread_line=texts.approval_expired_line,
        buttons=buttons.request_again_button,
    ),
    State.DENIED: StateDisplay(headline=lambda r: f"Denied: {texts.name_of(r)}", thread_line=texts.denied_line),
    State.CANCELLED: StateDisplay(
        headline=lambda r: f"Canceled: {texts.name_of(r)}",
        thread_line=lambda r: f"Canceled by {texts.ended_by(r)}.",
        buttons=buttons.request_again_button,
    ),
    State.EXPIRED: StateDisplay(
        headline=lambda r: f"Expired, not approved in time: {texts.name_of(r)}",
        thread_line=texts.expired_line,
        history_end=lambda r: f"expired {local_time(r.expires_at)}",
        buttons=buttons.request_again_button,
    ),
    State.VOID: StateDisplay(
        headline=texts.void_headline,
        thread_line=texts.void_line,
        waits_for=texts.void_waits_for,
        buttons=buttons.request_again_button,
    ),
}

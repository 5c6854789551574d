"""How a request is shown in each state: its texts, and which buttons it has. One row of `STATES` per state.

Pure. `bot.ui.card`, `bot.ui.status` and `bot.ui.thread` lay these texts out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slack_sdk.models.blocks import Block

from bot.domain.approvals import is_self_approved
from bot.domain.request import Request, State
from bot.ui import buttons
from bot.ui.approvals import approval_needed_again, approvals_so_far
from bot.ui.formatting import (
    capitalized,
    escape_mrkdwn,
    ing_form,
    link_console,
    local_time,
    local_time_with_seconds,
    mentions,
    past_tense,
    quoted_name,
    user_text,
)
from bot.ui.problem_texts import TAMPERED, problem_sentences
from bot.ui.progress import latest_progress, objects_of_total, pace
from bot.ui.start_time import start_terms, starts_later

Text = str | Callable[[Request], str]


@dataclass(frozen=True)
class StateDisplay:
    """How a request is shown in one state. Callables take the request. An empty text is not shown."""

    headline: Text  # names the group; plain text
    thread_line: Text = ""  # the line posted to the thread when the request enters the state; mrkdwn
    waits_for: Text = ""  # sentences about what the request waits for or what follows, and until when; mrkdwn
    self_approval: str = "approved their own request."  # after the requester's mention, if they approved the request
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


def self_approval_line(request: Request) -> str:
    """The sentence about the requester's own approval; empty if there is none. mrkdwn."""
    text = f"Break-glass: {_requester(request)} {STATES[request.state].self_approval}"
    return text if is_self_approved(request) else ""


def ended_as(state: State) -> str:
    """`denied` or `canceled`, and for other states their value."""
    return "canceled" if state is State.CANCELLED else state.value


# Cells of the table with a text that depends on the request `r`, in the order of the table, then shared parts.


def _pending_waits_for(r: Request) -> str:
    return f"{approvals_so_far(r)} Expires {local_time(r.expires_at)}. {start_terms(r)}".rstrip()


def _starts(r: Request) -> str:
    return f"It starts {local_time(r.start_at)}." if r.start_at is not None and starts_later(r) else ""


def _approved_headline(r: Request) -> str:
    if r.problem is not None:
        return f"Approved, not started yet: {_name(r)}"
    return f"Approved, scheduled: {_name(r)}" if starts_later(r) else f"Approved, {ing_form(r.verb)} {_name(r)}"


def _approved_waits_for(r: Request) -> str:
    retries = f"The bot retries automatically until {local_time(r.approval_valid_until)}."
    return _starts(r) if r.problem is None else retries


def _approved_line(r: Request) -> str:
    # Of several tries, the thread is told about the first failure only.
    if r.attempt is None or r.decision is None or r.attempt.tries > (0 if r.problem is None else 1):
        return ""
    if r.problem is not None:
        return f"{escape_mrkdwn(r.problem.meaning)} {_approved_waits_for(r)}"
    if r.attempt.opened_at > r.decision.at:
        return f"{mentions([r.attempt.opened_by])} pressed Retry."
    approved = f"Approved by {mentions(r.decision.people, 'and')}."
    return " ".join(filter(None, (approved, self_approval_line(r), _starts(r))))


def _unknown_line(r: Request) -> str:
    if r.started_elsewhere and r.problem is not None:
        code = escape_mrkdwn(r.problem.code)
        return f"OMS refused the call ({code}). The bot is checking whether someone else started the group."
    return f"OMS gave no clear answer. The bot is checking whether the group was {past_tense(r.verb)}."


def _problem_line(r: Request, what: str) -> str:
    return f"{_requester(r)}, {_escaped_name(r)} {what}{problem_sentences(r.problem, r.plan.console_url)}"


def _tries(r: Request) -> str:
    if r.attempt is None or r.attempt.number == 1:
        return ""
    return f"tried {r.attempt.number} times, last {local_time_with_seconds(r.attempt.opened_at)}"


def _accepted_headline(r: Request) -> str:
    if r.started_elsewhere:
        return f"Already {past_tense(r.verb)} by someone else, nothing has moved yet: {_name(r)}"
    return f"Accepted by OMS, nothing has moved yet: {_name(r)}"


def _accepted_line(r: Request) -> str:
    if r.started_elsewhere:
        return f"Someone else (outside this bot) already {past_tense(r.verb)} the group. This bot started nothing."
    return "OMS accepted the call. Nothing has moved yet."


def _moving_headline(r: Request) -> str:
    # A problem means that the last reading of the group failed.
    how = "progress can't be read now" if r.problem is not None else pace(latest_progress(r))
    by = " by someone else" if r.started_elsewhere else ""
    return f"{past_tense(r.verb).capitalize()}{by}, {how}: {_name(r)}"


def _done_headline(r: Request) -> str:
    by = f" ({past_tense(r.verb)} by someone else)" if r.started_elsewhere else ""
    return f"{capitalized(_name(r))} is done{by}: {objects_of_total(latest_progress(r))}"


def _paused_again_line(r: Request) -> str:
    by = f"by {mentions([r.pause.person])}" if r.pause is not None else "outside this bot"
    return f"{_requester(r)}, {_escaped_name(r)} was paused {by}. To continue, press Request again."


def _not_followed_waits_for(r: Request) -> str:
    text = "Its project changed in bot.toml, so the bot can't read the group. The migration isn't affected."
    return link_console(f"{text} Check the group in the Huawei Cloud console.", r.plan.console_url)


def _denied_line(r: Request) -> str:
    reason = f" Reason: {user_text(r.ending.reason)}" if r.ending and r.ending.reason else ""
    return f"Denied by {_ended_by(r)}.{reason}"


def _void_headline(r: Request) -> str:
    what = "tampered with" if r.problem == TAMPERED else f"the {'group' if r.problem else 'settings'} changed"
    return f"Void, {what}: {_name(r)}"


def _void_line(r: Request) -> str:
    void = f"{_requester(r)}, the request for {_escaped_name(r)} is void"
    if r.problem:
        return f"{void}{problem_sentences(r.problem, r.plan.console_url)}"
    return f"{void}. {_SETTINGS_CHANGED} Nothing was started. Press Request again."


_SETTINGS_CHANGED = "The settings in bot.toml changed after the request was created."


def _name(r: Request) -> str:
    return quoted_name(r.group)


def _escaped_name(r: Request) -> str:
    return escape_mrkdwn(_name(r))


def _headline(r: Request) -> str:
    return escape_mrkdwn(headline(r))


def _requester(r: Request) -> str:
    return mentions([r.requester])


def _ended_by(r: Request) -> str:
    return mentions(r.ending.people, "and") if r.ending else ""


STATES: Mapping[State, StateDisplay] = {
    State.PENDING: StateDisplay(
        headline=lambda r: f"{r.verb.capitalize()} {_name(r)}",
        thread_line=approval_needed_again,
        waits_for=_pending_waits_for,
        self_approval="approved their own request. More approvals are needed.",
        buttons=buttons.decision_buttons,
        shows_progress=True,
        shows_group_status=True,
        shows_keys=True,
    ),
    State.APPROVED: StateDisplay(
        headline=_approved_headline,
        thread_line=_approved_line,
        waits_for=_approved_waits_for,
        buttons=buttons.cancel_button_while_waiting,
    ),
    State.SENDING: StateDisplay(headline=lambda r: f"Asking OMS to {r.verb} {_name(r)}"),
    State.UNKNOWN: StateDisplay(
        headline=lambda r: f"Checking whether {_name(r)} was {past_tense(r.verb)}",
        thread_line=_unknown_line,
    ),
    State.NOT_STARTED: StateDisplay(
        headline=lambda r: f"Not {past_tense(r.verb)}: {_name(r)}",
        thread_line=lambda r: _problem_line(r, f"wasn't {past_tense(r.verb)}"),
        waits_for=lambda r: f"The approval is valid until {local_time(r.approval_valid_until)}.",
        history=_tries,
        buttons=buttons.retry_and_cancel_buttons,
        shows_keys=True,
    ),
    State.ACCEPTED: StateDisplay(
        headline=_accepted_headline,
        thread_line=_accepted_line,
        buttons=buttons.pause_button,
        shows_progress=True,
        shows_failed_pause=True,
    ),
    State.MOVING: StateDisplay(
        headline=_moving_headline,
        thread_line=lambda r: f"{_headline(r)}.",
        buttons=buttons.pause_button,
        shows_progress=True,
        shows_failed_pause=True,
    ),
    State.PAUSING: StateDisplay(
        headline=lambda r: f"Pausing {_name(r)}",
        thread_line=lambda r: f"{mentions([r.pause.person])} pressed Pause." if r.pause is not None else "",
        history_pause="pausing, requested by",
        shows_progress=True,
    ),
    State.DONE: StateDisplay(
        headline=_done_headline,
        thread_line=lambda r: f"{_requester(r)}, {_headline(r)}.",
        history_pause="done before it could be paused by",
        shows_progress=True,
    ),
    State.FAILED: StateDisplay(
        headline=lambda r: f"Migration failed: {_name(r)}",
        thread_line=lambda r: _problem_line(r, "failed"),
        buttons=buttons.request_again_button,
        shows_progress=True,
        shows_keys=True,
    ),
    State.PAUSED_AGAIN: StateDisplay(
        headline=lambda r: f"Paused again: {_name(r)}",
        thread_line=_paused_again_line,
        history_pause="paused by",
        buttons=buttons.request_again_button,
        shows_progress=True,
        shows_group_status=True,
    ),
    State.NOT_FOLLOWED: StateDisplay(
        headline=lambda r: f"No longer followed, the settings changed: {_name(r)}",
        thread_line=lambda r: (
            f"{_requester(r)}, the bot no longer follows {_escaped_name(r)}. {_not_followed_waits_for(r)}"
        ),
        waits_for=_not_followed_waits_for,
    ),
    State.APPROVAL_EXPIRED: StateDisplay(
        headline=lambda r: f"Not {past_tense(r.verb)}, the approval expired: {_name(r)}",
        thread_line=lambda r: (
            f"{_requester(r)}, the approval expired before {_escaped_name(r)} was {past_tense(r.verb)}. "
            "Press Request again if it's still needed."
        ),
        buttons=buttons.request_again_button,
    ),
    State.DENIED: StateDisplay(headline=lambda r: f"Denied: {_name(r)}", thread_line=_denied_line),
    State.CANCELLED: StateDisplay(
        headline=lambda r: f"Canceled: {_name(r)}",
        thread_line=lambda r: f"Canceled by {_ended_by(r)}.",
        buttons=buttons.request_again_button,
    ),
    State.EXPIRED: StateDisplay(
        headline=lambda r: f"Expired, not approved in time: {_name(r)}",
        thread_line=lambda r: (
            f"{_requester(r)}, the request for {_escaped_name(r)} wasn't approved in time, so it expired. "
            "Press Request again if it's still needed."
        ),
        history_end=lambda r: f"expired {local_time(r.expires_at)}",
        buttons=buttons.request_again_button,
    ),
    State.VOID: StateDisplay(
        headline=_void_headline,
        thread_line=_void_line,
        waits_for=lambda r: "" if r.problem else f"{_SETTINGS_CHANGED} Nothing was started. Press Request again.",
        buttons=buttons.request_again_button,
    ),
}

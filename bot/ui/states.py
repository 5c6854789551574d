"""How a request is shown in each state: its texts, and which buttons it has. One row of `STATES` per state.

Pure. `bot.ui.card`, `bot.ui.status` and `bot.ui.thread` lay these texts out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slack_sdk.models.blocks import Block

from bot.domain.decisions import is_self_approved, missing_approvers
from bot.domain.request import Request, State, Verb
from bot.ui import buttons
from bot.ui.formatting import (
    approvals_needed,
    duration,
    escape_mrkdwn,
    group_name,
    ing_form,
    local_time,
    local_time_with_seconds,
    mentions,
    past_tense,
    user_text,
)
from bot.ui.problem_texts import after_first_sentence, details, first_sentence
from bot.ui.progress import latest_progress, pace, total
from bot.ui.start_time import start_terms

Text = str | Callable[[Request], str]


def _name(r: Request) -> str:
    return group_name(r.group)


@dataclass(frozen=True)
class StateDisplay:
    """How a request is shown in one state. Callables take the request. An empty text is not shown."""

    headline: Text  # the headline up to its colon; plain text
    subject: Text = _name  # the headline after its colon: the group's name, or what went wrong; plain text
    headline_states_problem: bool = False  # whether `subject` is the request's problem, if it has one
    thread_line: Text = ""  # the line posted to the thread when the request enters the state; mrkdwn
    waits_for: Text = ""  # sentences about what the request waits for, and until when; mrkdwn
    self_approval: str = "Break-glass: approved by whoever asked."  # shown if the requester approved the request
    history_end: Text = ""  # entry of the card's last line for a request that the bot ended; mrkdwn
    history: Text = ""  # entry of the card's last line for what happened after the decision; mrkdwn
    history_pause: str = "pausing"  # the word for a pause by a person in the card's last line
    buttons: Callable[[Request], list[Block]] = buttons.no_buttons  # the blocks with the card's buttons
    shows_progress: bool = False  # whether the card has the progress bar
    shows_group_status: bool = False  # whether the status of the task group follows the progress bar
    shows_failed_pause: bool = False  # whether the card says why the last attempt to pause the group failed


def text_of(cell: Text, request: Request) -> str:
    """The text in a cell of the table, for this request."""
    return cell if isinstance(cell, str) else cell(request)


def headline(request: Request) -> str:
    """The headline of a request, in one line. Plain text."""
    row = STATES[request.state]
    return f"{text_of(row.headline, request)}: {text_of(row.subject, request)}"


# Cells of the table with a text that depends on the request `r`, in the order of the table, then shared parts.


def _needs_approvals(r: Request) -> str:
    needed = approvals_needed(missing_approvers(r))
    so_far = f", approved so far by {mentions(r.vote_progress.people, 'and')}" if r.vote_progress else ""
    return f"Needs {needed} until {local_time(r.expires_at)}{so_far}. {start_terms(r)}".rstrip()


def _starts(r: Request) -> str:
    return f"It starts {local_time(r.start_at)}." if r.start_at is not None else ""


def _approved_headline(r: Request) -> str:
    if r.problem is not None:
        return "Approved, not started yet, trying again"
    return "Approved, waits for its time" if r.start_at is not None else f"Approved, {ing_form(r.verb)}"


def _approved_line(r: Request) -> str:
    if r.problem is not None:
        return f"Not sent yet: {escape_mrkdwn(r.problem.meaning)} The bot tries again by itself."
    if r.attempt is not None and r.attempt.number > 1:
        return f"Retry by {mentions([r.attempt.opened_by])}."
    if r.attempt is None or r.attempt.tries > 0:
        return ""
    approvers = mentions(r.decision.people, "and") if r.decision else ""
    self_approval = STATES[r.state].self_approval if is_self_approved(r) else ""
    return " ".join(filter(None, (f"Approved by {approvers}.", self_approval, _starts(r))))


def _unknown_line(r: Request) -> str:
    if r.started_elsewhere and r.problem is not None:
        code = escape_mrkdwn(r.problem.code)
        return f"OMS refused the call with {code}. The bot looks whether somebody else has started the group."
    return "No clear answer from OMS: it may have started or not. The bot looks until it knows."


def _problem_or_name(r: Request) -> str:
    if r.problem is None:
        return _name(r)
    return f"{r.problem.code}, {first_sentence(r.problem)}" if r.problem.code else first_sentence(r.problem)


def _problem_line(r: Request) -> str:
    if r.problem is None:
        return ""
    meaning = f"{_headline(r)}. {after_first_sentence(r.problem)}".rstrip()
    return f"{_requester(r)}: {meaning}{details(r.problem)}"


def _tries(r: Request) -> str:
    if r.attempt is None or r.attempt.number == 1:
        return ""
    return f"tried {r.attempt.number} times, last {local_time_with_seconds(r.attempt.opened_at)}"


def _accepted_headline(r: Request) -> str:
    if r.started_elsewhere:
        return f"Already {past_tense(r.verb)} by somebody else, nothing has moved yet"
    return "Accepted by OMS, nothing has moved yet"


def _accepted_line(r: Request) -> str:
    if r.started_elsewhere:
        return f"{_headline(r)}. This bot started nothing."
    return "Accepted by OMS. Nothing has moved yet."


def _moving_headline(r: Request) -> str:
    # A problem means that the last reading of the group failed.
    how = "cannot be seen just now" if r.problem is not None else pace(latest_progress(r))
    return f"{past_tense(r.verb).capitalize()}{_by_somebody_else(r)}, {how}"


def _done_line(r: Request) -> str:
    took = ""
    if r.attempt and r.attempt.answered_at and r.ended_at:
        took = f" It took {duration(int((r.ended_at - r.attempt.answered_at).total_seconds()))}."
    return f"{_headline(r)}.{took}"


def _paused_again_line(r: Request) -> str:
    by = f" by {mentions([r.pause.person])}" if r.pause is not None else ", not by this bot"
    return f"{_requester(r)}: paused{by}. To go on, press Ask again."


def _denied_line(r: Request) -> str:
    reason = f" Reason: {user_text(r.ending.reason)}" if r.ending and r.ending.reason else ""
    return f"Denied by {_ended_by(r)}.{reason}"


def _void_headline(r: Request) -> str:
    return "Void, the group has changed since it was asked" if r.problem else "Void, the settings have changed"


def _void_line(r: Request) -> str:
    why = escape_mrkdwn(r.problem.meaning) if r.problem else "the settings have changed since this was asked."
    return f"{_requester(r)}: {why} It can be asked again."


def _headline(r: Request) -> str:
    return escape_mrkdwn(headline(r))


def _by_somebody_else(r: Request) -> str:
    return " by somebody else" if r.started_elsewhere else ""


def _requester(r: Request) -> str:
    return mentions([r.requester])


def _ended_by(r: Request) -> str:
    return mentions(r.ending.people, "and") if r.ending else ""


STATES: Mapping[State, StateDisplay] = {
    State.PENDING: StateDisplay(
        headline=lambda r: "Resume migration" if r.verb is Verb.RESUME else "Retry failed migration",
        waits_for=_needs_approvals,
        self_approval="Break-glass: the approval of whoever asked counts, too.",
        buttons=buttons.decision_buttons,
        shows_progress=True,
        shows_group_status=True,
    ),
    State.APPROVED: StateDisplay(
        headline=_approved_headline,
        thread_line=_approved_line,
        waits_for=lambda r: _starts(r) if r.problem is None else "",
        history=lambda r: f"starts {local_time(r.start_at)}" if r.start_at is not None else "",
        buttons=buttons.cancel_button_while_waiting,
    ),
    State.SENDING: StateDisplay(headline=lambda r: f"Asking OMS to {r.verb}"),
    State.UNKNOWN: StateDisplay(
        headline=lambda r: f"Not known yet whether it was {past_tense(r.verb)}, looking",
        thread_line=_unknown_line,
    ),
    State.NOT_STARTED: StateDisplay(
        headline=lambda r: f"Not {past_tense(r.verb)}",
        subject=_problem_or_name,
        headline_states_problem=True,
        thread_line=_problem_line,
        waits_for=lambda r: f"The approval holds until {local_time(r.approval_valid_until)}.",
        history=_tries,
        buttons=buttons.retry_and_cancel_buttons,
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
        headline="Being paused",
        thread_line=lambda r: f"{mentions([r.pause.person])} wants it paused." if r.pause is not None else "",
        shows_progress=True,
    ),
    State.DONE: StateDisplay(
        headline=lambda r: f"Done{_by_somebody_else(r)}",
        subject=lambda r: f"{_name(r)}, {total(latest_progress(r))}",
        thread_line=_done_line,
        shows_progress=True,
    ),
    State.FAILED: StateDisplay(
        headline="Migration failed",
        subject=_problem_or_name,
        headline_states_problem=True,
        thread_line=lambda r: _problem_line(r) or f"{_headline(r)}.",
        buttons=buttons.ask_again_button,
        shows_progress=True,
    ),
    State.PAUSED_AGAIN: StateDisplay(
        headline="Paused again",
        thread_line=_paused_again_line,
        history_pause="paused",
        buttons=buttons.ask_again_button,
        shows_progress=True,
        shows_group_status=True,
    ),
    State.NOT_FOLLOWED: StateDisplay(
        headline="No longer followed, the settings have changed",
        thread_line=lambda r: (
            f"{_requester(r)}: the bot no longer looks at this group, for its project has changed in bot.toml. "
            "Look at it in the console."
        ),
    ),
    State.APPROVAL_EXPIRED: StateDisplay(
        headline=lambda r: f"Not {past_tense(r.verb)}, the approval ran out",
        thread_line="The approval ran out before anything was started. It can be asked again.",
        buttons=buttons.ask_again_button,
    ),
    State.DENIED: StateDisplay(headline="Denied", thread_line=_denied_line),
    State.CANCELLED: StateDisplay(
        headline="Cancelled",
        thread_line=lambda r: f"Cancelled by {_ended_by(r)}.",
        buttons=buttons.ask_again_button,
    ),
    State.EXPIRED: StateDisplay(
        headline="Expired, nobody decided in time",
        thread_line=lambda r: f"{_requester(r)}: nobody decided in time. It can be asked again.",
        history_end=lambda r: f"expired {local_time(r.expires_at)}",
        buttons=buttons.ask_again_button,
    ),
    State.VOID: StateDisplay(headline=_void_headline, thread_line=_void_line, buttons=buttons.ask_again_button),
}

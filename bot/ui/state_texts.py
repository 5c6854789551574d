"""The texts of a request that depend on more than its state: headlines, thread lines, and what happens next.

Pure. `bot.ui.states` says which state has which text. Headlines are plain text, other texts are mrkdwn.
"""

from __future__ import annotations

from bot.domain.approvals import is_self_approved
from bot.domain.request import Request, State
from bot.ui.approvals import approvals_so_far
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
from bot.ui.problem_texts import TAMPERED, UNVERIFIED, problem_sentences
from bot.ui.progress import latest_progress, objects_of_total
from bot.ui.start_time import start_terms, starts_later

_SETTINGS_CHANGED = (
    "The settings in bot.toml changed after the request was created. Nothing was started. Press Request again."
)
_IF_STILL_NEEDED = "Press Request again if it's still needed."


def name_of(request: Request) -> str:
    """The name of the group in quotes. Plain text."""
    return quoted_name(request.group)


def self_approval_line(request: Request) -> str:
    """The sentence about the requester's own approval; empty if there is none. mrkdwn."""
    if not is_self_approved(request):
        return ""
    more = " More approvals are needed." if request.state is State.PENDING else ""
    return f"Break-glass: {_requester(request)} approved their own request.{more}"


def problem_line(request: Request, what: str) -> str:
    """The thread line after something failed. `what` is the verb of its first sentence."""
    problem = problem_sentences(request.problem, request.plan.console_url)
    return f"{_requester(request)}, {_escaped_name(request)} {what}{problem}"


def pending_waits_for(request: Request) -> str:
    return f"{approvals_so_far(request)} Expires {local_time(request.expires_at)}. {start_terms(request)}".rstrip()


def approved_headline(request: Request) -> str:
    name = name_of(request)
    if request.problem is not None:
        return f"Approved, not started yet: {name}"
    return f"Approved, scheduled: {name}" if starts_later(request) else f"Approved, {ing_form(request.verb)} {name}"


def approved_waits_for(request: Request) -> str:
    retries = f"The bot retries automatically until {local_time(request.approval_valid_until)}."
    return _starts(request) if request.problem is None else retries


def approved_line(request: Request) -> str:
    problem, attempt, decision = request.problem, request.attempt, request.decision
    # Of several tries, only the first failure is posted to the thread.
    if attempt is None or decision is None or attempt.tries > (0 if problem is None else 1):
        return ""
    if problem is not None:
        what = f"{mentions([request.requester])}, {escape_mrkdwn(name_of(request))} isn't started yet."
        return f"{what} {escape_mrkdwn(problem.meaning)} {approved_waits_for(request)}"
    if attempt.opened_at > decision.at:
        return f"{mentions([attempt.opened_by])} pressed Retry."
    approved = f"Approved by {mentions(decision.people, 'and')}."
    return " ".join(filter(None, (approved, self_approval_line(request), _starts(request))))


def _starts(request: Request) -> str:
    start_at = request.start_at
    return f"It starts {local_time(start_at)}." if start_at is not None and starts_later(request) else ""


def unknown_line(request: Request) -> str:
    if request.started_elsewhere and request.problem is not None:
        code = escape_mrkdwn(request.problem.code)
        return f"OMS refused the call ({code}). The bot is checking whether someone else started the group."
    return f"OMS gave no clear answer. The bot is checking whether the group was {past_tense(request.verb)}."


def tries(request: Request) -> str:
    attempt = request.attempt
    if attempt is None or attempt.number == 1:
        return ""
    return f"tried {attempt.number} times, last {local_time_with_seconds(attempt.opened_at)}"


def accepted_line(request: Request) -> str:
    if request.started_elsewhere:
        started = f"Someone else (outside this bot) already {past_tense(request.verb)} the group."
        return f"{started} This bot started nothing."
    return "OMS accepted the call. Nothing has moved yet."


def done_headline(request: Request) -> str:
    by = f" ({past_tense(request.verb)} by someone else)" if request.started_elsewhere else ""
    return f"{capitalized(name_of(request))} is done{by}: {objects_of_total(latest_progress(request))}"


def done_line(request: Request) -> str:
    return f"{_requester(request)}, {escape_mrkdwn(done_headline(request))}."


def paused_again_line(request: Request) -> str:
    by = f"by {mentions([request.pause.person])}" if request.pause is not None else "outside this bot"
    return f"{_requester(request)}, {_escaped_name(request)} was paused {by}. To continue, press Request again."


def not_followed_waits_for(request: Request) -> str:
    text = "Its project changed in bot.toml, so the bot can't read the group. The migration isn't affected."
    return link_console(f"{text} Check the group in the Huawei Cloud console.", request.plan.console_url)


def not_followed_line(request: Request) -> str:
    no_longer = f"{_requester(request)}, the bot no longer follows {_escaped_name(request)}."
    return f"{no_longer} {not_followed_waits_for(request)}"


def approval_expired_line(request: Request) -> str:
    name, started = _escaped_name(request), past_tense(request.verb)
    return f"{_requester(request)}, the approval expired before {name} was {started}. {_IF_STILL_NEEDED}"


def denied_line(request: Request) -> str:
    reason = f" Reason: {user_text(request.ending.reason)}" if request.ending and request.ending.reason else ""
    return f"Denied by {ended_by(request)}.{reason}"


def ended_by(request: Request) -> str:
    """The mentions of the people who denied or canceled a request."""
    return mentions(request.ending.people, "and") if request.ending else ""


def expired_line(request: Request) -> str:
    expired = f"the request for {_escaped_name(request)} wasn't approved in time, so it expired."
    return f"{_requester(request)}, {expired} {_IF_STILL_NEEDED}"


def void_headline(request: Request) -> str:
    if request.problem == TAMPERED:
        cause = "tampered with"
    elif request.problem == UNVERIFIED:
        cause = "can't be verified"
    else:
        cause = f"the {'group' if request.problem else 'settings'} changed"
    return f"Void, {cause}: {name_of(request)}"


def void_line(request: Request) -> str:
    void = f"{_requester(request)}, the request for {_escaped_name(request)} is void"
    if request.problem:
        return f"{void}{problem_sentences(request.problem, request.plan.console_url)}"
    return f"{void}. {void_waits_for(request)}"


def void_waits_for(request: Request) -> str:
    return "" if request.problem else _SETTINGS_CHANGED


def _requester(request: Request) -> str:
    return mentions([request.requester])


def _escaped_name(request: Request) -> str:
    return escape_mrkdwn(name_of(request))

"""The lines that the bot posts to the thread of a card, and to the channel of a project.

Pure. `bot.ui.replies` has the texts for one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.domain.progress import percent
from bot.domain.request import Request
from bot.domain.watched_group import Reading, Trouble
from bot.ui.approvals import approvals_so_far
from bot.ui.formatting import (
    approvals_needed,
    duration,
    escape_mrkdwn,
    link_console,
    local_time,
    mention,
    mentions,
    quoted_name,
)
from bot.ui.movement import last_reading, movement_sentence, moves_again, rate_sentence
from bot.ui.problem_texts import KEY_CHANGED, problem_sentences
from bot.ui.progress import progress_sentence
from bot.ui.states import STATES, text_of


def thread_line(request: Request) -> str | None:
    """The line for a request that has just entered its state; None for states that post no line."""
    return text_of(STATES[request.state].thread_line, request) or None


def announcement_line(old: Request, new: Request) -> str | None:
    """The line for what is new in `Request.announced`; None if nothing is new."""
    requester, name = mentions([new.requester]), escape_mrkdwn(quoted_name(new.group))
    reading = last_reading(new)
    was, now = old.announced, new.announced
    if now.trouble is was.trouble:
        milestone = f"{name} is {progress_sentence(reading.group.progress)}.{rate_sentence(reading)}"
        return milestone if now.milestone_at != was.milestone_at else None
    match now.trouble, was.trouble:
        case Trouble.STALLED, _:
            note = link_console(movement_sentence(reading), new.plan.console_url)
            return f"{requester}, {name} has stalled{_at_percent(reading)}. {note}"
        case Trouble.SLOW, _:
            return f"{requester}, {name} is slow. {movement_sentence(reading)}{rate_sentence(reading)}"
        case _, Trouble.STALLED:
            after = _lasted(was.since, reading)
            again = moves_again(reading.group.progress)
            return f"{requester}, {name} {again}{_at_percent(reading)}. It was stalled{after}."
    return f"{name} is no longer slow.{rate_sentence(reading)}"


def pause_failed(request: Request) -> str:
    """The line after the group could not be paused."""
    failure = request.pause.failure if request.pause else None
    person = f"{mentions([request.pause.person])}, " if request.pause else ""
    name = escape_mrkdwn(quoted_name(request.group))
    return f"{person}{name} wasn't paused{problem_sentences(failure, request.plan.console_url)}"


def scope_changed(request: Request, person: str, voters: Sequence[str]) -> str:
    """The line after `person` changed what is retried, which voids the approvals of `voters`."""
    approvals = "approvals" if len(voters) > 1 else "approval"
    return (
        f"{mentions([person])} chose to retry {request.scope}. The {approvals} by {mentions(voters, 'and')} for the "
        f"other choice no longer count{'' if len(voters) > 1 else 's'}. The request needs approval again."
    )


def key_changed(request: Request) -> str:
    """The line after a request needs approval again, because the bot does not know who approved it."""
    name = escape_mrkdwn(quoted_name(request.group))
    again = f"{mention(request.requester)}, {name} needs approval again."
    return f"{again} {KEY_CHANGED.meaning} {approvals_so_far(request)}"


def half_time_reminder(request: Request, missing: Sequence[Sequence[str]]) -> str:
    """The first reminder. It mentions only the people who can fill a slot that is still open."""
    return f"Still waiting for {approvals_needed(missing)}. Expires {local_time(request.expires_at)}."


def final_reminder(request: Request) -> str:
    """The last reminder. It mentions only the requester: Slack also notifies people mentioned earlier in the thread."""
    requester, expires = mentions([request.requester]), local_time(request.expires_at)
    return f"{requester}, your request isn't approved yet. It expires {expires}."


def audit_anchor(project: str, new_rows: int, all_rows: int, newest_hash: str) -> str:
    """The daily message to a project's channel with the newest hash of the audit chain. The bot token can edit it.

    Arguments:
        new_rows: rows of this project since the last such message.
        all_rows: rows of the whole chain.
    """
    new = "1 new row" if new_rows == 1 else f"{new_rows:,} new rows"
    return (
        f"Audit of {project}: {new} since the last message, {all_rows:,} in all. To check that no row was changed or "
        f"removed, run `taskgroup-bot audit verify --head {newest_hash}`"
    )


def _at_percent(reading: Reading) -> str:
    share = percent(reading.group.progress)
    return "" if share is None else f" at {share} %"


def _lasted(since: datetime | None, reading: Reading) -> str:
    return "" if since is None else f" for {duration(int((reading.at - since).total_seconds()))}"

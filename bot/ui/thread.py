"""The lines that the bot posts to the thread of a card, and to the channel of a project.

Pure. `bot.ui.replies` has the texts for one person.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.request import Request
from bot.ui.formatting import approvals_needed, escape_mrkdwn, local_time, mentions
from bot.ui.problem_texts import details
from bot.ui.states import STATES, text_of


def thread_line(request: Request) -> str | None:
    """The line for a request that has just entered its state; None for states that post no line."""
    return text_of(STATES[request.state].thread_line, request) or None


def pause_failed(request: Request) -> str:
    """The line after the group could not be paused."""
    failure = request.pause.failure if request.pause else None
    code = f"{escape_mrkdwn(failure.code)}, " if failure and failure.code else ""
    meaning = f"{escape_mrkdwn(failure.meaning)}{details(failure)}" if failure else ""
    return f"Not paused: {code}{meaning}"


def scope_changed(request: Request, person: str, voters: Sequence[str]) -> str:
    """The line after `person` changed what is retried, which voids the approvals of `voters`."""
    return (
        f"{mentions([person])} chose to retry {request.scope}. The approval of {mentions(voters, 'and')} was for "
        "something else and no longer counts."
    )


def half_time_reminder(request: Request, missing: Sequence[Sequence[str]]) -> str:
    """The first reminder. It mentions only the people who can fill a slot that is still open."""
    return (
        f"Half of the time is over. Still missing: {approvals_needed(missing)}, until {local_time(request.expires_at)}."
    )


def final_reminder(request: Request) -> str:
    """The last reminder. It mentions only the requester: Slack also notifies people mentioned earlier in the thread."""
    return f"{mentions([request.requester])}: this is still not decided, and expires {local_time(request.expires_at)}."


def audit_anchor(project: str, new_rows: int, all_rows: int, newest_hash: str) -> str:
    """The daily message to a project's channel with the newest hash of the audit chain.

    Arguments:
        new_rows: rows of this project since the last such message.
        all_rows: rows of the whole chain.
    """
    new = "1 new row" if new_rows == 1 else f"{new_rows:,} new rows"
    return (
        f"Audit of {project}: {new}, {all_rows:,} in the whole chain. Check with the newest hash, at any time, that "
        f"none was changed or removed: `taskgroup-bot audit verify --head {newest_hash}`"
    )

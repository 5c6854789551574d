"""How a request stands, in one line: the headline of its card and the turn of events in its thread.

Pure, and plain text. Each says what is known to be true and no more.
"""

from __future__ import annotations

from bot.request.group import TaskGroup
from bot.request.model import Request, State
from bot.request.progress import seconds_left
from bot.slack.words import duration, rate, size


def group_name(group: TaskGroup) -> str:
    """What people call the group: its description, or the beginning of its id."""
    return group.description.strip() or f"group {group.group_id[:8]}"


def headline(request: Request) -> str:
    """One line, without mrkdwn."""
    name = group_name(request.group)
    code = f"{request.trouble.code}, " if request.trouble and request.trouble.code else ""
    summary = _first_sentence(request.trouble.meaning) if request.trouble else ""
    match request.state:
        case State.PENDING:
            return f"Resume migration: {name}"
        case State.APPROVED if request.start_at is not None:
            return f"Approved, waits for its time: {name}"
        case State.APPROVED if request.attempt is not None and request.attempt.not_before is not None:
            return f"Approved, not started yet, trying again: {name}"
        case State.APPROVED:
            return f"Approved, resuming: {name}"
        case State.SENDING:
            return f"Asking OMS to resume: {name}"
        case State.UNKNOWN:
            return f"Not known yet whether it was resumed, looking: {name}"
        case State.NOT_STARTED:
            return f"Not resumed: {code}{summary}" if summary else f"Not resumed: {name}"
        case State.ACCEPTED:
            return f"Accepted by OMS, nothing has moved yet: {name}"
        case State.MOVING:
            return f"Resumed, {_pace(request)}: {name}"
        case State.PAUSING:
            return f"Being paused: {name}"
        case State.DONE:
            return f"Done: {name}, {_total(request)}"
        case State.FAILED:
            return f"Migration failed: {code}{summary}" if summary else f"Migration failed: {name}"
        case State.PAUSED_AGAIN:
            return f"Paused again: {name}"
        case State.LAPSED:
            return f"Not resumed, the approval ran out: {name}"
        case State.DENIED:
            return f"Denied: {name}"
        case State.CANCELLED:
            return f"Cancelled: {name}"
        case State.EXPIRED:
            return f"Expired, nobody decided in time: {name}"
        case State.VOID:
            return f"Void, the settings have changed: {name}"


def _pace(request: Request) -> str:
    progress = request.sight.progress if request.sight else request.group.progress
    if progress.speed_bytes_per_second <= 0:
        return "moving"
    left = seconds_left(progress)
    pace = f"moving at {rate(progress.speed_bytes_per_second)}"
    return f"{pace}, about {duration(left)} left" if left is not None else pace


def _total(request: Request) -> str:
    progress = request.sight.progress if request.sight else request.group.progress
    text = f"{progress.success_objects + progress.skipped_objects:,} objects, {size(progress.complete_bytes)}"
    return f"{text}, {progress.failed_objects:,} objects failed" if progress.failed_objects else text


def _first_sentence(text: str) -> str:
    sentence = text.split(". ")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]

"""The sentences about the start time of a request (`at=`). Pure.

`bot.domain.start_time` decides when a request starts, and why it cannot start then.
"""

from __future__ import annotations

from bot.domain.request import Request
from bot.domain.start_time import NoStart, StartProblem
from bot.ui.formatting import duration, local_time
from bot.ui.usage import NO_REQUEST_CREATED


def start_terms(request: Request) -> str:
    """When a pending request starts if it is approved, and until when the approval is valid.

    Empty if the request has no start time. mrkdwn.
    """
    if request.start_at is None:
        return ""
    start, last_vote = local_time(request.start_at), local_time(request.expires_at)
    if request.start_at < request.expires_at:
        starts = f"If approved by {start}, it starts then. If approved later, it starts right away."
    else:
        starts = f"If approved by {last_vote}, it starts {start}."
    return f"{starts} The approval is valid until {local_time(request.approval_valid_until)}."


def starts_later(request: Request) -> bool:
    """Whether an approved request still waits for its start time."""
    opened_at = request.attempt.opened_at if request.attempt else request.created_at
    return request.start_at is not None and request.start_at > opened_at


def start_taken(request: Request) -> str:
    """The start time of a new request, for the requester. Empty if it has none.

    How long it takes until then tells apart the two times that a clock shows 02:30 when it goes back.
    """
    if request.start_at is None:
        return ""
    seconds = int((request.start_at - request.created_at).total_seconds())
    by = "then" if request.start_at < request.expires_at else local_time(request.expires_at)
    return f"It starts {local_time(request.start_at)}, in {duration(seconds)}, if it's approved by {by}."


def no_start(reason: NoStart, project: str, clock: str, limit: str) -> str:
    """The reply to a request whose start time is not possible.

    Arguments:
        project: its name in bot.toml.
        clock: the time of day that the person typed, such as `02:30`.
        limit: `schedule_ahead` of the project, such as `8h`.
    """
    at = local_time(reason.at) if reason.at is not None else ""
    text = {
        StartProblem.NOT_ALLOWED: f"Project {project} doesn't allow start times. Request it again without one.",
        StartProblem.TOO_LATE: f"In project {project}, a start time can be at most {limit} ahead. "
        f"The latest start time is {at}.",
        StartProblem.SKIPPED: f"{clock} doesn't exist on that day because the clocks go forward. "
        f"Choose another start time, for example {at}.",
        StartProblem.PASSED: f"The bot couldn't create the request within an hour of its start time ({at}). "
        "Choose another start time.",
    }[reason.problem]
    return f"{text} {NO_REQUEST_CREATED}"

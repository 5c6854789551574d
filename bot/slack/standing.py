"""How a request stands, in some sentences to whoever wants to know: of which group it is, and what it waits for.

Pure. Its headline, in one line, is in `headlines`.
"""

from __future__ import annotations

from bot.request.group import TaskGroup
from bot.request.model import Request, State
from bot.request.votes import still_missing
from bot.slack.headlines import group_name, headline, is_of_trouble
from bot.slack.words import clock, needed, people, plain


def which(group: TaskGroup) -> str:
    """A group by its name, where it has one, and its whole id."""
    name = plain(group.description, 80)
    return f"{name}, group `{group.group_id}`" if name else f"group `{group.group_id}`"


def stands(request: Request) -> str:
    """How it stands, in some short sentences: what is so, of which group, who decided, what it waits for."""
    name = f", {plain(group_name(request.group), 80)}," if is_of_trouble(request) else ""
    said = [
        f"{request.id}: {plain(headline(request), 200)}.",
        f"Group `{request.group.group_id}`{name} in project {plain(request.plan.project)}.",
    ]
    for done, what in ((request.decision, "Approved"), (request.ending, str(request.state).capitalize())):
        if done is not None:
            said.append(f"{what} by {people(done.people, 'and')} {clock(done.at)}.")
    return " ".join([*said, *_waits_for(request)])


def _waits_for(request: Request) -> list[str]:
    """For whom, and until when; until its time, where it has one."""
    starts = [f"It starts {clock(request.start_at)}."] if request.start_at is not None else []
    match request.state:
        case State.PENDING:
            so_far = f", approved so far by {people(request.tally.people, 'and')}" if request.tally else ""
            return [f"Needs {needed(still_missing(request))} until {clock(request.expires_at)}{so_far}.", *starts]
        case State.APPROVED if request.trouble is None:
            return starts
        case State.NOT_STARTED:
            return [f"The approval holds until {clock(request.expires_at)}."]
        case _:
            return []

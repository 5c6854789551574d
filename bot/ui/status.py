"""The status text: a few sentences about a request, for replies and direct messages.

Pure. `bot.ui.card` shows the same in blocks.
"""

from __future__ import annotations

from bot.domain.request import Request
from bot.ui.formatting import escape_mrkdwn, group_name, local_time, mentions
from bot.ui.states import STATES, headline, text_of


def headline_states_problem(request: Request) -> bool:
    """Whether the headline has the problem in place of the group's name."""
    return request.problem is not None and STATES[request.state].headline_states_problem


def status_text(request: Request) -> str:
    """The headline, group, project, decisions, and what the request waits for. mrkdwn."""
    name = f", {escape_mrkdwn(group_name(request.group), 80)}," if headline_states_problem(request) else ""
    sentences = [
        f"{request.id}: {escape_mrkdwn(headline(request), 200)}.",
        f"Group `{request.group.group_id}`{name} in project {escape_mrkdwn(request.plan.project)}.",
    ]
    for decision, what in ((request.decision, "Approved"), (request.ending, request.state.capitalize())):
        if decision is not None:
            sentences.append(f"{what} by {mentions(decision.people, 'and')} {local_time(decision.at)}.")
    waits_for = text_of(STATES[request.state].waits_for, request)
    return " ".join([*sentences, waits_for] if waits_for else sentences)

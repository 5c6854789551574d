"""The status text: what answers and direct messages say about a request, in a few sentences.

Pure. The card says the same in blocks, see `bot.ui.card`.
"""

from __future__ import annotations

from bot.domain.request import Request
from bot.ui.formatting import escape_mrkdwn, group_name, local_time, mentions
from bot.ui.states import STATES, headline, text_of


def headline_states_problem(request: Request) -> bool:
    """Whether the headline says what went wrong, so that the group's name must be said elsewhere."""
    return request.problem is not None and STATES[request.state].headline_states_problem


def status_text(request: Request) -> str:
    """The headline, the group and project, who decided, and what the request waits for. mrkdwn."""
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

"""The status text: a few sentences about a request, for replies and direct messages.

Pure. `bot.ui.card` shows the same in blocks.
"""

from __future__ import annotations

from bot.domain.request import Request, State
from bot.ui.formatting import capitalized, escape_mrkdwn, inline_code, local_time, mentions
from bot.ui.states import STATES, ended_as, headline, text_of


def status_text(request: Request) -> str:
    """The headline, group, project, decisions, and what the request waits for. mrkdwn."""
    sentences = [
        f"{escape_mrkdwn(request.id)} · {escape_mrkdwn(headline(request), 200)}.",
        f"Group {inline_code(request.group.group_id)} in project {escape_mrkdwn(request.plan.project)}.",
    ]
    for decision, what in ((request.decision, "approved"), (request.ending, ended_as(request.state))):
        if decision is not None:
            sentences.append(f"{capitalized(what)} by {mentions(decision.people, 'and')} {local_time(decision.at)}.")
    if request.ending is not None and request.ending.reason:
        sentences.append(f"Reason: {escape_mrkdwn(request.ending.reason).rstrip('.')}.")
    if request.problem is not None and request.state in (State.NOT_STARTED, State.FAILED):
        code = f"{escape_mrkdwn(request.problem.code)}: " if request.problem.code else ""
        sentences.append(f"{code}{escape_mrkdwn(request.problem.meaning)}")
    waits_for = text_of(STATES[request.state].waits_for, request)
    return " ".join([*sentences, waits_for] if waits_for else sentences)

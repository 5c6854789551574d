"""Texts about the approvals of a request: who has approved, and who can give the approvals that are still needed.

Pure. `bot.domain.approvals` decides who these people are.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.approvals import missing_approvers
from bot.domain.request import Request
from bot.ui.formatting import approvals_needed, escape_mrkdwn, inline_code, join_words, mention, mentions, quoted_name


def approvals_so_far(request: Request) -> str:
    """`1 of 2 approved (<@U1>). Still needed: someone from <!subteam^S1>.` Or only who is needed."""
    missing = missing_approvers(request)
    void = "".join(f" {mention(user_id)}'s approval no longer counts." for user_id in request.void_approvals)
    if request.vote_progress is None:
        return f"Needs {approvals_needed(missing)}.{void}"
    needed = len(request.policy.slots)
    given = f"{needed - len(missing)} of {needed} approved ({mentions(request.vote_progress.people, 'and')})."
    return f"{given} Still needed: {', and '.join(_someone(slot) for slot in missing)}.{void}"


def approval_needed_again(request: Request) -> str:
    """The thread line of a request that is pending again; empty if no approval is void."""
    if not request.void_approvals:
        return ""
    name = escape_mrkdwn(quoted_name(request.group))
    return f"{mention(request.requester)}, {name} needs approval again. {approvals_so_far(request)}"


def unavailable_note(group_ids: Sequence[str]) -> str:
    """Names the user groups through which nobody can approve, on a line of its own. Empty if there are none."""
    groups = join_words([inline_code(one) for one in group_ids])
    return f"\nDisabled or deleted in Slack: {groups}, which counts as empty." if groups else ""


def _someone(slot: Sequence[str]) -> str:
    names = [f"someone from {mention(name)}" if name.startswith("S") else mention(name) for name in slot]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"

"""The receipt for an accepted action: one line for the person who acted, beside the updated card.

Pure. `bot.ui.refusals` has the replies to refused actions, `bot.ui.thread` the lines for everybody.
"""

from __future__ import annotations

from bot.domain.approvals import missing_approvers
from bot.domain.decisions import ActionKind
from bot.domain.request import Request, State
from bot.ui.formatting import escape_mrkdwn, local_time, quoted_name
from bot.ui.start_time import starts_later


def receipt(kind: ActionKind, request: Request, removed_votes: int) -> str:
    """The receipt for an action.

    Arguments:
        request: as the action has left it; not void.
        removed_votes: how many votes the action removed.
    """
    name, missing = escape_mrkdwn(quoted_name(request.group)), len(missing_approvers(request))
    match kind:
        case ActionKind.APPROVE if request.state is State.PENDING:
            return f"Your approval of {name} is recorded. {missing} more {'is' if missing == 1 else 'are'} needed."
        case ActionKind.APPROVE:
            starts = f" It starts {local_time(request.start_at)}." if request.start_at and starts_later(request) else ""
            return f"Your approval of {name} is recorded. No more are needed.{starts}"
        case ActionKind.WITHDRAW:
            needed = "1 approval is" if missing == 1 else f"{missing} approvals are"
            return f"Your approval of {name} is withdrawn. {needed} needed now."
        case ActionKind.DENY:
            return f"You denied the request for {name}. Nothing was started."
        case ActionKind.CANCEL:
            # OMS can still start the group after a PUT that it accepted or did not answer.
            is_open = request.attempt is not None and request.attempt.may_take_effect
            return f"You canceled the request for {name}.{'' if is_open else ' Nothing was started.'}"
        case ActionKind.RETRY:
            return f"Your retry of {name} is recorded."
        case ActionKind.PAUSE:
            return f"Your pause of {name} is recorded. The card shows when the group is paused."
        case ActionKind.CHOOSE_SCOPE:
            votes = " Earlier approvals no longer count." if removed_votes else ""
            return f"Your choice for {name} is recorded: {request.scope}.{votes}"

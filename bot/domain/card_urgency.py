"""How urgent a change of a card is. While Slack allows fewer edits than there are changes, urgent changes come first.

Pure. `bot.store.requests` stores the urgency with the card, and `bot.store.queue` claims the cards in this order.
"""

from __future__ import annotations

from enum import IntEnum

from bot.domain.request import Request, State
from bot.domain.watched_group import Trouble


class Urgency(IntEnum):
    """How urgent a change of a card is. A lower value is more urgent."""

    #: Buttons on the card no longer count, or a person pressed one and waits for the effect.
    BUTTONS = 0
    #: The request failed, or its group has stalled.
    FAILURE = 1
    #: The request ended.
    END = 2
    #: The state changed in another way, the card shows another problem or cause of failures, or the group is slow or in
    #: no trouble anymore.
    STATE = 3
    #: Only the progress of the group, or the time when it was last read, changed.
    PROGRESS = 4


_FAILURES = (State.NOT_STARTED, State.FAILED)
# In these states only people or the expiry change a request. The expiry makes its buttons useless.
_WAITS_FOR_PEOPLE = (State.PENDING, State.NOT_STARTED)


def card_urgency(old: Request, new: Request) -> Urgency:
    """How urgent it is that the card shows `new` instead of `old`."""
    has_new_state = new.state is not old.state
    if has_new_state and new.state in _FAILURES:
        return Urgency.FAILURE
    loses_buttons = has_new_state and (old.state is State.APPROVED or new.state is State.PAUSING)
    if loses_buttons or old.state in _WAITS_FOR_PEOPLE:
        return Urgency.BUTTONS
    if not new.is_open:
        return Urgency.END
    has_new_trouble = new.announced.trouble is not old.announced.trouble
    if has_new_trouble and new.announced.trouble is Trouble.STALLED:
        return Urgency.FAILURE
    has_news = has_new_trouble or new.problem != old.problem or new.failure_causes != old.failure_causes
    return Urgency.STATE if has_new_state or has_news else Urgency.PROGRESS

"""The budget of calls to Slack that can wait: edits of messages and new messages.

Pure: a token bucket for each method, and one for the posts to each channel. `bot.store.slack_budget` stores it for all
replicas, and `bot.store.queue` spends it when it claims the rows to show. Calls for which a person waits, such as
looking up a voter, have no budget: nothing could go first in their place, and after a 429 `bot.slack.client` makes none
of the same method until Slack allows it.

The limits are those of "Rate limits" in Slack's documentation, which apply to each method and workspace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.domain.card_urgency import Urgency

EDITS = "chat.update"
POSTS = "chat.postMessage"

_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Rate:
    """A rate of calls. In a minute, it allows the burst and one call for each `every` in it."""

    every: timedelta  # one more call is allowed after this time
    burst: int  # how many calls are allowed at once after a pause


RATES: Mapping[str, Rate] = {
    # Tier 3: 50 a minute. This rate allows 46, because calls may arrive closer together than they were made.
    EDITS: Rate(timedelta(seconds=1.6), 8),
    # "Several hundred" a minute for the workspace. This rate allows 260.
    POSTS: Rate(timedelta(seconds=0.25), 20),
}
# One a second for each channel, "short bursts" are allowed.
CHANNEL_POSTS = Rate(timedelta(seconds=1), 4)

# How many calls of a burst are reserved for more urgent changes. Progress uses no burst at all.
_RESERVED: Mapping[Urgency, int] = {
    Urgency.BUTTONS: 0,
    Urgency.FAILURE: 3,
    Urgency.END: 3,
    Urgency.STATE: 3,
    Urgency.PROGRESS: RATES[EDITS].burst - 1,
}


def post_to(channel: str) -> str:
    """The call that posts to a channel, or to the direct messages with a person."""
    return f"{POSTS} {channel}"


@dataclass(frozen=True)
class SlackBudget:
    """How much of each rate is spent.

    A call is named by its method, and for posts by `post_to`. The empty name stands for a call without a budget.

    Attributes:
        full_at: by call, when its whole burst is available again. It is available now for a call that is not here.
    """

    full_at: Mapping[str, datetime] = field(default_factory=dict)

    def available_at(self, call: str, urgency: Urgency = Urgency.BUTTONS) -> datetime:
        """When the call may be made. A time in the past means now."""
        return max((self._available_at(name, rate, urgency) for name, rate in _rates(call)), default=_ALWAYS)

    def spend(self, call: str, now: datetime) -> SlackBudget:
        """The budget after the call was made."""
        spent = {name: max(self.full_at.get(name, now), now) + rate.every for name, rate in _rates(call)}
        return SlackBudget({name: at for name, at in self.full_at.items() if at > now} | spent)

    def stop(self, call: str, until: datetime) -> SlackBudget:
        """The budget after Slack refused the call: its method is stopped until then, and has no burst afterwards."""
        method = call.partition(" ")[0]
        if method not in RATES:
            return self
        rate = RATES[method]
        full_at = until + (rate.burst - 1) * rate.every
        return SlackBudget({**self.full_at, method: max(full_at, self.full_at.get(method, full_at))})

    def _available_at(self, name: str, rate: Rate, urgency: Urgency) -> datetime:
        usable = max(rate.burst - _RESERVED[urgency], 1)
        return self.full_at.get(name, _ALWAYS + rate.burst * rate.every) - (usable - 1) * rate.every


def _rates(call: str) -> Iterator[tuple[str, Rate]]:
    """The rates that the call is limited by, with their names in `SlackBudget.full_at`."""
    method, _, channel = call.partition(" ")
    if method in RATES:
        yield method, RATES[method]
    if channel:
        yield call, CHANNEL_POSTS

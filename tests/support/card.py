"""A request whose card a test approves and follows, one step at a time, in the process of the tests."""

from __future__ import annotations

import itertools
from datetime import timedelta

from bot.domain.request import Request, State
from bot.jobs.context import Context
from bot.sandbox.slack.ids import CAROL
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store.inbox import Kind
from tests.support.in_process import advance_once, card_text, context_at, create_request, press_button
from tests.support.sandbox import put_calls

NUMBERS = itertools.count(1)


class Card:
    """A request of alice, and its card in Slack. `changes` replaces fields of the request."""

    def __init__(self, sandbox: Sandbox, context: Context, **changes: object) -> None:
        self.sandbox, self.context = sandbox, context
        self.request: Request
        self.posted: PostedMessage
        self.request, self.posted = create_request(sandbox, context, next(NUMBERS), **changes)
        sandbox.slack.api.reset_rate_limits()

    def stands(self) -> State:
        return self.request.state

    def approve(self) -> str:
        """Carol approves. Returns the whole text of the card then."""
        self.request = press_button(self.context, Kind.APPROVE, CAROL, self.request, self.posted)
        return card_text(self.context, self.posted, self.request.id)

    def after(self, seconds: int, tries: int = 0) -> str:
        """Reads the group `seconds` later, after `tries` reads that failed. Returns the whole text of the card then."""
        later = context_at(self.context, self.context.now() + timedelta(seconds=seconds))
        self.request = advance_once(later, self.request.id, tries)
        return card_text(self.context, self.posted, self.request.id)

    def puts(self) -> list[int]:
        group_id = self.request.group.group_id
        return [call.status for call in put_calls(self.sandbox) if group_id in call.path]

"""Rejects payloads before any listener sees them: those of other workspaces and apps, and too many of one person."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from slack_bolt import Ack, BoltRequest, BoltResponse
from slack_bolt.middleware import Middleware

from bot.domain.token_bucket import TokenBucket
from bot.listeners.payloads import OurApp, Payload, is_from, person_in
from bot.listeners.person_limit import PersonLimit
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.listeners.views import ack_with_error
from bot.metrics import NOT_STORED
from bot.ui import replies

log = logging.getLogger(__name__)


class PayloadMiddleware(Middleware):
    """Passes on the payloads of this workspace and app, as many as a person may send. Answers any other payload.

    Records payloads of other workspaces and apps.

    Slack signs the payloads of every workspace that has installed the app, so a valid signature is not enough.
    """

    def __init__(self, our_app: OurApp, receiver: Receiver, responder: Responder) -> None:
        self._our_app = our_app
        self._receiver = receiver
        self._responder = responder
        self._limit = PersonLimit(time.monotonic)
        # For the replies to clicks of people who send too many, so that they do not take the place of other replies.
        self._replies = TokenBucket(1.0, 5)

    def process(
        self,
        *,
        req: BoltRequest,
        resp: BoltResponse,
        next: Callable[[], BoltResponse],  # noqa: A002, the name that Bolt uses
    ) -> BoltResponse | None:
        if not is_from(self._our_app, req.body):
            self._receiver.reject(req.body)
            return self._answer(req.context.ack, req.body, replies.FOREIGN_PAYLOAD)
        person = person_in(req.body)
        # Without a person, a listener refuses the payload as malformed.
        if not person or self._limit.allows(person):
            return next()
        log.warning("a payload was refused: %s sends too many", person)
        NOT_STORED.inc()
        return self._answer(req.context.ack, req.body, replies.TOO_MANY)

    def _answer(self, ack: Ack, body: Payload, text: str) -> BoltResponse:
        if "command" in body:
            return ack(text)
        match body.get("type"):
            case "view_submission":
                return ack_with_error(ack, body, text)
            case "block_suggestion":
                return ack(options=[])
            case "block_actions":
                if text != replies.TOO_MANY or self._replies.take(time.monotonic()):
                    self._responder.reply(body, text)
        return ack()

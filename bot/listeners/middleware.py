"""Rejects payloads that do not come from this workspace and app, before any listener sees them."""

from __future__ import annotations

from collections.abc import Callable

from slack_bolt import Ack, BoltRequest, BoltResponse
from slack_bolt.middleware import Middleware

from bot.listeners.payloads import OurApp, Payload, is_from
from bot.listeners.receiver import Receiver
from bot.listeners.responder import Responder
from bot.listeners.views import ack_with_error
from bot.ui import replies


class ForeignPayloadMiddleware(Middleware):
    """Passes on the payloads of this workspace and app. Records any other payload, and answers it.

    Slack signs the payloads of every workspace that has installed the app, so a valid signature is not enough.
    """

    def __init__(self, our_app: OurApp, receiver: Receiver, responder: Responder) -> None:
        self._our_app = our_app
        self._receiver = receiver
        self._responder = responder

    def process(
        self,
        *,
        req: BoltRequest,
        resp: BoltResponse,
        next: Callable[[], BoltResponse],  # noqa: A002, the name that Bolt uses
    ) -> BoltResponse | None:
        if is_from(self._our_app, req.body):
            return next()
        self._receiver.reject(req.body)
        return self._answer(req.context.ack, req.body)

    def _answer(self, ack: Ack, body: Payload) -> BoltResponse:
        if "command" in body:
            return ack(replies.FOREIGN_PAYLOAD)
        match body.get("type"):
            case "view_submission":
                return ack_with_error(ack, body, replies.FOREIGN_PAYLOAD)
            case "block_suggestion":
                return ack(options=[])
            case "block_actions":
                self._responder.reply(body, replies.FOREIGN_PAYLOAD)
        return ack()

"""App Home: somebody opened it. What they may see there is looked at later, as for any click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, App

from bot.listeners.receiver import Receiver
from bot.store.inbox import Kind, Message


def register(app: App, receiver: Receiver) -> None:
    """Listens for App Home."""

    def opened(ack: Ack, body: Mapping[str, Any]) -> None:
        event = body["event"]
        if not receiver.is_ours(body):
            receiver.reject_foreign({**body, "user": event.get("user")})
        elif event.get("tab") == "home":
            # Not taken is not answered: whoever opens it again sees it then.
            receiver.take(Message(Kind.HOME, str(body["event_id"]), str(event["user"]), str(body["team_id"])))
        ack()

    app.event("app_home_opened")(opened)

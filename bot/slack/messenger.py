"""Posts, edits and answers in Slack, one Web API call each. What is said is left to `bot.ui`.

No call is repeated here: Slack has no idempotency key, so a repeated post is a second message. The caller decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web import SlackResponse

from bot.slack.client import DirectClient, DirectWebhook
from bot.slack.errors import (
    Gone,
    RateLimited,
    SlackError,
    Unavailable,
    not_slack,
    retry_after_seconds,
    translating_errors,
)
from bot.ui.blocks import SlackMessage, text_message


class Messenger:
    """Sends messages and views to one workspace.

    Every method but `permalink` raises a `SlackError` when Slack does not confirm the call. After `Unavailable` the
    call may have taken effect all the same.
    """

    def __init__(self, client: DirectClient) -> None:
        self._client = client

    def post(self, channel: str, message: SlackMessage) -> str:
        """Posts a message to a channel and returns its `ts`."""
        answer = self._call(
            "chat.postMessage",
            {
                "channel": channel,
                "text": message.text,
                "blocks": message.blocks,
                "unfurl_links": False,
                "unfurl_media": False,
            },
        )
        return _text(answer, "ts")

    def update(self, channel: str, ts: str, message: SlackMessage) -> None:
        """Edits a message in place. Raises `Gone` when it was deleted."""
        self._call("chat.update", {"channel": channel, "ts": ts, "text": message.text, "blocks": message.blocks or ()})

    def reply(self, channel: str, thread_ts: str, text: str) -> None:
        """Posts a line to the thread of a message."""
        self._post_text(text, {"channel": channel, "thread_ts": thread_ts, "unfurl_media": False})

    def direct(self, user_id: str, text: str) -> None:
        """Posts a direct message to a person."""
        self._post_text(text, {"channel": user_id})

    def open_view(self, trigger_id: str, view: View) -> str:
        """Opens a modal for the person whose action has this `trigger_id`, within 3 s of it; returns the view's id.

        The error's code is `exchanged_trigger_id` when the trigger has opened a view already.
        """
        return _text(self._call("views.open", {"trigger_id": trigger_id, "view": view.to_dict()}), "view", "id")

    def update_view(self, view_id: str, view: View) -> None:
        """Replaces an open modal. Raises `Gone` when it was closed."""
        self._call("views.update", {"view_id": view_id, "view": view.to_dict()})

    def publish_home(self, user_id: str, view: View) -> None:
        """Replaces the App Home of a person."""
        self._call("views.publish", {"user_id": user_id, "view": view.to_dict()})

    def permalink(self, channel: str, ts: str) -> str | None:
        """The URL of a message; None when Slack does not return it, since a missing link is no reason to fail."""
        try:
            return _text(self._call("chat.getPermalink", {"channel": channel, "message_ts": ts}), "permalink")
        except SlackError:
            return None

    def answer(self, response_url: str, text: str, blocks: Sequence[Block] = ()) -> None:
        """Sends a message that only the person who typed or pressed sees.

        Raises `Gone` when the URL has expired, and without a call when it is not Slack's.
        """
        if not self._is_slack_url(response_url):
            raise Gone("not an address of Slack")
        webhook = DirectWebhook(response_url, self._client)
        with translating_errors():
            sent = webhook.send(
                text=text_message(text).text,
                blocks=list(blocks) or None,
                response_type="ephemeral",
                replace_original=False,
            )
        if sent.status_code == 429:
            raise RateLimited("ratelimited", retry_after_seconds(sent.headers))
        if sent.status_code >= 500:
            raise Unavailable(f"HTTP {sent.status_code}")
        if sent.status_code != 200:
            raise Gone(f"HTTP {sent.status_code}")

    def _post_text(self, text: str, arguments: Mapping[str, object]) -> None:
        message = text_message(text)
        content = {"text": message.text, "blocks": message.blocks, "unfurl_links": False}
        self._call("chat.postMessage", {**arguments, **content})

    def _is_slack_url(self, url: str) -> bool:
        """Whether a `response_url` leads to Slack: it comes from the payload, and nothing else may be called."""
        if url.startswith("https://hooks.slack.com/"):
            return True
        ours, theirs = urlsplit(self._client.base_url), urlsplit(url)
        return ours.hostname == "127.0.0.1" and (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _call(self, method: str, arguments: Mapping[str, object]) -> Any:
        body = {name: _json_value(value) for name, value in arguments.items()}
        with translating_errors():
            return self._client.api_call(method, json=body)


def _text(answer: Any, *path: str) -> str:
    """The text at a path of fields of an answer.

    Raises:
        Unavailable: there is none. The call may have taken effect all the same.
    """
    found = answer
    for name in path:
        found = found.get(name) if isinstance(found, Mapping | SlackResponse) else None
    if not isinstance(found, str):
        raise not_slack(f"no {path[-1]}")
    return found


def _json_value(value: object) -> object:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value

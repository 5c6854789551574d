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
from bot.ui.blocks import SlackMessage, answer_message, text_message

# Slack must not turn plain text into links and mentions, because texts quote Huawei Cloud and people. The bot's own
# links and mentions are markup in `<…>`, which works nevertheless (`parse` and `link_names` of chat.postMessage and
# chat.update). In blocks, `verbatim` does the same. A response_url may ignore `parse` (slackapi/bolt-python#733).
_AS_WRITTEN: Mapping[str, object] = {"parse": "none", "link_names": False}
_NO_PREVIEWS: Mapping[str, object] = {"unfurl_links": False, "unfurl_media": False}


class Messenger:
    """Sends messages and views to one workspace.

    Every method but `permalink` raises a `SlackError` when Slack does not confirm the call. After `Unavailable` the
    call may have taken effect all the same.
    """

    def __init__(self, client: DirectClient) -> None:
        self._client = client

    def post(self, channel: str, message: SlackMessage) -> str:
        """Posts a message to a channel and returns its `ts`."""
        return _text(self._post(channel, message), "ts")

    def update(self, channel: str, ts: str, message: SlackMessage) -> None:
        """Edits a message in place. Raises `Gone` when it was deleted."""
        content = {"text": message.text, "blocks": message.blocks or (), **_AS_WRITTEN}
        self._call("chat.update", {"channel": channel, "ts": ts, **content})

    def reply(self, channel: str, thread_ts: str, message: SlackMessage) -> None:
        """Posts a message to the thread of another one."""
        self._post(channel, message, thread_ts=thread_ts)

    def direct(self, user_id: str, text: str) -> None:
        """Posts a direct message to a person."""
        self._post(user_id, text_message(text))

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

    def answer(self, response_url: str, text: str, controls: Sequence[Block] = ()) -> None:
        """Sends a message that only the person who typed or pressed sees, with buttons below the text.

        Raises `Gone` when the URL has expired, and without a call when it is not Slack's.
        """
        if not self._is_slack_url(response_url):
            raise Gone("not an address of Slack")
        webhook = DirectWebhook(response_url, self._client)
        message = answer_message(text)
        blocks = [*message.blocks, *(block.to_dict() for block in controls)]
        content = {"text": message.text, "blocks": blocks, **_AS_WRITTEN, **_NO_PREVIEWS}
        with translating_errors():
            sent = webhook.send_dict({**content, "response_type": "ephemeral", "replace_original": False})
        if sent.status_code == 429:
            raise RateLimited("ratelimited", retry_after_seconds(sent.headers))
        if sent.status_code >= 500:
            raise Unavailable(f"HTTP {sent.status_code}")
        if sent.status_code != 200:
            raise Gone(f"HTTP {sent.status_code}")

    def _post(self, channel: str, message: SlackMessage, **arguments: object) -> Any:
        content = {"text": message.text, "blocks": message.blocks, **_AS_WRITTEN, **_NO_PREVIEWS}
        return self._call("chat.postMessage", {"channel": channel, **content, **arguments})

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

"""Sends to Slack what others have put into words, and says what became of it. Thin; it repeats nothing by itself.

Slack knows no idempotency key: a second try at a post is a second post, so whoever calls decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.views import View

from bot.slack.client import DirectWebhook
from bot.slack.errors import SLACK_EXCEPTIONS, error_label, slack_error_code
from bot.ui.blocks import SlackMessage, text_message


class PostFailure(StrEnum):
    """Why something could not be posted."""

    NOT_IN_CHANNEL = "the bot is not in the channel"
    ARCHIVED = "the channel is archived"
    GONE = "the message or view is gone"
    SLOW_DOWN = "Slack asks to slow down"
    UNREACHABLE = "Slack does not answer"
    REFUSED = "Slack refuses the message"


class PostFailed(Exception):
    """Slack did not take it. `code` is Slack's own error name."""

    def __init__(self, reason: PostFailure, code: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(f"{reason.value} ({code})")
        self.reason = reason
        self.code = code
        self.retry_after_seconds = retry_after_seconds


_HINDRANCES = {
    "not_in_channel": PostFailure.NOT_IN_CHANNEL,
    "channel_not_found": PostFailure.NOT_IN_CHANNEL,
    "is_archived": PostFailure.ARCHIVED,
    "message_not_found": PostFailure.GONE,
    "cant_update_message": PostFailure.GONE,
    "not_found": PostFailure.GONE,
    "ratelimited": PostFailure.SLOW_DOWN,
    "rate_limited": PostFailure.SLOW_DOWN,
    "message_limit_exceeded": PostFailure.SLOW_DOWN,
    "internal_error": PostFailure.UNREACHABLE,
    "fatal_error": PostFailure.UNREACHABLE,
    "service_unavailable": PostFailure.UNREACHABLE,
    "request_timeout": PostFailure.UNREACHABLE,
}


class Messenger:
    """The bot's voice in one workspace."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def post(self, channel: str, message: SlackMessage) -> str:
        """Posts a message and gives its `ts`.

        Raises:
            PostingFault: it is not there (or, where Slack does not answer, may be).
        """
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
        return str(answer["ts"])

    def update(self, channel: str, ts: str, message: SlackMessage) -> None:
        """Edits a message in place.

        Raises:
            PostingFault: it still is as it was.
        """
        self._call("chat.update", {"channel": channel, "ts": ts, "text": message.text, "blocks": message.blocks or ()})

    def reply(self, channel: str, thread_ts: str, text: str) -> None:
        """Adds a line to a thread.

        Raises:
            PostingFault: it is not there.
        """
        self._say(text, {"channel": channel, "thread_ts": thread_ts, "unfurl_media": False})

    def direct(self, user_id: str, text: str) -> None:
        """Writes to one person alone.

        Raises:
            PostingFault: it is not there.
        """
        self._say(text, {"channel": user_id})

    def _say(self, text: str, where: dict[str, Any]) -> None:
        said = text_message(text)
        self._call("chat.postMessage", {**where, "text": said.text, "blocks": said.blocks, "unfurl_links": False})

    def open_view(self, trigger_id: str, view: View) -> str:
        """Opens a view before whoever pressed, within 3 s of that, and gives its id.

        Raises:
            PostingFault: nothing opened. The code is `exchanged_trigger_id` when this very press has opened one.
        """
        return str(self._call("views.open", {"trigger_id": trigger_id, "view": view.to_dict()})["view"]["id"])

    def update_view(self, view_id: str, view: View) -> None:
        """Replaces what an open view shows.

        Raises:
            PostingFault: it shows what it did. GONE: it was closed.
        """
        self._call("views.update", {"view_id": view_id, "view": view.to_dict()})

    def publish_home(self, user_id: str, view: View) -> None:
        """Replaces what somebody sees in App Home.

        Raises:
            PostingFault: they see what they saw.
        """
        self._call("views.publish", {"user_id": user_id, "view": view.to_dict()})

    def permalink(self, channel: str, ts: str) -> str | None:
        """The address of a message; None where Slack does not tell, for a link is never worth a failure."""
        try:
            return str(self._call("chat.getPermalink", {"channel": channel, "message_ts": ts})["permalink"])
        except PostFailed:
            return None

    def answer(self, response_url: str, text: str) -> None:
        """Tells only whoever typed or pressed.

        Raises:
            PostingFault: they did not see it. GONE: the address no longer serves, or is none of Slack's.
        """
        if not self._is_slacks(response_url):
            raise PostFailed(PostFailure.GONE, "not an address of Slack")
        try:
            sent = DirectWebhook(response_url, timeout=self._client.timeout, retry_handlers=[]).send(
                text=text_message(text).text, response_type="ephemeral", replace_original=False
            )
        except SLACK_EXCEPTIONS as error:
            raise PostFailed(PostFailure.UNREACHABLE, error_label(error)) from None
        if sent.status_code == 429:
            raise PostFailed(PostFailure.SLOW_DOWN, "ratelimited", _retry_after(sent.headers))
        if sent.status_code >= 500:
            raise PostFailed(PostFailure.UNREACHABLE, f"HTTP {sent.status_code}")
        if sent.status_code != 200:
            raise PostFailed(PostFailure.GONE, f"HTTP {sent.status_code}")

    def _is_slacks(self, url: str) -> bool:
        """A payload names its own answer address: only Slack's is ever called."""
        if url.startswith("https://hooks.slack.com/"):
            return True
        ours, theirs = urlsplit(self._client.base_url), urlsplit(url)
        return ours.hostname == "127.0.0.1" and (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _call(self, method: str, arguments: dict[str, Any]) -> Any:
        try:
            return self._client.api_call(method, json={k: _plain(v) for k, v in arguments.items()})
        except SlackApiError as error:
            status, headers = error.response.status_code, error.response.headers
            code = slack_error_code(error)
            reason = _HINDRANCES.get(code or "")
            if reason is None and (status >= 500 or code is None):
                reason = PostFailure.UNREACHABLE
            if status == 429:
                reason = PostFailure.SLOW_DOWN
            raise PostFailed(reason or PostFailure.REFUSED, error_label(error), _retry_after(headers)) from None
        except SLACK_EXCEPTIONS as error:
            raise PostFailed(PostFailure.UNREACHABLE, error_label(error)) from None


def _plain(value: object) -> object:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _retry_after(headers: Any) -> int | None:
    value = next((value for name, value in dict(headers).items() if str(name).lower() == "retry-after"), None)
    first = value[0] if isinstance(value, list) and value else value
    return min(int(str(first)), 600) if first is not None and str(first).isdigit() else None

"""What Slack does not take has a reason that says what to do, and half an answer is none: never a traceback."""

from __future__ import annotations

import json

import pytest
from slack_sdk.webhook import WebhookClient, WebhookResponse

from bot.redaction import Secret
from bot.sandbox.slack import workspace as w
from bot.slack.messenger import Messenger, PostFailed, PostFailure
from bot.slack.transport import new_client
from bot.ui import modals
from bot.ui.blocks import SlackMessage
from tests.support.wire import BROKEN_ANSWERS, answering


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_half_an_answer_is_none(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url:
        messenger = Messenger(new_client(Secret(w.BOT_TOKEN), f"{url}/api/"))
        with pytest.raises(PostFailed) as post:
            messenger.post(w.MIGRATIONS, SlackMessage("words", ()))
        with pytest.raises(PostFailed) as view:
            messenger.open_view("1.2", modals.loading("A form"))
    for fault in (post.value, view.value):
        assert fault.reason is PostFailure.UNREACHABLE
        assert "<html>" not in str(fault)


@pytest.mark.parametrize("what", ["half a body", "no status line", "nothing"])
def test_half_an_answer_to_an_answer_is_none(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url, pytest.raises(PostFailed) as fault:
        Messenger(new_client(Secret(w.BOT_TOKEN), f"{url}/api/")).answer(f"{url}/answer", "words")
    assert fault.value.reason is PostFailure.UNREACHABLE


def refusal(status: int, error: str, headers: str = "") -> bytes:
    body = json.dumps({"ok": False, "error": error})
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return (head + body).encode()


@pytest.mark.parametrize(
    ("answer", "reason", "code", "seconds"),
    [
        (refusal(200, "not_in_channel"), PostFailure.NOT_IN_CHANNEL, "not_in_channel", None),
        (refusal(200, "is_archived"), PostFailure.ARCHIVED, "is_archived", None),
        (refusal(200, "message_not_found"), PostFailure.GONE, "message_not_found", None),
        (refusal(200, "invalid_blocks"), PostFailure.REFUSED, "invalid_blocks", None),
        (refusal(200, "internal_error"), PostFailure.UNREACHABLE, "internal_error", None),
        (refusal(503, "odd_error"), PostFailure.UNREACHABLE, "odd_error", None),
        (refusal(429, "odd_error", "retry-after: 7\r\n"), PostFailure.SLOW_DOWN, "odd_error", 7),
        (refusal(429, "ratelimited", "Retry-After: 9999\r\n"), PostFailure.SLOW_DOWN, "ratelimited", 600),
        (refusal(200, "<p>no</p>"), PostFailure.UNREACHABLE, "HTTP 200", None),
    ],
)
def test_each_refusal_of_slack_says_what_to_do(
    answer: bytes, reason: PostFailure, code: str, seconds: int | None
) -> None:
    with answering(answer) as url:
        messenger = Messenger(new_client(Secret(w.BOT_TOKEN), f"{url}/api/"))
        with pytest.raises(PostFailed) as fault:
            messenger.reply(w.MIGRATIONS, "1.2", "words")
        assert messenger.permalink(w.MIGRATIONS, "1.2") is None, "a link is never worth a failure"
    assert (fault.value.reason, fault.value.code, fault.value.retry_after_seconds) == (reason, code, seconds)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, PostFailure.SLOW_DOWN), (500, PostFailure.UNREACHABLE), (404, PostFailure.GONE), (302, PostFailure.GONE)],
)
def test_an_answer_that_nobody_saw_is_told_apart(status: int, reason: PostFailure) -> None:
    with answering(refusal(status, "x", "Retry-After: 3\r\n")) as url, pytest.raises(PostFailed) as fault:
        Messenger(new_client(Secret(w.BOT_TOKEN), f"{url}/api/")).answer(f"{url}/answer", "words")
    assert fault.value.reason is reason
    assert fault.value.retry_after_seconds == (3 if status == 429 else None)


@pytest.mark.parametrize(
    ("api", "address", "is_slacks"),
    [
        ("https://slack.com/api/", "https://hooks.slack.com/actions/T0/1/abc", True),
        ("https://slack.com/api/", "https://hooks.slack.com.evil.example/", False),
        ("https://slack.com/api/", "http://hooks.slack.com/actions/T0/1/abc", False),
        ("https://slack.com/api/", "https://slack.com/elsewhere", False),
        ("https://slack.com/api/", "", False),
        ("http://127.0.0.1:8080/api/", "http://127.0.0.1:8080/answer", True),
        ("http://127.0.0.1:8080/api/", "http://127.0.0.1:8081/answer", False),
        ("http://127.0.0.1:8080/api/", "https://127.0.0.1:8080/answer", False),
    ],
)
def test_only_an_address_of_slack_is_called_and_leaves_the_card_as_it_is(
    monkeypatch: pytest.MonkeyPatch, api: str, address: str, is_slacks: bool
) -> None:
    sent: list[tuple[str, dict[str, object]]] = []

    def send(client: WebhookClient, **what: object) -> WebhookResponse:
        sent.append((client.url, what))
        return WebhookResponse(url=client.url, status_code=200, body="ok", headers={})

    monkeypatch.setattr(WebhookClient, "send", send)
    messenger = Messenger(new_client(Secret(w.BOT_TOKEN), api))
    if is_slacks:
        messenger.answer(address, "words")
        assert sent == [(address, {"text": "words", "response_type": "ephemeral", "replace_original": False})]
    else:
        with pytest.raises(PostFailed, match="not an address of Slack") as fault:
            messenger.answer(address, "words")
        assert fault.value.reason is PostFailure.GONE
        assert sent == []

"""A call that Slack does not confirm raises an error, and a response URL is called only when it is Slack's."""

from __future__ import annotations

import json

import pytest
from slack_sdk.webhook import WebhookClient, WebhookResponse

from bot.redaction import Secret
from bot.sandbox.slack.ids import ALICE, BOT_TOKEN, MIGRATIONS
from bot.sandbox.slack.server import SlackStandIn
from bot.slack.errors import ChannelUnavailable, Gone, RateLimited, SlackError, Unavailable
from bot.slack.messenger import Messenger
from bot.slack.transport import new_client
from bot.ui import modals
from bot.ui.blocks import SlackMessage, section, text_message
from tests.support.wire import BROKEN_ANSWERS, answering


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_a_broken_answer_to_a_web_api_call_raises_unavailable(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url:
        messenger = Messenger(new_client(Secret(BOT_TOKEN), f"{url}/api/"))
        with pytest.raises(Unavailable) as post:
            messenger.post(MIGRATIONS, SlackMessage("words", ()))
        with pytest.raises(Unavailable) as view:
            messenger.open_view("1.2", modals.loading("A form"))
    for error in (post.value, view.value):
        assert "<html>" not in str(error)


@pytest.mark.parametrize("what", ["half a body", "no status line", "nothing"])
def test_a_broken_answer_to_a_response_url_raises_unavailable(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url, pytest.raises(Unavailable):
        Messenger(new_client(Secret(BOT_TOKEN), f"{url}/api/")).answer(f"{url}/answer", "words")


def refusal(status: int, error: str, headers: str = "") -> bytes:
    body = json.dumps({"ok": False, "error": error})
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return (head + body).encode()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(200, "not_in_channel"), ChannelUnavailable),
        (refusal(200, "message_not_found"), Gone),
        (refusal(503, "odd_error"), Unavailable),
        (refusal(429, "ratelimited"), RateLimited),
    ],
)
def test_a_refused_reply_raises_and_a_refused_permalink_is_none(answer: bytes, kind: type[SlackError]) -> None:
    with answering(answer) as url:
        messenger = Messenger(new_client(Secret(BOT_TOKEN), f"{url}/api/"))
        with pytest.raises(kind):
            messenger.reply(MIGRATIONS, "1.2", text_message("words"))
        assert messenger.permalink(MIGRATIONS, "1.2") is None


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (500, Unavailable), (404, Gone), (302, Gone)])
def test_the_status_of_a_response_url_decides_the_kind_of_error(status: int, kind: type[SlackError]) -> None:
    with answering(refusal(status, "x", "Retry-After: 3\r\n")) as url, pytest.raises(SlackError) as raised:
        Messenger(new_client(Secret(BOT_TOKEN), f"{url}/api/")).answer(f"{url}/answer", "words")
    assert type(raised.value) is kind
    if isinstance(raised.value, RateLimited):
        assert raised.value.retry_after_seconds == 3


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
def test_only_a_response_url_of_slack_is_called_and_the_card_stays(
    monkeypatch: pytest.MonkeyPatch, api: str, address: str, is_slacks: bool
) -> None:
    sent: list[tuple[str, dict[str, object]]] = []

    def send(client: WebhookClient, body: dict[str, object]) -> WebhookResponse:
        sent.append((client.url, body))
        return WebhookResponse(url=client.url, status_code=200, body="ok", headers={})

    monkeypatch.setattr(WebhookClient, "send_dict", send)
    messenger = Messenger(new_client(Secret(BOT_TOKEN), api))
    if is_slacks:
        messenger.answer(address, "words")
        [(called, body)] = sent
        assert called == address
        shown = ("words", "ephemeral", False)
        assert (body["text"], body["response_type"], body["replace_original"]) == shown
    else:
        with pytest.raises(Gone, match="not an address of Slack"):
            messenger.answer(address, "words")
        assert sent == []


AS_TEXT = {"parse": "none", "link_names": False}
WITHOUT_PREVIEWS = AS_TEXT | {"unfurl_links": False, "unfurl_media": False}
CONTENT = SlackMessage("words", (section("words").to_dict(),))


def test_slack_makes_no_links_mentions_and_previews_of_any_message(slack: SlackStandIn) -> None:
    messenger, workspace = Messenger(new_client(Secret(BOT_TOKEN), slack.api_url)), slack.workspace
    card = messenger.post(MIGRATIONS, CONTENT)
    messenger.reply(MIGRATIONS, card, text_message("words"))
    messenger.direct(ALICE, "words")
    assert [one.formatting for one in workspace.messages] == [WITHOUT_PREVIEWS] * 3
    messenger.update(MIGRATIONS, card, CONTENT)
    assert workspace.message(MIGRATIONS, card).formatting == AS_TEXT
    messenger.answer(slack.response_url(ALICE, MIGRATIONS), "words")
    assert [one.formatting for one in workspace.ephemerals] == [WITHOUT_PREVIEWS]

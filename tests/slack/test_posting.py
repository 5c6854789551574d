"""Half an answer of Slack is no answer: a fault that is tried again, never a traceback."""

from __future__ import annotations

import pytest

from bot.redaction import Secret
from bot.sandbox.slack import world as w
from bot.slack import views
from bot.slack.message import Message
from bot.slack.posting import Hindrance, Posting, PostingFault
from bot.slack.transport import new_client
from tests.support.wire import BROKEN_ANSWERS, answering


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_half_an_answer_is_none(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url:
        posting = Posting(new_client(Secret(w.BOT_TOKEN), f"{url}/api/"))
        with pytest.raises(PostingFault) as post:
            posting.post(w.MIGRATIONS, Message("words", ()))
        with pytest.raises(PostingFault) as view:
            posting.open_view("1.2", views.loading("A form"))
    for fault in (post.value, view.value):
        assert fault.hindrance is Hindrance.UNREACHABLE
        assert "<html>" not in str(fault)


@pytest.mark.parametrize("what", ["half a body", "no status line", "nothing"])
def test_half_an_answer_to_an_answer_is_none(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url, pytest.raises(PostingFault) as fault:
        Posting(new_client(Secret(w.BOT_TOKEN), f"{url}/api/")).answer(f"{url}/answer", "words")
    assert fault.value.hindrance is Hindrance.UNREACHABLE

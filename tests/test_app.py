"""What `serve` says when it cannot begin."""

from __future__ import annotations

import pytest

from bot.app import CannotStart, who_we_are
from bot.redaction import Secret
from bot.slack.transport import new_client
from tests.support.wire import BROKEN_ANSWERS, answering


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_what_is_no_answer_of_slack_is_told_in_a_sentence_that_blames_no_token(what: str) -> None:
    with answering(BROKEN_ANSWERS[what]) as url, pytest.raises(CannotStart) as told:
        who_we_are(new_client(Secret("xoxb-1"), f"{url}/api/"))
    said = "is not what answers there" if what in ("no JSON", "no text") else "cannot be reached"
    assert str(told.value).startswith(f"Slack {said} (")
    assert "SLACK_API_URL" in str(told.value)

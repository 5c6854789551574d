"""Slack shows texts of OMS and of people as text: it links, mentions and previews nothing in them."""

from __future__ import annotations

from bot.sandbox.huawei.example_groups import INVOICES
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.slack.ids import ALICE, BOT_USER_ID, CAROL
from bot.sandbox.system import Sandbox
from tests.support.blocks import mrkdwn_objects
from tests.support.sandbox import (
    create_request,
    create_request_for,
    deny,
    wait_for_reply,
    wait_for_text,
    wait_for_thread_line,
)

HOSTILE = "see http://evil.example/x or <http://evil|click> <!channel> @here"
SHOWN = "http://evil.example/x or &lt;http://evil|click&gt; &lt;!channel&gt; @here"


def test_what_oms_and_people_write_is_shown_as_text(sandbox: Sandbox, long_lived_triggers: None) -> None:
    rejected = Answer(403, "OMS.0072", HOSTILE)
    sandbox.oms.faults.add("show", rejected)
    sandbox.people.type(ALICE, f"{INVOICES} network is back")
    wait_for_reply(sandbox, ALICE, SHOWN)
    card = create_request(sandbox)
    sandbox.oms.faults.add("show", rejected)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_text(sandbox, card, SHOWN)
    wait_for_thread_line(sandbox, card, SHOWN)
    denied = create_request_for(sandbox, INVOICES)
    deny(sandbox, CAROL, denied, HOSTILE)
    wait_for_reply(sandbox, ALICE, SHOWN)
    wait_for_thread_line(sandbox, denied, SHOWN)

    workspace = sandbox.workspace
    sent = [(one.text, one.formatting) for one in workspace.messages if one.user == BOT_USER_ID]
    # Acknowledgements of commands have no formatting. They quote nothing but the command.
    answers = [(one.text, one.formatting) for one in workspace.ephemerals if one.formatting or "evil" in one.text]
    assert len(answers) >= 2
    assert all(one.blocks for one in workspace.ephemerals if one.formatting), "a response_url may ignore `parse`"
    for text, formatting in (*sent, *answers):
        assert (formatting.get("parse"), formatting.get("link_names")) == ("none", False)
        assert not formatting.get("unfurl_links")
        assert not formatting.get("unfurl_media")
        assert "<http://evil" not in text
        assert "<!channel" not in text
    blocks = [one.blocks for one in workspace.messages] + [one.blocks for one in workspace.ephemerals]
    texts = list(mrkdwn_objects(blocks))
    assert any(SHOWN in one["text"] for one in texts)
    for one in texts:
        assert one.get("verbatim") is True
        assert "<http://evil" not in one["text"]
        assert "<!channel" not in one["text"]

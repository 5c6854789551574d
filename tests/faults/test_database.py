"""The database stands still: people are told in time, and what they were told holds once it goes on."""

from __future__ import annotations

from collections.abc import Callable

from bot.sandbox.slack.ids import ALICE, CAROL, DAVE
from bot.sandbox.slack.server import Ack
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from tests.faults.test_clicks import at_once
from tests.support.postgres import Postgres
from tests.support.sandbox import audit_rows, button_ids, create_request, put_calls, wait_for_accepted, wait_for_reply


def acks_while_it_stands_still(sandbox: Sandbox, card: PostedMessage, postgres: Postgres) -> list[Ack]:
    acks: list[Ack] = []
    postgres.freeze()
    try:
        at_once(
            lambda: acks.append(sandbox.people.press(CAROL, card, "approve")),
            lambda: acks.append(sandbox.people.press(DAVE, card, "approve")),
            lambda: acks.append(sandbox.people.type(ALICE, "list")),
        )
        for person in (CAROL, DAVE):
            wait_for_reply(sandbox, person, "Not taken, please press it again.")
    finally:
        postgres.thaw()
    return acks


def test_clicks_while_the_database_stands_still_are_not_taken_and_never_count(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    sandbox.start_bot()
    card = create_request(sandbox)
    # So that connections are open to the database that is going to stand still.
    at_once(*[lambda: sandbox.people.type(ALICE, "status R-00000000")] * 8)
    sandbox.wait_until(lambda: sum("no such request" in text for text in sandbox.workspace.private_texts(ALICE)) == 8)
    # The bot gives up after 2 s, and Slack after 3: a machine that is held up in between may go again.
    goes = (acks_while_it_stands_still(sandbox, card, postgres) for _ in range(3))
    acks = next(acks for acks in goes if not any(ack.failure for ack in acks))
    assert [ack.payload["text"] for ack in acks if isinstance(ack.payload, dict)] == [
        "Not taken, please type it again. The bot could not write it down."
    ]
    sandbox.wait_until(lambda: bool(audit_rows(sandbox, "message.discarded")), what="what came late written off")
    assert button_ids(card) == ["approve", "deny", "cancel"]
    assert audit_rows(sandbox, "vote.added", "attempt.opened") == []
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    assert len(put_calls(sandbox)) == 1
    assert [row["actor"] for row in audit_rows(sandbox, "vote.added")] == [CAROL]

"""The database hangs, or its password changes: people are told in time which clicks do not count."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.sandbox.slack.ids import ALICE, CAROL, DAVE
from bot.sandbox.slack.server import Ack
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store.faults import DatabaseFault
from bot.ui.replies import CLICK_NOT_STORED, COMMAND_NOT_STORED
from tests.support.postgres import Postgres
from tests.support.rotation import new_rotation
from tests.support.sandbox import (
    audit_rows,
    button_ids,
    create_request,
    put_calls,
    readiness,
    run_concurrently,
    wait_for_accepted,
    wait_for_reply,
)


def acks_while_frozen(sandbox: Sandbox, card: PostedMessage, postgres: Postgres) -> list[Ack]:
    acks: list[Ack] = []
    postgres.freeze()
    try:
        run_concurrently(
            lambda: acks.append(sandbox.people.press(CAROL, card, "approve")),
            lambda: acks.append(sandbox.people.press(DAVE, card, "approve")),
            lambda: acks.append(sandbox.people.type(ALICE, "list")),
        )
        for person in (CAROL, DAVE):
            wait_for_reply(sandbox, person, CLICK_NOT_STORED)
    finally:
        postgres.thaw()
    return acks


@pytest.mark.long
def test_clicks_while_the_database_hangs_are_rejected_and_never_count(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    sandbox.start_bot()
    card = create_request(sandbox)
    # Opens several connections to the database before it freezes.
    run_concurrently(*[lambda: sandbox.people.type(ALICE, "status R-00000000")] * 8)
    sandbox.wait_until(lambda: sum("No such request" in text for text in sandbox.workspace.private_texts(ALICE)) == 8)
    # The bot gives up after 2 s and Slack after 3 s. A slow machine that misses this gets two more attempts.
    attempts = (acks_while_frozen(sandbox, card, postgres) for _ in range(3))
    acks = next(acks for acks in attempts if not any(ack.failure for ack in acks))
    assert [ack.payload["text"] for ack in acks if isinstance(ack.payload, dict)] == [COMMAND_NOT_STORED]
    sandbox.wait_until(lambda: bool(audit_rows(sandbox, "message.discarded")), what="the late rows marked as discarded")
    assert button_ids(card) == ["approve", "deny", "cancel"]
    assert audit_rows(sandbox, "vote.added", "attempt.opened") == []
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    assert len(put_calls(sandbox)) == 1
    assert [row["actor"] for row in audit_rows(sandbox, "vote.added")] == [CAROL]


def test_after_the_password_of_the_database_changed_the_next_click_is_stored(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    sandbox = new_sandbox()
    rotation = new_rotation(postgres, sandbox.directory / "database-url")
    sandbox.extra_environment = {"DATABASE_URL": "", "DATABASE_URL_FILE": str(rotation.path)}
    sandbox.start_bot()
    card = create_request(sandbox)
    rotation.change_password("second")
    sandbox.wait_until(
        lambda: readiness(sandbox) == (503, f"{DatabaseFault.DISCONNECTED}\n"), what="a failed readiness probe"
    )
    rotation.write("second")
    sandbox.wait_until(lambda: readiness(sandbox)[0] == 200, what="readiness")
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    assert "second" not in sandbox.log()

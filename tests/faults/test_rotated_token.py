"""The bot token is replaced under two replicas, and for a while only one of them has the new one."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from bot.redaction import Secret
from bot.sandbox.huawei.example_groups import CLICK_LOGS, NIGHTLY_IMAGES
from bot.sandbox.ports import free_port
from bot.sandbox.slack.ids import BOT_TOKEN, CAROL, DAVE
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox
from bot.store.database import open_to_read
from bot.store.state_keys import StateKeys
from bot.store.verification import Verified, verify
from tests.support.postgres import Postgres
from tests.support.sandbox import audit_rows, create_request_for, everything_shown, full_text, put_calls

NEW_TOKEN = "xoxb-sandbox-new-bot-token"
READ_AGAIN = "so it was read again from its file"


def start_with_file(sandbox: Sandbox, name: str, port: int) -> None:
    path = sandbox.directory / name
    path.write_text(BOT_TOKEN, encoding="ascii")
    sandbox.extra_environment = {"SLACK_BOT_TOKEN_FILE": str(path), "SLACK_BOT_TOKEN": ""}
    sandbox.start_bot(port)


def press_until(sandbox: Sandbox, holds: Callable[[], bool], *people_and_card: tuple[str, PostedMessage]) -> None:
    """Presses Approve, one person after the other, until the condition holds. Each replica gets every other click."""
    presses = itertools.cycle(people_and_card)

    def press_and_look() -> bool:
        if holds():
            return True
        person, card = next(presses)
        replies = len(sandbox.workspace.private_texts(person))
        if sandbox.people.press(person, card, "approve").failure is None:
            sandbox.wait_until(lambda: holds() or len(sandbox.workspace.private_texts(person)) > replies, 30, "a reply")
        return holds()

    sandbox.wait_until(press_and_look, 60, "the effect of the clicks")


def test_nothing_is_called_tampered_while_one_of_two_replicas_has_the_new_token(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    url = postgres.new_database()
    sandbox = new_sandbox(database_url=url, settings="approvals = 2")
    start_with_file(sandbox, "first", sandbox.ops_port)
    start_with_file(sandbox, "second", free_port())
    first = create_request_for(sandbox, NIGHTLY_IMAGES)
    sandbox.people.press(CAROL, first, "approve")
    sandbox.wait_until(lambda: f"approved (<@{CAROL}>)" in full_text(first), what="the first approval")

    # Slack refuses the old token until the first replica has read the new one, then accepts both for a while.
    tokens = sandbox.slack.api.bot_tokens
    old = tokens.pop(BOT_TOKEN)
    tokens[NEW_TOKEN] = old
    (sandbox.directory / "first").write_text(NEW_TOKEN, encoding="ascii")
    press_until(sandbox, lambda: READ_AGAIN in sandbox.log(), (DAVE, first))
    tokens[BOT_TOKEN] = old
    press_until(sandbox, lambda: len(put_calls(sandbox)) == 1, (CAROL, first), (DAVE, first))
    second = create_request_for(sandbox, CLICK_LOGS)
    press_until(sandbox, lambda: len(put_calls(sandbox)) == 2, (CAROL, second), (DAVE, second))

    # The second replica reads the new token as well, and both continue.
    (sandbox.directory / "second").write_text(NEW_TOKEN, encoding="ascii")
    del tokens[BOT_TOKEN]
    sandbox.wait_until(lambda: sandbox.log().count(READ_AGAIN) >= 2, 40, "the second replica to read its file")
    assert "request.tampered" not in {row["event"] for row in audit_rows(sandbox, "request.tampered")}
    assert "tampered" not in everything_shown(sandbox)
    assert "someone changed it in the database" not in sandbox.log()
    assert len(put_calls(sandbox)) == 2
    store = open_to_read(url, StateKeys(lambda: Secret(NEW_TOKEN), Secret(BOT_TOKEN)))
    with store.read() as connection:
        found = verify(connection)
    store.close()
    assert isinstance(found, Verified)
    assert found.unknown_rows == 0

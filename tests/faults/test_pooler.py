"""The bot behind a pooler that gives each transaction another connection to the database."""

from __future__ import annotations

from collections.abc import Callable

from bot.sandbox.slack.ids import CAROL
from bot.sandbox.system import Sandbox
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Postgres
from tests.support.sandbox import create_request, put_calls, wait_for_accepted


def test_behind_a_pooler_in_transaction_mode_an_approved_request_is_sent(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    with pgbouncer(postgres.new_database(), "transaction") as url:
        sandbox = new_sandbox(database_url=url)
        sandbox.start_bot()
        card = create_request(sandbox)
        sandbox.people.press(CAROL, card, "approve")
        wait_for_accepted(sandbox, card)
        assert len(put_calls(sandbox)) == 1
        sandbox.close()

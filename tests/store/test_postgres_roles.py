"""The bot runs with the second role of `example postgres.sql`, and that role cannot change the audit chain."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from bot.check.database import check_database
from bot.cli import main
from bot.redaction import Secret
from bot.sandbox.slack.ids import ALICE, BOB, CAROL
from bot.sandbox.system import Sandbox
from bot.store import tables
from bot.store.database import open_store
from tests.support.postgres import Postgres
from tests.support.sandbox import create_request, wait_for_accepted, wait_for_reply


def sql() -> str:
    return CliRunner().invoke(main, ["example", "postgres.sql"]).output


def run_sql(url: str, script: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in re.sub(r"--.*", "", script).split(";"):
            if statement.strip():
                connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="module")
def bot_url(postgres: Postgres) -> str:
    """A database that the first role has migrated, for the second role."""
    server = make_url(postgres.new_database())
    before, after = re.split(r"(?=-- 2\.)", sql())
    run_sql(server.render_as_string(hide_password=False), before)
    owner = server.set(username="taskgroup_owner", database="taskgroup").render_as_string(hide_password=False)
    open_store(owner).close()
    for _ in range(2):
        run_sql(owner, after)
    return owner.replace("taskgroup_owner", "taskgroup_bot")


def test_the_bot_runs_with_the_second_role(new_sandbox: Callable[..., Sandbox], bot_url: str) -> None:
    sandbox = new_sandbox(database_url=bot_url)
    sandbox.start_bot()
    card = create_request(sandbox, ALICE)
    sandbox.people.press(BOB, card, "approve")
    wait_for_reply(sandbox, BOB, "You can't approve")
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    sandbox.oms.state.groups.clear()
    assert "InsufficientPrivilege" not in sandbox.log()
    store = open_store(bot_url)

    def is_purged() -> bool:
        with store.read() as connection:
            due = text("SELECT due_at > now() FROM maintenance WHERE name = 'purge'")
            return bool(connection.execute(due).scalar_one())

    sandbox.wait_until(is_purged, what="the daily maintenance")
    store.close()
    assert "ERROR" not in sandbox.log()


def test_the_script_grants_rights_for_every_table() -> None:
    granted = set(re.findall(r"\w+", " ".join(re.findall(r"^GRANT .* ON (.*) TO", sql(), re.MULTILINE))))
    assert set(tables.metadata.tables) <= granted


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'bot'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "DROP TABLE requests",
        "DELETE FROM slack_budget",
        "INSERT INTO audit_head VALUES (2, 0, '')",
        "DELETE FROM audit_head",
        "CREATE TABLE more (id integer)",
        "CREATE TEMPORARY TABLE more (id integer)",
        "UPDATE alembic_version SET version_num = '9999'",
    ],
)
def test_the_second_role_may_not(bot_url: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        run_sql(bot_url, statement)


def test_check_warns_of_the_first_role_and_not_of_the_second(bot_url: str) -> None:
    found = list(check_database(Secret(bot_url)))
    assert [str(one) for one in found] == ["ok    database: exists and its schema is up to date"]
    owner = list(check_database(Secret(bot_url.replace("taskgroup_bot", "taskgroup_owner"))))
    assert [one.result for one in owner if one.is_warning] == [
        "taskgroup_owner owns the tables, so anyone with DATABASE_URL can change the audit chain"
    ]

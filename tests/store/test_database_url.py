"""What keeps the bot from its database is told with where and why, and without the password."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot.store.database import DatabaseNotWritable, open_store, open_to_read
from bot.store.database_url import connection_problem, unwritable_path
from tests.support.postgres import Postgres


def told(url: str) -> str:
    with pytest.raises(SQLAlchemyError) as failed:
        open_to_read(url)
    return connection_problem(failed.value, make_url(url))


def test_postgresql_is_named_with_its_port_and_its_own_reason(postgres: Postgres) -> None:
    assert told("postgresql://bot:leak@127.0.0.1:1/bot") == "PostgreSQL at 127.0.0.1, port 1: Connection refused"
    url = postgres.new_database()
    port = make_url(url).port
    missing = f'FATAL: database "{make_url(url).database}x" does not exist'
    assert told(f"{url}x") == f"PostgreSQL at 127.0.0.1, port {port}: {missing}"


def test_a_reason_that_repeats_the_password_is_told_without_it(postgres: Postgres) -> None:
    url = make_url(postgres.new_database()).set(username="leaked", password="leaked")
    told_of = told(url.render_as_string(hide_password=False))
    assert told_of.endswith('FATAL: role "[hidden]" does not exist')


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    path.write_text("not a database, and long enough to be looked at " * 50)
    assert told(f"sqlite:///{path}") == "file is not a database"


def test_where_no_file_can_be_made_none_is_and_the_place_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/nowhere/bot.sqlite"
    assert unwritable_path(make_url(url)) == tmp_path / "nowhere"
    with pytest.raises(DatabaseNotWritable, match=f"^{tmp_path}/nowhere, where the database is to be, is not there"):
        open_store(url)
    assert unwritable_path(make_url(f"sqlite:///{tmp_path}/bot.sqlite")) is None
    assert unwritable_path(make_url("postgresql://127.0.0.1/bot")) is None

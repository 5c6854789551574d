"""Connections to PostgreSQL: failovers, several hosts, poolers, lost connections, and the forms of DATABASE_URL."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.check.database import check_database
from bot.redaction import FileSecret, Secret
from bot.sandbox.ports import free_port
from bot.store import connections
from bot.store.database import Store, open_store, open_to_read
from bot.store.faults import DatabaseFault
from bot.store.url import connection_problem, parse_url
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Postgres
from tests.support.relay import Forgetting, relaying
from tests.support.rotation import Rotation, administer, new_rotation
from tests.support.sandbox import run_concurrently

ADD_ROW = text("UPDATE audit_head SET hash = hash")
BACKEND = text("SELECT pg_backend_pid()")


def make_read_only(url: str) -> None:
    """As a failover leaves the former primary: read-only, and its sessions are ended."""
    name = make_url(url).database
    administer(
        url,
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )


def make_writable(url: str) -> None:
    """Only new sessions can write."""
    administer(url, f"ALTER DATABASE {make_url(url).database} RESET default_transaction_read_only")


def write(store: Store) -> None:
    with store.write() as connection:
        connection.execute(ADD_ROW)


def backend(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(BACKEND).scalar_one())


def test_after_a_failover_the_database_can_be_written_again(postgres: Postgres) -> None:
    url = postgres.new_database()
    with closing(open_store(url)) as store:
        make_read_only(url)
        for _ in range(3):
            with pytest.raises(OperationalError):
                write(store)
        with pytest.raises(OperationalError, match="session is read-only"):
            store.ping()
        make_writable(url)
        write(store)
        store.ping()


def test_a_connection_that_became_read_only_is_replaced(postgres: Postgres) -> None:
    url = postgres.new_database()
    # With `any`, the bot also connects to a server that cannot be written.
    with closing(open_store(f"{url}?target_session_attrs=any")) as store:
        make_read_only(url)
        with suppress(OperationalError):
            store.ping()  # notices that its session was ended
        store.ping()
        make_writable(url)
        with pytest.raises(SQLAlchemyError, match="read-only transaction"):
            write(store)
        write(store)


def test_old_connections_are_replaced(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.new_database()
    with closing(open_store(url)) as store:
        assert backend(store) == backend(store)
    monkeypatch.setattr(connections, "RECYCLE_SECONDS", 0)
    with closing(open_store(url)) as store:
        assert backend(store) != backend(store)


def test_a_reset_connection_fails_once(postgres: Postgres) -> None:
    url = make_url(postgres.new_database())
    assert url.port is not None
    with (
        relaying(url.port, Forgetting.RESET) as relay,
        closing(open_store(url.set(port=relay.port).render_as_string())) as store,
    ):
        relay.forget()
        with pytest.raises(OperationalError):
            write(store)
        write(store)


def test_of_several_hosts_the_one_that_answers_is_used(postgres: Postgres) -> None:
    url = make_url(postgres.new_database())
    several = f"postgres://postgres@127.0.0.1:{free_port()},127.0.0.1:{url.port}/{url.database}"
    with closing(open_store(several)) as store:
        write(store)
    with closing(open_to_read(several)) as store:
        store.ping()


def failover_warnings(url: str) -> list[str]:
    return [str(finding) for finding in check_database(Secret(url)) if finding.subject == "database failover"]


def test_check_warns_of_several_hosts_without_synchronous_replication(postgres: Postgres) -> None:
    url = make_url(postgres.new_database())
    several = f"postgres://postgres@127.0.0.1:{free_port()},127.0.0.1:{url.port}/{url.database}"
    findings = list(check_database(Secret(several)))
    assert all(finding.is_ok for finding in findings)
    assert str(findings[1]) == (
        "warn  database failover: synchronous_standby_names is empty on the server, so a failover can lose the last "
        "commits. The bot can then start a group a second time. Fix: name the standby in "
        "synchronous_standby_names, unless the servers share their storage"
    )
    assert failover_warnings(url.render_as_string()) == []
    administer(
        url.render_as_string(), "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()"
    )
    try:
        deadline = time.monotonic() + 20
        while failover_warnings(several):
            assert time.monotonic() < deadline
    finally:
        administer(url.render_as_string(), "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("default", "used"),
    [("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")],
)
def test_a_write_is_committed_on_the_standby_whatever_the_default_of_the_database(
    postgres: Postgres, default: str, used: str
) -> None:
    url = postgres.new_database()
    administer(url, f"ALTER DATABASE {make_url(url).database} SET synchronous_commit = {default}")
    with closing(open_store(url)) as store:
        with store.write() as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == used
        with store.read() as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == default, "ends with the transaction"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_name_of_postgresql_is_understood(postgres: Postgres, scheme: str) -> None:
    url = f"{scheme}://{postgres.new_database().partition('://')[2]}"
    with closing(open_store(url)) as store:
        write(store)


@pytest.mark.parametrize(
    ("text_", "hosts", "ports"),
    [
        ("postgresql://u:p@one:1,[::1]:2,three/db?sslmode=require", "one,::1,three", "1,2,5432"),
        ("postgres://one,two", "one,two", "5432,5432"),
    ],
)
def test_several_hosts_are_read_with_their_ports(text_: str, hosts: str, ports: str) -> None:
    query = parse_url(text_).query
    assert (query["host"], query["port"]) == (hosts, ports)


@pytest.mark.parametrize("text_", ["postgresql://u:a,b@host/db", "postgresql://u:p@host/db?options=a@b,c"])
def test_a_comma_elsewhere_is_not_a_list_of_hosts(text_: str) -> None:
    assert parse_url(text_).host == "host"


@pytest.mark.parametrize("text_", ["postgresql://one:x,two/db", "postgresql://one,/db", "postgresql://::1,two/db"])
def test_an_invalid_list_of_hosts_is_an_error(text_: str) -> None:
    with pytest.raises(ValueError, match="not a list of hosts"):
        parse_url(text_)


def test_check_names_a_database_that_cannot_be_written(postgres: Postgres) -> None:
    url = postgres.new_database()
    open_store(url).close()
    make_read_only(url)
    [finding] = check_database(Secret(url))
    assert not finding.is_ok
    assert "session is read-only" in str(finding)
    with closing(open_to_read(url)) as store:
        store.ping()  # the audit can still be read


def test_the_problem_of_several_hosts_names_each() -> None:
    ports = free_port(), free_port()
    url = f"postgresql://bot:leak@127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}/db"
    with pytest.raises(SQLAlchemyError) as failed:
        open_to_read(url)
    problem = connection_problem(failed.value, parse_url(url))
    assert all(f"127.0.0.1, port {port}: Connection refused" in problem for port in ports)
    assert "leak" not in problem


def limits(store: Store) -> list[str]:
    names = (
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "lock_timeout",
        "timezone",
        "synchronous_commit",
    )
    with store.write() as connection:
        return [str(connection.execute(text(f"SHOW {name}")).scalar()) for name in names]


@pytest.mark.parametrize(
    ("mode", "threads"),
    # In transaction mode, more threads than the pooler has connections to the server.
    [("session", 4), ("transaction", 8)],
)
def test_each_transaction_behind_a_pooler_has_the_bots_limits(postgres: Postgres, mode: str, threads: int) -> None:
    direct = postgres.new_database()
    administer(direct, f"ALTER DATABASE {make_url(direct).database} SET synchronous_commit = off")
    with pgbouncer(direct, mode) as url, closing(open_store(url)) as store:
        found: list[list[str]] = []

        def use() -> None:
            # More often than psycopg needs to prepare a statement.
            for _ in range(8):
                write(store)
                store.ping()
                found.append(limits(store))

        run_concurrently(*[use] * threads)
    assert found == [["10s", "10s", "2s", "UTC", "on"]] * 8 * threads


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_check_says_that_the_database_is_behind_a_pooler(postgres: Postgres, mode: str) -> None:
    direct = postgres.new_database()
    with pgbouncer(direct, mode) as url:
        assert [str(finding) for finding in check_database(Secret(url)) if finding.subject == "database"] == [
            "ok    database: has no tables yet, serve will create them. It is behind a pooler such as PgBouncer"
        ]
    assert [str(finding) for finding in check_database(Secret(direct)) if finding.subject == "database"] == [
        "ok    database: has no tables yet, serve will create them"
    ]


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_after_a_failover_behind_a_pooler_the_database_can_be_written_again(postgres: Postgres, mode: str) -> None:
    direct = postgres.new_database()
    with pgbouncer(direct, mode) as url, closing(open_store(url)) as store:
        make_read_only(direct)
        for _ in range(3):
            with pytest.raises(SQLAlchemyError):
                write(store)
        make_writable(direct)
        # The pooler keeps its own connections to the server. They end as they do when the server is switched.
        administer(
            direct,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{make_url(direct).database}'",
        )
        with suppress(SQLAlchemyError):
            write(store)
        write(store)


# A user and password that change


@pytest.fixture
def rotation(postgres: Postgres, tmp_path: Path) -> Rotation:
    return new_rotation(postgres, tmp_path / "database-url")


def opened(rotation: Rotation) -> closing[Store]:
    url = FileSecret("DATABASE_URL_FILE", str(rotation.path))
    store = open_store(url.reveal(), lambda: url.current().reveal())
    write(store)
    return closing(store)


def write_after_lost_connection(store: Store) -> None:
    with pytest.raises(OperationalError, match="terminating connection"):
        write(store)
    write(store)


def test_a_password_that_changed_in_the_file_is_used_without_a_restart(rotation: Rotation) -> None:
    with opened(rotation) as store:
        for password in ("second", "third"):
            rotation.change_password(password)
            rotation.write(password)
            write_after_lost_connection(store)


def test_a_refused_password_is_read_again_at_each_new_connection(rotation: Rotation) -> None:
    with opened(rotation) as store:
        rotation.change_password("second")
        with suppress(OperationalError):
            write(store)
        for _ in range(2):
            with pytest.raises(OperationalError, match="password authentication failed"):
                write(store)
            assert store.write_fault() is DatabaseFault.DISCONNECTED
        rotation.write("second")
        write(store)
        assert store.write_fault() is None


@pytest.mark.parametrize("parts", [{"database": "elsewhere"}, {"host": "elsewhere.invalid"}, {"port": 1}])
def test_another_server_or_database_in_the_file_needs_a_restart_and_is_logged(
    rotation: Rotation, caplog: pytest.LogCaptureFixture, parts: dict[str, Any]
) -> None:
    with opened(rotation) as store:
        rotation.change_password("second")
        rotation.write("second", **parts)
        with suppress(OperationalError):
            write(store)
        with pytest.raises(OperationalError, match="password authentication failed"):
            write(store)
        rotation.write("second")
        write(store)
    assert "names another server, database or parameter, which needs a restart" in caplog.text
    assert "second" not in caplog.text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "DATABASE_URL_FILE is the path of an empty file"),
        ("postgresql://rotated:second@host:x/db", "DATABASE_URL_FILE no longer contains a valid URL"),
        ("second", "DATABASE_URL_FILE no longer contains a valid URL"),
    ],
)
def test_a_file_that_cannot_be_read_is_logged_and_read_again_later(
    rotation: Rotation, caplog: pytest.LogCaptureFixture, content: str, problem: str
) -> None:
    with opened(rotation) as store:
        rotation.change_password("second")
        rotation.path.write_text(content, encoding="utf-8")
        with suppress(OperationalError):
            write(store)
        with pytest.raises(OperationalError, match="password authentication failed"):
            write(store)
        rotation.write("second")
        write(store)
    assert problem in caplog.text
    assert "second" not in caplog.text


def test_check_says_that_a_new_password_in_the_file_needs_no_restart(rotation: Rotation) -> None:
    url = FileSecret("DATABASE_URL_FILE", str(rotation.path))
    assert [str(finding) for finding in check_database(url)] == [
        "ok    database: has no tables yet, serve will create them. A new user or password in DATABASE_URL_FILE takes "
        "effect without a restart"
    ]

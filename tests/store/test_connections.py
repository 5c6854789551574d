"""Connections to PostgreSQL: failovers, several hosts, poolers, lost connections, and the forms of DATABASE_URL."""

from __future__ import annotations

from contextlib import closing, suppress

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.check.database import check_database
from bot.redaction import Secret
from bot.sandbox.ports import free_port
from bot.store import database
from bot.store.database import Store, open_store, open_to_read
from bot.store.url import connection_problem, parse_url
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Postgres
from tests.support.relay import Forgetting, relaying
from tests.support.sandbox import run_concurrently

ADD_ROW = text("UPDATE audit_head SET hash = hash")
BACKEND = text("SELECT pg_backend_pid()")


def administer(url: str, *statements: str) -> None:
    """Runs statements in another database of the same server."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg", database="postgres"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


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
    monkeypatch.setattr(database, "RECYCLE_SECONDS", 0)
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
    assert check_database(Secret(several)).is_ok


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
    finding = check_database(Secret(url))
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
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout", "timezone")
    with store.write() as connection:
        return [str(connection.execute(text(f"SHOW {name}")).scalar()) for name in names]


@pytest.mark.parametrize(
    ("mode", "threads"),
    # In transaction mode, more threads than the pooler has connections to the server.
    [("session", 4), ("transaction", 8)],
)
def test_each_transaction_behind_a_pooler_has_the_bots_limits(postgres: Postgres, mode: str, threads: int) -> None:
    with pgbouncer(postgres.new_database(), mode) as url, closing(open_store(url)) as store:
        found: list[list[str]] = []

        def use() -> None:
            # More often than psycopg needs to prepare a statement.
            for _ in range(8):
                write(store)
                store.ping()
                found.append(limits(store))

        run_concurrently(*[use] * threads)
    assert found == [["10s", "10s", "2s", "UTC"]] * 8 * threads


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

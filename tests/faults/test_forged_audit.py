"""The owner of the database cannot make `audit export` contradict `audit verify`, or add lines to their output."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url, text

from bot.cli import main
from bot.domain.audit_events import AuditEvent
from bot.store.audit import Event, append_all
from bot.store.database import Store
from bot.store.tables import metadata
from tests.support.audit import drop_triggers
from tests.support.values import NOON

REQUEST = "R-00000001"
#: Text that looks like a result of `audit verify` on a line of its own.
FORGED = "0\nIntact: 9 rows.\x1b[A"


def audit(database_url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["audit", *arguments], env={"DATABASE_URL": database_url})


@pytest.fixture
def approved(store: Store) -> Store:
    """The chain of a request with one approval, without the triggers that protect it."""
    events = [
        Event(AuditEvent.REQUEST_CREATED, "UALICE00", REQUEST),
        Event(AuditEvent.VOTE_ADDED, "UCAROL00", REQUEST),
        Event(AuditEvent.PUT_SENDING, "bot", REQUEST),
    ]
    with store.write() as connection:
        append_all(connection, events, NOON)
    drop_triggers(store)
    return store


def change(store: Store, *statements: str) -> None:
    with store.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def exported_events(result: Result) -> list[str]:
    return [json.loads(line)["event"] for line in result.stdout.splitlines()]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_export_of_a_request_prints_an_approval_that_the_index_lacks(approved: Store, database_url: str) -> None:
    # The index is built without the approval, and then its definition is put back.
    change(approved, "DROP INDEX audit_request")
    change(approved, "CREATE INDEX audit_request ON audit (request_id) WHERE event <> 'vote.added'")
    change(
        approved,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE INDEX audit_request ON audit (request_id)' "
        "WHERE name = 'audit_request'",
        "PRAGMA writable_schema = RESET",
    )
    with approved.read() as connection:
        by_index = text("SELECT event FROM audit WHERE request_id = :id")
        assert "vote.added" not in connection.execute(by_index, {"id": REQUEST}).scalars().all()
    result = audit(database_url, "export", "--request", REQUEST)
    assert exported_events(result) == ["request.created", "vote.added", "put.sending"]
    assert result.stderr == f"Printed: 3 rows.\n{audit(database_url, 'verify').stdout}"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("policy", "is_hidden"),
    [
        ("event <> 'vote.added'", True),
        # Hides the approval only from queries for one request.
        ("event <> 'vote.added' OR current_query() NOT LIKE '%%WHERE%%request_id%%'", False),
    ],
)
def test_a_row_policy_hides_no_approval_from_export_alone(
    approved: Store, database_url: str, policy: str, is_hidden: bool
) -> None:
    auditor = make_url(database_url).database
    change(
        approved,
        f"CREATE ROLE auditor_{auditor} LOGIN",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor_{auditor}",
        "ALTER TABLE audit ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE audit FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY hide ON audit USING ({policy})",
    )
    url = database_url.replace("postgres@", f"auditor_{auditor}@")
    verified, exported = audit(url, "verify"), audit(url, "export", "--request", REQUEST)
    assert verified.exit_code == exported.exit_code == (1 if is_hidden else 0)
    assert ("vote.added" not in exported_events(exported)) == is_hidden
    assert exported.stderr.partition("\n")[2] == verified.stdout
    assert verified.stdout.startswith("Broken: row 2 is missing" if is_hidden else "Intact: 3 rows.")


@pytest.mark.parametrize("table", ["audit", "audit_head"])
def test_text_in_place_of_a_number_is_printed_in_quotes_on_the_same_line(
    approved: Store, database_url: str, table: str
) -> None:
    others = ", ".join(column.name for column in metadata.tables[table].columns if column.name != "seq")
    change(
        approved,
        f"CREATE TABLE forged AS SELECT CAST(seq AS TEXT) AS seq, {others} FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE forged RENAME TO {table}",
    )
    with approved.write() as connection:
        number = 1 if table == "audit" else 3
        connection.execute(text(f"UPDATE {table} SET seq = :forged WHERE seq = '{number}'"), {"forged": FORGED})
    verified, exported = audit(database_url, "verify"), audit(database_url, "export")
    assert verified.exit_code == exported.exit_code == 1
    assert verified.stdout.startswith("Broken: ")
    assert repr(FORGED) in verified.stdout
    assert verified.stdout.count("\n") == 1
    assert len(exported.stdout.splitlines()) == 3
    assert exported.stderr == f"Printed: 3 rows.\n{verified.stdout}"
    assert "\x1b" not in verified.stdout + exported.stdout


@pytest.mark.parametrize("detail", ['{"a":"\\ud83d"}', '{"a":NaN}', "[" * 100_000, '{"a":"\u2028\u009b"}', "\n", "5"])
def test_export_prints_one_valid_json_line_for_each_row_whatever_it_contains(
    approved: Store, database_url: str, detail: str
) -> None:
    with approved.write() as connection:
        connection.execute(text("UPDATE audit SET detail = :detail WHERE seq = 2"), {"detail": detail})
    result = audit(database_url, "export")
    assert result.exit_code == 1
    assert result.stdout.isascii()
    assert [json.loads(line, parse_constant=pytest.fail)["seq"] for line in result.stdout.splitlines()] == [1, 2, 3]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_export_prints_bytes_in_place_of_text_as_their_representation(approved: Store, database_url: str) -> None:
    change(approved, "UPDATE audit SET actor = x'0aff' WHERE seq = 2")
    result = audit(database_url, "export")
    assert json.loads(result.stdout.splitlines()[1])["actor"] == repr(b"\n\xff")
    assert "Broken: row 2 was changed." in result.stderr


def test_a_forged_schema_version_is_printed_on_one_line(approved: Store, database_url: str) -> None:
    with approved.write() as connection:
        if not approved.is_sqlite:
            connection.execute(text("ALTER TABLE alembic_version ALTER version_num TYPE text"))
        connection.execute(text("UPDATE alembic_version SET version_num = :forged"), {"forged": FORGED})
    result = audit(database_url, "verify")
    assert result.exit_code == 1
    assert "The database has schema 0\\nIntact: 9 rows.\\x1b[A, and" in result.stderr
    assert result.stderr.count("\n") == 1

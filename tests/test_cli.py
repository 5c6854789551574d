"""The audit commands change nothing and report a failure in one line; `example` prints files; help lists exit codes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from bot.cli import main
from bot.config.settings import example
from bot.domain.audit_events import AuditEvent
from bot.store.audit import Event, Fact, append_all
from bot.store.database import Store, open_store
from bot.store.migrations import NEWEST_SCHEMA
from tests.conftest import STATE_KEY
from tests.support.values import NOON


def run(database_url: str, *arguments: str) -> Result:
    """Runs an audit command without any other setting: an auditor has neither Slack's nor Vault's."""
    return CliRunner().invoke(main, ["audit", *arguments], env={"DATABASE_URL": database_url})


def chain(store: Store, rows: int = 3) -> None:
    events = [
        Event(AuditEvent.REQUEST_CREATED, "UALICE00", f"R-{number:08d}", {"reason": f"café {number}"})
        for number in range(rows)
    ]
    with store.write() as connection:
        append_all(connection, events, NOON)


def test_verify_reports_a_whole_chain_and_the_row_of_a_given_hash(store: Store, database_url: str) -> None:
    chain(store)
    result = run(database_url, "verify")
    assert result.exit_code == 0
    assert result.output.startswith("Intact: 3 rows. Newest hash: ")
    head = result.output.splitlines()[0].split()[-1]
    assert result.output.splitlines()[1].startswith("Authorship was not checked. Set STATE_KEY")
    chain(store)
    for given in (head, head.upper()):
        result = run(database_url, "verify", "--head", given)
        assert result.exit_code == 0
        assert "Intact: 6 rows." in result.output
        assert (
            "The given hash belongs to row 3. Nothing up to this row has changed since the hash was published."
            in result.output
        )


def test_verify_says_whose_rows_it_checked_with_the_key(store: Store, database_url: str) -> None:
    chain(store)

    def lines(**environment: str) -> list[str]:
        variables = {"DATABASE_URL": database_url, **environment}
        return CliRunner().invoke(main, ["audit", "verify"], env=variables).output.splitlines()

    assert lines(STATE_KEY=STATE_KEY.reveal())[1] == "The bot wrote every row."
    assert lines(SLACK_BOT_TOKEN="xoxb-new", STATE_KEY_FORMER=STATE_KEY.reveal())[1] == "The bot wrote every row."
    unknown = "Authorship was not checked for 3 rows: they have no key, or an unknown one."
    assert lines(SLACK_BOT_TOKEN="xoxb-new")[1] == unknown


def test_verify_finds_a_call_without_the_approvals_it_needs(store: Store, database_url: str) -> None:
    request_id = "R-00000001"
    voting: dict[str, Fact] = {"fingerprint": "f", "approvals needed": 2}
    opened: dict[str, Fact] = {"number": 1, "approved by": ["UCAROL00", "UDAVE000"], "state": "approved"}
    events = [
        Event(AuditEvent.REQUEST_CREATED, "UALICE00", request_id, voting),
        Event(AuditEvent.VOTE_ADDED, "UCAROL00", request_id),
        Event(AuditEvent.VOTE_ADDED, "UDAVE000", request_id),
        Event(AuditEvent.VOTE_WITHDRAWN, "UDAVE000", request_id),
        Event(AuditEvent.ATTEMPT_OPENED, "UCAROL00", request_id, opened),
        Event(AuditEvent.PUT_SENDING, "bot", request_id, {"number": 1, "state": "sending"}),
    ]
    with store.write() as connection:
        append_all(connection, events, NOON)
    result = run(database_url, "verify")
    assert result.exit_code == 1
    problem = f"row 6 sends {request_id} without the approvals it needs, or for the second time"
    assert result.output == f"Broken: {problem}.\n"


def test_verify_reports_the_first_broken_row(store: Store, database_url: str) -> None:
    chain(store)
    with store.write() as connection:
        connection.execute(text("UPDATE audit_head SET seq = 5"))
    result = run(database_url, "verify")
    assert result.exit_code == 1
    assert result.output == "Broken: row 4 is missing, the chain should end at row 5.\n"


def test_verify_reports_a_hash_that_no_row_has(store: Store, database_url: str) -> None:
    chain(store)
    result = run(database_url, "verify", "--head", "f" * 64)
    assert result.exit_code == 1
    assert result.output.startswith(f"Broken: no row from 1 to 3 has the hash {'f' * 64}.")


@pytest.mark.parametrize("given", ["", "abc", "g" * 64, "f" * 63, "f" * 65, "f" * 64 + "\n"])
def test_a_malformed_hash_is_refused_with_one_line(tmp_path: Path, given: str) -> None:
    result = run(f"sqlite:///{tmp_path / 'bot.sqlite'}", "verify", "--head", given)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("--head: not a hash.")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "export"])
def test_the_audit_commands_create_no_database(tmp_path: Path, command: str) -> None:
    path = tmp_path / "bot.sqlite"
    result = run(f"sqlite:///{path}", command)
    assert result.exit_code == 1
    assert result.stderr == f"There is no database at {path}. Check DATABASE_URL.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["verify", "export"])
def test_the_audit_commands_migrate_no_schema(store: Store, database_url: str, command: str) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    result = run(database_url, command)
    assert result.exit_code == 1
    assert f"The database has schema 0000, and this version of the bot reads {NEWEST_SCHEMA}." in result.stderr
    with store.write() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0000"
        connection.execute(text("DROP TABLE alembic_version"))
    result = run(database_url, command)
    assert result.exit_code == 1
    assert "has no tables of this bot yet" in result.stderr


def test_an_unreadable_database_is_reported_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    path.write_text("not a database, and long enough to be looked at " * 50)
    for url in (f"sqlite:///{path}", "postgresql://postgres@127.0.0.1:1/none"):
        result = run(url, "verify")
        assert result.exit_code == 1
        assert result.stderr.startswith("The database can't be read (")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "export"])
def test_a_wrong_database_url_is_a_wrong_setting(command: str) -> None:
    result = run("mysql://db/bot", command)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("DATABASE_URL: is neither SQLite nor PostgreSQL. Use ")
    assert result.stderr.count("\n") == 1


def test_export_writes_each_row_as_a_json_line(store: Store, database_url: str) -> None:
    chain(store)
    result = run(database_url, "export")
    assert result.exit_code == 0
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["seq"] for row in found] == [1, 2, 3]
    assert found[1]["detail"] == {"reason": "café 1"}
    assert [row["previous"] for row in found[1:]] == [row["hash"] for row in found[:-1]]


def test_an_export_can_be_verified_without_the_database(store: Store, database_url: str) -> None:
    chain(store)
    previous = "0" * 64
    for line in run(database_url, "export").stdout.splitlines():
        row = json.loads(line)
        detail = compact(row["detail"])
        covered = [row["seq"], row["at"], row["request_id"], row["actor"], row["event"], detail, previous]
        previous = hashlib.sha256(compact(covered).encode()).hexdigest()
        assert row["hash"] == previous


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def test_export_accepts_a_request_id_in_any_case(store: Store, database_url: str) -> None:
    chain(store)
    result = run(database_url, "export", "--request", "r-00000001")
    assert result.exit_code == 0
    assert [json.loads(line)["seq"] for line in result.stdout.splitlines()] == [2]
    assert result.stderr == f"Printed: 1 rows.\n{run(database_url, 'verify').stdout}"


@pytest.mark.parametrize("unknown", ["R-ZZZZZZZZ", "nonsense", ""])
def test_export_of_an_unknown_request_fails(store: Store, database_url: str, unknown: str) -> None:
    chain(store)
    result = run(database_url, "export", "--request", unknown)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"The audit has no request {unknown}.\nIntact: 3 rows. Newest hash: ")


def test_export_writes_a_tampered_row_unchanged_and_fails(store: Store, database_url: str) -> None:
    chain(store, 1)
    with store.write() as connection:
        connection.execute(text("INSERT INTO audit VALUES (2, 'a', NULL, 'b', 'c', 'no json', 'e', 'f', NULL)"))
    result = run(database_url, "export")
    assert result.exit_code == 1
    assert json.loads(result.stdout.splitlines()[1])["detail"] == "no json"
    assert result.stderr == f"Printed: 2 rows.\n{run(database_url, 'verify').stdout}"
    assert "Broken: row 2 doesn't follow row 1." in result.stderr


def test_export_ends_quietly_when_its_pipe_is_closed(store: Store, database_url: str) -> None:
    chain(store, 3000)
    command = [sys.executable, "-m", "bot", "audit", "export"]
    environment = {"DATABASE_URL": database_url}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["seq"] == 1
        process.stdout.close()
        assert process.stderr.read() == b""


def test_verify_leaves_the_database_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    store = open_store(f"sqlite:///{path}")
    chain(store)
    store.close()
    before = path.read_bytes()
    assert run(f"sqlite:///{path}", "verify").exit_code == 0
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bot.sqlite", "bot.sqlite.lock"]


def help_of(*command: str) -> str:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    return " ".join(result.output.split())


def test_help_explains_the_exit_codes_and_where_settings_come_from() -> None:
    assert "Exit codes: 0 success, 1 a check or the command failed, 2 wrong usage or settings." in help_of()
    assert (
        "Settings come from environment variables and from bot.toml (its path is BOT_CONFIG). bot/config/README.md"
        in help_of()
    )
    assert "Exit codes: 0 stopped by SIGTERM or SIGINT, 1 can't start, 2 wrong settings." in help_of("serve")
    assert "Exit codes: 0 all checks passed, 1 a check failed, 2 wrong settings." in help_of("check")
    assert "Both commands need only DATABASE_URL" in help_of("audit")
    assert '"Broken" with the first wrong row.' in help_of("audit", "verify")
    assert "Exit codes: 0 intact, 1 broken or unreadable, 2 wrong settings or not a hash." in help_of("audit", "verify")
    assert "`taskgroup-bot example bot.toml` prints an example." in help_of()
    assert "Examples: bot.toml, postgres.sql." in help_of("example")
    assert "Exit codes: 0 written, 1 broken, unreadable or no such request," in help_of("audit", "export")


def test_example_prints_a_bot_toml() -> None:
    result = CliRunner().invoke(main, ["example", "bot.toml"])
    assert result.exit_code == 0
    assert result.stdout == example()


@pytest.mark.parametrize("arguments", [["nothing.toml"], []])
def test_an_unknown_example_is_refused_with_the_known_names(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["example", *arguments])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "bot.toml" in result.stderr.replace("nothing.toml", "")


def test_a_wrong_sandbox_port_is_refused() -> None:
    assert "Port of the page on 127.0.0.1; 0 picks a free port. [default: 8080]" in help_of("sandbox")
    result = CliRunner().invoke(main, ["sandbox", "--port", "65536"])
    assert result.exit_code == 2
    assert "65536 is not a port. Use a number from 0 to 65535." in result.stderr


def test_a_sandbox_that_is_not_installed_is_reported_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bot.sandbox.run", None)
    result = CliRunner().invoke(main, ["sandbox"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("The sandbox is not installed")

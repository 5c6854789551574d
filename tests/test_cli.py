"""The audit commands change nothing, and say in a line what keeps them from telling."""

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
from bot.store.audit import Event, append_all
from bot.store.database import Store, open_store
from bot.store.migrations import NEWEST_SCHEMA
from tests.support.values import NOON


def run(database_url: str, *arguments: str) -> Result:
    """Without any other setting: an auditor has neither Slack's nor Vault's."""
    return CliRunner().invoke(main, ["audit", *arguments], env={"DATABASE_URL": database_url})


def chain(store: Store, rows: int = 3) -> None:
    events = [Event("asked", "UALICE00", f"R-{number:08d}", {"reason": f"café {number}"}) for number in range(rows)]
    with store.write() as connection:
        append_all(connection, events, NOON)


def test_verify_says_that_the_chain_is_whole_and_where_a_noted_hash_is(store: Store, database_url: str) -> None:
    chain(store)
    said = run(database_url, "verify")
    assert said.exit_code == 0
    assert said.output.startswith("Whole: 3 rows. Newest hash: ")
    head = said.output.split()[-1]
    chain(store)
    for given in (head, head.upper()):
        said = run(database_url, "verify", "--head", given)
        assert said.exit_code == 0
        assert "Whole: 6 rows." in said.output
        assert "The given hash is that of row 3:" in said.output


def test_verify_names_the_first_bad_row(store: Store, database_url: str) -> None:
    chain(store)
    with store.write() as connection:
        connection.execute(text("UPDATE audit_head SET seq = 5"))
    said = run(database_url, "verify")
    assert said.exit_code == 1
    assert said.output == "Broken: row 4 is missing: the chain ends before it, and row 5 was its newest.\n"


def test_verify_says_that_a_noted_hash_is_nowhere(store: Store, database_url: str) -> None:
    chain(store)
    said = run(database_url, "verify", "--head", "f" * 64)
    assert said.exit_code == 1
    assert said.output.startswith(f"Broken: the hash {'f' * 64} is nowhere in rows 1 to 3:")


@pytest.mark.parametrize("given", ["", "abc", "g" * 64, "f" * 63, "f" * 65, "f" * 64 + "\n"])
def test_what_is_no_hash_is_refused_in_a_line(tmp_path: Path, given: str) -> None:
    said = run(f"sqlite:///{tmp_path / 'bot.sqlite'}", "verify", "--head", given)
    assert said.exit_code == 2
    assert said.stdout == ""
    assert said.stderr.startswith("--head: that is no hash.")
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "export"])
def test_no_database_is_made(tmp_path: Path, command: str) -> None:
    path = tmp_path / "bot.sqlite"
    said = run(f"sqlite:///{path}", command)
    assert said.exit_code == 1
    assert said.stderr == f"There is no database at {path}. Check DATABASE_URL.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["verify", "export"])
def test_no_schema_is_brought_up_to_date(store: Store, database_url: str, command: str) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    said = run(database_url, command)
    assert said.exit_code == 1
    assert f"The database has schema 0000, and this version reads {NEWEST_SCHEMA}." in said.stderr
    with store.write() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0000"
        connection.execute(text("DROP TABLE alembic_version"))
    said = run(database_url, command)
    assert said.exit_code == 1
    assert "holds nothing of this bot yet" in said.stderr


def test_what_is_no_database_is_said_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    path.write_text("not a database, and long enough to be looked at " * 50)
    for url in (f"sqlite:///{path}", "postgresql://postgres@127.0.0.1:1/none"):
        said = run(url, "verify")
        assert said.exit_code == 1
        assert said.stderr.startswith("The database cannot be read (")
        assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["verify", "export"])
def test_a_wrong_address_of_the_database_is_a_wrong_setting(command: str) -> None:
    said = run("mysql://db/bot", command)
    assert said.exit_code == 2
    assert said.stdout == ""
    assert said.stderr.startswith("DATABASE_URL: is neither SQLite nor PostgreSQL. Use ")
    assert said.stderr.count("\n") == 1


def test_export_writes_a_line_of_json_for_each_row(store: Store, database_url: str) -> None:
    chain(store)
    said = run(database_url, "export")
    assert said.exit_code == 0
    found = [json.loads(line) for line in said.stdout.splitlines()]
    assert [row["seq"] for row in found] == [1, 2, 3]
    assert found[1]["detail"] == {"reason": "café 1"}
    assert [row["previous"] for row in found[1:]] == [row["hash"] for row in found[:-1]]


def test_whoever_has_an_export_can_check_it_alone(store: Store, database_url: str) -> None:
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


def test_export_of_one_request_takes_its_id_in_any_case(store: Store, database_url: str) -> None:
    chain(store)
    said = run(database_url, "export", "--request", "r-00000001")
    assert said.exit_code == 0
    assert [json.loads(line)["seq"] for line in said.stdout.splitlines()] == [2]


@pytest.mark.parametrize("unknown", ["R-ZZZZZZZZ", "nonsense", ""])
def test_export_of_an_unknown_request_says_so(store: Store, database_url: str, unknown: str) -> None:
    chain(store)
    said = run(database_url, "export", "--request", unknown)
    assert said.exit_code == 1
    assert said.stdout == ""
    assert said.stderr == f"There is no request {unknown} in the audit.\n"


def test_export_writes_out_what_was_tampered_with_as_it_is(store: Store, database_url: str) -> None:
    chain(store, 1)
    with store.write() as connection:
        connection.execute(text("INSERT INTO audit VALUES (2, 'a', NULL, 'b', 'c', 'no json', 'e', 'f')"))
    said = run(database_url, "export")
    assert said.exit_code == 0
    assert json.loads(said.stdout.splitlines()[1])["detail"] == "no json"


def test_export_ends_quietly_when_its_reader_has_gone(store: Store, database_url: str) -> None:
    chain(store, 3000)
    command = [sys.executable, "-m", "bot", "audit", "export"]
    environment = {"DATABASE_URL": database_url}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["seq"] == 1
        process.stdout.close()
        assert process.stderr.read() == b""


def test_reading_leaves_a_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    store = open_store(f"sqlite:///{path}")
    chain(store)
    store.close()
    before = path.read_bytes()
    assert run(f"sqlite:///{path}", "verify").exit_code == 0
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bot.sqlite", "bot.sqlite.lock"]


def help_of(*command: str) -> str:
    said = CliRunner().invoke(main, [*command, "--help"])
    assert said.exit_code == 0
    return " ".join(said.output.split())


def test_the_help_says_what_the_exit_codes_mean_and_where_the_settings_are() -> None:
    assert "Exit codes: 0 well, 1 not, 2 a wrong or missing setting, each in a line." in help_of()
    assert "The settings are environment variables, and bot.toml, which BOT_CONFIG names. README.md lists" in help_of()
    assert "Exit codes: 0 after SIGTERM or SIGINT, 1 it cannot start, 2 a wrong setting." in help_of("serve")
    assert "Exit codes: 0 all is well, 1 something is not, 2 a wrong setting." in help_of("check")
    assert "both read DATABASE_URL alone" in help_of("audit")
    assert '"Broken" with the first row that is not as it was written.' in help_of("audit", "verify")
    assert "Exit codes: 0 whole, 1 broken or not to be read, 2 a wrong setting or no hash." in help_of(
        "audit", "verify"
    )
    assert "Exit codes: 0 written, 1 not to be read or no such request, 2 a wrong" in help_of("audit", "export")


def test_the_port_of_the_page_is_told_in_words() -> None:
    assert "Port of the page on 127.0.0.1; 0 takes a free one. [default: 8080]" in help_of("sandbox")
    said = CliRunner().invoke(main, ["sandbox", "--port", "65536"])
    assert said.exit_code == 2
    assert "65536 is no port. Use a number from 0 to 65535." in said.stderr


def test_a_sandbox_that_is_not_installed_is_told_where_faults_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bot.sandbox.run", None)
    said = CliRunner().invoke(main, ["sandbox"])
    assert said.exit_code == 1
    assert said.stdout == ""
    assert said.stderr.startswith("The sandbox is not installed")

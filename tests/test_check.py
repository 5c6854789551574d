"""`check` reports the state of the database, of Slack and of people, and changes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.engine import create_engine, make_url

from bot.check.run import run_checks
from bot.config.settings import example, load
from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.slack.ids import APPROVERS_GROUP, CAROL, ERIN
from bot.sandbox.system import Sandbox
from bot.store.database import Store
from tests.support.postgres import Postgres
from tests.support.settings import GOOD
from tests.support.wire import BROKEN_ANSWERS, answering


def database_finding(directory: Path, database_url: str) -> str:
    (directory / "bot.toml").write_text(example(), encoding="utf-8")
    settings = load(GOOD | {"BOT_CONFIG": str(directory / "bot.toml"), "DATABASE_URL": database_url})
    # Findings come one by one: this one is there before any call over a network.
    return next(str(finding) for finding in run_checks(settings) if finding.subject == "database")


def test_a_missing_database_file_is_not_created(tmp_path: Path) -> None:
    for _ in range(2):
        line = database_finding(tmp_path, f"sqlite:///{tmp_path}/bot.sqlite")
        assert line == "ok    database: doesn't exist yet, serve will create it"
    assert [path.name for path in tmp_path.iterdir()] == ["bot.toml"]


def test_no_tables_are_created(database_url: str, tmp_path: Path) -> None:
    engine = create_engine(make_url(database_url).set(drivername=drivers(database_url)))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE others (id INTEGER)"))
    assert database_finding(tmp_path, database_url) == "ok    database: has no tables yet, serve will create them"
    assert inspect(engine).get_table_names() == ["others"]
    engine.dispose()


def drivers(database_url: str) -> str:
    return "sqlite" if database_url.startswith("sqlite") else "postgresql+psycopg"


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        (None, "ok    database: exists and its schema is up to date"),
        ("0000", "ok    database: has an older schema, serve will upgrade it"),
        (
            "9999",
            "FAIL  database: has a newer schema than this version of the bot. "
            "Fix: run the version of the bot that used it last, or a newer one",
        ),
    ],
)
def test_the_schema_is_reported_and_not_changed(
    store: Store, database_url: str, tmp_path: Path, schema: str | None, line: str
) -> None:
    if schema is not None:
        with store.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :schema"), {"schema": schema})
    before = schema_of(store)
    assert database_finding(tmp_path, database_url) == line
    assert schema_of(store) == before


def schema_of(store: Store) -> str:
    with store.read() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    line = database_finding(tmp_path, f"sqlite:///{tmp_path}/nowhere/bot.sqlite")
    assert line.startswith(f"FAIL  database: {tmp_path}/nowhere doesn't exist or isn't writable. Fix: ")


def test_an_unreachable_database_is_reported_without_its_password(tmp_path: Path) -> None:
    line = database_finding(tmp_path, "postgresql://bot:leak@127.0.0.1:1/bot")
    why = "PostgreSQL at 127.0.0.1, port 1: Connection refused"
    assert line == f"FAIL  database: can't be used ({why}). Fix: check DATABASE_URL"


@pytest.mark.parametrize("what", BROKEN_ANSWERS)
def test_a_broken_answer_of_slack_is_a_finding(tmp_path: Path, what: str) -> None:
    (tmp_path / "bot.toml").write_text(example(), encoding="utf-8")
    own = {"BOT_CONFIG": str(tmp_path / "bot.toml"), "DATABASE_URL": f"sqlite:///{tmp_path}/bot.sqlite"}
    with answering(BROKEN_ANSWERS[what]) as url:
        settings = load(GOOD | own | {"SLACK_API_URL": f"{url}/api/"})
        found = next(finding for finding in run_checks(settings) if finding.subject == "Slack")
    assert "SLACK_API_URL" in found.fix
    assert "<html>" not in str(found)


def people_findings(sandbox: Sandbox) -> list[str]:
    findings = map(str, run_checks(load(sandbox.environment())))
    return [line for line in findings if re.match(r"(ok|FAIL) +(user U|people|project media, approvers)", line)]


def test_people_who_are_not_full_members_and_projects_without_approvers_are_reported(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    assert people_findings(sandbox) == [
        f"ok    user {CAROL}: full member",
        "ok    project media, approvers: enough people can approve",
    ]
    fix = "Fix: correct or remove it in bot.toml, because only full members count"
    sandbox.workspace.users[CAROL]["deleted"] = True
    sandbox.workspace.groups[APPROVERS_GROUP] = [ERIN]
    assert people_findings(sandbox) == [
        f"FAIL  user {CAROL}: deactivated. {fix}",
        f"FAIL  project media, approvers: no full member can fill the place of {CAROL} or {APPROVERS_GROUP}. "
        "Fix: add approvers in bot.toml, or add people to the user groups",
    ]
    toml = sandbox.directory / "bot.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace('["*"]', '["U0NOBODY01"]'), encoding="utf-8")
    assert f"FAIL  user U0NOBODY01: isn't in this workspace. {fix}" in people_findings(sandbox)


def test_a_failed_lookup_of_people_is_reported_once(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.slack.outage.answers["users.info"] = [500] * 10
    (line,) = people_findings(sandbox)
    assert line.startswith(
        "FAIL  people: can't be looked up (users.info: internal_error), so people and approvers were not checked. Fix: "
    )


def test_the_scheduled_message_is_deleted_and_explains_itself(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    list(run_checks(load(sandbox.environment())))
    calls = [call for call in sandbox.call_log.since() if "cheduled" in call.path or "schedule" in call.path]
    assert [call.path for call in calls] == ["chat.scheduleMessage", "chat.deleteScheduledMessage"]
    assert calls[0].note.startswith(
        "`taskgroup-bot check` scheduled this message to test whether the bot can post here"
    )


def test_a_refused_identity_is_tried_once_in_a_run_and_not_counted(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.vault.write("oms/media/caller", CALLERS["access key"] | {"sk": "wrong"})
    for runs in (1, 2):
        findings = [str(finding) for finding in run_checks(load(sandbox.environment())) if "APIG.0301" in str(finding)]
        assert len(findings) == 1
        assert [call.status for call in sandbox.call_log.since() if call.service == "oms"] == [401] * runs
    assert not (sandbox.directory / "bot.sqlite").exists()


@pytest.mark.parametrize(
    ("may_list_tasks", "line"),
    [
        (True, "ok    project media, permission oms:task:list: granted"),
        (
            False,
            "warn  project media, permission oms:task:list: missing. Fix: grant it to the bot's IAM user, so that "
            "cards can say why sub-tasks of a group failed",
        ),
    ],
)
def test_a_missing_permission_to_list_sub_tasks_is_a_warning(
    new_sandbox: Callable[..., Sandbox], may_list_tasks: bool, line: str
) -> None:
    sandbox = new_sandbox()
    sandbox.oms.state.may_list_tasks = may_list_tasks
    findings = list(run_checks(load(sandbox.environment())))
    assert line in [str(finding) for finding in findings]
    assert all(finding.is_ok for finding in findings)
    assert [call.method for call in sandbox.call_log.since() if call.path.endswith("/tasks")] == ["GET"]


def test_check_runs_on_a_read_only_file_system(new_sandbox: Callable[..., Sandbox], postgres: Postgres) -> None:
    sandbox = new_sandbox(database_url=postgres.new_database())
    read_only = "mount --make-rprivate / && mount -o remount,ro,bind / && mount -o remount,ro /dev/shm"
    without_files = f'{read_only} && ! touch /tmp/file 2>/dev/null && exec "$0" -m bot check'
    found = subprocess.run(
        ["unshare", "--mount", "sh", "-c", without_files, sys.executable],
        env=sandbox.environment(),
        cwd=sandbox.directory,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "unshare" in found.stderr or "mount:" in found.stderr:
        pytest.skip("this user may not mount file systems")
    assert (found.returncode, found.stderr) == (0, "")

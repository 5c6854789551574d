"""`check` warns of what others could read or change, and exits with 0 all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.check.exposure import check_exposure
from bot.check.run import run_checks
from bot.config.settings import example, load
from bot.sandbox.slack.ids import ERIN, GRACE, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.store.database import open_store
from tests.support.postgres import Postgres
from tests.support.settings import GOOD


def warnings(directory: Path, **environ: str) -> list[str]:
    (directory / "bot.toml").write_text(example(), encoding="utf-8")
    settings = load(GOOD | {"BOT_CONFIG": str(directory / "bot.toml"), "LISTEN": "127.0.0.1"} | environ)
    found = list(check_exposure(settings.environment))
    assert all(finding.is_ok for finding in found)
    return [str(finding) for finding in found]


def test_secrets_in_the_environment_are_named_once(tmp_path: Path) -> None:
    [line] = warnings(tmp_path, DATABASE_URL="postgresql://bot:secret-word@db/bot", STATE_KEY="secret-word" * 3)
    assert line == (
        "warn  secrets: SLACK_BOT_TOKEN, SLACK_APP_TOKEN, STATE_KEY, DATABASE_URL, VAULT_SECRET_ID set in the "
        "environment, which child processes and the container's configuration also expose. Fix: write each to a file "
        "and set its path, such as SLACK_BOT_TOKEN_FILE"
    )


def test_secrets_in_files_and_urls_without_a_password_are_no_warning(tmp_path: Path) -> None:
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "VAULT_SECRET_ID"):
        (tmp_path / name).write_text(GOOD[name], encoding="utf-8")
    files = dict.fromkeys(("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "VAULT_SECRET_ID"), "")
    files |= {f"{name}_FILE": str(tmp_path / name) for name in files}
    assert warnings(tmp_path, **files, DATABASE_URL="postgresql://bot@db/bot") == []


@pytest.mark.parametrize(
    ("address", "is_open"),
    [("", True), ("0.0.0.0", True), ("::", True), ("8.8.8.8", True), ("10.1.2.3", False), ("::1", False)],
)
def test_an_ops_port_that_other_machines_reach_is_a_warning(tmp_path: Path, address: str, is_open: bool) -> None:
    lines = [line for line in warnings(tmp_path, LISTEN=address) if "ops port" in line]
    assert lines == (
        [
            f"warn  ops port 3001: is open on {address or 'all addresses'}. Anyone who can reach it can read the "
            "bot's health and metrics. Fix: set LISTEN to 127.0.0.1 or a private address, unless a firewall or the "
            "container's network protects it"
        ]
        if is_open
        else []
    )


def findings(sandbox: Sandbox, subject: str) -> list[str]:
    return [str(one) for one in run_checks(load(sandbox.environment())) if one.subject == subject]


def test_channels_with_guests_or_other_organizations_are_a_warning_where_the_scopes_allow_it(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    assert findings(sandbox, "channels") == [
        "skip  channels: not checked for guests, because this needs the scope channels:read, or groups:read for "
        "private channels"
    ]
    sandbox.workspace.scopes |= {"channels:read"}
    fix = "Fix: remove them, or set another channel in bot.toml"
    subject = f"channel {MIGRATIONS}"
    members = sandbox.workspace.channels[MIGRATIONS].members
    assert findings(sandbox, subject) == [
        f"warn  {subject}: 1 guest and people from other organizations can read its cards. {fix}"
    ]
    members.remove(GRACE)
    assert findings(sandbox, subject) == [f"warn  {subject}: 1 guest can read its cards. {fix}"]
    members.remove(ERIN)
    assert findings(sandbox, subject) == [f"ok    {subject}: no guests or people from other organizations"]


def test_a_database_role_that_can_change_the_audit_is_a_warning(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    url = postgres.new_database()
    open_store(url).close()
    sandbox = new_sandbox(database_url=url)
    assert findings(sandbox, "database role") == [
        "warn  database role: postgres is a superuser, so anyone with DATABASE_URL can change the audit chain. "
        "Fix: use two roles, as `taskgroup-bot example postgres.sql` shows"
    ]

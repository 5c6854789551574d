"""A fault that lasts is named with its fix: in replies, on the card, in the log, in /readyz and by `check`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from bot.check.run import run_checks
from bot.config.settings import load
from bot.sandbox.slack.ids import ALICE, APP_TOKEN, APPROVERS_GROUP, BOT_TOKEN, CAROL, DAVE
from bot.sandbox.system import Sandbox
from bot.store.faults import DatabaseFault
from tests.support.postgres import Postgres
from tests.support.sandbox import create_request, full_text, readiness, wait_for_accepted, wait_for_reply

ADMINISTRATOR = "Ask the bot's administrator to"
REINSTALL = "reinstall the Slack app, then set SLACK_BOT_TOKEN to its new bot token"


def wait_until_ready(sandbox: Sandbox) -> None:
    sandbox.wait_until(lambda: readiness(sandbox)[0] == 200, 30, "readiness")


def test_a_deleted_user_group_is_empty_and_named_and_the_named_person_counts(sandbox: Sandbox) -> None:
    del sandbox.workspace.groups[APPROVERS_GROUP]
    card = create_request(sandbox)
    assert f"Disabled or deleted in Slack: `{APPROVERS_GROUP}`, which counts as empty." in full_text(card)
    sandbox.people.press(DAVE, card, "approve")
    wait_for_reply(sandbox, DAVE, "You can't approve or deny this")
    status, text = readiness(sandbox, "?verbose")
    assert status == 200
    assert f"user group {APPROVERS_GROUP} is disabled or deleted in Slack" in text
    assert readiness(sandbox) == (200, "ok\n")
    assert f"user group {APPROVERS_GROUP} is disabled or deleted in Slack" in sandbox.log()
    [finding] = [
        one for one in run_checks(load(sandbox.environment())) if one.subject == f"user group {APPROVERS_GROUP}"
    ]
    assert str(finding).count("disabled or deleted in Slack (no_such_subteam), so it counts as empty") == 1
    assert not finding.is_ok
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)


@pytest.mark.parametrize(
    ("code", "problem", "fix"),
    [
        ("token_revoked", "has revoked the bot's token", REINSTALL),
        ("account_inactive", "says that the app was removed or its bot user deactivated", REINSTALL),
        ("not_authed", "gets no token from the bot", "set SLACK_BOT_TOKEN to the bot token of your Slack app"),
    ],
)
def test_a_refused_token_is_named_and_the_bot_is_not_ready_until_it_is_accepted(
    sandbox: Sandbox, code: str, problem: str, fix: str
) -> None:
    sandbox.slack.api.denial = code
    sandbox.people.type(ALICE, "list")
    wait_for_reply(
        sandbox,
        ALICE,
        f"Slack {problem} ({code}), so the bot can't look people up. Nothing changed. {ADMINISTRATOR} {fix}.",
    )
    assert readiness(sandbox) == (503, f"Slack {problem} ({code}): {fix}\n")
    sandbox.slack.api.denial = None
    wait_until_ready(sandbox)


def test_tokens_that_are_replaced_in_their_files_interrupt_nothing(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    files = {name: sandbox.directory / name for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN")}
    for name, path in files.items():
        path.write_text(sandbox.environment()[name], encoding="ascii")
    sandbox.extra_environment = {f"{name}_FILE": str(path) for name, path in files.items()} | dict.fromkeys(files, "")
    sandbox.start_bot()
    card = create_request(sandbox)
    api = sandbox.slack.api
    api.bot_tokens = {"xoxb-new": api.bot_tokens[BOT_TOKEN]}
    api.app_tokens = {"xapp-1-A0SANDBOX1-new"}
    files["SLACK_BOT_TOKEN"].write_text("xoxb-new", encoding="ascii")
    files["SLACK_APP_TOKEN"].write_text("xapp-1-A0SANDBOX1-new", encoding="ascii")
    refresh = asyncio.run_coroutine_threadsafe(sandbox.slack.refresh_connections(), sandbox.slack.server.loop)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    refresh.result(timeout=10)
    wait_until_ready(sandbox)
    assert sandbox.slack.connections == 1
    assert sandbox.log().count("so it was read again from its file") >= 2


@pytest.mark.parametrize(
    ("app_token", "changes", "subject", "problem"),
    [
        ("xapp-1-A0OTHER001-1", {}, "Slack app", "belong to different apps (A0SANDBOX1 and A0OTHER001)"),
        (APP_TOKEN, {"is_enterprise_install": True}, "Slack", "is for a whole organization"),
    ],
)
def test_check_names_tokens_that_do_not_fit(
    new_sandbox: Callable[..., Sandbox], app_token: str, changes: dict[str, object], subject: str, problem: str
) -> None:
    sandbox = new_sandbox()
    sandbox.extra_environment = {"SLACK_APP_TOKEN": app_token}
    sandbox.slack.api.app_tokens.add(app_token)
    sandbox.slack.api.bot_tokens[BOT_TOKEN] |= changes
    findings = {finding.subject: finding for finding in run_checks(load(sandbox.environment()))}
    assert problem in str(findings[subject])
    assert [finding.subject for finding in findings.values() if not finding.is_ok and finding.fix] == [subject]


def test_a_missing_scope_is_named_in_the_reply_and_in_the_details(sandbox: Sandbox) -> None:
    sandbox.workspace.scopes -= {"users:read"}
    sandbox.people.type(ALICE, "list")
    wait_for_reply(sandbox, ALICE, "(missing_scope), so the bot can't look people up. Nothing changed.")
    status, text = readiness(sandbox, "?verbose")
    assert status == 200, "the token is accepted"
    assert "requires a scope that the app doesn't have (missing_scope at users.info)" in text


def set_read_only(url: str, value: str) -> None:
    """As a failover leaves the former primary: new sessions are read-only, and the sessions so far are ended."""
    name = make_url(url).database
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg", database="postgres"), isolation_level="AUTOCOMMIT"
    )
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    engine.dispose()


def test_the_bot_is_not_ready_while_postgresql_is_read_only(
    new_sandbox: Callable[..., Sandbox], postgres: Postgres
) -> None:
    url = postgres.new_database()
    # With `any`, the bot also connects to a server that cannot be written, so a query succeeds.
    sandbox = new_sandbox(database_url=f"{url}?target_session_attrs=any")
    sandbox.start_bot()
    set_read_only(url, "on")

    def is_unready() -> bool:
        sandbox.people.type(ALICE, "list")
        status, text = readiness(sandbox)
        return (status, text) == (503, f"{DatabaseFault.READ_ONLY}\n")

    sandbox.wait_until(is_unready, 30, "a failed readiness probe")
    set_read_only(url, "off")
    # Nobody types anything: the bot itself tries a write.
    wait_until_ready(sandbox)


def test_each_change_of_a_requests_state_is_one_line_of_the_log(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    lines = [line for line in sandbox.log().splitlines() if ": created, pending, project media, group " in line]
    assert len(lines) == 1
    for change in ("pending -> approved", "approved -> sending", "sending -> accepted"):
        assert sandbox.log().count(f": {change}, project media, group ") == 1, change

"""The commands of the command line, run as processes against the sandbox, and the demo."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import hvac.exceptions
import pytest
from sqlalchemy import text

from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.ports import free_port
from bot.sandbox.slack.ids import ALICE, BOB, BOT_USER_ID, CAROL, ERIN, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.store.database import open_store
from tests.support.sandbox import CREATED, create_request, wait_for_reply


def run(sandbox: Sandbox, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env=sandbox.environment(),
        cwd=sandbox.directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_check_passes_and_names_everything_it_has_checked(new_sandbox: Callable[..., Sandbox]) -> None:
    for two_identities in (False, True):
        sandbox = new_sandbox(two_identities=two_identities)
        found = run(sandbox, "check")
        assert found.returncode == 0, found.stdout + found.stderr
        assert "FAIL" not in found.stdout
        for words in (
            "Slack scopes",
            "Socket Mode",
            "user group",
            "full member",
            "enough people can approve",
            "can post there",
            "Vault secret/oms/media/caller: can be read, version 1, contains an access key",
            "OMS",
        ):
            assert words in found.stdout
        assert sandbox.workspace.messages == []


def test_check_names_each_problem_and_its_fix(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.workspace.channels[MIGRATIONS].members.discard(BOT_USER_ID)
    sandbox.workspace.scopes = frozenset({"commands", "chat:write", "users:read"})
    sandbox.vault.write("oms/media/source", {"ak": "x"})
    sandbox.vault.write("oms/media/caller", {"ak": "WRONGCALLERAK0000001", "sk": "x"})
    found = run(sandbox, "check")
    assert found.returncode == 1
    lines = [line for line in found.stdout.splitlines() if line.startswith("FAIL")]
    for words in ("usergroups:read", "/invite", "write sk there", "APIG.0301"):
        assert any(words in line for line in lines), (words, lines)
    assert "WRONGCALLERAK0000001" not in found.stdout
    assert all("Fix: " in line for line in lines)


def failures(found: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in found.stderr
    return [line for line in found.stdout.splitlines() if line.startswith("FAIL")]


def skips(found: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of the checks that were not made, apart from the one that takes a scope that the bot does not need."""
    return [line for line in found.stdout.splitlines() if line.startswith("skip") and "skip  channels:" not in line]


def test_check_reports_once_that_slack_cannot_be_reached(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.extra_environment = {"SLACK_API_URL": f"http://127.0.0.1:{free_port()}/api/"}
    found = run(sandbox, "check")
    assert found.returncode == 1
    assert [line.split(": ")[0] for line in failures(found)] == ["FAIL  Slack"]
    assert 'skip  project media, approvers and channel C0MIGRATE1: not checked because "Slack" failed' in found.stdout
    assert found.stderr == ""


def test_check_reports_once_that_vault_rejects_the_login(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.extra_environment = {"VAULT_SECRET_ID": "wrong"}
    found = run(sandbox, "check")
    assert found.returncode == 1
    assert [line.split(": ")[0] for line in failures(found)] == ["FAIL  Vault login"]
    assert skips(found) == [
        'skip  project media, source and destination keys: not checked because "Vault login" failed',
        'skip  project media, IAM and OMS: not checked because "Vault login" failed',
    ]


def test_check_names_the_address_of_a_vault_that_does_not_answer(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    address = f"http://127.0.0.1:{free_port()}"
    sandbox.extra_environment = {"VAULT_ADDR": address}
    assert failures(run(sandbox, "check")) == [
        f"FAIL  Vault login: Vault doesn't answer at {address}. "
        "Fix: Check that Vault is running and VAULT_ADDR is correct"
    ]


def test_check_shows_the_code_and_the_request_id_of_an_error_of_oms(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.oms.faults.add("list", *[Answer(503, "APIG.0202", "Backend unavailable")] * 5)
    [line] = failures(run(sandbox, "check"))
    assert line.startswith(
        f"FAIL  project media, OMS {sandbox.oms.server.url}: APIG.0202: Huawei Cloud had an internal"
    )
    assert re.search(r"Huawei Cloud said: Backend unavailable\. Huawei request id \w+\. Fix: Wait a few minutes", line)


def test_check_reports_a_wrong_caller_secret_without_calling_huawei_cloud(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox()
    sandbox.vault.write("oms/media/caller", {"ak": "x"})
    found = run(sandbox, "check")
    assert [line.split(": ")[0] for line in failures(found)] == ["FAIL  project media, Vault secret/oms/media/caller"]
    because = 'not checked because "project media, Vault secret/oms/media/caller" failed'
    assert skips(found) == [f"skip  project media, IAM and OMS: {because}"]
    sandbox.vault.write("oms/media/caller", CALLERS["password"])
    assert "version 3, contains a username and password" in run(sandbox, "check").stdout


def test_check_counts_the_members_of_a_user_group(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    [group] = sandbox.workspace.groups
    assert f"user group {group}: 1 person\n" in run(sandbox, "check").stdout
    sandbox.workspace.groups[group].append(CAROL)
    assert f"user group {group}: 2 people\n" in run(sandbox, "check").stdout


def test_check_rejects_vault_tokens_that_cannot_be_revoked_or_have_limited_uses(
    new_sandbox: Callable[..., Sandbox],
) -> None:
    sandbox = new_sandbox(two_identities=True)
    root = sandbox.vault.as_root()
    root.auth.approle.create_or_update_approle("batch", token_policies=["main"], token_type="batch")
    root.auth.approle.create_or_update_approle("counted", token_policies=["release"], token_num_uses=3)
    batch, counted = sandbox.vault.login("batch"), sandbox.vault.login("counted")
    sandbox.extra_environment = {
        "VAULT_ROLE_ID": batch.role_id,
        "VAULT_SECRET_ID": batch.secret_id,
        "VAULT_RELEASE_ROLE_ID": counted.role_id,
        "VAULT_RELEASE_SECRET_ID": counted.secret_id,
    }
    found = run(sandbox, "check")
    assert found.returncode == 1
    assert failures(found) == [
        "FAIL  Vault login: returns a batch token, which has no accessor and can't be revoked. "
        "Fix: set token_type=service on its role",
        "FAIL  Vault login for reading keys: returns a token that is limited to 3 uses. "
        "Fix: set token_num_uses=0 on its role",
    ]


def test_check_skips_what_needs_a_wrapped_secret_id(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    root = sandbox.vault.as_root()
    token = root.auth.approle.generate_secret_id("bot", wrap_ttl="1h")["wrap_info"]["token"]
    sandbox.extra_environment = {"VAULT_SECRET_ID": "", "VAULT_WRAPPED_SECRET_ID": token}
    for _ in range(2):
        found = run(sandbox, "check")
        assert found.returncode == 0, found.stdout
        first, *others = skips(found)
        assert first.startswith("skip  Vault login: not tried, because it would use up the wrapping token")
        assert others == [
            'skip  project media, source and destination keys: not checked because "Vault login" was skipped',
            'skip  project media, IAM and OMS: not checked because "Vault login" was skipped',
        ]
    sandbox.start_bot()
    sandbox.wait_until(lambda: "wrapping token is not valid" in wrapping_state(sandbox, token), what="the unwrapping")


def wrapping_state(sandbox: Sandbox, token: str) -> str:
    try:
        return str(sandbox.vault.as_root().adapter.post("/v1/sys/wrapping/lookup", json={"token": token}))
    except hvac.exceptions.InvalidRequest as error:
        return str(error)


def test_check_reports_two_projects_with_the_same_project_id(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    path = sandbox.directory / "bot.toml"
    first = path.read_text(encoding="utf-8").partition("\n")[2]
    # Without the project id in the settings, only IAM can show that they are the same.
    second = "\n".join(line for line in first.splitlines() if not line.startswith("project_id"))
    path.write_text(first + second.replace("projects.media", "projects.twin"), encoding="utf-8")
    (line,) = failures(run(sandbox, "check"))
    assert line.startswith("FAIL  project twin, IAM ")
    assert line.endswith(
        "the same as project media. Fix: keep one table for this project, so that its groups have one set of approvers"
    )


def test_serve_does_not_start_on_a_database_of_a_later_version(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    store = open_store(sandbox.database_url)
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    found = run(sandbox, "serve")
    assert found.returncode == 1
    assert found.stderr.startswith(
        "Can't start: the database has schema 9999, and this version of the bot supports up to "
    )
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SLACK_BOT_TOKEN": "xoxb-wrong"}, "Slack doesn't accept SLACK_BOT_TOKEN (invalid_auth). Copy it again"),
        (
            {"SLACK_API_URL": "http://127.0.0.1:1/api/"},
            "Slack can't be reached (NewConnectionError). Check the bot's network",
        ),
        ({"OPS_PORT": "TAKEN"}, "the bot can't listen on port"),
        (
            {"LISTEN": "192.0.2.1"},
            "the bot can't listen on address 192.0.2.1 (Cannot assign requested address). Set LISTEN to an address of",
        ),
        (
            {"DATABASE_URL": "postgresql://bot:leak@127.0.0.1:1/bot"},
            "the database can't be used (PostgreSQL at 127.0.0.1, port 1: Connection refused). Check",
        ),
        (
            {"DATABASE_URL": "sqlite:////nope/bot.sqlite"},
            "the database path /nope doesn't exist or isn't writable. Correct DATABASE_URL or",
        ),
    ],
)
def test_serve_prints_one_line_that_says_why_it_cannot_start(
    new_sandbox: Callable[..., Sandbox], change: dict[str, str], words: str
) -> None:
    sandbox = new_sandbox()
    taken = {name: str(sandbox.slack.server.port) if value == "TAKEN" else value for name, value in change.items()}
    sandbox.extra_environment = taken
    found = run(sandbox, "serve")
    assert found.returncode == 1
    assert found.stderr.startswith(f"Can't start: {words}")
    assert len(found.stderr.splitlines()) == 1
    assert "leak" not in found.stderr


def test_serve_ends_when_slack_rejects_the_app_token(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.extra_environment = {"SLACK_APP_TOKEN": "xapp-wrong"}
    found = run(sandbox, "serve")
    assert found.returncode == 1
    last = found.stderr.splitlines()[-1]
    assert last.startswith(
        "Can't start: Slack doesn't accept SLACK_APP_TOKEN (invalid_auth). Create an app-level token with the scope"
    )
    assert "Traceback" not in found.stderr
    assert "ERROR" not in found.stderr


def test_serve_does_not_blame_the_token_for_an_outage_of_slack(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.slack.outage.answers["auth.test"] = [503]
    found = run(sandbox, "serve")
    assert found.returncode == 1
    assert found.stderr == "Can't start: Slack can't answer right now (internal_error). Try again later.\n"


@pytest.mark.parametrize(
    ("wrong", "what"), [("VAULT", "Vault login"), ("VAULT_RELEASE", "Vault login for reading keys")]
)
def test_serve_warns_of_a_rejected_vault_login_and_serves_nevertheless(
    new_sandbox: Callable[..., Sandbox], wrong: str, what: str
) -> None:
    sandbox = new_sandbox(two_identities=True)
    sandbox.extra_environment = {f"{wrong}_SECRET_ID": "wrong"}
    sandbox.start_bot()
    sandbox.wait_until(lambda: f"WARNING bot.app {what}" in sandbox.log(), what="a warning")
    [line] = [line for line in sandbox.log().splitlines() if " WARNING bot.app " in line]
    assert "rejected the bot's login" in line
    assert "Check the role id, the secret id, and the mount" in line


def test_audit_verify_passes_and_fails_with_an_unknown_head(sandbox: Sandbox) -> None:
    create_request(sandbox)
    wait_for_reply(sandbox, ALICE, CREATED)
    sandbox.stop_bot()
    assert run(sandbox, "audit", "verify").returncode == 0
    assert run(sandbox, "audit", "verify", "--head", "0" * 63 + "1").returncode == 1
    assert '"event": "request.created"' in run(sandbox, "audit", "export").stdout


def test_a_second_bot_on_the_same_sqlite_file_does_not_start(sandbox: Sandbox) -> None:
    found = run(sandbox, "serve")
    assert found.returncode == 1
    assert "another process is using" in found.stderr
    assert "Traceback" not in found.stderr


def test_list_and_status_reply_only_to_the_person_who_typed(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    sandbox.people.type(BOB, "list")
    reply = wait_for_reply(sandbox, BOB, "Groups in media as of")
    assert "nightly images" in reply
    assert "invoices" in reply
    request_id = next(word for word in card.text.split() if word.startswith("R-")).rstrip(".")
    sandbox.people.type(BOB, f"status {request_id}")
    wait_for_reply(sandbox, BOB, f'{request_id} · Resume "')
    sandbox.people.type(ERIN, f"status {request_id}")
    wait_for_reply(sandbox, ERIN, "Guests can't use this app.")
    sandbox.people.type(ERIN, "list")
    wait_for_reply(sandbox, ERIN, "Guests can't use this app.")
    sandbox.people.type(BOB, "help")
    wait_for_reply(sandbox, BOB, "requests approval")
    assert len(sandbox.workspace.messages_in(MIGRATIONS)) == 1


def test_only_livez_readyz_and_metrics_are_served(sandbox: Sandbox) -> None:
    import requests

    base = f"http://127.0.0.1:{sandbox.ops_port}"
    assert requests.get(f"{base}/livez", timeout=5).text == "ok\n"
    ready = requests.get(f"{base}/readyz", timeout=5)
    assert (ready.status_code, ready.text) == (200, "ok\n")
    metrics = requests.get(f"{base}/metrics", timeout=5).text
    assert "taskgroup_bot_slack_connected 1.0" in metrics
    assert requests.get(f"{base}/nothing", timeout=5).status_code == 404


@pytest.mark.long
def test_the_demo_passes_and_fails_when_a_step_does_not_happen(new_sandbox: Callable[..., Sandbox]) -> None:
    from bot.sandbox.demo import run_demo

    sandbox = new_sandbox()
    sandbox.oms.state.groups[NIGHTLY_IMAGES].bytes_per_second = 600_000_000
    sandbox.start_bot()
    assert run_demo(sandbox) == 0
    forbidden = new_sandbox()
    forbidden.oms.state.may_change_groups = False
    forbidden.start_bot()
    assert run_demo(forbidden) == 1


def test_serve_looks_its_static_token_up_at_the_start(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox()
    sandbox.extra_environment = {"VAULT_ROLE_ID": "", "VAULT_SECRET_ID": "", "VAULT_TOKEN": "wrong"}
    sandbox.start_bot()
    sandbox.wait_until(lambda: "rejected the bot's login with its token" in sandbox.log(), what="a warning")
    assert "WARNING bot.vault.renewal Vault login: " in sandbox.log()

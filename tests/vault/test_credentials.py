"""Credentials may change while the bot runs: files are read again, secret ids are unwrapped, tokens are renewed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.check.finding import Finding
from bot.check.vault import check_login
from bot.redaction import FileSecret, Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.vault import SandboxVault
from bot.vault.client import Vault
from bot.vault.errors import VaultError, VaultErrorKind
from bot.vault.login import VaultAppRole, VaultIdentity, VaultToken, WrappedSecret
from bot.vault.renewal import LOOK_AGAIN_SECONDS, TRY_AGAIN_SECONDS, renew_until_stopped
from tests.support.wire import Wire, answer_of

CALLER = ("secret", "oms/media/caller")


@pytest.fixture(scope="module")
def call_log() -> CallLog:
    return CallLog()


@pytest.fixture(scope="module")
def server(call_log: CallLog) -> Iterator[SandboxVault]:
    vault = SandboxVault(call_log).start()
    yield vault
    vault.stop()


class SecretFile:
    """A file with a secret that a test replaces."""

    def __init__(self, path: Path, variable: str) -> None:
        self._path = path
        self._variable = variable

    def write(self, secret: str) -> FileSecret:
        self._path.write_text(f"{secret}\n")
        return FileSecret(self._variable, str(self._path))

    def remove(self) -> None:
        self._path.unlink()


@pytest.fixture
def token_file(tmp_path: Path) -> SecretFile:
    return SecretFile(tmp_path / "token", "VAULT_TOKEN_FILE")


@pytest.fixture
def secret_id_file(tmp_path: Path) -> SecretFile:
    return SecretFile(tmp_path / "secret-id", "VAULT_SECRET_ID_FILE")


@pytest.fixture
def wrapped_file(tmp_path: Path) -> SecretFile:
    return SecretFile(tmp_path / "wrapped", "VAULT_WRAPPED_SECRET_ID_FILE")


def new_token(server: SandboxVault, **settings: Any) -> str:
    token: str = server.as_root().auth.token.create(policies=["bot"], **settings)["auth"]["client_token"]
    return token


def wrap(server: SandboxVault, role: str = "bot", ttl: str = "60s") -> str:
    """A token that wraps a new secret id of an AppRole."""
    answer = server.as_root().auth.approle.generate_secret_id(role, wrap_ttl=ttl)
    token: str = answer["wrap_info"]["token"]
    return token


def destroy(server: SandboxVault, secret_id: str) -> None:
    server.as_root().auth.approle.destroy_secret_id("bot", secret_id)


def paths(call_log: CallLog, since: int) -> list[str]:
    return [call.path for call in call_log.since(since)]


def failure(call: Callable[[], object]) -> VaultError:
    with pytest.raises(VaultError) as raised:
        call()
    return raised.value


# Files


def test_a_replaced_token_is_read_when_vault_rejects_the_old_one(server: SandboxVault, token_file: SecretFile) -> None:
    old = new_token(server, ttl="1h")
    vault = Vault(server.url, VaultToken(token_file.write(old)))
    assert vault.read(*CALLER).values
    server.as_root().auth.token.revoke(old)
    rejected = failure(lambda: vault.read(*CALLER))
    assert str(rejected) == "Vault rejected the bot's login with its token."
    assert rejected.next_step == "Check the token. It may have expired or been revoked."
    token_file.write(new_token(server, ttl="1h"))
    assert vault.read(*CALLER).values
    assert vault.open_release().read(*CALLER).values


def test_a_replaced_secret_id_is_read_at_the_next_login(
    server: SandboxVault, call_log: CallLog, secret_id_file: SecretFile
) -> None:
    login = server.login("bot")
    vault = Vault(server.url, VaultAppRole(login.role_id, secret_id_file.write(login.secret_id)))
    vault.open_release().close()
    destroy(server, login.secret_id)
    before = len(call_log.since())
    for _ in range(3):
        assert failure(vault.open_release).kind is VaultErrorKind.LOGIN
    assert paths(call_log, before) == ["/v1/auth/approle/login"], "the rejected secret id is sent once"
    secret_id_file.write(server.login("bot").secret_id)
    vault.open_release().close()


def test_a_secret_id_that_is_used_up_is_replaced_from_its_file(
    server: SandboxVault, secret_id_file: SecretFile
) -> None:
    root = server.as_root()
    root.auth.approle.create_or_update_approle("counted", token_policies=["bot"], secret_id_num_uses=1)
    login = server.login("counted")
    vault = Vault(server.url, VaultAppRole(login.role_id, secret_id_file.write(login.secret_id)))
    vault.open_release().close()
    used_up = failure(vault.open_release)
    assert used_up.next_step == (
        "Check the role id, the secret id, and the mount. The secret id may have expired or been used up."
    )
    secret_id_file.write(server.login("counted").secret_id)
    vault.open_release().close()


def test_a_file_that_is_missing_or_empty_for_a_moment_is_named_and_may_pass(
    server: SandboxVault, secret_id_file: SecretFile
) -> None:
    login = server.login("bot")
    vault = Vault(server.url, VaultAppRole(login.role_id, secret_id_file.write(login.secret_id)))
    secret_id_file.remove()
    missing = failure(vault.open_release)
    assert str(missing) == "VAULT_SECRET_ID_FILE can't be read: No such file or directory."
    assert (missing.kind, missing.may_pass) == (VaultErrorKind.FILE, True)
    secret_id_file.write("two words")
    two = failure(vault.open_release)
    assert str(two) == "VAULT_SECRET_ID_FILE contains a space or a character that is not ASCII."
    secret_id_file.write(login.secret_id)
    vault.open_release().close()


# Wrapped secret ids

SPENT = (
    "Vault doesn't accept the wrapping token for the bot's secret id. The token has expired, the bot used it at an "
    "earlier start, or someone else used it. If the bot never used it, treat the secret id as stolen. Destroy the "
    "secret id in Vault, and look in Vault's audit log for the person or program that unwrapped it. Otherwise set a "
    "new wrapping token, because each start of the bot needs its own."
)


def wrapped_role(server: SandboxVault, token: Secret) -> VaultAppRole:
    return VaultAppRole(server.login("bot").role_id, WrappedSecret(token))


def text(error: VaultError) -> str:
    return f"{error.sentence} {error.next_step}"


def test_a_wrapped_secret_id_is_unwrapped_once(server: SandboxVault, call_log: CallLog) -> None:
    before = len(call_log.since())
    vault = Vault(server.url, wrapped_role(server, Secret(wrap(server))))
    threads = [threading.Thread(target=lambda: vault.open_release().close()) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    called = paths(call_log, before)
    assert called[:3] == ["/v1/sys/wrapping/lookup", "/v1/sys/wrapping/unwrap", "/v1/auth/approle/login"]
    assert called.count("/v1/sys/wrapping/unwrap") == 1
    assert called.count("/v1/auth/approle/login") == 6


def test_a_spent_wrapping_token_may_be_stolen(server: SandboxVault, call_log: CallLog) -> None:
    identity = wrapped_role(server, Secret(wrap(server)))
    Vault(server.url, identity).open_release().close()
    restarted = Vault(server.url, identity)
    before = len(call_log.since())
    for _ in range(2):
        spent = failure(restarted.open_release)
        assert text(spent) == SPENT
        assert (spent.kind, spent.may_pass) == (VaultErrorKind.WRAPPING, False)
    assert set(paths(call_log, before)) == {"/v1/sys/wrapping/lookup"}


def test_a_token_that_wraps_something_else_is_not_unwrapped(server: SandboxVault, call_log: CallLog) -> None:
    root = server.as_root()
    answer = root.adapter.post("/v1/sys/wrapping/wrap", json={"secret_id": "forged"}, wrap_ttl="60s")
    before = len(call_log.since())
    forged = failure(Vault(server.url, wrapped_role(server, Secret(answer["wrap_info"]["token"]))).open_release)
    assert text(forged) == (
        "The wrapping token for the bot's secret id was created at sys/wrapping/wrap, not at "
        "auth/approle/role/ROLE/secret-id. Set the wrapping token that Vault returned for the secret id. If you did, "
        "someone has replaced it, so treat the secret id as stolen."
    )
    assert forged.kind is VaultErrorKind.WRAPPING
    assert paths(call_log, before) == ["/v1/sys/wrapping/lookup"]


def test_a_wrapping_token_survives_an_outage_of_vault(server: SandboxVault) -> None:
    wire = Wire(server.url)
    vault = Vault(wire.url, wrapped_role(server, Secret(wrap(server))))
    wire.only = b"lookup"
    wire.answers = [answer_of(503)] * 2
    assert failure(vault.open_release).may_pass
    vault.open_release().close()
    wire.cut()


def test_a_new_wrapping_token_is_unwrapped_when_vault_rejects_the_secret_id(
    server: SandboxVault, call_log: CallLog, wrapped_file: SecretFile
) -> None:
    root = server.as_root()
    root.auth.approle.create_or_update_approle("counted", token_policies=["bot"], secret_id_num_uses=2)
    role_id = server.login("counted").role_id
    vault = Vault(server.url, VaultAppRole(role_id, WrappedSecret(wrapped_file.write(wrap(server, "counted")))))
    before = len(call_log.since())
    vault.open_release().close()
    wrapped_file.write(wrap(server, "counted"))
    vault.open_release().close()
    assert paths(call_log, before).count("/v1/sys/wrapping/unwrap") == 1, "Vault still accepts the first secret id"
    vault.open_release().close()
    vault.open_release().close()
    assert paths(call_log, before).count("/v1/sys/wrapping/unwrap") == 2
    wrapped_file.remove()
    assert "The secret id may have expired or been used up." in text(failure(vault.open_release))


# Renewal


class Pauses(threading.Event):
    """Ends a loop after this many pauses, which it does not wait for."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return len(self.seconds) > self._count


def test_a_periodic_token_outlives_its_period_while_the_bot_is_idle(server: SandboxVault) -> None:
    period = 6
    token = new_token(server, period=f"{period}s")
    vault = Vault(server.url, VaultToken(Secret(token)))
    stopped = threading.Event()
    thread = threading.Thread(target=renew_until_stopped, args=(vault.renew_token, stopped))
    thread.start()
    created = server.as_root().lookup_token(token)["data"]["creation_time"]
    while time.time() < created + period + 1:
        stopped.wait(0.05)
    stopped.set()
    thread.join()
    assert vault.read(*CALLER).values


def test_a_token_is_renewed_at_two_thirds_of_its_life_and_not_before(server: SandboxVault, call_log: CallLog) -> None:
    vault = Vault(server.url, VaultToken(Secret(new_token(server, ttl="10m"))))
    before = len(call_log.since())
    pauses = Pauses(2)
    renew_until_stopped(vault.renew_token, pauses)
    assert pauses.seconds[0] == 0
    assert all(398 <= pause <= 400 for pause in pauses.seconds[1:])
    assert set(paths(call_log, before)) == {"/v1/auth/token/lookup-self"}


@pytest.mark.parametrize("settings", [{"renewable": False, "ttl": "3s"}, {"ttl": "30d"}])
def test_limits_of_a_token_that_is_not_due_are_looked_up_every_ten_minutes(
    server: SandboxVault, call_log: CallLog, settings: dict[str, Any]
) -> None:
    vault = Vault(server.url, VaultToken(Secret(new_token(server, **settings))))
    before = len(call_log.since())
    pauses = Pauses(1)
    renew_until_stopped(vault.renew_token, pauses)
    assert pauses.seconds == [0, LOOK_AGAIN_SECONDS]
    assert paths(call_log, before) == ["/v1/auth/token/lookup-self"]


def test_a_token_at_its_maximum_life_is_named(server: SandboxVault, caplog: pytest.LogCaptureFixture) -> None:
    token = new_token(server, ttl="2s", explicit_max_ttl="3s")
    vault = Vault(server.url, VaultToken(Secret(token)))
    expired_at = time.monotonic() + 3
    while not caplog.records and time.monotonic() < expired_at:
        vault.renew_token()
    assert "the Vault token reaches its maximum TTL in" in caplog.text


def test_each_problem_with_the_token_is_logged_once(server: SandboxVault, caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(server.url)
    token = new_token(server, ttl="10m")
    vault = Vault(wire.url, VaultToken(Secret(token)))
    wire.cut()
    pauses = Pauses(3)
    renew_until_stopped(vault.renew_token, pauses)
    assert pauses.seconds[1:] == [TRY_AGAIN_SECONDS] * 3
    wire.mend()
    server.as_root().auth.token.revoke(token)
    pauses = Pauses(2)
    renew_until_stopped(vault.renew_token, pauses)
    assert pauses.seconds[1:] == [LOOK_AGAIN_SECONDS] * 2
    wire.cut()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"Vault login: Vault doesn't answer at {wire.url}. Check that Vault is running and VAULT_ADDR is correct.",
        "Vault login: Vault rejected the bot's login with its token. "
        "Check the token. It may have expired or been revoked.",
    ]


def test_only_a_static_token_is_renewed(server: SandboxVault) -> None:
    login = server.login("bot")
    assert Vault(server.url, VaultAppRole(login.role_id, Secret(login.secret_id))).renew_token() is None


# What `check` says


def finding(server: SandboxVault, identity: VaultIdentity) -> Finding:
    return check_login("Vault login", Vault(server.url, identity), identity)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"period": "24h"}, "valid for about 24 h. The bot renews it while it runs"),
        (
            {"ttl": "1h", "explicit_max_ttl": "2h"},
            "valid for about 1 h. The bot renews it until it reaches its maximum TTL in Vault. Replace it before that",
        ),
        (
            {"ttl": "1h", "renewable": False},
            "valid for about 1 h. It can't be renewed. Before it expires, set a new VAULT_TOKEN and restart the bot",
        ),
    ],
)
def test_check_says_how_long_a_token_lives_and_what_happens_then(
    server: SandboxVault, settings: dict[str, Any], words: str
) -> None:
    found = finding(server, VaultToken(Secret(new_token(server, **settings))))
    assert str(found) == f"ok    Vault login: returns a service token without a use limit, {words}"


def test_check_says_that_a_token_file_is_read_again(server: SandboxVault, token_file: SecretFile) -> None:
    found = finding(server, VaultToken(token_file.write(new_token(server, ttl="1h", renewable=False))))
    assert found.result.endswith(
        "valid for about 1 h. It can't be renewed. When it expires, the bot reads VAULT_TOKEN_FILE again"
    )


def test_check_says_that_a_token_does_not_expire(server: SandboxVault) -> None:
    assert finding(server, VaultToken(Secret(server.root_token))).result.endswith("which doesn't expire")


def test_check_says_that_the_bot_logs_in_again(server: SandboxVault) -> None:
    login = server.login("bot")
    found = finding(server, VaultAppRole(login.role_id, Secret(login.secret_id)))
    assert found.result.endswith("valid for about 20 min. Then the bot logs in again")


def test_check_looks_a_wrapping_token_up_without_spending_it(server: SandboxVault) -> None:
    identity = wrapped_role(server, Secret(wrap(server, ttl="1h")))
    expires = datetime.now(UTC) + timedelta(hours=1)
    for _ in range(2):
        found = finding(server, identity)
        assert not found.allows_next
        assert str(found) == (
            "skip  Vault login: not tried, because it would use up the wrapping token, which is unused and valid until "
            f"{expires:%Y-%m-%d %H:%M} UTC"
        )
    Vault(server.url, identity).open_release().close()
    assert str(finding(server, identity)) == f"FAIL  Vault login: {SPENT.replace('. If', '. Fix: If', 1).rstrip('.')}"

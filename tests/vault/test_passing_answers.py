"""Answers of Vault that may pass are repeated once with the same token, and rejected logins are not."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.redaction import Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.vault import SandboxVault
from bot.vault.client import Vault
from bot.vault.errors import MAYBE_LOCKED, VaultError, VaultErrorKind
from bot.vault.login import VaultAppRole
from bot.vault.login_guard import REJECTIONS_COUNT_FOR_SECONDS, LoginGuard
from tests.support.wire import Wire, answer_of

NO_LEADER = b'{"errors": ["local node not active but active cluster node not found"]}'
UPGRADING = (
    b'{"errors": ["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period '
    b'and will resume service shortly."]}'
)
SEALED = b'{"errors": ["Vault is sealed"]}'
PASSING = {
    "replication": (answer_of(412), VaultErrorKind.UNAVAILABLE, "hasn't replicated the bot's login yet"),
    "quota": (answer_of(429), VaultErrorKind.UNAVAILABLE, "is throttling calls"),
    "quota for a second": (answer_of(429, Retry_After="1"), VaultErrorKind.UNAVAILABLE, "is throttling calls"),
    "no leader": (answer_of(500, NO_LEADER), VaultErrorKind.UNAVAILABLE, "has no leader"),
    "no leader behind a balancer": (answer_of(503, NO_LEADER), VaultErrorKind.UNAVAILABLE, "has no leader"),
    "bad gateway": (answer_of(502, b"<html>"), VaultErrorKind.UNAVAILABLE, "had an internal error"),
    "gateway timeout": (answer_of(504, b"<html>"), VaultErrorKind.UNAVAILABLE, "had an internal error"),
    "no server": (answer_of(503, b"<html>"), VaultErrorKind.DOWN, "is unavailable"),
    "disaster recovery standby": (answer_of(472), VaultErrorKind.STANDBY, "is a standby node"),
    "performance standby": (answer_of(473), VaultErrorKind.STANDBY, "is a standby node"),
    "sealed": (answer_of(503, SEALED), VaultErrorKind.SEALED, "Vault is sealed"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(CallLog()).start()
    yield vault
    vault.stop()


@pytest.fixture
def wire(server: SandboxVault) -> Iterator[Wire]:
    wire = Wire(server.url)
    yield wire
    wire.cut()


@pytest.fixture
def vault(server: SandboxVault, wire: Wire) -> Vault:
    login = server.login("bot")
    return Vault(wire.url, VaultAppRole(login.role_id, Secret(login.secret_id)))


def tokens(requests: list[bytes]) -> set[bytes]:
    return {match[1] if (match := re.search(rb"X-Vault-Token: (\S+)", one)) else b"" for one in requests}


@pytest.mark.parametrize("name", PASSING)
def test_one_passing_answer_to_a_login_or_a_read_is_repeated_within_a_second(
    vault: Vault, wire: Wire, name: str
) -> None:
    answer, _, _ = PASSING[name]
    wire.answers = [answer]
    session = vault.open_release()
    wire.answers = [answer]
    began = time.monotonic()
    assert session.read("secret", "oms/media/source").values
    assert time.monotonic() - began < 2
    assert len(wire.answered) == 2
    session.close()


@pytest.mark.parametrize("name", PASSING)
def test_a_second_passing_answer_is_named_and_may_pass(vault: Vault, wire: Wire, name: str) -> None:
    answer, kind, words = PASSING[name]
    session = vault.open_release()
    wire.answers = [answer] * 3
    with pytest.raises(VaultError, match=words) as raised:
        session.read("secret", "oms/media/source")
    assert (raised.value.kind, raised.value.may_pass) == (kind, True)
    assert len(wire.answers) == 1, "one repeat"
    assert len(tokens(wire.answered)) == 1, "with the same token"
    wire.answers = []
    session.close()


def test_a_limit_for_longer_than_a_second_is_not_waited_for(vault: Vault, wire: Wire) -> None:
    wire.answers = [answer_of(429, Retry_After="20")]
    with pytest.raises(VaultError, match=r"is throttling calls \(HTTP 429\)"):
        vault.open_release()
    assert len(wire.answered) == 1


def test_a_redirect_of_a_standby_is_repeated_and_named_but_not_followed(vault: Vault, wire: Wire) -> None:
    other = Wire(wire.url)
    standby = answer_of(307, b"", Location=f"{other.url}/v1/auth/approle/login")
    wire.answers = [standby]
    vault.open_release().close()
    wire.answers = [standby] * 2
    with pytest.raises(VaultError) as raised:
        vault.open_release()
    assert raised.value.sentence == (f"Vault at {wire.url} is a standby node that redirects to {other.url} (HTTP 307).")
    assert raised.value.next_step == "Set VAULT_ADDR to the active node, or to a load balancer that leads to it."
    assert (raised.value.kind, raised.value.may_pass) == (VaultErrorKind.STANDBY, True)
    assert other.carried == 0
    other.cut()


def test_another_redirect_is_named_and_neither_followed_nor_repeated(vault: Vault, wire: Wire) -> None:
    wire.answers = [answer_of(301, b"", Location="https://user:password@vault.example.com/ui/")]
    with pytest.raises(VaultError) as raised:
        vault.open_release()
    assert raised.value.sentence == (
        f"Vault at {wire.url} redirects to https://vault.example.com (HTTP 301), which the bot doesn't follow."
    )
    assert len(wire.answered) == 1
    assert (raised.value.kind, raised.value.may_pass) == (VaultErrorKind.UNEXPECTED, False)


def test_an_answer_that_is_not_vaults_does_not_pass(vault: Vault, wire: Wire) -> None:
    session = vault.open_release()
    wire.answers = [answer_of(200, b"<html>Sign in</html>")]
    with pytest.raises(VaultError, match="can't read Vault's answer about secret/oms/media/source") as raised:
        session.read("secret", "oms/media/source")
    assert (raised.value.kind, raised.value.may_pass) == (VaultErrorKind.UNEXPECTED, False)
    assert raised.value.next_step.startswith("Check that VAULT_ADDR is the address of Vault")
    session.close()


def test_a_mount_that_is_being_upgraded_may_pass(vault: Vault, wire: Wire) -> None:
    session = vault.open_release()
    session.read("secret", "oms/media/source")
    wire.answers = [answer_of(400, UPGRADING)]
    with pytest.raises(VaultError, match="is upgrading the mount of secret/oms/media/source to KV") as raised:
        session.read("secret", "oms/media/source")
    assert (raised.value.kind, raised.value.may_pass) == (VaultErrorKind.UNAVAILABLE, True)
    session.close()


def test_threads_that_wait_for_a_login_share_its_failure(server: SandboxVault) -> None:
    wire = Wire(server.url)
    login = server.login("main")
    vault = Vault(wire.url, VaultAppRole(login.role_id, Secret(login.secret_id)))
    wire.answers = [answer_of(503, NO_LEADER)] * 100
    failed: list[VaultError] = []

    def read() -> None:
        with pytest.raises(VaultError) as raised:
            vault.read("secret", "oms/media/caller")
        failed.append(raised.value)

    began = time.monotonic()
    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [error.kind for error in failed] == [VaultErrorKind.UNAVAILABLE] * 12
    assert time.monotonic() - began < 3, "one repeat takes 0.4 s"
    wire.cut()


# Rejected logins

NOT_ASKED = "The bot didn't try to log in again, because more rejected logins would lock the role."


def test_a_rejected_secret_id_is_not_sent_again(server: SandboxVault, wire: Wire) -> None:
    vault = Vault(wire.url, VaultAppRole(server.login("bot").role_id, Secret("wrong")))
    steps: list[str] = []
    for _ in range(5):
        with pytest.raises(VaultError, match="rejected the bot's login") as raised:
            vault.open_release()
        assert (raised.value.kind, raised.value.may_pass) == (VaultErrorKind.LOGIN, False)
        steps.append(raised.value.next_step)
    assert wire.carried == 1
    assert NOT_ASKED not in steps[0]
    for step in steps[1:]:
        assert step.count(NOT_ASKED) == 1
        assert step.startswith(steps[0])
        time_of_day = re.search(
            r" It can log in again at (\d\d:\d\d) UTC, or as soon as the secret id is replaced\.$", step
        )
        assert time_of_day
        in_15_minutes = datetime.now(UTC) + timedelta(seconds=REJECTIONS_COUNT_FOR_SECONDS)
        near = {f"{in_15_minutes + timedelta(minutes=minutes):%H:%M}" for minutes in (0, 1)}
        assert time_of_day[1] in near


def test_the_right_secret_id_still_works_after_threads_tried_a_wrong_one(server: SandboxVault, wire: Wire) -> None:
    login = server.login("bot")
    vault = Vault(wire.url, VaultAppRole(login.role_id, Secret("wrong")))

    def fail() -> None:
        with pytest.raises(VaultError):
            vault.open_release()

    threads = [threading.Thread(target=fail) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wire.carried == 1
    vault.try_login(VaultAppRole(login.role_id, Secret(login.secret_id)))


def test_a_locked_role_is_named_as_the_possible_cause(server: SandboxVault) -> None:
    root = server.as_root()
    root.auth.approle.create_or_update_approle("locked", token_policies=["bot"])
    role_id = root.auth.approle.read_role_id("locked")["data"]["role_id"]
    right = root.auth.approle.generate_secret_id("locked")["data"]["secret_id"]
    for number in range(6):
        with pytest.raises(VaultError):
            Vault(server.url, VaultAppRole(role_id, Secret(f"wrong-{number}"))).open_release()
    with pytest.raises(VaultError) as raised:
        Vault(server.url, VaultAppRole(role_id, Secret(right))).open_release()
    assert raised.value.kind is VaultErrorKind.LOGIN
    assert raised.value.next_step.endswith(MAYBE_LOCKED)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def rejected(guard: LoginGuard, secret_id: str, sent: list[str]) -> VaultError:
    """Logs in to a Vault that rejects every secret id."""

    def log_in() -> None:
        with guard.login(Secret(secret_id)):
            sent.append(secret_id)
            raise VaultError(VaultErrorKind.LOGIN, "login", "no", "")

    with pytest.raises(VaultError) as raised:
        log_in()
    return raised.value


def test_at_most_three_changed_secret_ids_are_tried_in_15_minutes() -> None:
    clock, sent = Clock(), list[str]()
    guard = LoginGuard(clock)
    for secret_id in ("a", "a", "b", "a", "c", "d", "e"):
        rejected(guard, secret_id, sent)
    assert sent == ["a", "b", "c"]
    assert re.search(r"It can log in again at \d\d:\d\d UTC\.$", rejected(guard, "d", sent).next_step)
    clock.now += REJECTIONS_COUNT_FOR_SECONDS
    rejected(guard, "d", sent)
    assert sent == ["a", "b", "c", "d"]


def test_a_login_without_an_answer_is_no_rejection() -> None:
    guard, sent = LoginGuard(Clock()), list[str]()

    def log_in() -> None:
        with guard.login(Secret("a")):
            sent.append("a")
            raise VaultError(VaultErrorKind.DOWN, "login", "no", "")

    fail: Callable[[], None] = log_in
    for _ in range(5):
        with pytest.raises(VaultError):
            fail()
    assert len(sent) == 5

"""Against a real Vault API server: checks read no value, each identity reads its own paths, and tokens are revoked."""

from __future__ import annotations

import gzip
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import hvac
import hvac.exceptions
import pytest

from bot.redaction import Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.vault import SandboxVault
from bot.vault import client as vault_client
from bot.vault.client import Vault
from bot.vault.errors import VaultError, VaultErrorKind, login_error, translating_errors
from bot.vault.login import VaultAppRole, VaultToken
from bot.vault.session import Clients, TokenKind, VaultSession
from bot.vault.token import TokenLimits
from tests.support.proxy import proxy_at, proxying
from tests.support.relay import Forgetting, Relay, relaying
from tests.support.tls import serving_tls
from tests.support.wire import BROKEN_ANSWERS, ENDLESS_ANSWERS, Wire, answering, dripping, ok, recording

LIMITS = TokenLimits(is_batch=False, uses=0, seconds_left=None, life_seconds=0, is_renewable=False, is_periodic=False)


@pytest.fixture(scope="module")
def call_log() -> CallLog:
    return CallLog()


@pytest.fixture(scope="module")
def server(call_log: CallLog) -> Iterator[SandboxVault]:
    vault = SandboxVault(call_log).start()
    root = vault.as_root()
    root.secrets.kv.v1.create_or_update_secret("oms/media/source", {"ak": "a", "sk": "s"}, mount_point="kv1")
    root.sys.create_or_update_policy("kv1", 'path "kv1/oms/media/*" {\n  capabilities = ["read"]\n}')
    root.sys.create_or_update_policy("data-only", 'path "secret/data/oms/media/*" {\n  capabilities = ["read"]\n}')
    root.sys.create_or_update_policy("sudo-only", 'path "secret/data/oms/media/*" {\n  capabilities = ["sudo"]\n}')
    for name in ("kv1", "data-only", "sudo-only"):
        root.auth.approle.create_or_update_approle(name, token_policies=[name], token_ttl="20m", token_type="service")
    yield vault
    vault.stop()


def as_role(server: SandboxVault, role: str, release: str | None = None) -> Vault:
    login = server.login(role)
    other = server.login(release) if release else None
    return Vault(
        server.url,
        VaultAppRole(login.role_id, Secret(login.secret_id)),
        VaultAppRole(other.role_id, Secret(other.secret_id)) if other else None,
    )


def test_check_returns_the_version_and_key_names_without_reading_a_value(
    server: SandboxVault, call_log: CallLog
) -> None:
    before = len(call_log.since())
    check = as_role(server, "bot").check("secret", "oms/media/source")
    assert (check.version, check.keys) == (1, ("ak", "sk"))
    assert not any("/data/" in call.path for call in call_log.since(before))


def test_check_without_metadata_rights_returns_neither_version_nor_keys(server: SandboxVault) -> None:
    check = as_role(server, "data-only").check("secret", "oms/media/source")
    assert (check.version, check.keys) == (None, None)


def test_the_sudo_capability_alone_does_not_allow_reading(server: SandboxVault) -> None:
    with pytest.raises(VaultError, match="doesn't allow the bot to read secret/oms/media/source"):
        as_role(server, "sudo-only").check("secret", "oms/media/source")


def test_kv_version_1_is_detected_and_read(server: SandboxVault) -> None:
    vault = as_role(server, "kv1")
    check = vault.check("kv1", "oms/media/source")
    assert (check.version, check.keys) == (None, None)
    session = vault.open_release()
    assert session.read("kv1", "oms/media/source").values["sk"].reveal() == "s"
    assert session.close()


def test_a_forbidden_path_is_told_from_a_missing_deleted_or_destroyed_secret(server: SandboxVault) -> None:
    vault = as_role(server, "bot")
    with pytest.raises(VaultError, match="doesn't allow the bot to read secret/other") as forbidden:
        vault.check("secret", "other")
    assert forbidden.value.kind is VaultErrorKind.FORBIDDEN
    with pytest.raises(VaultError, match="no secret at secret/oms/media/nothing") as missing:
        vault.check("secret", "oms/media/nothing")
    assert missing.value.kind is VaultErrorKind.MISSING
    server.write("oms/media/gone", {"ak": "a", "sk": "b"})
    server.as_root().secrets.kv.v2.delete_latest_version_of_secret("oms/media/gone", mount_point="secret")
    with pytest.raises(VaultError) as gone:
        vault.check("secret", "oms/media/gone")
    assert gone.value.kind is VaultErrorKind.MISSING
    kv = server.as_root().secrets.kv.v2
    server.write("oms/media/destroyed", {"ak": "a", "sk": "b"})
    kv.destroy_secret_versions("oms/media/destroyed", [1], mount_point="secret")
    kv.update_metadata("oms/media/empty", mount_point="secret")
    server.write("oms/media/ended", {"ak": "a", "sk": "b"})
    kv.delete_latest_version_of_secret("oms/media/ended", mount_point="secret")
    for path in ("destroyed", "empty"):
        with pytest.raises(VaultError) as none:
            vault.check("secret", f"oms/media/{path}")
        assert none.value.kind is VaultErrorKind.MISSING, path
    server.write("oms/media/ended", {"ak": "a", "sk": "b"})
    assert vault.check("secret", "oms/media/ended").version == 2, "the newest version counts"


def test_each_release_session_logs_in_and_revokes_its_token(server: SandboxVault) -> None:
    vault = as_role(server, "bot")
    first, second = vault.open_release(), vault.open_release()
    assert first.kind is TokenKind.LOGIN
    assert first.accessor != second.accessor
    root = server.as_root()
    assert root.lookup_token(first.accessor, accessor=True)["data"]["accessor"] == first.accessor
    assert first.close()
    with pytest.raises(Exception, match="invalid accessor"):
        root.lookup_token(first.accessor, accessor=True)
    second.close()


def test_with_a_release_identity_the_main_identity_cannot_read_the_keys(
    server: SandboxVault, call_log: CallLog
) -> None:
    vault = as_role(server, "main", "release")
    assert vault.check("secret", "oms/media/source").keys == ("ak", "sk")
    with pytest.raises(VaultError) as refused:
        vault.read("secret", "oms/media/source")
    assert refused.value.kind is VaultErrorKind.FORBIDDEN
    session = vault.open_release()
    with pytest.raises(VaultError):
        session.read("secret", "oms/media/caller")
    assert session.read("secret", "oms/media/source").version == 1
    session.close()
    before = len(call_log.since())
    assert vault.check("secret", "oms/media/source").version == 1
    paths = [call.path for call in call_log.since(before)]
    assert (paths[0], paths[-1]) == ("/v1/auth/approle/login", "/v1/auth/token/revoke-self"), (
        "a check revokes its token too"
    )


def test_a_static_token_creates_a_child_token_for_a_release(server: SandboxVault) -> None:
    root = server.as_root()
    made = root.auth.token.create(policies=["bot"], ttl="10m")["auth"]
    session = Vault(server.url, VaultToken(Secret(made["client_token"]))).open_release()
    # The bot's policy does not allow it to create tokens. The static token is used then, and never revoked.
    assert session.kind is TokenKind.STATIC
    assert session.read("secret", "oms/media/source").version == 1
    assert session.close()
    assert root.lookup_token(made["client_token"])["data"]["accessor"] == made["accessor"], (
        "the static token stays valid"
    )
    vault = Vault(server.url, VaultToken(Secret(server.root_token)))
    child = vault.open_release()
    assert child.kind is TokenKind.CHILD
    life = root.lookup_token(child.accessor, accessor=True)["data"]
    assert (life["creation_ttl"], life["explicit_max_ttl"], life["renewable"]) == (120, 120, False)
    child.close()
    assert vault.check("secret", "oms/media/source").version == 1, "the root capability includes read"


@pytest.mark.parametrize(
    ("settings", "is_batch", "uses"),
    [
        ({"token_type": "service"}, False, 0),
        ({"token_type": "batch"}, True, 0),
        ({"token_type": "service", "token_num_uses": 1}, False, 1),
    ],
)
def test_a_tried_login_shows_the_limits_of_the_token_and_revokes_it(
    server: SandboxVault, call_log: CallLog, settings: dict[str, str | int], is_batch: bool, uses: int
) -> None:
    root = server.as_root()
    root.auth.approle.create_or_update_approle("checked", token_policies=["bot"], **settings)
    login = server.login("checked")
    before = len(call_log.since())
    vault = as_role(server, "bot")
    limits = vault.try_login(VaultAppRole(login.role_id, Secret(login.secret_id))).limits
    assert (limits.is_batch, limits.uses) == (is_batch, uses)
    paths = [call.path for call in call_log.since(before)]
    assert paths == ["/v1/auth/approle/login", "/v1/auth/token/revoke-self"]


def test_a_tried_static_token_shows_its_limits_and_stays_valid(server: SandboxVault) -> None:
    root = server.as_root()
    for settings, is_batch, uses in (
        ({"type": "service"}, False, 0),
        ({"type": "batch"}, True, 0),
        ({"type": "service", "num_uses": 9}, False, 8),  # The look-up is a use too.
    ):
        made = root.auth.token.create(policies=["bot"], ttl="10m", **settings)["auth"]["client_token"]
        limits = as_role(server, "bot").try_login(VaultToken(Secret(made))).limits
        assert (limits.is_batch, limits.uses) == (is_batch, uses)
        root.lookup_token(made)


def test_an_expired_token_is_replaced_by_a_new_login(server: SandboxVault, call_log: CallLog) -> None:
    tokens = server.as_root().auth.token
    others = set(tokens.list_accessors()["data"]["keys"])
    vault = as_role(server, "bot")
    assert vault.read("secret", "oms/media/caller").values["ak"]
    [accessor] = set(tokens.list_accessors()["data"]["keys"]) - others
    tokens.revoke_accessor(accessor)
    assert vault.read("secret", "oms/media/caller").values["ak"]
    before = len(call_log.since())
    with pytest.raises(VaultError, match="doesn't allow"):
        as_role(server, "bot").read("secret", "other")
    logins = [call for call in call_log.since(before) if call.path.endswith("/login")]
    assert len(logins) == 1, "a new token without the right does not cause another login"


@pytest.mark.parametrize(
    "error",
    [
        hvac.exceptions.InvalidRequest,
        hvac.exceptions.Forbidden,
        hvac.exceptions.Unauthorized,
        hvac.exceptions.InvalidPath,
    ],
)
def test_four_errors_of_hvac_mean_a_refused_login(error: type[hvac.exceptions.VaultError]) -> None:
    assert login_error(error("no"), "", "").kind is VaultErrorKind.LOGIN


def test_a_malformed_number_is_an_answer_that_is_not_understood() -> None:
    with (
        pytest.raises(VaultError, match=r"can't read Vault's answer about secret/x \(ValueError\)"),
        translating_errors("secret/x"),
    ):
        int("one")


def test_a_refused_login_raises_a_vault_error(server: SandboxVault) -> None:
    vault = Vault(server.url, VaultAppRole("nobody", Secret("nothing")))
    with pytest.raises(VaultError, match="rejected the bot's login") as refused:
        vault.check("secret", "oms/media/source")
    assert refused.value.kind is VaultErrorKind.LOGIN


def test_an_unreachable_vault_is_down() -> None:
    vault = Vault("http://127.0.0.1:9", VaultAppRole("role", Secret("secret")))
    with pytest.raises(VaultError, match="doesn't answer") as down:
        vault.open_release()
    assert down.value.kind is VaultErrorKind.DOWN


def test_environment_variables_and_netrc_do_not_change_the_identity(
    server: SandboxVault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    main = as_role(server, "main")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password eve\n")
    for name, value in {
        "VAULT_TOKEN": server.root_token,
        "NETRC": str(tmp_path / ".netrc"),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "REQUESTS_CA_BUNDLE": str(tmp_path / ".netrc"),
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(VaultError, match="doesn't allow the bot to read"):
        main.read("secret", "oms/media/source")
    assert main.read("secret", "oms/media/caller").values["ak"]


def test_nothing_is_sent_to_a_vault_whose_certificate_is_not_trusted(tmp_path: Path) -> None:
    identity = VaultAppRole("role", Secret("secret"))
    with serving_tls(tmp_path, ok(b"{}")) as served:
        with pytest.raises(VaultError, match="doesn't trust the TLS certificate of Vault at https://") as untrusted:
            Vault(served.url, identity).open_release()
        assert untrusted.value.next_step == "Set VAULT_CACERT to Vault's CA certificate."
        assert served.received == []
        with pytest.raises(VaultError, match="can't read Vault's answer"):
            Vault(served.url, identity, ca=str(served.ca)).open_release()
        assert b"".join(served.received).startswith(b"POST /v1/auth/approle/login")


def test_vault_is_called_through_the_proxy_that_is_given_for_it(server: SandboxVault) -> None:
    login = server.login("bot")
    identity = VaultAppRole(login.role_id, Secret(login.secret_id))
    with proxying() as proxy:
        vault = Vault(server.url, identity, proxy=proxy_at(proxy.port))
        assert vault.open_release().read("secret", "oms/media/source").version == 1
        assert set(proxy.asked) == {server.url.removeprefix("http://")}
        proxy.answer = b"HTTP/1.1 403 Forbidden\r\n\r\n"
        with pytest.raises(VaultError) as refused:
            Vault(server.url, identity, proxy=proxy_at(proxy.port)).open_release()
    assert refused.value.may_pass
    assert refused.value.sentence == (
        f"The bot couldn't reach Vault at {server.url} (the proxy 127.0.0.1:{proxy.port} doesn't allow connections to "
        f"{server.url.removeprefix('http://')}, HTTP 403)."
    )
    assert refused.value.next_step == "Ask the proxy's administrator to allow them."


@pytest.mark.parametrize("status", [b"307 Temporary Redirect", b"302 Found"])
def test_a_redirect_is_not_followed(server: SandboxVault, status: bytes) -> None:
    elsewhere = Wire(server.url)
    answer = b"HTTP/1.1 %b\r\nLocation: %b/v1/auth/approle/login\r\nContent-Length: 0\r\n\r\n"
    with answering(answer % (status, elsewhere.url.encode())) as url:
        login = server.login("bot")
        identities = (VaultAppRole(login.role_id, Secret(login.secret_id)), VaultToken(Secret(server.root_token)))
        for identity in identities:
            with pytest.raises(VaultError):
                Vault(url, identity).open_release()
    assert elsewhere.carried == 0
    elsewhere.cut()


def test_a_sealed_vault_is_reported_as_sealed(server: SandboxVault) -> None:
    vault = as_role(server, "bot")
    server.seal()
    with pytest.raises(VaultError, match="Vault is sealed") as sealed:
        vault.open_release()
    assert sealed.value.kind is VaultErrorKind.SEALED
    server.unseal()
    vault.open_release().close()


PAGES = {
    "page of a proxy": ok(b"<html>Welcome</html>", "text/html"),
    "a list": ok(b"[]"),
    "null": ok(b"null"),
    "a word": ok(b'"auth"'),
    "a list inside": ok(b'{"auth": [], "data": []}'),
    "words inside": ok(b'{"auth": "x", "data": "x"}'),
    "nothing inside": ok(b'{"auth": {}, "data": {}}'),
    "no token": ok(b'{"auth": {"client_token": null, "accessor": "a"}, "data": null}'),
    "an empty token": ok(b'{"auth": {"client_token": "", "accessor": "a"}, "data": null}'),
    "a number for a token": ok(b'{"auth": {"client_token": 7, "accessor": "a"}, "data": 7}'),
    "half a body": BROKEN_ANSWERS["half a body"],
    "no status line": BROKEN_ANSWERS["no status line"],
}


@pytest.mark.parametrize("what", PAGES)
@pytest.mark.parametrize("identity", [VaultAppRole("role", Secret("secret-id-1234")), VaultToken(Secret("token-1234"))])
def test_an_answer_that_is_not_vaults_raises_an_error_without_the_credentials(
    what: str, identity: VaultAppRole | VaultToken
) -> None:
    with answering(PAGES[what]) as url:
        calls: list[Callable[[Vault], object]] = [
            lambda vault: vault.open_release().read("secret", "p"),
            lambda vault: vault.read("secret", "p"),
            lambda vault: vault.check("secret", "p"),
        ]
        for call in calls:
            with pytest.raises(VaultError) as error:
                call(Vault(url, identity))
            assert "-1234" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("what", PAGES)
def test_an_answer_that_is_not_vaults_after_the_login_raises_an_error(what: str) -> None:
    with answering(PAGES[what]) as url:
        client = hvac.Client(url=url, token="token-1234")
        session = VaultSession(Clients(client, client), "accessor", TokenKind.LOGIN, {}, LIMITS)
        for call in (session.read, session.check):
            with pytest.raises(VaultError):
                call("secret", "oms/media/source")
        session.close()
        assert client.token == ""


def test_a_503_of_a_load_balancer_is_not_reported_as_sealed() -> None:
    unavailable = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with answering(unavailable) as url, pytest.raises(VaultError, match="503") as down:
        Vault(url, VaultAppRole("role", Secret("secret"))).open_release()
    assert down.value.kind is VaultErrorKind.DOWN


@pytest.mark.parametrize("part", ENDLESS_ANSWERS)
def test_an_answer_that_never_ends_is_cut_off_after_the_timeout(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_client, "TIMEOUT_SECONDS", 0.3)
    with dripping(ENDLESS_ANSWERS[part]) as url, pytest.raises(VaultError, match="doesn't answer") as down:
        Vault(url, VaultAppRole("role", Secret("secret"))).open_release()
    assert down.value.kind is VaultErrorKind.DOWN


@pytest.mark.parametrize("encoding", ["", "Content-Encoding: gzip\r\n"])
def test_an_oversized_answer_is_not_read_to_its_end(encoding: str) -> None:
    body = b'{"auth": {"client_token": "t", "accessor": "a"}, "more": "' + b"0" * 50_000_000 + b'"}'
    sent = gzip.compress(body, 1) if encoding else body
    answer = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{encoding}Content-Length: {len(sent)}\r\n\r\n"
    with answering(answer.encode() + sent) as url:
        tracemalloc.start()
        with pytest.raises(VaultError, match="can't read Vault's answer"):
            Vault(url, VaultAppRole("role", Secret("secret"))).open_release()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 30_000_000


def port_of(server: SandboxVault) -> int:
    return int(server.url.rpartition(":")[2])


def through_relay(server: SandboxVault, relay: Relay, role: str = "bot") -> Vault:
    login = server.login(role)
    return Vault(relay.url, VaultAppRole(login.role_id, Secret(login.secret_id)))


def test_a_check_and_a_login_are_repeated_when_their_connection_was_reset(server: SandboxVault) -> None:
    with relaying(port_of(server), Forgetting.RESET) as relay:
        vault = through_relay(server, relay)
        vault.check("secret", "oms/media/source")
        relay.forget()
        assert vault.check("secret", "oms/media/source").version == 1
        relay.forget()
        assert vault.open_release().close()


def test_a_silently_dropped_connection_is_not_used_again(server: SandboxVault, monkeypatch: pytest.MonkeyPatch) -> None:
    # Stands for the 3 s that a connection may be idle.
    monkeypatch.setattr("bot.net.session.MAX_IDLE_SECONDS", 0.0)
    with relaying(port_of(server), Forgetting.SILENT) as relay:
        vault = through_relay(server, relay)
        vault.check("secret", "oms/media/source")
        relay.forget()
        assert vault.check("secret", "oms/media/source").version == 1


def test_a_login_without_an_answer_is_repeated_once() -> None:
    with recording(b"") as (url, requests), pytest.raises(VaultError) as raised:
        Vault(url, VaultAppRole("role", Secret("id"))).open_release()
    assert raised.value.kind is VaultErrorKind.DOWN
    assert len(requests) == 2

"""The bot logs in to a real OpenBao with every auth method, at another mount, and in another namespace."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import hvac.exceptions
import pytest

from bot.clients import new_vault
from bot.config.settings import example, load
from bot.redaction import FileSecret, Secret
from bot.sandbox.call_log import CallLog
from bot.sandbox.vault import SandboxVault
from bot.vault.client import Vault
from bot.vault.errors import VaultError, VaultErrorKind
from bot.vault.login import VaultAppRole, VaultCertificate, VaultIdentity, VaultJwt, VaultToken, WrappedSecret
from bot.vault.session import TokenKind
from tests.support.openbao import JWT, PUBLIC_KEY, TlsOpenBao, tls_openbao
from tests.support.settings import GOOD
from tests.support.tls import PAIR, serving_tls, trusted_by
from tests.support.wire import dripping, ok

PATH = "oms/media/source"
POLICY = """
path "{0}secret/data/oms/*" {{ capabilities = ["read"] }}
path "{0}secret/metadata/oms/*" {{ capabilities = ["read"] }}
path "{0}secret/subkeys/oms/*" {{ capabilities = ["read"] }}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(CallLog()).start()
    yield vault
    vault.stop()


def app_role(client: Any, mount: str, name: str = "bot", **settings: Any) -> VaultAppRole:
    """A new AppRole of the policy `bot`."""
    client.auth.approle.create_or_update_approle(name, token_policies=["bot"], mount_point=mount, **settings)
    role_id = client.auth.approle.read_role_id(name, mount_point=mount)["data"]["role_id"]
    secret_id = client.auth.approle.generate_secret_id(name, mount_point=mount)["data"]["secret_id"]
    return VaultAppRole(role_id, Secret(secret_id), mount)


def rejection(vault: Vault) -> str:
    with pytest.raises(VaultError) as raised:
        vault.open_release()
    assert raised.value.kind is VaultErrorKind.LOGIN
    return f"{raised.value.sentence} {raised.value.next_step}"


# Auth methods


def test_an_app_role_can_be_at_another_mount(server: SandboxVault) -> None:
    root = server.as_root()
    root.sys.enable_auth_method("approle", path="team/approle")
    identity = app_role(root, "team/approle")
    session = Vault(server.url, identity).open_release()
    assert session.read("secret", PATH).version == 1
    assert session.close()
    assert rejection(Vault(server.url, VaultAppRole(identity.role_id, Secret("wrong"), "team/approle"))) == (
        "Vault rejected the bot's login at auth/team/approle. Check the role id, the secret id, and the mount. "
        "The secret id may have expired or been used up."
    )
    assert "at auth/nowhere." in rejection(Vault(server.url, VaultAppRole("role", Secret("secret"), "nowhere")))


def test_each_identity_logs_in_at_its_own_mount(server: SandboxVault) -> None:
    root = server.as_root()
    root.sys.enable_auth_method("approle", path="for-keys")
    main = server.login("main")
    release = app_role(root, "for-keys", token_ttl="20m")
    vault = Vault(server.url, VaultAppRole(main.role_id, Secret(main.secret_id)), release)
    assert vault.read("secret", "oms/media/caller").values["ak"]
    assert vault.check("secret", PATH).version == 1


def test_a_jwt_is_read_from_its_file_at_each_login(server: SandboxVault, tmp_path: Path) -> None:
    root = server.as_root()
    root.sys.enable_auth_method("jwt", path="ci")
    root.adapter.post("/v1/auth/ci/config", json={"jwt_validation_pubkeys": [PUBLIC_KEY]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": ["bot"]}
    root.adapter.post("/v1/auth/ci/role/bot", json=role)
    path = tmp_path / "jwt"
    path.write_text(JWT[:-8])
    vault = Vault(server.url, VaultJwt("bot", FileSecret("VAULT_JWT_FILE", str(path)), "ci"))
    assert rejection(vault) == (
        "Vault rejected the bot's login at auth/ci. Check the role, the JWT, and the mount. The JWT may have expired."
    )
    path.write_text(f"{JWT}\n")
    session = vault.open_release()
    assert session.kind is TokenKind.LOGIN
    assert session.read("secret", PATH).version == 1
    assert session.close()


def test_a_pod_logs_in_with_its_service_account_token(server: SandboxVault, tmp_path: Path) -> None:
    def part(value: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "migrations",
        "kubernetes.io/serviceaccount/service-account.name": "taskgroup-bot",
        "kubernetes.io/serviceaccount/service-account.uid": "u-1",
        "kubernetes.io/serviceaccount/secret.name": "taskgroup-bot-token",
        "sub": "system:serviceaccount:migrations:taskgroup-bot",
    }
    jwt = tmp_path / "token"
    jwt.write_text(f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl\n", encoding="ascii")
    user = {"username": claims["sub"], "uid": "u-1", "groups": ["system:serviceaccounts"]}
    review = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"}
    review["status"] = {"authenticated": True, "user": user}  # type: ignore[assignment]
    root = server.as_root()
    root.sys.enable_auth_method("kubernetes")
    with serving_tls(tmp_path, ok(json.dumps(review).encode())) as cluster:
        ca = PAIR[PAIR.index("-----BEGIN CERTIFICATE") :]
        root.auth.kubernetes.configure(cluster.url, kubernetes_ca_cert=ca, disable_local_ca_jwt=True)
        root.auth.kubernetes.create_role(
            "bot", ["taskgroup-bot"], ["migrations"], policies=["bot"], ttl="20m", token_type="service"
        )
        token = FileSecret("VAULT_K8S_TOKEN_PATH", str(jwt))
        vault = Vault(server.url, VaultJwt("bot", token, "kubernetes"))
        session = vault.open_release()
        assert session.kind is TokenKind.LOGIN
        assert session.read("secret", "oms/media/source").version == 1
        assert session.close()
        with pytest.raises(VaultError, match=r"rejected the bot's login at auth/kubernetes\."):
            Vault(server.url, VaultJwt("another", token, "kubernetes")).open_release()
        jwt.unlink()
        with pytest.raises(VaultError) as unreadable:
            vault.open_release()
    assert str(unreadable.value) == "VAULT_K8S_TOKEN_PATH can't be read: No such file or directory."
    assert (unreadable.value.kind, unreadable.value.may_pass) == (VaultErrorKind.FILE, True)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsOpenBao]:
    with tls_openbao(tmp_path_factory.mktemp("openbao")) as server:
        root = server.as_root()
        root.sys.enable_auth_method("cert")
        certificate = PAIR[PAIR.index("-----BEGIN CERTIFICATE") :]
        root.auth.cert.create_ca_certificate_role("bot", certificate, token_policies=["bot"])
        root.sys.create_or_update_policy("bot", POLICY.format(""))
        root.secrets.kv.v2.create_or_update_secret(PATH, {"ak": "a", "sk": "s"}, mount_point="secret")
        yield server


def test_a_client_certificate_is_a_login(tls_server: TlsOpenBao, tmp_path: Path) -> None:
    pair = tmp_path / "pair.pem"
    pair.write_text(PAIR)
    for role in ("", "bot"):
        identity = VaultCertificate(str(pair), str(pair), role)
        session = Vault(tls_server.url, identity, ca=str(tls_server.ca)).open_release()
        assert session.kind is TokenKind.LOGIN
        assert session.read("secret", PATH).version == 1
        assert session.close()
    assert rejection(Vault(tls_server.url, VaultCertificate(str(pair), str(pair), "x"), ca=str(tls_server.ca))) == (
        "Vault rejected the bot's login at auth/cert. Check the role, the client certificate, and the mount. "
        "The certificate may have expired."
    )


def test_a_replaced_client_certificate_is_used_by_the_next_connection(tls_server: TlsOpenBao, tmp_path: Path) -> None:
    pair = tmp_path / "pair.pem"
    pair.write_text(tls_server.other_pair)
    identity = VaultCertificate(str(pair), str(pair))
    rejection(Vault(tls_server.url, identity, ca=str(tls_server.ca)))
    vault = Vault(tls_server.url, identity, ca=str(tls_server.ca))
    rejection(vault)
    pair.write_text(PAIR)
    vault.open_release().close()


@pytest.mark.parametrize("content", [None, "nothing", PAIR[: PAIR.index("-----BEGIN CERTIFICATE")]])
def test_an_unusable_client_certificate_is_named_before_a_connection(
    tls_server: TlsOpenBao, tmp_path: Path, content: str | None
) -> None:
    pair = tmp_path / "pair.pem"
    if content is not None:
        pair.write_text(content)
    with pytest.raises(VaultError) as raised:
        Vault(tls_server.url, VaultCertificate(str(pair), str(pair)), ca=str(tls_server.ca)).open_release()
    assert raised.value.sentence == "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY can't be read or don't belong together."
    assert (raised.value.kind, raised.value.may_pass) == (VaultErrorKind.FILE, True)


def test_a_server_that_requires_a_client_certificate_is_named(tmp_path: Path) -> None:
    context, pem = trusted_by(tmp_path)
    context.load_verify_locations(pem)
    context.verify_mode = ssl.CERT_REQUIRED
    # With TLS 1.3, the refusal follows the handshake, and may be lost when the connection ends.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with dripping(b"", context=context) as url, pytest.raises(VaultError) as raised:
        Vault(url, VaultAppRole("role", Secret("secret")), ca=str(pem)).open_release()
    assert str(raised.value) == f"Vault at {url} rejected the bot's TLS connection."
    assert raised.value.next_step.endswith("check VAULT_CLIENT_CERT and VAULT_CLIENT_KEY.")


# Namespaces


def wait_until_upgraded(client: hvac.Client) -> None:
    """Waits for a new mount of KV version 2, which refuses calls at first ("Upgrading from non-versioned")."""
    for _ in range(1000):
        try:
            client.adapter.get("/v1/secret/config")
        except hvac.exceptions.InvalidRequest:
            threading.Event().wait(0.01)
        else:
            return
    raise TimeoutError("the mount is still upgrading")


@pytest.fixture(scope="module")
def namespaces(server: SandboxVault) -> Any:
    """`company` with the auth methods, and `company/team` with the keys. Returns a client for `company`."""
    root = server.as_root()
    root.adapter.post("/v1/sys/namespaces/company")
    company = hvac.Client(url=root.url, token=server.root_token, namespace="company")
    company.adapter.post("/v1/sys/namespaces/team")
    add_keys(hvac.Client(url=root.url, token=server.root_token, namespace="company/team"))
    company.sys.enable_auth_method("approle")
    company.sys.create_or_update_policy("bot", POLICY.format("team/"))
    return company


def add_keys(client: Any) -> None:
    """Adds the mount `secret` with source keys."""
    client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    wait_until_upgraded(client)
    client.secrets.kv.v2.create_or_update_secret(PATH, {"ak": "team key"}, mount_point="secret")


def test_every_call_goes_to_the_namespace(server: SandboxVault) -> None:
    root = server.as_root()
    root.adapter.post("/v1/sys/namespaces/team")
    within = hvac.Client(url=root.url, token=server.root_token, namespace="team")
    within.sys.enable_auth_method("approle")
    add_keys(within)
    within.sys.create_or_update_policy("bot", POLICY.format(""))
    identity = app_role(within, "approle")
    vault = Vault(server.url, identity, namespace="team")
    assert vault.check("secret", PATH).keys == ("ak",)
    session = vault.open_release()
    assert session.read("secret", PATH).values["ak"].reveal() == "team key"
    assert session.close()
    assert "at auth/approle. Check" in rejection(Vault(server.url, identity))
    assert rejection(Vault(server.url, identity, namespace="nowhere")).startswith(
        "Vault rejected the bot's login at auth/approle in namespace nowhere. "
        "Check the role id, the secret id, the mount and the namespace."
    )


def test_a_login_in_the_parent_namespace_reads_keys_in_the_child(
    server: SandboxVault, namespaces: Any, tmp_path: Path
) -> None:
    identity = app_role(namespaces, "approle")
    (tmp_path / "bot.toml").write_text(example(), encoding="utf-8")
    environ = GOOD | {
        "BOT_CONFIG": str(tmp_path / "bot.toml"),
        "VAULT_ADDR": f"{server.url}/v1/",
        "VAULT_NAMESPACE": "company/team",
        "VAULT_AUTH_NAMESPACE": "company/",
        "VAULT_ROLE_ID": identity.role_id,
        "VAULT_SECRET_ID": namespaces.auth.approle.generate_secret_id("bot")["data"]["secret_id"],
    }
    settings = load(environ)
    vault = new_vault(settings.environment, settings.network)
    check = vault.check("secret", PATH)
    assert (check.version, check.keys) == (1, ("ak",))
    assert vault.read("secret", PATH).values["ak"].reveal() == "team key"
    with pytest.raises(VaultError, match="doesn't allow the bot to read secret/other"):
        vault.check("secret", "other")
    session = vault.open_release()
    assert namespaces.auth.token.lookup_accessor(session.accessor)["data"]["policies"] == ["bot", "default"]
    assert session.read("secret", PATH).values["ak"].reveal() == "team key"
    assert session.close()
    with pytest.raises(hvac.exceptions.VaultError):
        namespaces.auth.token.lookup_accessor(session.accessor)
    assert "at auth/approle in namespace company/team." in rejection(
        Vault(server.url, identity, namespace="company/team")
    )


def test_a_secret_id_is_unwrapped_in_the_namespace_of_the_login(server: SandboxVault, namespaces: Any) -> None:
    role_id = app_role(namespaces, "approle", "wrapped").role_id
    answer = namespaces.auth.approle.generate_secret_id("wrapped", wrap_ttl="60s")
    identity = VaultAppRole(role_id, WrappedSecret(Secret(answer["wrap_info"]["token"])))
    vault = Vault(server.url, identity, namespace="company/team", login_namespace="company")
    assert vault.wrapped_until(identity)
    vault.open_release().close()
    vault.open_release().close()


@pytest.mark.parametrize("login_namespace", ["", "company"])
def test_a_token_of_a_parent_namespace_is_looked_up_and_used_there(
    server: SandboxVault, namespaces: Any, login_namespace: str
) -> None:
    client = namespaces if login_namespace else server.as_root()
    policy = POLICY.format("team/" if login_namespace else "company/team/")
    client.sys.create_or_update_policy("child", f'{policy}\npath "auth/token/create" {{ capabilities = ["update"] }}')
    token = client.auth.token.create(policies=["child"], ttl="1h")["auth"]["client_token"]
    identity: VaultIdentity = VaultToken(Secret(token))
    vault = Vault(server.url, identity, namespace="company/team", login_namespace=login_namespace)
    assert vault.check("secret", PATH).keys == ("ak",)
    session = vault.open_release()
    assert session.kind is TokenKind.CHILD
    assert session.read("secret", PATH).values["ak"].reveal() == "team key"
    assert session.close()

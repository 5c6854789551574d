"""Each identity has one way to log in to Vault, and every other combination of variables is named with its fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config.settings import example, load
from bot.config.vault_environment import VaultEnvironment
from bot.redaction import FileSecret, Secret
from bot.vault.login import VaultAppRole, VaultCertificate, VaultJwt, VaultToken, WrappedSecret
from tests.support.settings import GOOD, problems
from tests.support.tls import PAIR

WITHOUT_LOGIN = {name: value for name, value in GOOD.items() if name not in ("VAULT_ROLE_ID", "VAULT_SECRET_ID")}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a bot.toml and the files of all logins."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bot.toml").write_text(example(), encoding="utf-8")
    (tmp_path / "jwt").write_text("a.b.c\n")
    (tmp_path / "pair.pem").write_text(PAIR)
    (tmp_path / "other.pem").write_text("nothing")
    return tmp_path


def vault(environ: dict[str, str]) -> VaultEnvironment:
    return load(WITHOUT_LOGIN | environ).environment.vault


ROLE = {"VAULT_ROLE_ID": "role"}
APP_ROLE = ROLE | {"VAULT_SECRET_ID": "secret"}
KUBERNETES = {"VAULT_K8S_ROLE": "bot", "VAULT_K8S_TOKEN_PATH": "jwt"}
JWT = {"VAULT_JWT_ROLE": "bot", "VAULT_JWT_FILE": "jwt"}
CERTIFICATE = {"VAULT_CLIENT_CERT": "pair.pem", "VAULT_CLIENT_KEY": "pair.pem"}
TOKEN = {"VAULT_TOKEN": "hvs.token"}
WRAPPED = ROLE | {"VAULT_WRAPPED_SECRET_ID": "hvs.wrapping"}


@pytest.mark.parametrize(
    ("environ", "identity"),
    [
        (TOKEN, VaultToken(Secret("hvs.token"))),
        (APP_ROLE, VaultAppRole("role", Secret("secret"))),
        (WRAPPED, VaultAppRole("role", WrappedSecret(Secret("hvs.wrapping")))),
        (ROLE | {"VAULT_WRAPPED_SECRET_ID_FILE": "jwt"}, VaultAppRole("role", WrappedSecret(Secret("a.b.c")))),
        (KUBERNETES, VaultJwt("bot", Secret("a.b.c"), "kubernetes")),
        (JWT, VaultJwt("bot", Secret("a.b.c"))),
        (CERTIFICATE, VaultCertificate("pair.pem", "pair.pem")),
        (CERTIFICATE | {"VAULT_CERT_ROLE": "bot"}, VaultCertificate("pair.pem", "pair.pem", "bot")),
        (APP_ROLE | {"VAULT_AUTH_MOUNT": "team/approle"}, VaultAppRole("role", Secret("secret"), "team/approle")),
        (APP_ROLE | {"VAULT_AUTH_MOUNT": "/auth/own/"}, VaultAppRole("role", Secret("secret"), "own")),
        (KUBERNETES | {"VAULT_AUTH_MOUNT": "k8s"}, VaultJwt("bot", Secret("a.b.c"), "k8s")),
        (CERTIFICATE | {"VAULT_AUTH_MOUNT": "tls"}, VaultCertificate("pair.pem", "pair.pem", "", "tls")),
    ],
)
def test_the_variables_of_one_login_select_it(environ: dict[str, str], identity: object) -> None:
    assert vault(environ).identity == identity


@pytest.mark.parametrize(
    ("environ", "identity"),
    [
        ({}, None),
        (
            {"VAULT_RELEASE_ROLE_ID": "r", "VAULT_RELEASE_SECRET_ID": "s", "VAULT_RELEASE_AUTH_MOUNT": "own"},
            VaultAppRole("r", Secret("s"), "own"),
        ),
        (
            {"VAULT_RELEASE_ROLE_ID": "r", "VAULT_RELEASE_WRAPPED_SECRET_ID": "w"},
            VaultAppRole("r", WrappedSecret(Secret("w"))),
        ),
        ({"VAULT_RELEASE_JWT_ROLE": "keys", "VAULT_JWT_FILE": "jwt"}, VaultJwt("keys", Secret("a.b.c"))),
        (
            {"VAULT_RELEASE_K8S_ROLE": "keys", "VAULT_K8S_TOKEN_PATH": "jwt"},
            VaultJwt("keys", Secret("a.b.c"), "kubernetes"),
        ),
    ],
)
def test_the_release_identity_has_its_own_login(environ: dict[str, str], identity: object) -> None:
    for main in (APP_ROLE, TOKEN, CERTIFICATE):
        assert vault(main | environ).release_identity == identity


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {},
            "VAULT_ROLE_ID: is not set, and there is no other way to log in to Vault. Set VAULT_ROLE_ID and "
            "VAULT_SECRET_ID, VAULT_K8S_ROLE, VAULT_JWT_ROLE, VAULT_CLIENT_CERT, or VAULT_TOKEN.",
        ),
        (
            TOKEN | APP_ROLE | KUBERNETES,
            "VAULT_TOKEN: is set together with VAULT_ROLE_ID, VAULT_K8S_ROLE. Keep one way to log in to Vault.",
        ),
        (
            JWT | CERTIFICATE,
            "VAULT_JWT_ROLE: is set together with VAULT_CLIENT_CERT. Keep one way to log in to Vault.",
        ),
        (
            ROLE,
            "VAULT_SECRET_ID: is not set. AppRole needs VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_WRAPPED_SECRET_ID.",
        ),
        (
            {"VAULT_WRAPPED_SECRET_ID": "w"},
            "VAULT_ROLE_ID: is not set. AppRole needs VAULT_ROLE_ID and VAULT_SECRET_ID.",
        ),
        (
            APP_ROLE | WRAPPED,
            "VAULT_SECRET_ID: is set together with VAULT_WRAPPED_SECRET_ID. "
            "Keep VAULT_WRAPPED_SECRET_ID if you have a wrapping token, otherwise VAULT_SECRET_ID.",
        ),
        ({"VAULT_JWT_ROLE": "bot"}, "VAULT_JWT_FILE: is not set. Set it to the path of a file with the JWT."),
        (
            JWT | {"VAULT_JWT_FILE": "nothing"},
            "VAULT_JWT_FILE: can't be read: No such file or directory. Set it to the path of a file with the JWT.",
        ),
        (
            APP_ROLE | {"VAULT_JWT_FILE": "jwt"},
            "VAULT_JWT_FILE: is set without VAULT_JWT_ROLE or VAULT_RELEASE_JWT_ROLE. "
            "Set VAULT_JWT_ROLE as well, or remove it.",
        ),
        (
            {"VAULT_K8S_ROLE": "bot"},
            "VAULT_K8S_TOKEN_PATH: can't be read: No such file or directory. "
            "Mount the pod's service account token, or set this variable to its path.",
        ),
        (
            TOKEN | {"VAULT_K8S_TOKEN_PATH": "jwt"},
            "VAULT_K8S_TOKEN_PATH: is set without VAULT_K8S_ROLE or VAULT_RELEASE_K8S_ROLE. "
            "Set VAULT_K8S_ROLE as well, or remove it.",
        ),
        (
            {"VAULT_CLIENT_CERT": "pair.pem"},
            "VAULT_CLIENT_KEY: is not set. A client certificate needs VAULT_CLIENT_CERT and VAULT_CLIENT_KEY.",
        ),
        (
            CERTIFICATE | {"VAULT_CLIENT_KEY": "other.pem"},
            "VAULT_CLIENT_CERT: can't be used with VAULT_CLIENT_KEY. "
            "Set them to the PEM files of a certificate and its unencrypted key.",
        ),
        (
            CERTIFICATE | {"VAULT_ADDR": "http://localhost:8200"},
            "VAULT_ADDR: is not an https address, so the bot can't send its client certificate there. Use https.",
        ),
        (
            TOKEN | {"VAULT_CERT_ROLE": "bot"},
            "VAULT_CERT_ROLE: is set without VAULT_CLIENT_CERT. Set VAULT_CLIENT_CERT as well, or remove it.",
        ),
        (
            TOKEN | {"VAULT_AUTH_MOUNT": "token"},
            "VAULT_AUTH_MOUNT: is set, but VAULT_TOKEN uses no auth method. Remove it.",
        ),
        *(
            (
                TOKEN | {"VAULT_NAMESPACE": keys, "VAULT_AUTH_NAMESPACE": login},
                "VAULT_AUTH_NAMESPACE: is neither VAULT_NAMESPACE nor a parent of it, and a token can't be used "
                "outside its namespace. Set it to the namespace of the auth method.",
            )
            for keys, login in (("", "team"), ("teams", "team"), ("company", "company/team"))
        ),
        (
            APP_ROLE | {"VAULT_RELEASE_AUTH_MOUNT": "approle"},
            "VAULT_RELEASE_AUTH_MOUNT: is set without a way to log in there. Set a way to log in as well, "
            "such as VAULT_RELEASE_ROLE_ID or VAULT_RELEASE_K8S_ROLE, or remove it.",
        ),
        (
            APP_ROLE | {"VAULT_RELEASE_SECRET_ID": "s"},
            "VAULT_RELEASE_ROLE_ID: is not set. AppRole needs VAULT_RELEASE_ROLE_ID and VAULT_RELEASE_SECRET_ID.",
        ),
        (
            APP_ROLE | {"VAULT_RELEASE_ROLE_ID": "r"},
            "VAULT_RELEASE_SECRET_ID: is not set. AppRole needs VAULT_RELEASE_ROLE_ID and VAULT_RELEASE_SECRET_ID, "
            "or VAULT_RELEASE_WRAPPED_SECRET_ID.",
        ),
        (
            JWT | {"VAULT_RELEASE_K8S_ROLE": "r", "VAULT_RELEASE_JWT_ROLE": "r", "VAULT_K8S_TOKEN_PATH": "jwt"},
            "VAULT_RELEASE_K8S_ROLE: is set together with VAULT_RELEASE_JWT_ROLE. Keep one way to log in to Vault.",
        ),
    ],
)
def test_any_other_combination_is_one_problem_with_its_fix(environ: dict[str, str], line: str) -> None:
    assert problems(WITHOUT_LOGIN | environ) == line


@pytest.mark.parametrize(
    "environ",
    [
        TOKEN | {"VAULT_TOKEN": "hvs.…"},
        KUBERNETES | {"VAULT_K8S_ROLE": "leaks…"},
        JWT | {"VAULT_JWT_ROLE": "leaks here"},
        WRAPPED | {"VAULT_WRAPPED_SECRET_ID": "leaks here"},
        APP_ROLE | {"VAULT_AUTH_MOUNT": "leaks…"},
        APP_ROLE | {"VAULT_AUTH_NAMESPACE": "leaks…"},
        CERTIFICATE | {"VAULT_CERT_ROLE": "leaks…"},
    ],
)
def test_every_name_and_token_is_printable_ascii_without_blanks(environ: dict[str, str]) -> None:
    lines = problems(WITHOUT_LOGIN | environ)
    assert len(lines.splitlines()) == 1
    assert lines.split(":")[0] in environ
    assert "contains a space or a character that is not ASCII" in lines
    assert "leaks" not in lines


def test_a_jwt_is_checked_like_a_token(directory: Path) -> None:
    (directory / "jwt").write_text("two words")
    assert problems(WITHOUT_LOGIN | JWT).startswith("VAULT_JWT_FILE: contains a space")


def test_secrets_from_files_can_be_read_again(directory: Path) -> None:
    identity = vault(ROLE | {"VAULT_SECRET_ID_FILE": "jwt"}).identity
    (directory / "jwt").write_text("new")
    assert isinstance(identity, VaultAppRole)
    assert isinstance(identity.secret_id, FileSecret)
    assert identity.secret_id.current() == Secret("new")


@pytest.mark.parametrize(
    "address",
    [
        "https://vault.example",
        "https://vault.example/",
        "https://vault.example/v1",
        "https://vault.example/v1/",
    ],
)
def test_the_address_may_end_in_the_version_of_the_api(address: str) -> None:
    assert vault(TOKEN | {"VAULT_ADDR": address}).address == "https://vault.example"


def test_a_path_before_the_version_of_the_api_stays() -> None:
    assert vault(TOKEN | {"VAULT_ADDR": "https://proxy.example/vault/v1/"}).address == "https://proxy.example/vault"


@pytest.mark.parametrize(
    ("namespace", "login", "expected"),
    [
        ("", "", ("", "")),
        ("team", "", ("team", "team")),
        ("company/team/", "/company/", ("company/team", "company")),
        ("team", "root", ("team", "")),
        ("team", "/", ("team", "")),
        ("root", "", ("", "")),
    ],
)
def test_the_bot_logs_in_in_the_namespace_of_the_keys_unless_another_is_set(
    namespace: str, login: str, expected: tuple[str, str]
) -> None:
    found = vault(TOKEN | {"VAULT_NAMESPACE": namespace, "VAULT_AUTH_NAMESPACE": login})
    assert (found.namespace, found.login_namespace) == expected

"""Reads and checks the environment variables for Vault: its address, and how each identity logs in.

The other variables are left to `bot.config.environment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.config.problems import Problems
from bot.config.variables import check_printable, read_address, read_file, read_name, read_pem_path, read_token
from bot.redaction import Secret
from bot.vault.login import (
    VaultAppRole,
    VaultCertificate,
    VaultIdentity,
    VaultJwt,
    VaultToken,
    WrappedSecret,
    load_pair,
)

_POD_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 (a path)
_MAIN, _RELEASE = "VAULT", "VAULT_RELEASE"
# The ways in which each identity can log in: the variable that names it in messages, and all that select it.
_APP_ROLE = ("ROLE_ID", "SECRET_ID", "SECRET_ID_FILE", "WRAPPED_SECRET_ID", "WRAPPED_SECRET_ID_FILE")
_WITH_ROLE = {"ROLE_ID": _APP_ROLE, "K8S_ROLE": ("K8S_ROLE",), "JWT_ROLE": ("JWT_ROLE",)}
_WAYS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    _MAIN: {
        "TOKEN": ("TOKEN", "TOKEN_FILE"),
        **_WITH_ROLE,
        "CLIENT_CERT": ("CLIENT_CERT", "CLIENT_KEY"),
    },
    _RELEASE: _WITH_ROLE,
}
# Variables that do nothing without another one.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "VAULT_JWT_FILE": ("VAULT_JWT_ROLE", "VAULT_RELEASE_JWT_ROLE"),
    "VAULT_K8S_TOKEN_PATH": ("VAULT_K8S_ROLE", "VAULT_RELEASE_K8S_ROLE"),
    "VAULT_CERT_ROLE": ("VAULT_CLIENT_CERT",),
}


@dataclass(frozen=True)
class VaultEnvironment:
    """The environment variables for Vault as values.

    Arguments:
        namespace: where the keys are; empty for the root namespace, and for Vault without namespaces.
        login_namespace: where both identities log in.
        ca: a PEM file, or a directory of such files.
    """

    address: str
    namespace: str
    login_namespace: str
    ca: str | None
    identity: VaultIdentity
    release_identity: VaultIdentity | None

    @property
    def logins(self) -> Mapping[str, VaultIdentity]:
        """The identities, each with the name of its login, for people."""
        found: dict[str, VaultIdentity] = {"Vault login": self.identity}
        if self.release_identity is not None:
            found["Vault login for reading keys"] = self.release_identity
        return found


def read_vault_environment(environ: Mapping[str, str], problems: Problems) -> VaultEnvironment:
    """The variables for Vault. Problems are added to `problems`; the values are then not usable."""
    namespace = _namespace(environ, "VAULT_NAMESPACE", problems)
    identity = _identity(environ, _MAIN, problems)
    if identity is None:
        problems.add(
            "VAULT_ROLE_ID",
            "is not set, and there is no other way to log in to Vault",
            "Set VAULT_ROLE_ID and VAULT_SECRET_ID, VAULT_K8S_ROLE, VAULT_JWT_ROLE, VAULT_CLIENT_CERT, or VAULT_TOKEN",
        )
    found = VaultEnvironment(
        address=_address(environ, problems),
        namespace=namespace,
        login_namespace=_namespace(environ, "VAULT_AUTH_NAMESPACE", problems)
        if environ.get("VAULT_AUTH_NAMESPACE")
        else namespace,
        ca=read_pem_path(environ, "VAULT_CACERT", problems),
        identity=identity or VaultToken(Secret("")),
        release_identity=_identity(environ, _RELEASE, problems),
    )
    if not f"{found.namespace}/".startswith(f"{found.login_namespace}/".lstrip("/")):
        problem = "is neither VAULT_NAMESPACE nor a parent of it, and a token can't be used outside its namespace"
        problems.add("VAULT_AUTH_NAMESPACE", problem, "Set it to the namespace of the auth method")
    for name, others in _NEEDS.items():
        if environ.get(name) and not any(environ.get(other) for other in others):
            problems.add(name, f"is set without {' or '.join(others)}", f"Set {others[0]} as well, or remove it")
    if isinstance(identity, VaultCertificate) and found.address.startswith("http:"):
        problem = "is not an https address, so the bot can't send its client certificate there"
        problems.add("VAULT_ADDR", problem, "Use https")
    return found


def _address(environ: Mapping[str, str], problems: Problems) -> str:
    """VAULT_ADDR, without the /v1 that every API path begins with."""
    if not environ.get("VAULT_ADDR"):
        problems.add("VAULT_ADDR", "is not set", "Set it to the address of Vault, such as https://vault.example.com")
        return ""
    return read_address(environ, "VAULT_ADDR", "", problems).rstrip("/").removesuffix("/v1").rstrip("/")


def _namespace(environ: Mapping[str, str], name: str, problems: Problems) -> str:
    """A namespace without slashes at its ends; empty for the root namespace, which has the name `root` too."""
    before = len(problems)
    namespace = read_name(environ, name, problems).strip("/")
    return "" if namespace == "root" or len(problems) > before else namespace


def _identity(environ: Mapping[str, str], prefix: str, problems: Problems) -> VaultIdentity | None:
    """The identity whose variables begin with a prefix; None if it has no way to log in."""
    ways = [way for way, names in _WAYS[prefix].items() if any(environ.get(f"{prefix}_{name}") for name in names)]
    mount = _mount(environ, prefix, problems)
    if len(ways) > 1:
        others = ", ".join(f"{prefix}_{way}" for way in ways[1:])
        problems.add(f"{prefix}_{ways[0]}", f"is set together with {others}", "Keep one way to log in to Vault")
    match ways:
        case []:
            if mount:
                fix = f"Set a way to log in as well, such as {prefix}_ROLE_ID or {prefix}_K8S_ROLE, or remove it"
                problems.add(f"{prefix}_AUTH_MOUNT", "is set without a way to log in there", fix)
            return None
        case ["TOKEN", *_]:
            if mount:
                problems.add("VAULT_AUTH_MOUNT", "is set, but VAULT_TOKEN uses no auth method", "Remove it")
            return VaultToken(read_token(environ, "VAULT_TOKEN", problems) or Secret(""))
        case ["ROLE_ID", *_]:
            return _app_role(environ, prefix, mount or "approle", problems)
        case ["K8S_ROLE", *_]:
            path = environ.get("VAULT_K8S_TOKEN_PATH") or _POD_TOKEN
            fix = "Mount the pod's service account token, or set this variable to its path"
            token = _file(path, "VAULT_K8S_TOKEN_PATH", problems, fix)
            return VaultJwt(read_name(environ, f"{prefix}_K8S_ROLE", problems), token, mount or "kubernetes")
        case ["JWT_ROLE", *_]:
            role = read_name(environ, f"{prefix}_JWT_ROLE", problems)
            path, fix = environ.get("VAULT_JWT_FILE") or "", "Set it to the path of a file with the JWT"
            if not path:
                problems.add("VAULT_JWT_FILE", "is not set", fix)
                return VaultJwt(role, Secret(""))
            return VaultJwt(role, _file(path, "VAULT_JWT_FILE", problems, fix), mount or "jwt")
        case _:
            return _certificate(environ, mount or "cert", problems)


def _mount(environ: Mapping[str, str], prefix: str, problems: Problems) -> str:
    """The path of an auth method as Vault's API has it: without `auth/`, and without slashes at its ends."""
    return read_name(environ, f"{prefix}_AUTH_MOUNT", problems).strip("/").removeprefix("auth/")


def _file(path: str, variable: str, problems: Problems, fix: str) -> Secret:
    secret = read_file(variable, path, problems, fix)
    check_printable(variable, secret, problems)
    return secret


def _app_role(environ: Mapping[str, str], prefix: str, mount: str, problems: Problems) -> VaultAppRole:
    role_id = read_name(environ, f"{prefix}_ROLE_ID", problems)
    secret_id = read_token(environ, f"{prefix}_SECRET_ID", problems)
    wrapped = read_token(environ, f"{prefix}_WRAPPED_SECRET_ID", problems)
    if secret_id is not None and wrapped is not None:
        problem = f"is set together with {prefix}_WRAPPED_SECRET_ID"
        fix = f"Keep {prefix}_WRAPPED_SECRET_ID if you have a wrapping token, otherwise {prefix}_SECRET_ID"
        problems.add(f"{prefix}_SECRET_ID", problem, fix)
    elif secret_id is None and wrapped is None:
        fix = f"AppRole needs {prefix}_ROLE_ID and {prefix}_SECRET_ID, or {prefix}_WRAPPED_SECRET_ID"
        problems.add(f"{prefix}_SECRET_ID", "is not set", fix)
    if not role_id:
        problems.add(f"{prefix}_ROLE_ID", "is not set", f"AppRole needs {prefix}_ROLE_ID and {prefix}_SECRET_ID")
    return VaultAppRole(role_id, secret_id or WrappedSecret(wrapped or Secret("")), mount)


def _certificate(environ: Mapping[str, str], mount: str, problems: Problems) -> VaultCertificate:
    certificate, key = (environ.get(name) or "" for name in ("VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"))
    if not certificate or not key:
        missing = "VAULT_CLIENT_KEY" if certificate else "VAULT_CLIENT_CERT"
        problems.add(missing, "is not set", "A client certificate needs VAULT_CLIENT_CERT and VAULT_CLIENT_KEY")
    else:
        try:
            load_pair(certificate, key)
        except (OSError, ValueError):
            fix = "Set them to the PEM files of a certificate and its unencrypted key"
            problems.add("VAULT_CLIENT_CERT", "can't be used with VAULT_CLIENT_KEY", fix)
    return VaultCertificate(certificate, key, read_name(environ, "VAULT_CERT_ROLE", problems), mount)

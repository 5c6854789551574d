"""Reads and checks the environment variables. Every secret can also come from a file, as NAME_FILE.

bot.toml is left to `bot.config.bot_toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.exc import ArgumentError

from bot.config.problems import Problems
from bot.net.tls import tls_context
from bot.redaction import FileSecret, Secret, UnreadableSecret
from bot.store.url import parse_url
from bot.vault.login import VaultAppRole, VaultIdentity, VaultKubernetes, VaultToken

# Variables that are sent to Vault unchanged and are not secret.
_VAULT_NAMES = ("VAULT_ROLE_ID", "VAULT_RELEASE_ROLE_ID", "VAULT_K8S_ROLE", "VAULT_NAMESPACE")
SECRETS = (
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
    "VAULT_TOKEN",
    "VAULT_SECRET_ID",
    "VAULT_RELEASE_SECRET_ID",
    "DATABASE_URL",
    "NETWORK_PROXY_PASSWORD",
)
# Secrets that may hold any character.
_UNCHECKED = ("DATABASE_URL", "NETWORK_PROXY_PASSWORD")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_DATABASE_FIX = (
    "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, with @ : / in the password written as %40 %3A %2F"
)
PEM_FIX = "Set it to the path of a PEM file"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# The characters of a header, and so of a token: printable ASCII without blanks.
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Environment:
    """The environment variables as values. With `slack_app_token` the bot uses Socket Mode, without it HTTP.

    Attributes:
        listen: the IP address of both ports; "" for all addresses of the machine.
    """

    slack_bot_token: Secret
    slack_app_token: Secret | None
    slack_signing_secret: Secret | None
    slack_api_url: str
    vault_address: str
    vault_namespace: str | None
    vault_ca: str | None
    vault_identity: VaultIdentity
    vault_release_identity: VaultAppRole | None
    database_url: Secret
    listen: str
    port: int
    ops_port: int
    log_level: str
    proxy_password: Secret | None


def is_safe_address(url: str) -> bool:
    """Whether secrets may be sent to a URL: https, or http to this machine; no user info, query or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not _PRINTABLE.fullmatch(url) or not host or parts.username is not None or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def read_environment(environ: Mapping[str, str], problems: Problems) -> Environment | None:
    """The environment; None when something is wrong, which is added to `problems`. Unknown variables are ignored."""
    before = len(problems)
    secrets = {name: _secret(environ, name, problems) for name in SECRETS}
    for name in (*(name for name in SECRETS if name not in _UNCHECKED), *_VAULT_NAMES):
        _check_printable(name, secrets[name] if name in secrets else Secret(environ.get(name) or ""), problems)
    environment = Environment(
        slack_bot_token=_slack_token(secrets, "SLACK_BOT_TOKEN", "xoxb-", problems) or Secret(""),
        slack_app_token=_slack_token(secrets, "SLACK_APP_TOKEN", "xapp-", problems),
        slack_signing_secret=secrets["SLACK_SIGNING_SECRET"],
        slack_api_url=_address(environ, "SLACK_API_URL", "https://slack.com/api/", problems).rstrip("/") + "/",
        vault_address=_address(environ, "VAULT_ADDR", None, problems),
        vault_namespace=environ.get("VAULT_NAMESPACE") or None,
        vault_ca=_pem_path(environ, "VAULT_CACERT", problems),
        vault_identity=_main_identity(environ, secrets, problems),
        vault_release_identity=_release_identity(environ, secrets, problems),
        database_url=_checked_database_url(secrets["DATABASE_URL"], problems),
        listen=_ip_address(environ, "LISTEN", problems),
        port=_port(environ, "PORT", 3000, problems),
        ops_port=_port(environ, "OPS_PORT", 3001, problems),
        log_level=(environ.get("LOG_LEVEL") or "INFO").upper(),
        proxy_password=secrets["NETWORK_PROXY_PASSWORD"],
    )
    # OpenSSL ignores a wrong path.
    _pem_path(environ, "SSL_CERT_FILE", problems)
    if secrets["SLACK_BOT_TOKEN"] is None:
        problems.add("SLACK_BOT_TOKEN", "is not set", "Copy the Bot User OAuth Token of your Slack app")
    if environment.slack_app_token is None and environment.slack_signing_secret is None:
        problems.add(
            "SLACK_APP_TOKEN",
            "is not set, and neither is SLACK_SIGNING_SECRET",
            "Set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP",
        )
    if environment.log_level not in LOG_LEVELS:
        problems.add("LOG_LEVEL", f"{environment.log_level!r} is not a log level", f"Use {', '.join(LOG_LEVELS)}")
    return environment if len(problems) == before else None


def _secret(environ: Mapping[str, str], name: str, problems: Problems) -> Secret | None:
    value, path = environ.get(name), environ.get(f"{name}_FILE")
    if value and path:
        problems.add(name, f"is set twice, in {name} and in {name}_FILE", "Set one of the two")
    elif path:
        try:
            return FileSecret(f"{name}_FILE", path)
        except UnreadableSecret as error:
            problems.add(error.variable, error.problem, "Set it to the path of a file with the secret")
            return Secret("")
    return Secret(value) if value else None


def _check_printable(name: str, value: Secret | None, problems: Problems) -> None:
    if value and not _PRINTABLE.fullmatch(value.reveal()):
        problem = "contains a space or a character that is not ASCII, such as the … of an example"
        problems.add(name, problem, "Copy the whole value again, and nothing else")


def _slack_token(secrets: Mapping[str, Secret | None], name: str, prefix: str, problems: Problems) -> Secret | None:
    token = secrets[name]
    if token and not token.reveal().startswith(prefix):
        problems.add(name, f"doesn't start with {prefix}", "Copy the right token from your Slack app")
    return token


def _address(environ: Mapping[str, str], name: str, default: str | None, problems: Problems) -> str:
    url = environ.get(name) or default
    if url is None:
        problems.add(name, "is not set", "Set it to the address of Vault, such as https://vault.example.com")
        return ""
    if not is_safe_address(url):
        problems.add(name, "is not an https address", "Use https. http is allowed only for this machine")
    return url


def _pem_path(environ: Mapping[str, str], name: str, problems: Problems) -> str | None:
    path = environ.get(name) or None
    problem = pem_problem(path) if path else None
    if problem:
        problems.add(name, problem, PEM_FIX)
    return path


def pem_problem(path: str) -> str | None:
    """What is wrong with the path of a PEM file, or of a directory of PEM files; None if nothing is."""
    if not Path(path).exists():
        return "is the path of a file that doesn't exist"
    try:
        tls_context(only=path)
    except OSError:
        return f"is the path of a {'directory' if Path(path).is_dir() else 'file'} without a certificate"
    return None


def _main_identity(
    environ: Mapping[str, str], secrets: Mapping[str, Secret | None], problems: Problems
) -> VaultIdentity:
    token, secret_id = secrets["VAULT_TOKEN"], secrets["VAULT_SECRET_ID"]
    role_id, kubernetes = environ.get("VAULT_ROLE_ID"), environ.get("VAULT_K8S_ROLE")
    logins = [
        name
        for name, given in (
            ("VAULT_TOKEN", token),
            ("VAULT_ROLE_ID", role_id or secret_id),
            ("VAULT_K8S_ROLE", kubernetes),
        )
        if given
    ]
    if len(logins) > 1:
        problems.add(logins[0], f"is set together with {', '.join(logins[1:])}", "Keep one way to log in to Vault")
    elif not logins:
        problems.add(
            "VAULT_ROLE_ID",
            "is not set, and there is no other way to log in to Vault",
            "Set VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_K8S_ROLE, or VAULT_TOKEN",
        )
    elif logins == ["VAULT_ROLE_ID"] and not (role_id and secret_id):
        missing = "VAULT_SECRET_ID" if role_id else "VAULT_ROLE_ID"
        problems.add(missing, "is not set", "AppRole needs VAULT_ROLE_ID and VAULT_SECRET_ID")
    if token:
        return VaultToken(token)
    if kubernetes:
        return VaultKubernetes(kubernetes)
    return VaultAppRole(role_id or "", secret_id or Secret(""))


def _release_identity(
    environ: Mapping[str, str], secrets: Mapping[str, Secret | None], problems: Problems
) -> VaultAppRole | None:
    role_id, secret_id = environ.get("VAULT_RELEASE_ROLE_ID"), secrets["VAULT_RELEASE_SECRET_ID"]
    if role_id and secret_id:
        return VaultAppRole(role_id, secret_id)
    if role_id or secret_id:
        missing = "VAULT_RELEASE_SECRET_ID" if role_id else "VAULT_RELEASE_ROLE_ID"
        problems.add(missing, "is not set", "Set both for the second identity, or neither")
    return None


def read_database_url(environ: Mapping[str, str], problems: Problems) -> Secret:
    """DATABASE_URL alone; what is wrong with it is added to `problems`."""
    return _checked_database_url(_secret(environ, "DATABASE_URL", problems), problems)


def _checked_database_url(url: Secret | None, problems: Problems) -> Secret:
    if not url:
        return Secret("sqlite:///taskgroup-bot.sqlite")
    # The parser's message can hold a part of the password, so it is not passed on.
    try:
        parsed = parse_url(url.reveal())
    except (ArgumentError, ValueError):
        problems.add("DATABASE_URL", "is not a valid URL", _DATABASE_FIX)
        return url
    match parsed.drivername:
        case "sqlite" if parsed.host or parsed.database in (None, "", ":memory:"):
            problems.add("DATABASE_URL", "has no file, and an in-memory database isn't kept", "Use sqlite:///FILE")
        case "postgresql+psycopg" if "@" in (parsed.host or ""):
            problems.add("DATABASE_URL", "has more than one @", _DATABASE_FIX)
        case "sqlite" | "postgresql+psycopg":
            pass
        case _:
            problems.add("DATABASE_URL", "is neither SQLite nor PostgreSQL", _DATABASE_FIX)
    return url


def _port(environ: Mapping[str, str], name: str, default: int, problems: Problems) -> int:
    text = environ.get(name) or str(default)
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    problems.add(name, f"{text!r} is not a port", "Use a number from 0 to 65535")
    return default


def _ip_address(environ: Mapping[str, str], name: str, problems: Problems) -> str:
    text = environ.get(name) or ""
    try:
        return str(ip_address(text)) if text else ""
    except ValueError:
        problems.add(name, f"{text!r} is not an IP address", "Use an IP address of this machine, such as 127.0.0.1")
        return ""

"""Reads and checks the environment variables. Every secret can also come from a file, as NAME_FILE.

The variables for Vault are left to `bot.config.vault_environment`, and bot.toml to `bot.config.bot_toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from sqlalchemy.exc import ArgumentError

from bot.config.problems import Problems
from bot.config.variables import read_address, read_pem_path, read_secret, read_token
from bot.config.vault_environment import VaultEnvironment, read_vault_environment
from bot.redaction import Secret
from bot.store.url import parse_url

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MIN_STATE_KEY_CHARACTERS = 32
_DATABASE_FIX = (
    "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, with @ : / in the password written as %40 %3A %2F"
)


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
    vault: VaultEnvironment
    database_url: Secret
    listen: str
    port: int
    ops_port: int
    log_level: str
    proxy_password: Secret | None
    state_key: Secret | None
    state_key_former: Secret | None


def read_environment(environ: Mapping[str, str], problems: Problems) -> Environment | None:
    """The environment; None when something is wrong, which is added to `problems`. Unknown variables are ignored."""
    before = len(problems)
    bot_token, app_token = (read_token(environ, name, problems) for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"))
    environment = Environment(
        slack_bot_token=_slack_token("SLACK_BOT_TOKEN", bot_token, "xoxb-", problems) or Secret(""),
        slack_app_token=_slack_token("SLACK_APP_TOKEN", app_token, "xapp-", problems),
        slack_signing_secret=read_token(environ, "SLACK_SIGNING_SECRET", problems),
        slack_api_url=read_address(environ, "SLACK_API_URL", "https://slack.com/api/", problems).rstrip("/") + "/",
        vault=read_vault_environment(environ, problems),
        database_url=read_database_url(environ, problems),
        listen=_ip_address(environ, "LISTEN", problems),
        port=_port(environ, "PORT", 3000, problems),
        ops_port=_port(environ, "OPS_PORT", 3001, problems),
        log_level=(environ.get("LOG_LEVEL") or "INFO").upper(),
        proxy_password=read_secret(environ, "NETWORK_PROXY_PASSWORD", problems),
        state_key=read_state_key(environ, "STATE_KEY", problems),
        state_key_former=read_state_key(environ, "STATE_KEY_FORMER", problems),
    )
    # OpenSSL ignores a wrong path.
    read_pem_path(environ, "SSL_CERT_FILE", problems)
    if bot_token is None:
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


def _slack_token(name: str, token: Secret | None, prefix: str, problems: Problems) -> Secret | None:
    if token and not token.reveal().startswith(prefix):
        problems.add(name, f"doesn't start with {prefix}", "Copy the right token from your Slack app")
    return token


def read_state_key(environ: Mapping[str, str], name: str, problems: Problems) -> Secret | None:
    """STATE_KEY or STATE_KEY_FORMER alone; None if it is not set. A short key could be guessed from the database."""
    key = read_secret(environ, name, problems)
    if key and len(key) < MIN_STATE_KEY_CHARACTERS:
        fixes = {
            "STATE_KEY": "Use a random key, such as from `openssl rand -base64 32`",
            "STATE_KEY_FORMER": "Use the whole former STATE_KEY or bot token",
        }
        problems.add(name, f"has fewer than {MIN_STATE_KEY_CHARACTERS} characters", fixes[name])
    return key


def read_database_url(environ: Mapping[str, str], problems: Problems) -> Secret:
    """DATABASE_URL alone; what is wrong with it is added to `problems`."""
    return _checked_database_url(read_secret(environ, "DATABASE_URL", problems), problems)


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

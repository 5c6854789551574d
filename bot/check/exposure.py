"""Warns of secrets in the environment, and of ports that are open to other machines. It reads only the settings."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from bot.check.finding import Finding
from bot.config.environment import Environment
from bot.redaction import FileSecret, Secret
from bot.store.url import parse_url
from bot.vault.login import VaultAppRole, VaultIdentity, VaultToken, WrappedSecret


def check_exposure(environment: Environment) -> Iterator[Finding]:
    """Yields a warning about secrets in the environment, and one about the ports. Nothing if both are fine."""
    in_clear = [name for name, secret in _secrets(environment).items() if secret and not isinstance(secret, FileSecret)]
    if in_clear:
        yield Finding(
            "secrets",
            f"{', '.join(in_clear)} set in the environment, which child processes and the container's configuration "
            "also expose",
            f"write each to a file and set its path, such as {in_clear[0]}_FILE",
            is_warning=True,
        )
    if not environment.listen or _is_public(environment.listen):
        yield Finding(
            f"ops port {environment.ops_port}",
            f"is open on {environment.listen or 'all addresses'}. Anyone who can reach it can read the bot's health "
            "and metrics",
            "set LISTEN to 127.0.0.1 or a private address, unless a firewall or the container's network protects it",
            is_warning=True,
        )


def _is_public(address: str) -> bool:
    found = ip_address(address)
    return found.is_unspecified or found.is_global


def _secrets(environment: Environment) -> dict[str, Secret | None]:
    """The secrets by the name of their variable. A database URL without a password is none."""
    url = environment.database_url
    vault = environment.vault
    return {
        "SLACK_BOT_TOKEN": environment.slack_bot_token,
        "SLACK_APP_TOKEN": environment.slack_app_token,
        "SLACK_SIGNING_SECRET": environment.slack_signing_secret,
        "NETWORK_PROXY_PASSWORD": environment.proxy_password,
        "STATE_KEY": environment.state_key,
        "STATE_KEY_FORMER": environment.state_key_former,
        "DATABASE_URL": url if parse_url(url.reveal()).password else None,
        **_login_secret(vault.identity, "VAULT_"),
        **_login_secret(vault.release_identity, "VAULT_RELEASE_"),
    }


def _login_secret(identity: VaultIdentity | None, prefix: str) -> dict[str, Secret]:
    match identity:
        case VaultToken(token=token):
            return {f"{prefix}TOKEN": token}
        case VaultAppRole(secret_id=Secret() as secret_id):
            return {f"{prefix}SECRET_ID": secret_id}
        case VaultAppRole(secret_id=WrappedSecret(token=token)):
            return {f"{prefix}WRAPPED_SECRET_ID": token}
        case _:
            return {}

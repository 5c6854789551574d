"""Checks Vault: logins, and the paths of the source and destination keys. It reads no value of a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.check.finding import Finding, vault_failed
from bot.config.bot_toml import Project
from bot.huawei.required_keys import (
    ANY_SOURCE_KEYS,
    DESTINATION_KEYS,
    SECURITY_TOKEN,
    RequiredKeys,
    fields_to_send,
    keys_not_text,
    missing_keys,
)
from bot.redaction import FileSecret
from bot.ui.formatting import time_left
from bot.vault.client import Vault
from bot.vault.errors import VaultError
from bot.vault.login import VaultIdentity, VaultToken
from bot.vault.token import TokenLimits


def check_login(subject: str, vault: Vault, identity: VaultIdentity) -> Finding:
    """Whether an identity can log in, how long its tokens live, and whether they are revocable and without a use limit.

    A wrapping token is only looked up, because logging in would use it up.
    """
    try:
        wrapped_until = vault.wrapped_until(identity)
        if wrapped_until is not None:
            until = f"{wrapped_until:%Y-%m-%d %H:%M} UTC"
            result = f"not tried, because it would use up the wrapping token, which is unused and valid until {until}"
            return Finding(subject, result, is_skipped=True)
        limits = vault.try_login(identity).limits
    except VaultError as error:
        return vault_failed(subject, error)
    # A role can be changed; a static token has to be replaced.
    is_token = isinstance(identity, VaultToken)
    if limits.is_batch:
        fix = "create a token with -type=service" if is_token else "set token_type=service on its role"
        return Finding(subject, "returns a batch token, which has no accessor and can't be revoked", fix)
    if limits.uses:
        fix = "create a token without -use-limit" if is_token else "set token_num_uses=0 on its role"
        return Finding(subject, f"returns a token that is limited to {limits.uses} uses", fix)
    return Finding(subject, f"returns a service token without a use limit, {_life(identity, limits)}")


def _life(identity: VaultIdentity, limits: TokenLimits) -> str:
    """How long a token is valid, and what happens then."""
    if limits.seconds_left is None:
        return "which doesn't expire"
    valid = f"valid for {time_left(limits.seconds_left)}"
    if not isinstance(identity, VaultToken):
        return f"{valid}. Then the bot logs in again"
    if limits.is_periodic:
        return f"{valid}. The bot renews it while it runs"
    if limits.is_renewable:
        return f"{valid}. The bot renews it until it reaches its maximum TTL in Vault. Replace it before that"
    if isinstance(identity.token, FileSecret):
        return f"{valid}. It can't be renewed. When it expires, the bot reads VAULT_TOKEN_FILE again"
    return f"{valid}. It can't be renewed. Before it expires, set a new VAULT_TOKEN and restart the bot"


def check_keys(vault: Vault, name: str, project: Project) -> Iterator[Finding]:
    """Yields a finding for each path of a project's source and destination keys."""
    settings = project.vault
    sources = [settings.source] if isinstance(settings.source, str) else sorted(set(settings.source.values()))
    for path in dict.fromkeys((*sources, settings.destination)):
        required = [DESTINATION_KEYS] if path == settings.destination else ANY_SOURCE_KEYS
        yield _keys(vault, f"project {name}, Vault {settings.mount}/{path}", settings.mount, path, required)


def version_suffix(version: int | None) -> str:
    """The version of a secret at the end of a result; empty on KV version 1."""
    return f", version {version}" if version is not None else ""


def _keys(vault: Vault, subject: str, mount: str, path: str, required: Sequence[RequiredKeys]) -> Finding:
    """Whether a path can be read, and contains all keys of one entry of `required`."""
    try:
        check = vault.check(mount, path)
    except VaultError as error:
        return vault_failed(subject, error)
    keys = check.keys
    if keys is None:
        return Finding(subject, "can be read, names of its keys not checked (the policy doesn't allow it)")
    result = f"has the keys {', '.join(keys) or 'none'}"
    if SECURITY_TOKEN in keys:
        fix = "write a permanent access key there, because OMS accepts no security token"
        return Finding(subject, result, fix)
    if all(fields_to_send(one, keys) is None for one in required):
        # If some keys of one kind are there, the fix names only that kind.
        partly_present = [
            one for one in required if any(field.key in keys for fields in one.alternatives for field in fields)
        ]
        missing = ", or ".join(missing_keys(one, keys) for one in partly_present or required)
        return Finding(subject, result, f"write {missing} there")
    not_text = [keys_not_text(one, keys, check.objects) for one in required if fields_to_send(one, keys) is not None]
    if all(not_text):
        return Finding(subject, f"the value of {not_text[0]} is a JSON object", f"write {not_text[0]} there as text")
    return Finding(subject, f"can be read{version_suffix(check.version)}, keys {', '.join(keys)}")

"""Reads the source and destination keys, in the only place where they are read, and builds the body of the PUT.

When they may be read is left to `bot.jobs.send.send`. Nothing read here is kept beyond what is returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from bot.domain.audit_events import AuditEvent
from bot.domain.request import Problem, Request, Verb
from bot.domain.task_group import Scope
from bot.huawei.error_catalogue import Side
from bot.huawei.required_keys import (
    DESTINATION_KEYS,
    SECURITY_TOKEN,
    KeyField,
    RequiredKeys,
    fields_to_send,
    keys_not_text,
    missing_keys,
    source_keys,
)
from bot.huawei.wire import retry_body, start_body
from bot.jobs.context import Context
from bot.jobs.problems import NOTHING_STARTED, RetryHint
from bot.redaction import JsonSecret, Secret
from bot.store.audit import BOT, Detail, Event, Fact, append
from bot.vault.errors import VaultError, VaultErrorKind
from bot.vault.session import KvSecret, TokenKind


@dataclass(frozen=True)
class CallBody:
    """The body of the PUT, the keys in it, and what the audit says of the Vault login that read them.

    `opened` says how the login was made, `closed` which versions were read and whether the login was given back.
    """

    content: Secret
    keys: tuple[Secret, ...]
    opened: Detail
    closed: Detail


class KeysUnfit(Exception):
    """The keys in Vault cannot work. `problem` says why, and contains none of their values."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.meaning)
        self.problem = problem


def read_body(context: Context, request: Request) -> CallBody:
    """As `_read_body`, once more with another login if Vault forbids a path.

    Vault answers a token that was revoked meanwhile and a missing right alike. Only a new login tells them apart.
    """
    try:
        return _read_body(context, request)
    except VaultError as error:
        if error.kind is not VaultErrorKind.FORBIDDEN:
            raise
    return _read_body(context, request)


def _read_body(context: Context, request: Request) -> CallBody:
    """Logs in to Vault, reads the keys, and gives the login back.

    The audit event "vault opened" is stored before anything is read. How the login ended is in "vault closed" if
    reading fails; otherwise the caller stores it, in "sending" or with `record_closed`.

    Raises:
        VaultError: the keys cannot be read.
        KeysUnfit: the keys cannot work.
    """
    mount, plan = request.plan.vault_mount, request.plan
    paths = dict.fromkeys(path for path in (plan.source_path, plan.destination_path) if path)
    secrets: dict[str, KvSecret] = {}
    session = context.vault.open_release()
    opened: dict[str, Fact] = {"accessor": session.accessor, "token": session.kind.value}
    closed: dict[str, Fact] = {}
    with ExitStack() as if_failed:
        if_failed.callback(
            lambda: _append(context, Event(AuditEvent.VAULT_CLOSED, BOT, request.id, {**opened, **closed}))
        )
        try:
            _append(context, Event(AuditEvent.VAULT_OPENED, BOT, request.id, opened))
            for path in paths:
                secrets[path] = session.read(mount, path)
        finally:
            closed |= {f"{mount}/{path}": secret.version for path, secret in secrets.items()}
            # A static token stays valid: it is not a login of its own that could be given back.
            closed["token given back"] = session.close() and session.kind is not TokenKind.STATIC
        fields = _fields(request, secrets)
        body = CallBody(_body(request, fields), tuple(fields.values()), opened, closed)
        if_failed.pop_all()
        return body


def record_closed(context: Context, request: Request, body: CallBody) -> None:
    """Stores the audit event "vault closed": keys were read, and nothing was sent."""
    _append(context, Event(AuditEvent.VAULT_CLOSED, BOT, request.id, {**body.opened, **body.closed}))


def _fields(request: Request, secrets: Mapping[str, KvSecret]) -> dict[KeyField, Secret]:
    plan = request.plan
    fields: dict[KeyField, Secret] = {}
    if plan.source_path is not None:
        where = f"{plan.vault_mount}/{plan.source_path}"
        fields |= _fields_of(secrets[plan.source_path], source_keys(request.group), where)
    where = f"{plan.vault_mount}/{plan.destination_path}"
    return fields | _fields_of(secrets[plan.destination_path], DESTINATION_KEYS, where)


def _fields_of(secret: KvSecret, needs: RequiredKeys, where: str) -> dict[KeyField, Secret]:
    # `vault kv put x sk=@file` stores the newline at the end of the file as well.
    values = {name: value.stripped() for name, value in secret.values.items()}
    present = [name for name, value in values.items() if value]
    fields = fields_to_send(needs, present)
    if fields is None:
        missing = missing_keys(needs, present)
        raise _unfit(f"The secret at {where} in Vault is missing {missing}.", f"Write {missing} there.")
    objects = [name for name, value in secret.values.items() if isinstance(value, JsonSecret)]
    not_text = keys_not_text(needs, present, objects)
    if not_text:
        raise _unfit(f"The value of {not_text} at {where} in Vault isn't text.", f"Write {not_text} there as text.")
    if values.get(SECURITY_TOKEN):
        raise _unfit(
            f"{where} in Vault holds a temporary access key, which OMS doesn't accept for the source or destination.",
            "Write a permanent access key there.",
        )
    return {field: values[field.key] for field in fields}


def _body(request: Request, fields: dict[KeyField, Secret]) -> Secret:
    try:
        if request.verb is Verb.RETRY:
            return Secret(retry_body(fields, request.scope or Scope.ALL_OBJECTS).decode())
        return Secret(start_body(fields).decode())
    except ValueError as error:
        raise _unfit(f"A key in Vault can't be correct ({error}).", "Correct it in Vault.") from None


def _unfit(meaning: str, remedy: str) -> KeysUnfit:
    return KeysUnfit(
        Problem("Vault", "", "", f"{meaning} {NOTHING_STARTED}", f"{remedy} {RetryHint.RETRY}", side=Side.VAULT)
    )


def _append(context: Context, event: Event) -> None:
    with context.store.write() as connection:
        append(connection, event, context.now())

"""Reads the keys of source and destination, in the only place where they are read, and makes the body of the call.

When that may be is left to `release`. What is read here is dropped with what is returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.domain.request import Problem, Request, Verb
from bot.domain.task_group import Scope
from bot.huawei.error_catalogue import Side
from bot.huawei.required_keys import (
    DESTINATION_KEYS,
    SECURITY_TOKEN,
    KeyField,
    RequiredKeys,
    fields_to_send,
    missing_keys,
    source_keys,
)
from bot.huawei.wire import retry_body, start_body
from bot.jobs.context import Context
from bot.jobs.problems import NOTHING_STARTED, RetryHint
from bot.redaction import Secret
from bot.store.audit import BOT, Detail, Event, Fact, append
from bot.vault.client import KvSecret
from bot.vault.login import TokenKind


@dataclass(frozen=True)
class CallBody:
    """The body of the PUT, the keys that it holds, and what the audit says of the login that read them.

    `opened` is how it began, `closed` what was read, in which versions, and whether the login was given back.
    """

    content: Secret
    keys: tuple[Secret, ...]
    opened: Detail
    closed: Detail


class KeysUnfit(Exception):
    """The keys that are there cannot work: the trouble says why, and holds nothing of them."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.meaning)
        self.problem = problem


def read_body(context: Context, request: Request) -> CallBody:
    """Logs in anew, reads the keys, gives the login back.

    The audit is told of the login before anything is read with it, and of its end however that comes.

    Raises:
        VaultFault, KeysUnfit: nothing can be sent.
    """
    mount = request.plan.vault_mount
    secrets: dict[str, KvSecret] = {}
    session = context.vault.open_release()
    login: dict[str, Fact] = {"accessor": session.accessor, "token": session.kind.value}
    is_sent_next = False
    closed: dict[str, Fact] = {}
    try:
        _tell(context, Event("vault opened", BOT, request.id, login))
        try:
            for path in dict.fromkeys(
                path for path in (request.plan.source_path, request.plan.destination_path) if path
            ):
                secrets[path] = session.read(mount, path)
        finally:
            closed |= {f"{mount}/{path}": secret.version for path, secret in secrets.items()}
            # The standing token is good as before: it is no login of this release's own.
            closed["token given back"] = session.close() and session.kind is not TokenKind.STATIC
        fields = _fields(request, secrets)
        body = CallBody(_body(request, fields), tuple(fields.values()), login, closed)
        is_sent_next = True
        return body
    finally:
        if not is_sent_next:
            # Otherwise the row "sending", which follows at once, tells how the login ended, or `tell_closed` does.
            _tell(context, Event("vault closed", BOT, request.id, {**login, **closed}))


def record_closed(context: Context, request: Request, body: CallBody) -> None:
    """Tells the audit that nothing was sent of what was read."""
    _tell(context, Event("vault closed", BOT, request.id, {**body.opened, **body.closed}))


def _fields(request: Request, secrets: Mapping[str, KvSecret]) -> dict[KeyField, Secret]:
    plan = request.plan
    fields: dict[KeyField, Secret] = {}
    if plan.source_path is not None:
        where = f"{plan.vault_mount}/{plan.source_path}"
        fields |= _chosen(secrets[plan.source_path], source_keys(request.group), where)
    where = f"{plan.vault_mount}/{plan.destination_path}"
    return fields | _chosen(secrets[plan.destination_path], DESTINATION_KEYS, where)


def _tell(context: Context, event: Event) -> None:
    with context.store.write() as connection:
        append(connection, event, context.now())


def _chosen(secret: KvSecret, needs: RequiredKeys, where: str) -> dict[KeyField, Secret]:
    # `vault kv put x sk=@file` leaves the end of a line.
    values = {name: value.stripped() for name, value in secret.values.items()}
    present = [name for name, value in values.items() if value]
    fields = fields_to_send(needs, present)
    if fields is None:
        missing = missing_keys(needs, present)
        raise _unfit(f"{where} in Vault has no key {missing}.", "Write it there.")
    if values.get(SECURITY_TOKEN):
        raise _unfit(
            f"{where} holds a temporary access key, and OMS takes no security token for source and destination.",
            "Write a permanent access key there.",
        )
    return {field: values[field.key] for field in fields}


def _body(request: Request, fields: dict[KeyField, Secret]) -> Secret:
    try:
        if request.verb is Verb.RETRY:
            return Secret(retry_body(fields, request.scope or Scope.ALL_OBJECTS).decode())
        return Secret(start_body(fields).decode())
    except ValueError as error:
        raise _unfit(f"A key in Vault cannot be right: {error}.", "Correct it in Vault.") from None


def _unfit(meaning: str, remedy: str) -> KeysUnfit:
    return KeysUnfit(
        Problem("Vault", "", "", f"{meaning} {NOTHING_STARTED}", f"{remedy} {RetryHint.RETRY}", side=Side.VAULT)
    )

"""From an approved request to the PUT: looks once more, opens Vault, reads the keys, sends once, drops them.

The attempt turns `ready → sending` by compare-and-set before the PUT. Whoever finds it `sending` never sends.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.oms.catalogue import ALREADY_RUNNING, WRONG_STATE
from bot.oms.client import Accepted
from bot.oms.errors import NotSent, OmsError, Refused, Throttled, Unanswered
from bot.oms.taskgroup import StartKeys, start_body
from bot.redaction import Secret, scrub
from bot.request.group import RUNNING_STATUSES, GroupStatus, TaskGroup
from bot.request.model import Attempt, Request, State, Trouble
from bot.request.next_step import Step, next_step
from bot.store import requests
from bot.store.audit import BOT, Event, append
from bot.vault import KvSecret, ReleaseSession
from bot.vault_faults import VaultFault
from bot.work import outcome
from bot.work.caller import KeyRests
from bot.work.settings import plan_now
from bot.work.tools import Tools, save_turn
from bot.work.trouble import NOTHING_STARTED, trouble_of

log = logging.getLogger(__name__)

MAX_TRIES = 3
TRY_AGAIN_AFTER = timedelta(seconds=5)
LOOK_AGAIN_AFTER = timedelta(seconds=10)


@dataclass(frozen=True)
class _Keys:
    """The body of the PUT, and the versions of the secrets that it was made of."""

    body: Secret
    versions: dict[str, str | int | bool | list[str] | None]


class _Stopped(Exception):
    """Nothing is sent: the trouble says why."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.meaning)
        self.trouble = trouble


def advance(tools: Tools, request: Request) -> None:
    """Releases the keys of an approved request whose time has come, and sends the PUT.

    The caller has claimed the row; what it was when it was read is compared before anything is sent.
    """
    if next_step(request, tools.now()) is not Step.RELEASE or request.attempt is None:
        return
    if plan_now(tools, request) != request.plan:
        _turn(tools, request, request.turned(State.VOID, at=tools.now()), Event("void", BOT, request.id))
        return
    if request.attempt.number > 1:
        tools.callers.a_person_asks(request.plan.project)
    try:
        group = tools.callers.call(request.plan.project, lambda oms: oms.show(request.group.group_id))
        if group.status is not GroupStatus.PAUSED:
            _no_longer_paused(tools, request, group)
            return
        keys = _read_keys(tools, request)
    except (VaultFault, KeyRests, OmsError) as fault:
        _not_started(tools, request, trouble_of(fault, request.plan))
        return
    except _Stopped as stopped:
        _not_started(tools, request, stopped.trouble)
        return
    _send(tools, request, request.attempt, group, keys)


def _read_keys(tools: Tools, request: Request) -> _Keys:
    """The keys of source and destination, in the only place where they are read.

    Raises:
        VaultFault, _Stopped: they are not there. Neither holds anything of a key.
    """
    plan = request.plan
    session = tools.vault.open_release()
    given_back = False
    try:
        detail = {"accessor": session.accessor, "token": session.kind.value}
        with tools.store.write() as connection:
            append(connection, Event("vault opened", BOT, request.id, detail), tools.now())
        source = session.read(plan.vault_mount, plan.source_path)
        same = plan.destination_path == plan.source_path
        destination = source if same else session.read(plan.vault_mount, plan.destination_path)
    finally:
        given_back = _give_back(session)
    body = _body(request, source, destination)
    return _Keys(
        body,
        {
            f"{plan.vault_mount}/{plan.source_path}": source.version,
            f"{plan.vault_mount}/{plan.destination_path}": destination.version,
            "token given back": given_back,
        },
    )


def _give_back(session: ReleaseSession) -> bool:
    return session.close()


def _body(request: Request, source: KvSecret, destination: KvSecret) -> Secret:
    plan = request.plan
    found: list[Secret] = []
    for secret, path in ((source, plan.source_path), (destination, plan.destination_path)):
        for name in ("ak", "sk"):
            value = secret.values.get(name)
            if not value:
                raise _stopped(f"`{plan.vault_mount}/{path}` in Vault has no key {name}.", "Write it there")
            found.append(value)
        if secret.values.get("security_token"):
            raise _stopped(
                f"`{plan.vault_mount}/{path}` holds a temporary access key, and OMS takes no security token for task "
                "groups.",
                "Write a permanent access key there",
            )
    try:
        return Secret(start_body(StartKeys(*found)).decode())
    except ValueError as error:
        raise _stopped(f"A key in Vault cannot be right: {error}.", "Correct it in Vault") from None


def _stopped(meaning: str, next_step: str) -> _Stopped:
    return _Stopped(Trouble("Vault", "", "", f"{meaning} {NOTHING_STARTED}", f"{next_step}, then press Retry."))


def _send(tools: Tools, request: Request, attempt: Attempt, group: TaskGroup, keys: _Keys) -> None:
    now = tools.now()
    sending = replace(
        request, group=group, attempt=replace(attempt, sent_at=now, before=group.progress), sight=None
    ).turned(State.SENDING, at=now)
    with tools.store.write() as connection:
        if not requests.turn_attempt(connection, request.id, attempt.number, "ready", "sending", now):
            return
        detail = {"number": attempt.number, **keys.versions}
        sending = requests.save(connection, request, sending, now, Event("sending", BOT, request.id, detail))
    answer = _put(tools, sending, keys)
    now = tools.now()
    match answer:
        case Accepted(huawei_request_id):
            _answered(tools, sending, outcome.accepted(sending, huawei_request_id, now), now, "accepted", None)
        case Throttled() | NotSent() if attempt.tries + 1 < MAX_TRIES:
            _back_to_ready(tools, sending, answer, now)
        case Refused() if answer.answer.code in ALREADY_RUNNING | WRONG_STATE:
            # Somebody else was quicker, or it is something else: the group itself tells.
            _answered(tools, sending, sending.turned(State.UNKNOWN, at=now), now, "refused by OMS", answer)
        case Unanswered():
            trouble = trouble_of(answer, request.plan)
            _answered(tools, sending, sending.turned(State.UNKNOWN, at=now, trouble=trouble), now, "unanswered", answer)
        case KeyRests() | VaultFault() | OmsError():
            trouble = trouble_of(answer, request.plan)
            turned = sending.turned(State.NOT_STARTED, at=now, trouble=trouble)
            _answered(tools, sending, turned, now, "not started", answer)


def _put(tools: Tools, request: Request, keys: _Keys) -> Accepted | OmsError | KeyRests | VaultFault:
    """The one PUT of an attempt. What it gives back holds nothing of a key, whatever went wrong."""
    try:
        body = keys.body.reveal().encode()
        return tools.callers.call(request.plan.project, lambda oms: oms.start(request.group.group_id, body))
    except (OmsError, KeyRests, VaultFault) as error:
        return error
    except Exception as error:  # noqa: BLE001
        # Whatever it was, it may have come after the bytes left. The traceback could lead to the keys: not logged.
        reference = f"F-{secrets.token_hex(4).upper()}"
        log.error("fault %s in the PUT: %s: %s", reference, type(error).__name__, scrub(str(error), [keys.body]))
        return Unanswered(f"the bot failed, reference {reference}")


def _answered(
    tools: Tools, old: Request, new: Request, now: datetime, what: str, error: OmsError | KeyRests | VaultFault | None
) -> None:
    answer = error.answer if isinstance(error, Refused | Unanswered) else None
    attempt = new.attempt
    detail: dict[str, str | int | bool | list[str] | None] = {
        "code": answer.code if answer else type(error).__name__ if error else None,
        "huawei_request_id": answer.huawei_request_id
        if answer
        else (attempt.huawei_request_id if attempt is not None else None),
    }
    with tools.store.write() as connection:
        if attempt is not None:
            state = "unknown" if new.state is State.UNKNOWN else "answered"
            requests.turn_attempt(connection, old.id, attempt.number, "sending", state, now)
        save_turn(connection, old, new, now, Event(what, BOT, old.id, detail))


def _back_to_ready(tools: Tools, sending: Request, error: Throttled | NotSent, now: datetime) -> None:
    attempt = sending.attempt
    if attempt is None:
        return
    wait = timedelta(seconds=error.retry_after_seconds or 0) if isinstance(error, Throttled) else timedelta()
    again = replace(
        sending,
        attempt=replace(
            attempt, tries=attempt.tries + 1, not_before=now + max(wait, TRY_AGAIN_AFTER), sent_at=None, before=None
        ),
    ).turned(State.APPROVED, at=now, trouble=replace(trouble_of(error, sending.plan), next_step=""))
    with tools.store.write() as connection:
        requests.turn_attempt(connection, sending.id, attempt.number, "sending", "ready", now)
        event = Event("not sent, tried again", BOT, sending.id, {"number": attempt.number, "why": type(error).__name__})
        save_turn(connection, sending, again, now, event)


def _no_longer_paused(tools: Tools, request: Request, group: TaskGroup) -> None:
    now, attempt = tools.now(), request.attempt
    if attempt is None:
        return
    event = Event("no longer paused", BOT, request.id, {"status": int(group.status)})
    seen = replace(request, group=group)
    match group.status:
        case GroupStatus.PAUSING:
            later = replace(seen, attempt=replace(attempt, not_before=now + LOOK_AGAIN_AFTER))
            _turn(tools, request, later, event)
        case status if status in RUNNING_STATUSES:
            # Resumed by somebody else meanwhile: nothing to send, and still worth following.
            began = replace(seen, attempt=replace(attempt, answered_at=now, before=group.progress))
            _turn(tools, request, began.turned(State.ACCEPTED, at=now), event)
        case GroupStatus.COMPLETED:
            _turn(tools, request, seen.turned(State.DONE, at=now), event)
        case _:
            trouble = Trouble(
                "OMS",
                "",
                "",
                f"The group is no longer paused: it is {group.status.name.lower().replace('_', ' ')}. "
                f"{NOTHING_STARTED}",
                "Look at it in the console.",
            )
            _turn(tools, request, seen.turned(State.NOT_STARTED, at=now, trouble=trouble), event)


def _not_started(tools: Tools, request: Request, trouble: Trouble) -> None:
    now = tools.now()
    codes = {"code": trouble.code, "why": trouble.meaning, "huawei_request_id": trouble.huawei_request_id or ""}
    event = Event("not started", BOT, request.id, codes)
    with tools.store.write() as connection:
        if request.attempt is not None:
            requests.turn_attempt(connection, request.id, request.attempt.number, "ready", "settled", now)
        save_turn(connection, request, request.turned(State.NOT_STARTED, at=now, trouble=trouble), now, event)


def _turn(tools: Tools, old: Request, new: Request, event: Event) -> None:
    with tools.store.write() as connection:
        save_turn(connection, old, new, tools.now(), event)

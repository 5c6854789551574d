"""One message asks once for each group, whatever kills the bot and whatever becomes of the request meanwhile.

One that waits for a group to pause bears what may pass by itself, and ends with what nobody corrects. Where nobody is
asked, the audit says of which project: so it counts as activity there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.domain.request import Request, State
from bot.jobs.ask import create_request, preflight
from bot.jobs.context import Context
from bot.sandbox.faults import Answer
from bot.sandbox.oms_examples import LEDGERS, NIGHTLY_IMAGES, an
from bot.sandbox.oms_state import PAUSED
from bot.sandbox.slack import workspace as w
from bot.sandbox.system import Sandbox
from bot.store import audit, outbox, requests, tables
from bot.store.inbox import Kind, Message
from tests.support.in_process import at, context_of, press, stored_message

PAUSING = 7
UNKNOWN, DONE = "9f9f9f9f-0000-4000-8000-000000000001", an(3)


@pytest.fixture
def inside(new_sandbox: Callable[..., Sandbox]) -> Iterator[tuple[Sandbox, Context]]:
    sandbox = new_sandbox()
    with context_of(sandbox) as context:
        yield sandbox, context


class Killed(BaseException):
    """As kill -9: nothing catches it."""


def typed(key: str = "trigger-1") -> Message:
    return Message(Kind.CREATE_REQUEST, key, w.ALICE, w.TEAM_ID, "C0TEST0001", text=f"{NIGHTLY_IMAGES} network is back")


def killed_before_its_answer(context: Context, message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(create_request, "reply", die)
        with pytest.raises(Killed):
            create_request.create_requests(context, message)


def all_requests(context: Context) -> list[Request]:
    with context.store.read() as connection:
        ids = connection.execute(select(tables.requests.c.id)).scalars().all()
        return [found for found in (requests.get(connection, one) for one in ids) if found is not None]


def denied(sandbox: Sandbox, context: Context) -> Request:
    [made] = all_requests(context)
    [card] = sandbox.workspace.of(w.MIGRATIONS)
    return press(context, Kind.DENY, w.CAROL, made, card, text="not today")


def answers(context: Context) -> list[str]:
    with context.store.read() as connection:
        numbers = connection.execute(select(tables.notices.c.id).order_by(tables.notices.c.id)).scalars().all()
        notices = [outbox.get_notice(connection, number)[0] for number in numbers]
    return [notice.text for notice in notices if notice.address == w.ALICE]


def test_what_was_denied_before_it_was_answered_is_not_asked_again_by_the_same_message(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    message = typed()
    stored_message(context, message)
    killed_before_its_answer(context, message, monkeypatch)
    ended = denied(sandbox, context)
    create_request.create_requests(context, message)
    assert [(one.id, one.state) for one in all_requests(context)] == [(ended.id, State.DENIED)]
    answer = answers(context)[-1]
    [card] = sandbox.workspace.of(w.MIGRATIONS)
    assert answer.startswith(f"{ended.id}: Denied")
    assert card.ts.replace(".", "") in answer
    again = typed("trigger-2")
    stored_message(context, again)
    create_request.create_requests(context, again)
    assert len(all_requests(context)) == 2, "who types it once more asks once more"


def test_a_message_that_waited_for_a_group_to_pause_asks_once_as_well(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    message = typed()
    stored_message(context, message)
    sandbox.world.groups[NIGHTLY_IMAGES].status = PAUSING
    killed_before_its_answer(context, message, monkeypatch)
    sandbox.world.groups[NIGHTLY_IMAGES].status = PAUSED
    waits = Message(Kind.CREATE_ONCE_PAUSED, f"trigger-1/{NIGHTLY_IMAGES}", w.ALICE, w.TEAM_ID, text=message.text)
    assert create_request.create_once_paused(context, waits, context.now())
    denied(sandbox, context)
    create_request.create_requests(context, message)
    assert [one.state for one in all_requests(context)] == [State.DENIED]


def test_of_two_who_work_on_one_message_at_once_one_asks(
    inside: tuple[Sandbox, Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, context = inside
    message = typed()
    stored_message(context, message)
    check_keys = preflight.check_keys

    def meanwhile(*arguments: Any) -> object:
        # The other is quicker, by a whole request, and carol has denied it.
        monkeypatch.setattr(preflight, "check_keys", check_keys)
        killed_before_its_answer(context, message, monkeypatch)
        denied(sandbox, context)
        return check_keys(*arguments)

    monkeypatch.setattr(preflight, "check_keys", meanwhile)
    create_request.create_requests(context, message)
    assert [one.state for one in all_requests(context)] == [State.DENIED]
    assert "Denied" in answers(context)[-1]


@pytest.fixture
def of_two(new_sandbox: Callable[..., Sandbox]) -> Iterator[Context]:
    with context_of(new_sandbox(projects=2)) as context:
        yield context


@pytest.fixture
def of_one(new_sandbox: Callable[..., Sandbox]) -> Iterator[Context]:
    with context_of(new_sandbox()) as context:
        yield context


def not_asked(context: Context, text: str, person: str = w.ALICE) -> dict[str, object]:
    """What the audit says of a message by which nobody is asked."""
    message = Message(Kind.CREATE_REQUEST, text, person, w.TEAM_ID, w.MIGRATIONS, text=text)
    stored_message(context, message)
    create_request.create_requests(context, message)
    with context.store.read() as connection:
        [row] = connection.execute(select(tables.audit.c.event, tables.audit.c.detail)).all()
    assert row.event == "not asked"
    detail: dict[str, object] = json.loads(row.detail)
    return detail


def activity(context: Context) -> dict[str, int]:
    with context.store.read() as connection:
        return {name: audit.count_of_project(connection, name, 0, 9) for name in context.projects}


def test_a_group_that_cannot_be_asked_for_counts_in_the_project_that_it_is_in(of_two: Context) -> None:
    detail = not_asked(of_two, f"{DONE} why not")
    assert (detail["groups"], detail["project"]) == ([DONE], "media")
    assert activity(of_two) == {"media": 1, "archive": 0}


def test_a_group_that_is_nowhere_counts_in_the_one_project_where_it_was_looked_for(of_two: Context) -> None:
    assert not_asked(of_two, f"{NIGHTLY_IMAGES} project=archive")["project"] == "archive"
    assert activity(of_two) == {"media": 0, "archive": 1}


def test_a_group_that_is_in_none_of_several_projects_counts_in_none(of_two: Context) -> None:
    assert "project" not in not_asked(of_two, UNKNOWN)
    assert activity(of_two) == {"media": 0, "archive": 0}


def test_who_names_a_project_and_may_not_ask_there_counts_there(of_one: Context) -> None:
    assert not_asked(of_one, f"{NIGHTLY_IMAGES} project=media", w.ERIN)["project"] == "media"
    assert activity(of_one) == {"media": 1}


def test_a_name_that_is_no_project_is_not_taken_for_one(of_one: Context) -> None:
    assert "project" not in not_asked(of_one, f"{LEDGERS} project=nowhere")


def waiting(sandbox: Sandbox, context: Context) -> Message:
    sandbox.world.groups[NIGHTLY_IMAGES].status = PAUSING
    url = sandbox.slack.answer_url(w.ALICE, w.MIGRATIONS)
    message = Message(
        Kind.CREATE_ONCE_PAUSED,
        "1",
        w.ALICE,
        w.TEAM_ID,
        w.MIGRATIONS,
        f"{NIGHTLY_IMAGES} network is back",
        response_url=url,
    )
    stored_message(context, message)
    return message


def vault_is_sealed(sandbox: Sandbox) -> None:
    sandbox.world.groups[NIGHTLY_IMAGES].status = PAUSED
    sandbox.vault.seal()


HINDRANCES: dict[str, Callable[[Sandbox], None]] = {
    "OMS fails": lambda sandbox: sandbox.oms.fault("show", Answer(503, "APIG.0601")),
    "OMS asks to slow down": lambda sandbox: sandbox.oms.fault("show", Answer(429, "APIG.0308", retry_after=1)),
    "Vault is sealed": vault_is_sealed,
}


@pytest.mark.parametrize("reason", HINDRANCES)
def test_what_may_pass_is_waited_for_half_an_hour_and_then_told(inside: tuple[Sandbox, Context], reason: str) -> None:
    sandbox, context = inside
    message, received_at = waiting(sandbox, context), context.now()
    HINDRANCES[reason](sandbox)
    assert not create_request.create_once_paused(context, message, received_at)
    assert sandbox.workspace.told(w.ALICE) == []
    HINDRANCES[reason](sandbox)
    assert create_request.create_once_paused(at(context, received_at + timedelta(minutes=30)), message, received_at)


def test_what_has_passed_does_no_harm(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    message = waiting(sandbox, context)
    sandbox.oms.fault("show", Answer(503, "APIG.0601"))
    assert not create_request.create_once_paused(context, message, context.now())
    sandbox.world.groups[NIGHTLY_IMAGES].status = PAUSED
    assert create_request.create_once_paused(context, message, context.now())
    assert len(sandbox.workspace.of(w.MIGRATIONS)) == 1, "the card"


def test_a_refusal_ends_the_wait_at_once(inside: tuple[Sandbox, Context]) -> None:
    sandbox, context = inside
    message = waiting(sandbox, context)
    sandbox.oms.fault("show", Answer(403, "OMS.0072"))
    assert create_request.create_once_paused(context, message, context.now())

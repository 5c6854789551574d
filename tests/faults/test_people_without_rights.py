"""People without rights cost people with rights nothing: an approver presses once, whoever else uses the bot."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bot.sandbox.slack.ids import BOB, CAROL, ERIN, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.ui import replies
from tests.support.sandbox import create_request, put_calls, wait_for_accepted


def lookups(sandbox: Sandbox) -> int:
    return len([call for call in sandbox.call_log.since() if call.path == "users.info"])


def add_guests(sandbox: Sandbox, count: int) -> list[str]:
    """Adds guests to the workspace and to the channel of the cards."""
    guests = [f"U0GUEST{number:03d}" for number in range(count)]
    for guest in guests:
        sandbox.workspace.users[guest] = sandbox.workspace.users[ERIN] | {"id": guest}
        sandbox.workspace.channels[MIGRATIONS].members.add(guest)
    return guests


@pytest.mark.long
def test_an_approver_presses_once_while_a_guest_sends_six_commands_a_second(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    stopped, sent = threading.Event(), threading.Semaphore(0)

    def flood() -> None:
        while not stopped.wait(1 / 6):
            sandbox.people.type(ERIN, "list")
            sent.release()

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        # Without a limit, the guest uses up the calls of a minute.
        for _ in range(110):
            assert sent.acquire(timeout=10)
        sandbox.people.press(CAROL, card, "approve")
        wait_for_accepted(sandbox, card)
    finally:
        stopped.set()
        flooding.join()
    assert len(put_calls(sandbox)) == 1
    assert lookups(sandbox) < 15, "the verdict about the guest is kept"


@pytest.mark.parametrize("act", ["type", "press", "form"])
def test_an_approver_presses_once_while_a_hundred_guests_use_the_bot(
    new_sandbox: Callable[..., Sandbox], act: str
) -> None:
    sandbox = new_sandbox()
    guests = add_guests(sandbox, 130)
    sandbox.start_bot()
    card = create_request(sandbox)
    before = lookups(sandbox)
    for guest in guests:
        match act:
            case "type":
                assert sandbox.people.type(guest, "list").failure is None
            case "press":
                assert sandbox.people.press(guest, card, "approve").failure is None
            case "form":
                assert sandbox.people.type(guest, "").failure is None
    sandbox.people.press(CAROL, card, "approve")
    wait_for_accepted(sandbox, card)
    assert len(put_calls(sandbox)) == 1
    assert lookups(sandbox) - before < 50, "half of the calls of a minute"
    opened = [call for call in sandbox.call_log.since() if call.path == "views.open"]
    assert len(opened) < 50


def test_a_person_who_sends_too_much_is_told_and_others_are_answered(sandbox: Sandbox) -> None:
    texts = [str(sandbox.people.type(ERIN, "help").payload) for _ in range(100)]
    assert any(replies.TOO_MANY in text for text in texts)
    assert replies.TOO_MANY not in str(sandbox.people.type(BOB, "help").payload)

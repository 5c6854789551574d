"""Neither many questions of one person nor a region that hangs delays the approvals of others."""

from __future__ import annotations

from collections.abc import Callable

from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Hold
from bot.sandbox.huawei.group import PAUSED, Group
from bot.sandbox.slack.ids import BOB, CAROL, MIGRATIONS
from bot.sandbox.system import Sandbox
from tests.support.sandbox import create_request, put_calls


def test_an_approval_reaches_oms_while_another_person_floods_the_bot(sandbox: Sandbox) -> None:
    card = create_request(sandbox)
    hold = Hold()
    sandbox.oms.faults.add("list", *[hold] * 100)
    for _ in range(30):
        assert sandbox.people.type(BOB, "list").failure is None
    assert hold.reached.wait(10)
    sandbox.people.press(CAROL, card, "approve")
    sandbox.wait_until(lambda: len(put_calls(sandbox)) == 1, 30, "the call while the lists hang")
    sandbox.oms.faults.clear()
    hold.released.set()

    def lists() -> list[str]:
        return [text for text in sandbox.workspace.private_texts(BOB) if "*1 open request*" in text]

    sandbox.wait_until(lambda: len(lists()) == 30, 30, "a reply to every question")


def test_an_approval_reaches_oms_while_the_region_of_another_project_hangs(new_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = new_sandbox(projects=2)
    hanging = [f"4d4d4d4d-0000-4000-8000-{number:012d}" for number in range(9)]
    for group_id in hanging:
        sandbox.oms_by_project["archive"].state.groups[group_id] = Group(group_id, "in a region that hangs", PAUSED)
    sandbox.start_bot()
    card = create_request(sandbox)
    sandbox.people.type(BOB, f"{' '.join(hanging)} as well")
    sandbox.wait_until(lambda: len(sandbox.workspace.messages_in(MIGRATIONS)) == 10, 40, "the other cards")
    hold = Hold()
    sandbox.oms_by_project["archive"].faults.add("start", *[hold] * 100)
    # The same person approves all of them, the one of the other project last.
    for other in sandbox.workspace.messages_in(MIGRATIONS)[1:]:
        sandbox.people.press(CAROL, other, "approve")
    assert hold.reached.wait(10)
    sandbox.people.press(CAROL, card, "approve")
    sandbox.wait_until(
        lambda: [call for call in put_calls(sandbox) if NIGHTLY_IMAGES in call.path] != [],
        10,
        "the call to the other project",
    )
    sandbox.oms_by_project["archive"].faults.clear()
    hold.released.set()
    sandbox.wait_until(lambda: len(put_calls(sandbox)) == 10, 40, "every call")

"""User actions that the bot refuses: delivers them more than once, and counts the replies."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace

from bot.sandbox.slack.ids import BOT_USER_ID, ERIN, FRANK, GRACE
from bot.sandbox.slack.workspace import OpenView, PostedMessage
from bot.sandbox.system import Sandbox
from tests.support.sandbox import full_text, run_concurrently

# A user action that is given the trigger id of its payload.
Action = Callable[[str], object]

# People who may do nothing, and how the bot refuses them.
OUTSIDERS = (
    (ERIN, "Guests can't use this app."),
    (FRANK, "Deactivated accounts can't use this app."),
    (GRACE, "other organizations"),
    (BOT_USER_ID, "Bots can't use this app."),
    ("U0NOBODY01", "other organizations"),
)


@dataclass
class Refusals:
    """Counts the replies that refuse something, by person and words."""

    sandbox: Sandbox
    expected: dict[tuple[str, str], int] = field(default_factory=dict)

    def expect(self, person: str, words: str, action: Action) -> None:
        """Acts twice at once with the same trigger and once more with another. Waits for one refusal of each."""
        self.sandbox.slack.api.reset_rate_limits()
        same = self.sandbox.workspace.new_trigger(person)
        run_concurrently(lambda: action(same), lambda: action(same))
        action(self.sandbox.workspace.new_trigger(person))
        wanted = self.expected[person, words] = self.expected.get((person, words), 0) + 2
        self.sandbox.wait_until(
            lambda: self.count(person, words) >= wanted,
            what=f"{wanted} replies to {person} with {words!r}, so far: {self.sandbox.workspace.private_texts(person)}",
        )

    def count(self, person: str, words: str) -> int:
        return sum(words in text for text in self.sandbox.workspace.private_texts(person))

    def assert_no_others(self) -> None:
        """Asserts that no reply came more often than expected."""
        found = {key: self.count(*key) for key in self.expected}
        assert found == self.expected


def pressing(sandbox: Sandbox, person: str, card: PostedMessage, action_id: str) -> Action:
    """The action of pressing a button."""
    return lambda trigger: sandbox.people.press(person, card, action_id, trigger_id=trigger)


def with_button(card: PostedMessage, action_id: str) -> PostedMessage:
    """The card with this button only, as a client with an old version shows it, or as an attacker forges it."""
    forged = copy(card)
    request_id = next(word for word in full_text(card).split() if word.startswith("R-")).strip(".`")
    text = {"type": "plain_text", "text": "x"}
    element = {"type": "button", "action_id": action_id, "value": request_id, "text": text}
    forged.blocks = [{"type": "actions", "block_id": "decide", "elements": [element]}]
    return forged


def submit_as(sandbox: Sandbox, person: str, opened: OpenView, view_id: str, values: dict[str, str]) -> None:
    """Submits a modal under this view id, even if it was submitted before."""
    sandbox.workspace.views[view_id] = replace(opened, id=view_id)
    sandbox.people.submit(person, view_id, values)

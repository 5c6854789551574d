"""What the views hold that people act on."""

from __future__ import annotations

from bot.ui.modals import home_view


def test_a_button_of_no_request_carries_nothing() -> None:
    view = home_view(["R-7K3F2QAB: a line"], "help").to_dict()
    assert [element for block in view["blocks"] for element in block.get("elements", ())] == [
        {
            "type": "button",
            "action_id": "request",
            "text": {"type": "plain_text", "text": "Ask for a group", "emoji": False},
            "accessibility_label": "Ask to resume or retry a task group",
        }
    ]

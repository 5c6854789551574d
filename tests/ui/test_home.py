"""The App Home view."""

from __future__ import annotations

from bot.ui.home import home_view


def test_a_button_that_belongs_to_no_request_has_no_value() -> None:
    view = home_view(["R-7K3F2QAB: a line"], "help").to_dict()
    assert [element for block in view["blocks"] for element in block.get("elements", ())] == [
        {
            "type": "button",
            "action_id": "request",
            "text": {"type": "plain_text", "text": "Ask for a group", "emoji": False},
            "accessibility_label": "Ask to resume or retry a task group",
        }
    ]

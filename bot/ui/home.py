"""The App Home view: open requests, a button for a new one, and how to use the command.

Pure. `bot.jobs.ask.queries` decides what a person may see and publishes the view.
"""

from __future__ import annotations

from collections.abc import Sequence

from slack_sdk.models.views import View

from bot.ui.blocks import actions, button, header, section

# A view has 100 blocks at most (Slack's reference of views), and this view has three other blocks.
MAX_LINES = 50


def home_view(lines: Sequence[str], help_text: str) -> View:
    """App Home for a person who may see at least one project.

    Arguments:
        lines: the status text of each open request. mrkdwn.
    """
    label = "Ask to resume or retry a task group"
    return View(
        type="home",
        blocks=[
            header("Open requests"),
            *(section(line) for line in lines[:MAX_LINES]),
            actions("home", button("Ask for a group", "request", None, accessibility_label=label)),
            section(help_text),
        ],
    )


def empty_home_view(text: str) -> View:
    """App Home for a person who may see nothing there. `text` gives the reason."""
    return View(type="home", blocks=[section(text)])

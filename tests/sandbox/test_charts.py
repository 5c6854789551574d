"""The Slack stand-in rejects charts as Slack does, and can be a workspace that takes none."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.slack.checks import problems_of_blocks, problems_of_view
from bot.sandbox.slack.ids import BOT_TOKEN, MIGRATIONS
from bot.sandbox.slack.server import SlackStandIn
from bot.ui.blocks import line_chart

CHART = line_chart("Rate over time", "Time", "MB/s", "Rate", [("1 min", 1.5), ("2 min", 3)])


def changed(path: str, value: object) -> dict[str, Any]:
    """The chart with another value at this path, whose parts are separated by `/`."""
    chart: Any = deepcopy(CHART)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place = chart
    for part in parents:
        place = place[part]
    place[last] = value
    return dict(chart)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("title", "x" * 51),
        ("title", ""),
        ("title", None),
        ("subtitle", "x"),
        ("chart", None),
        ("chart/type", "pie"),
        ("chart/colour", "red"),
        ("chart/axis_config", None),
        ("chart/axis_config/categories", []),
        ("chart/axis_config/categories", [str(number) for number in range(21)]),
        ("chart/axis_config/categories", ["1 min", "1 min"]),
        ("chart/axis_config/categories", ["1 min", "x" * 21]),
        ("chart/axis_config/x_label", "x" * 51),
        ("chart/axis_config/y_min", 0),
        ("chart/series", []),
        ("chart/series", CHART["chart"]["series"] * 2),
        ("chart/series", [CHART["chart"]["series"][0] | {"name": str(number)} for number in range(13)]),
        ("chart/series/0/name", "x" * 21),
        ("chart/series/0/data", []),
        ("chart/series/0/data/0/label", "3 min"),
        ("chart/series/0/data/0/value", "1.5"),
        ("chart/series/0/data/0/value", True),
        ("chart/series/0/data/0/value", float("nan")),
        ("chart/series/0/data/0/colour", "red"),
    ],
)
def test_what_slack_rejects(path: str, value: object) -> None:
    assert problems_of_blocks([CHART]) == []
    assert problems_of_blocks([changed(path, value)])


def test_a_message_has_two_charts_at_most_and_a_view_none() -> None:
    assert problems_of_blocks([CHART] * 2) == []
    assert problems_of_blocks([CHART] * 3) == ["no more than 2 charts allowed"]
    assert problems_of_view({"type": "home", "blocks": [CHART]})


def test_a_workspace_that_takes_no_charts_rejects_the_blocks(slack: SlackStandIn) -> None:
    client = WebClient(token=BOT_TOKEN, base_url=slack.api_url, retry_handlers=[])
    assert client.chat_postMessage(channel=MIGRATIONS, text="x", blocks=[CHART])["ok"]
    slack.api.takes_charts = False
    with pytest.raises(SlackApiError) as raised:
        client.chat_postMessage(channel=MIGRATIONS, text="x", blocks=[CHART])
    assert raised.value.response["error"] == "invalid_blocks"

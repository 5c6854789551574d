"""Reads texts and buttons out of Block Kit blocks and views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.ui.blocks import SlackMessage


def block_texts(message: SlackMessage) -> str:
    """Every string in the blocks of a message, a line each."""
    return "\n".join(strings(message.blocks))


def mrkdwn_objects(value: Any) -> Iterator[dict[str, Any]]:
    """The text objects in blocks, or in a view, that Slack reads as mrkdwn."""
    return (found for found in text_objects(value) if found["type"] == "mrkdwn")


def text_objects(value: Any) -> Iterator[dict[str, Any]]:
    """The text objects in blocks, or in a view, in their order."""
    if isinstance(value, dict):
        if value.get("type") in ("mrkdwn", "plain_text"):
            yield value
        for item in value.values():
            yield from text_objects(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from text_objects(item)


def mrkdwn_texts(value: Any) -> Iterator[str]:
    """The texts of `mrkdwn_objects`."""
    return (found["text"] for found in mrkdwn_objects(value))


def plain_texts(message: SlackMessage) -> list[str]:
    """The plain texts of a message outside its buttons, in which Slack makes no emoji."""
    texts = [block.get("text") or block.get("elements") for block in message.blocks if block["type"] != "actions"]
    found = [text for one in texts for text in (one if isinstance(one, list) else [one]) if text]
    return [text["text"] for text in found if text["type"] == "plain_text" and text["emoji"] is False]


def elements(message: SlackMessage) -> list[dict[str, Any]]:
    """The buttons and radio buttons of a message."""
    return buttons(message.blocks)


def buttons(blocks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The buttons and radio buttons in the blocks of a message."""
    return [element for block in blocks if block["type"] == "actions" for element in block["elements"]]


def strings(value: Any) -> Iterator[str]:
    """Every string in blocks or another JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)

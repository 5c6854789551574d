"""Builds Slack messages and Block Kit blocks within Slack's limits.

Pure. Every message has a `text`, which notifications and screen readers use, and blocks, which lay it out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ConfirmObject,
    ContextBlock,
    HeaderBlock,
    InteractiveElement,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)
from slack_sdk.models.blocks.basic_components import TextObject
from slack_sdk.models.views import View

from bot.ui.formatting import flatten_user_text, split_user_text

# Limits of Block Kit (Slack's block reference).
HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3_000
FIELD_CHARACTERS = 2_000
TEXT_CHARACTERS = 4_000
#: The block of a view that says when the view was made.
TIME_BLOCK = "as_of"


@dataclass(frozen=True)
class SlackMessage:
    """The `text` and `blocks` arguments of `chat.postMessage` and `chat.update`."""

    text: str
    blocks: tuple[dict[str, Any], ...] = ()


def slack_message(text: str, blocks: Sequence[Block]) -> SlackMessage:
    """A message with blocks.

    Raises:
        slack_sdk.errors.SlackObjectFormationError: a block exceeds a limit of Block Kit.
    """
    return SlackMessage(truncate(flatten_user_text(text), TEXT_CHARACTERS), tuple(block.to_dict() for block in blocks))


def text_message(text: str) -> SlackMessage:
    """A line of a thread, or a direct message. It has blocks only if it contains marked user text."""
    texts = _texts(text)
    blocks = tuple(SectionBlock(text=one).to_dict() for one in texts) if len(texts) > 1 else ()
    return SlackMessage(flatten_user_text(text), blocks)


def answer_message(text: str) -> SlackMessage:
    """A reply that only one person sees. Its mrkdwn is in blocks as well, because Slack may link URLs in its `text`."""
    flat = flatten_user_text(text)
    parts = [""]
    for line in flat.split("\n"):
        if len(parts[-1]) + len(line) >= SECTION_CHARACTERS:
            parts.append("")
        parts[-1] = f"{parts[-1]}\n{line}".lstrip("\n")
    texts = [MarkdownTextObject(text=truncate(part, SECTION_CHARACTERS), verbatim=True) for part in parts if part]
    return SlackMessage(flat, tuple(SectionBlock(text=one, expand=True).to_dict() for one in texts))


def header(text: str) -> HeaderBlock:
    return HeaderBlock(text=PlainTextObject(text=truncate(text, HEADER_CHARACTERS), emoji=False))


def section(text: str) -> SectionBlock:
    """A section of mrkdwn."""
    return SectionBlock(text=MarkdownTextObject(text=truncate(text, SECTION_CHARACTERS), verbatim=True))


def plain_section(text: str) -> SectionBlock:
    """A section of plain text, for text that a person typed: Slack formats nothing in it."""
    return SectionBlock(text=PlainTextObject(text=truncate(text, SECTION_CHARACTERS), emoji=False))


def fields(*pairs: tuple[str, str]) -> SectionBlock:
    """A section with fields side by side. Each pair is a title and mrkdwn."""
    return SectionBlock(
        fields=[
            MarkdownTextObject(text=truncate(f"*{title}*\n{text}", FIELD_CHARACTERS), verbatim=True)
            for title, text in pairs
        ]
    )


def line_chart(
    title: str, x_label: str, y_label: str, series: str, points: Sequence[tuple[str, float]]
) -> dict[str, Any]:
    """A chart with one line, as JSON: slack_sdk has no model for it. Slack takes charts in messages only.

    Source: https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block

    Arguments:
        title: at most 50 characters, as both labels of the axes. `series` has at most 20.
        points: 1 to 20, each with a label of at most 20 characters that no other point has.
    """
    return {
        "type": "data_visualization",
        "title": title,
        "chart": {
            "type": "line",
            "series": [{"name": series, "data": [{"label": label, "value": value} for label, value in points]}],
            "axis_config": {"categories": [label for label, _ in points], "x_label": x_label, "y_label": y_label},
        },
    }


def context_block(text: str, block_id: str | None = None) -> ContextBlock:
    """A context block, which has small text: mrkdwn, and marked user text as plain text."""
    return ContextBlock(elements=_texts(text), block_id=block_id)


def fingerprint(view: View) -> str:
    """The SHA-256, in hex, of what a view shows apart from `TIME_BLOCK`."""
    blocks = [block for block in view.to_dict()["blocks"] if block.get("block_id") != TIME_BLOCK]
    return hashlib.sha256(json.dumps(blocks, sort_keys=True).encode()).hexdigest()


def _texts(line: str) -> list[TextObject]:
    """Splits a line into mrkdwn from the bot and plain text from users."""
    found: list[TextObject] = []
    for index, part in enumerate(split_user_text(line)):
        text = truncate(part.strip(), FIELD_CHARACTERS)
        if text and index % 2:
            found.append(PlainTextObject(text=text, emoji=False))
        elif text:
            found.append(MarkdownTextObject(text=text, verbatim=True))
    return found


def actions(block_id: str, *elements: InteractiveElement) -> ActionsBlock:
    return ActionsBlock(block_id=block_id, elements=list(elements))


def button(
    label: str,
    action_id: str,
    value: str | None,
    *,
    accessibility_label: str,
    style: str | None = None,
    confirm: ConfirmObject | None = None,
) -> ButtonElement:
    """A button with an id as its value.

    Arguments:
        value: the id of a request, or the key of a task group; None for a button that belongs to neither.
        accessibility_label: what a screen reader says instead of the label.
    """
    return ButtonElement(
        text=PlainTextObject(text=label, emoji=False),
        action_id=action_id,
        value=value,
        style=style,
        confirm=confirm,
        accessibility_label=truncate(accessibility_label, 75),
    )


def confirm(title: str, text: str, yes: str, no: str, *, style: str = "primary") -> ConfirmObject:
    """The dialog that a button opens before Slack sends its click. `style` is the style of its `yes` button."""
    return ConfirmObject(
        title=PlainTextObject(text=truncate(title, 100), emoji=False),
        text=PlainTextObject(text=truncate(text, 300), emoji=False),
        confirm=PlainTextObject(text=truncate(yes, 30), emoji=False),
        deny=PlainTextObject(text=truncate(no, 30), emoji=False),
        style=style,
    )


def truncate(text: str, max_characters: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"

"""A message as the bot sends it: one sentence that says it all, and the blocks that lay it out.

Pure. The sentence is what notifications show and screen readers read.
"""

from __future__ import annotations

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

from bot.ui.formatting import flatten_user_text, split_user_text

# Limits of Block Kit (Slack's block reference).
HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3_000
FIELD_CHARACTERS = 2_000
TEXT_CHARACTERS = 4_000


@dataclass(frozen=True)
class SlackMessage:
    """What `chat.postMessage` and `chat.update` are given."""

    text: str
    blocks: tuple[dict[str, Any], ...] = ()


def slack_message(text: str, blocks: Sequence[Block]) -> SlackMessage:
    """Puts a message together; each block checks its own limits as it is written out."""
    return SlackMessage(cut(flatten_user_text(text), TEXT_CHARACTERS), tuple(block.to_dict() for block in blocks))


def text_message(text: str) -> SlackMessage:
    """A line of a thread, or a direct message; in blocks only where it tells what somebody typed."""
    texts = _texts(text)
    blocks = tuple(SectionBlock(text=one).to_dict() for one in texts) if len(texts) > 1 else ()
    return SlackMessage(flatten_user_text(text), blocks)


def header(text: str) -> HeaderBlock:
    return HeaderBlock(text=PlainTextObject(text=cut(text, HEADER_CHARACTERS), emoji=False))


def section(text: str) -> SectionBlock:
    return SectionBlock(text=MarkdownTextObject(text=cut(text, SECTION_CHARACTERS), verbatim=True))


def plain_section(text: str) -> SectionBlock:
    """What somebody typed: plain text, which obeys nobody."""
    return SectionBlock(text=PlainTextObject(text=cut(text, SECTION_CHARACTERS), emoji=False))


def fields(*pairs: tuple[str, str]) -> SectionBlock:
    """Titles and texts side by side."""
    return SectionBlock(
        fields=[
            MarkdownTextObject(text=cut(f"*{title}*\n{text}", FIELD_CHARACTERS), verbatim=True) for title, text in pairs
        ]
    )


def context_block(text: str) -> ContextBlock:
    return ContextBlock(elements=_texts(text))


def _texts(text: str) -> list[TextObject]:
    """The parts of a line, each obeyed or not as whose words they are."""
    found: list[TextObject] = []
    for number, part in enumerate(split_user_text(text)):
        said = cut(part.strip(), FIELD_CHARACTERS)
        if said and number % 2:
            found.append(PlainTextObject(text=said, emoji=False))
        elif said:
            found.append(MarkdownTextObject(text=said, verbatim=True))
    return found


def actions(block_id: str, *elements: InteractiveElement) -> ActionsBlock:
    return ActionsBlock(block_id=block_id, elements=list(elements))


def button(
    label: str,
    action_id: str,
    request_id: str | None,
    *,
    says: str,
    style: str | None = None,
    confirm: ConfirmObject | None = None,
) -> ButtonElement:
    """A button of a request, or of none. `says` is what a screen reader says in place of the label."""
    return ButtonElement(
        text=PlainTextObject(text=label, emoji=False),
        action_id=action_id,
        value=request_id,
        style=style,
        confirm=confirm,
        accessibility_label=cut(says, 75),
    )


def confirm(title: str, text: str, yes: str, no: str, *, style: str = "primary") -> ConfirmObject:
    """The dialog before a button counts; its style is that of its own button."""
    return ConfirmObject(
        title=PlainTextObject(text=cut(title, 100), emoji=False),
        text=PlainTextObject(text=cut(text, 300), emoji=False),
        confirm=PlainTextObject(text=cut(yes, 30), emoji=False),
        deny=PlainTextObject(text=cut(no, 30), emoji=False),
        style=style,
    )


def cut(text: str, characters: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= characters else text[: characters - 1] + "…"

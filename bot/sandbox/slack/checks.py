"""Whether Slack would take these blocks and this view: the limits of the Block Kit reference. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
VIEW_BYTES = 250_000

Json = dict[str, Any]


def problems_of_blocks(blocks: object, most: int = MESSAGE_BLOCKS) -> list[str]:
    """Everything that Slack would refuse, each with where it is."""
    if not isinstance(blocks, list):
        return ["blocks must be a list"]
    found = [f"no more than {most} items allowed"] if len(blocks) > most else []
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        where = f"/blocks/{index}"
        block_id = block.get("block_id")
        if block_id is not None:
            if len(block_id) > 255:
                found.append(f"{where}/block_id too long")
            if block_id in seen:
                found.append(f"{where}/block_id must be unique")
            seen.add(block_id)
        found += [f"{where}{problem}" for problem in _block(block)]
    return found


def problems_of_view(view: object) -> list[str]:
    """The same for a view that is to be opened."""
    if not isinstance(view, dict):
        return ["view must be an object"]
    found = problems_of_blocks(view.get("blocks"), VIEW_BLOCKS)
    if len(json.dumps(view)) > VIEW_BYTES:
        found.append("view_too_large")
    if view.get("type") == "modal":
        found += list(_text(view.get("title"), 24, "plain_text", "/title"))
        for key in ("submit", "close"):
            if key in view:
                found += list(_text(view[key], 24, "plain_text", f"/{key}"))
        has_input = any(block.get("type") == "input" for block in view.get("blocks") or [])
        if has_input and "submit" not in view:
            found.append("/submit is required with an input block")
    if len(str(view.get("private_metadata") or "")) > 3000:
        found.append("/private_metadata too long")
    if len(str(view.get("callback_id") or "")) > 255:
        found.append("/callback_id too long")
    return found


def _block(block: Json) -> Iterator[str]:
    match block.get("type"):
        case "header":
            yield from _text(block.get("text"), 150, "plain_text", "/text")
        case "section":
            if "text" not in block and "fields" not in block:
                yield " needs text or fields"
            if "text" in block:
                yield from _text(block["text"], 3000, None, "/text")
            fields = block.get("fields", [None])
            if not 1 <= len(fields) <= 10:
                yield "/fields must have 1 to 10 items"
            for index, field in enumerate(block.get("fields") or []):
                yield from _text(field, 2000, None, f"/fields/{index}")
        case "context":
            if not 1 <= len(block.get("elements") or []) <= 10:
                yield "/elements must have 1 to 10 items"
            for index, element in enumerate(block.get("elements") or []):
                yield from _text(element, 3000, None, f"/elements/{index}")
        case "actions":
            elements = block.get("elements") or []
            if not 1 <= len(elements) <= 25:
                yield "/elements must have 1 to 25 items"
            ids = [element.get("action_id") for element in elements]
            if len(ids) != len(set(ids)):
                yield "/elements have the same action_id twice"
            for index, element in enumerate(elements):
                yield from (f"/elements/{index}{problem}" for problem in _button(element))
        case "input":
            yield from _text(block.get("label"), 2000, "plain_text", "/label")
            if "hint" in block:
                yield from _text(block["hint"], 2000, "plain_text", "/hint")
            element = block.get("element") or {}
            if element.get("type") != "plain_text_input":
                yield f"/element of type {element.get('type')} is unknown here"
            if element.get("max_length", 1) > 3000:
                yield "/element/max_length over 3000"
        case "divider":
            return
        case other:
            yield f" of type {other} is unknown"


def _button(element: Json) -> Iterator[str]:
    if element.get("type") != "button":
        yield f" of type {element.get('type')} is unknown here"
        return
    yield from _text(element.get("text"), 75, "plain_text", "/text")
    if len(str(element.get("value") or "")) > 2000:
        yield "/value too long"
    if len(str(element.get("action_id") or "")) > 255:
        yield "/action_id too long"
    if len(str(element.get("accessibility_label") or "")) > 75:
        yield "/accessibility_label too long"
    if element.get("style") not in (None, "primary", "danger"):
        yield "/style is unknown"
    dialog = element.get("confirm")
    if dialog is not None:
        for key, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            yield from _text(dialog.get(key), most, "plain_text", f"/confirm/{key}")


def _text(text: object, most: int, kind: str | None, where: str) -> Iterator[str]:
    if not isinstance(text, dict) or not isinstance(text.get("text"), str):
        yield f"{where} must be a text object"
        return
    if kind is not None and text.get("type") != kind:
        yield f"{where} must be {kind}"
    if not 1 <= len(text["text"]) <= most:
        yield f"{where} must have 1 to {most} characters"

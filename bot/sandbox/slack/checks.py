"""Checks blocks and views against the limits of the Block Kit reference. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bot.sandbox.slack.charts import CHART, MESSAGE_CHARTS, problems_of_chart
from bot.sandbox.slack.elements import problems_of_action, problems_of_input, text_problems

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100
VIEW_BYTES = 250_000

Json = dict[str, Any]


def problems_of_blocks(blocks: object, most: int = MESSAGE_BLOCKS) -> list[str]:
    """Everything in the blocks that Slack rejects, each with the place where it is."""
    if not isinstance(blocks, list):
        return ["blocks must be a list"]
    found = [f"no more than {most} items allowed"] if len(blocks) > most else []
    if charts_in(blocks) > MESSAGE_CHARTS:
        found.append(f"no more than {MESSAGE_CHARTS} charts allowed")
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


def charts_in(blocks: list[Json]) -> int:
    """How many of the blocks are charts."""
    return sum(block.get("type") == CHART for block in blocks)


def problems_of_view(view: object) -> list[str]:
    """Everything in a view (a modal or App Home) that Slack rejects."""
    if not isinstance(view, dict):
        return ["view must be an object"]
    found = problems_of_blocks(view.get("blocks"), VIEW_BLOCKS)
    if not isinstance(view.get("blocks"), list):
        return found
    if charts_in(view["blocks"]):
        found.append("/blocks have a chart, which only messages can have")
    if len(json.dumps(view)) > VIEW_BYTES:
        found.append("view_too_large")
    if view.get("type") == "modal":
        found += list(text_problems(view.get("title"), 24, "plain_text", "/title"))
        for key in ("submit", "close"):
            if key in view:
                found += list(text_problems(view[key], 24, "plain_text", f"/{key}"))
        has_input = any(block.get("type") == "input" for block in view["blocks"])
        if has_input and "submit" not in view:
            found.append("/submit is required with an input block")
    elif view.get("type") == "home":
        found += [f"/{key} is not for a home view" for key in ("title", "submit", "close") if key in view]
    else:
        found.append("/type must be modal or home")
    if len(str(view.get("private_metadata") or "")) > 3000:
        found.append("/private_metadata too long")
    if len(str(view.get("callback_id") or "")) > 255:
        found.append("/callback_id too long")
    return found


def _block(block: Json) -> Iterator[str]:
    match block.get("type"):
        case "header":
            yield from text_problems(block.get("text"), 150, "plain_text", "/text")
        case "section":
            if "text" not in block and "fields" not in block:
                yield " needs text or fields"
            if "text" in block:
                yield from text_problems(block["text"], 3000, None, "/text")
            fields = block.get("fields", [None])
            if not 1 <= len(fields) <= 10:
                yield "/fields must have 1 to 10 items"
            for index, field in enumerate(block.get("fields") or []):
                yield from text_problems(field, 2000, None, f"/fields/{index}")
            if "accessory" in block:
                yield from (f"/accessory{problem}" for problem in problems_of_action(block["accessory"]))
        case "context":
            if not 1 <= len(block.get("elements") or []) <= 10:
                yield "/elements must have 1 to 10 items"
            for index, element in enumerate(block.get("elements") or []):
                yield from text_problems(element, 3000, None, f"/elements/{index}")
        case "actions":
            elements = block.get("elements") or []
            if not 1 <= len(elements) <= 25:
                yield "/elements must have 1 to 25 items"
            ids = [element.get("action_id") for element in elements]
            if len(ids) != len(set(ids)):
                yield "/elements have the same action_id twice"
            for index, element in enumerate(elements):
                yield from (f"/elements/{index}{problem}" for problem in problems_of_action(element))
        case "input":
            yield from text_problems(block.get("label"), 2000, "plain_text", "/label")
            if "hint" in block:
                yield from text_problems(block["hint"], 2000, "plain_text", "/hint")
            yield from (f"/element{problem}" for problem in problems_of_input(block.get("element") or {}))
        case "divider":
            return
        case "data_visualization":
            yield from problems_of_chart(block)
        case other:
            yield f" of type {other} is unknown"

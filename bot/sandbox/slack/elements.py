"""Checks the elements of blocks, and computes what a person has chosen in them. Pure.

Limits: Block Kit reference, "Block elements" and "Composition objects".
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
# What a person chose or typed, by block id and action id: the value of an option, or text.
Choices = Mapping[tuple[str, str], str]

SELECT_OPTIONS, RADIO_OPTIONS = 100, 10
WITH_OPTIONS = ("static_select", "radio_buttons")
TIME = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")


def problems_of_action(element: Json) -> Iterator[str]:
    """What Slack rejects in an element of an actions block."""
    match element.get("type"):
        case "button":
            yield from text_problems(element.get("text"), 75, "plain_text", "/text")
            if len(str(element.get("value") or "")) > 2000:
                yield "/value too long"
            if element.get("style") not in (None, "primary", "danger"):
                yield "/style is unknown"
            yield from _common(element)
        case kind if kind in WITH_OPTIONS:
            yield from _with_options(element)
            yield from _common(element)
        case other:
            yield f" of type {other} is unknown here"


def problems_of_input(element: Json) -> Iterator[str]:
    """What Slack rejects in the element of an input block."""
    match element.get("type"):
        case "plain_text_input":
            if not 1 <= element.get("max_length", 1) <= 3000:
                yield "/max_length must be 1 to 3000"
            if "placeholder" in element:
                yield from text_problems(element["placeholder"], 150, "plain_text", "/placeholder")
            yield from _common(element)
        case "timepicker":
            if not TIME.fullmatch(element.get("initial_time", "00:00")):
                yield "/initial_time must be HH:mm"
            yield from _common(element)
        case kind if kind in WITH_OPTIONS:
            yield from _with_options(element)
            yield from _common(element)
        case other:
            yield f" of type {other} is unknown here"


def text_problems(text: object, most: int, kind: str | None, where: str) -> Iterator[str]:
    """What Slack rejects in a text object.

    Arguments:
        kind: "plain_text" or "mrkdwn"; None allows both.
    """
    if not isinstance(text, dict) or not isinstance(text.get("text"), str):
        yield f"{where} must be a text object"
        return
    if text.get("type") not in ((kind,) if kind else ("plain_text", "mrkdwn")):
        yield f"{where} must be {kind or 'plain_text or mrkdwn'}"
    if not 1 <= len(text["text"]) <= most:
        yield f"{where} must have 1 to {most} characters"


def _with_options(element: Json) -> Iterator[str]:
    is_select = element["type"] == "static_select"
    groups = element.get("option_groups")
    if is_select and groups is not None:
        if "options" in element:
            yield "/options and /option_groups exclude each other"
        if not 1 <= len(groups) <= SELECT_OPTIONS:
            yield f"/option_groups must have 1 to {SELECT_OPTIONS} items"
        for index, group in enumerate(groups):
            yield from text_problems(group.get("label"), 75, "plain_text", f"/option_groups/{index}/label")
            yield from _options(group.get("options"), SELECT_OPTIONS, "plain_text", f"/option_groups/{index}/options")
    else:
        most, kind = (SELECT_OPTIONS, "plain_text") if is_select else (RADIO_OPTIONS, None)
        yield from _options(element.get("options"), most, kind, "/options")
    if is_select and "placeholder" in element:
        yield from text_problems(element["placeholder"], 150, "plain_text", "/placeholder")
    if not is_select and ("placeholder" in element or groups is not None):
        yield "/placeholder and /option_groups are not for radio_buttons"
    if "initial_option" in element and element["initial_option"] not in options_of(element):
        yield "/initial_option must be one of the options"


def _options(options: object, most: int, kind: str | None, where: str) -> Iterator[str]:
    if not isinstance(options, list) or not 1 <= len(options) <= most:
        yield f"{where} must have 1 to {most} items"
        return
    for index, option in enumerate(options):
        yield from text_problems(option.get("text"), 75, kind, f"{where}/{index}/text")
        if not 1 <= len(str(option.get("value") or "")) <= 150:
            yield f"{where}/{index}/value must have 1 to 150 characters"
        if "description" in option:
            yield from text_problems(option["description"], 75, kind, f"{where}/{index}/description")


def _common(element: Json) -> Iterator[str]:
    if len(str(element.get("action_id") or "")) > 255:
        yield "/action_id too long"
    if len(str(element.get("accessibility_label") or "")) > 75:
        yield "/accessibility_label too long"
    dialog = element.get("confirm")
    if dialog is not None:
        for key, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            yield from text_problems(dialog.get(key), most, "plain_text", f"/confirm/{key}")
        if dialog.get("style") not in (None, "primary", "danger"):
            yield "/confirm/style is unknown"


def options_of(element: Json) -> list[Json]:
    """The options of a select or of radio buttons, including those in option groups."""
    groups = element.get("option_groups") or [element]
    return [option for group in groups if isinstance(group, dict) for option in group.get("options") or []]


def option(element: Json, value: str) -> Json:
    """The option of an element with this value.

    Raises:
        LookupError: there is none.
    """
    for one in options_of(element):
        if one["value"] == value:
            return one
    raise LookupError(f"{element.get('action_id')} has no option {value}")


def elements_of(blocks: Iterable[Json]) -> Iterator[tuple[str, Json]]:
    """Every interactive element, with the id of its block."""
    for block in blocks:
        block_id = str(block.get("block_id") or "")
        if block.get("type") == "actions":
            yield from ((block_id, element) for element in block.get("elements") or [])
        elif block.get("type") == "section" and "accessory" in block:
            yield block_id, block["accessory"]
        elif block.get("type") == "input":
            yield block_id, block["element"]


def state_values(blocks: Iterable[Json], choices: Choices) -> Json:
    """`state.values` as payloads carry it: what was chosen or typed, or the initial value, or null."""
    values: Json = {}
    for block_id, element in elements_of(blocks):
        if element["type"] == "button":
            continue
        action_id = str(element.get("action_id") or "")
        chosen = choices.get((block_id, action_id))
        if element["type"] == "plain_text_input":
            value: Json = {"type": element["type"], "value": chosen or element.get("initial_value")}
        elif element["type"] == "timepicker":
            value = {"type": element["type"], "selected_time": chosen or element.get("initial_time")}
        else:
            offered = [one for one in options_of(element) if one["value"] == chosen]
            selected = offered[0] if offered else element.get("initial_option")
            value = {"type": element["type"], "selected_option": selected}
        values.setdefault(block_id, {})[action_id] = value
    return values


def with_block_ids(content: Json) -> Json:
    """A message or view in which each block has an id. Slack generates the missing ones."""
    return content | {"blocks": [{"block_id": secrets.token_urlsafe(4)} | block for block in content["blocks"]]}

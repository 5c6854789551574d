"""Renders messages, views and mrkdwn as plain lines: names for mentions, times in one reader's zone."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.values import NOON

ZONE = ZoneInfo("Europe/Berlin")
NAMES = {
    "UALICE00": "@alice",
    "UBOB0000": "@bob",
    "UCAROL00": "@carol",
    "UDAVE000": "@dave",
    "SLEADS00": "@migration-leads",
    "C0TEST0001": "#migrations",
}
_TOKEN = re.compile(r"<([^<>]+)>")
_STYLES = {"primary": " (primary)", "danger": " (danger)", None: ""}

Json = dict[str, Any]


def as_read(text: str) -> str:
    """The mrkdwn as a reader sees it in Slack. `*` and backticks stay, because they show what is bold or code.

    Raises:
        KeyError: a mention of an id that is not in `NAMES`, or an unknown date format.
    """
    return html.unescape(_TOKEN.sub(lambda found: _token(found[1]), text))


def _token(inside: str) -> str:
    head, _, label = inside.partition("|")
    if head.startswith("!date^"):
        _, seconds, date_format, *_ = head.split("^")
        return _date(datetime.fromtimestamp(int(seconds), UTC), date_format)
    if head.startswith("!subteam^"):
        return NAMES[head.removeprefix("!subteam^")]
    if head.startswith(("@", "#")):
        return NAMES[head[1:]]
    return f"[{label}]({head})" if label else head


def _date(at: datetime, date_format: str) -> str:
    local, today = at.astimezone(ZONE), NOON.astimezone(ZONE).date()
    relative = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get((local.date() - today).days)
    parts = {
        "date_short_pretty": relative or f"{local:%b} {local.day}, {local.year}",
        "time": f"{local:%H:%M}",
        "time_secs": f"{local:%H:%M:%S}",
    }
    return re.sub(r"\{(\w+)\}", lambda found: parts[found[1]], date_format)


def _chart(block: Json) -> Iterator[str]:
    """The title, the labels of the axes, and the first and last points of each line."""
    axes = block["chart"]["axis_config"]
    for series in block["chart"]["series"]:
        first, *_, last = (f"{point['label']} {point['value']}" for point in series["data"])
        yield f"chart: {block['title']} ({axes['x_label']}, {axes['y_label']}) {series['name']} {first} … {last}"


def object_text(text: Json) -> str:
    """A text object. Plain text is as it is; Slack renders no mention or date in it."""
    shown = str(text["text"])
    return as_read(shown) if text["type"] == "mrkdwn" else shown


class BlockReader:
    """Renders blocks.

    Attributes:
        labels: the first label for screen readers of each button, by the text of the button.
    """

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}

    def lines(self, blocks: Sequence[Json]) -> Iterator[str]:
        """The lines of these blocks, from top to bottom."""
        for block in blocks:
            match block["type"]:
                case "header":
                    yield f"# {object_text(block['text'])}"
                case "section":
                    yield from self._section(block)
                case "context":
                    yield "small: " + " ".join(object_text(one) for one in block["elements"])
                case "divider":
                    yield "----"
                case "actions":
                    yield from self._elements(block["elements"])
                case "input":
                    yield from self._input(block)
                case "data_visualization":
                    yield from _chart(block)
                case other:
                    raise ValueError(f"the gallery cannot show a block of type {other}")

    def view(self, view: Mapping[str, Any]) -> Iterator[str]:
        """The title, blocks and buttons of a modal or App Home."""
        if "title" in view:
            yield f"# {view['title']['text']}"
        yield from self.lines(view["blocks"])
        buttons = [view[key]["text"] for key in ("submit", "close") if view.get(key)]
        if buttons:
            yield " ".join(f"[{label}]" for label in buttons)

    def _section(self, block: Json) -> Iterator[str]:
        if block.get("text"):
            yield from object_text(block["text"]).splitlines()
        for field in block.get("fields", ()):
            yield "field: " + object_text(field).replace("\n", " ")
        if block.get("accessory"):
            yield from self._elements([block["accessory"]])

    def _elements(self, elements: Sequence[Json]) -> Iterator[str]:
        buttons = [one for one in elements if one["type"] == "button"]
        for one in elements:
            if one["type"] != "button":
                yield from self._choices(one)
        if buttons:
            yield " ".join(f"[{one['text']['text']}]{_STYLES[one.get('style')]}" for one in buttons)
        for one in buttons:
            if one.get("accessibility_label"):
                self.labels.setdefault(one["text"]["text"], one["accessibility_label"])
            yield from self._dialog(one)

    def _dialog(self, button: Json) -> Iterator[str]:
        confirm = button.get("confirm")
        if not confirm:
            return
        parts = [object_text(confirm[key]) for key in ("title", "text")]
        answers = f"[{confirm['confirm']['text']}] [{confirm['deny']['text']}]"
        yield f"    [{button['text']['text']}] opens: {parts[0]} {parts[1]} {answers}"

    def _choices(self, element: Json) -> Iterator[str]:
        if element.get("placeholder"):
            yield f"  ({element['placeholder']['text']})"
        groups = element.get("option_groups", [])
        options = [*element.get("options", []), *(option for group in groups for option in group["options"])]
        selected = (element.get("initial_option") or {}).get("value")
        for option in options:
            mark = "(x)" if option["value"] == selected else "( )"
            description = f": {object_text(option['description'])}" if option.get("description") else ""
            yield f"  {mark} {object_text(option['text'])}{description}"

    def _input(self, block: Json) -> Iterator[str]:
        optional = " (optional)" if block.get("optional") else ""
        yield f"{block['label']['text']}{optional}: [{block['element'].get('initial_value', '')}]"
        yield from self._choices(block["element"])
        if block.get("hint"):
            yield f"  hint: {block['hint']['text']}"

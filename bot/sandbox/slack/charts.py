"""Checks charts against the limits of the data visualization block. Pure.

Limits: Block Kit reference, "Data visualization block". Pie charts are unknown here, because the bot sends none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

CHART = "data_visualization"
MESSAGE_CHARTS, CHART_SERIES, SERIES_POINTS = 2, 12, 20
TITLE_CHARACTERS, LABEL_CHARACTERS = 50, 20
_TYPES = ("line", "area", "bar")

Json = dict[str, Any]


def problems_of_chart(block: Json) -> Iterator[str]:
    """What Slack rejects in a block with a chart."""
    yield from _unknown(block, {"type", "block_id", "title", "chart"}, "")
    yield from _string(block.get("title"), TITLE_CHARACTERS, "/title")
    chart = block.get("chart")
    if not isinstance(chart, dict) or chart.get("type") not in _TYPES:
        yield f"/chart must be an object of type {', '.join(_TYPES)}"
        return
    yield from _unknown(chart, {"type", "series", "axis_config"}, "/chart")
    axes = chart.get("axis_config")
    categories = axes.get("categories") if isinstance(axes, dict) else None
    if not isinstance(axes, dict) or not isinstance(categories, list):
        yield "/chart/axis_config must have categories"
        return
    yield from _unknown(axes, {"categories", "x_label", "y_label"}, "/chart/axis_config")
    for name in ("x_label", "y_label"):
        if name in axes:
            yield from _string(axes[name], TITLE_CHARACTERS, f"/chart/axis_config/{name}")
    if not 1 <= len(categories) <= SERIES_POINTS:
        yield f"/chart/axis_config/categories must have 1 to {SERIES_POINTS} items"
    if len(set(map(str, categories))) != len(categories):
        yield "/chart/axis_config/categories must be unique"
    for index, category in enumerate(categories):
        yield from _string(category, LABEL_CHARACTERS, f"/chart/axis_config/categories/{index}")
    yield from _series_problems(chart.get("series"), categories)


def _series_problems(series: object, categories: list[Any]) -> Iterator[str]:
    if not isinstance(series, list) or not 1 <= len(series) <= CHART_SERIES:
        yield f"/chart/series must have 1 to {CHART_SERIES} items"
        return
    names = [one.get("name") for one in series]
    if len(set(map(str, names))) != len(names):
        yield "/chart/series must have unique names"
    for index, one in enumerate(series):
        where = f"/chart/series/{index}"
        yield from _unknown(one, {"name", "data"}, where)
        yield from _string(one.get("name"), LABEL_CHARACTERS, f"{where}/name")
        data = one.get("data") or []
        if [point.get("label") for point in data] != categories:
            yield f"{where}/data must have one point for each category, in their order"
        for number, point in enumerate(data):
            yield from _unknown(point, {"label", "value"}, f"{where}/data/{number}")
            value = point.get("value")
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                yield f"{where}/data/{number}/value must be a number"


def _string(value: object, most: int, where: str) -> Iterator[str]:
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        yield f"{where} must have 1 to {most} characters"


def _unknown(found: Json, known: set[str], where: str) -> Iterator[str]:
    yield from (f"{where}/{name} is unknown" for name in found.keys() - known)

"""What is wrong in bot.toml, in words for a person: which key, what is wrong with it, how to fix it.

What may be set is left to `bot.config`; this turns what pydantic finds into sentences.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from bot.config.environment import SettingProblem

_COMPARE = "Compare it with `taskgroup-bot config example`"
_PATH_FIX = "Use a path below the mount, without slashes at its ends, such as oms/media/caller"

FIXES: Mapping[str, str] = {
    "command": "Begin it with /, then lower case letters, digits, - and _, as in your Slack app",
    "projects": "Write one [projects.NAME] table for each Huawei Cloud project",
    "region": 'Use a region id such as "ap-southeast-3"',
    "project_id": "Use the 32 hexadecimal digits of the project, or leave it out: IAM then tells it",
    "channel": 'Use the channel\'s id ("C…"), from its details in Slack',
    "requesters": 'Write a list of user ids ("U…") and user group ids ("S…"), or ["*"] for every full member',
    "approvers": 'Write a list of user ids ("U…") and user group ids ("S…"), not names',
    "approvals": "Use a whole number from 1 to 20, without quotes",
    "self_approval": "Write true or false, without quotes",
    "expires_after": 'Write it as "30m", "8h" or "2d", from one minute to seven days',
    "oms_url": "Use https://HOST, or leave it out: it follows from the region",
    "iam_url": "Use https://HOST, or leave it out: it follows from the region",
    "vault": "Write a [projects.NAME.vault] table that says where the keys are",
    "mount": 'Use the path of the KV engine, without slashes at its ends, such as "secret"',
    "caller": _PATH_FIX,
    "source": 'Use a path below the mount, or a table { BUCKET = PATH, "*" = PATH }',
    "destination": _PATH_FIX,
}

_PROBLEMS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a setting",
    "string_type": "is not text",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "is not well-formed",
    "bool_type": "is neither true nor false",
    "int_type": "is not a whole number",
    "greater_than_equal": "is too low",
    "less_than_equal": "is too high",
    "model_type": "is not a table",
    "dict_type": "is not a table",
    "too_short": "is empty",
}

# A table under [projects] that has none of these belongs to a project of another name.
_OF_EVERY_PROJECT = frozenset({"region", "channel", "approvers"})
_NAME_FIX = "Use lower case letters, digits, - and _, at most 32, beginning with a letter or digit"
_SAME_NAME = "Write [projects.NAME] with its settings, and [projects.NAME.vault] under the same name"


def wrong(problem: str, fix: str) -> PydanticCustomError:
    """What a validator raises; both in words for a person, without a full stop."""
    return PydanticCustomError("setting", "{problem}", {"problem": problem, "fix": fix})


def problems_in(name: str, error: ValidationError) -> list[SettingProblem]:
    """Every fault in the file of this name, each key once."""
    found: dict[str, SettingProblem] = {}
    for item in _without_consequences(error.errors(include_url=False, include_input=False)):
        place = [str(part) for part in item["loc"]]
        kind, context = item["type"], item.get("ctx", {})
        if place[-1] == "[key]":
            place, problem, fix = place[:-1], "is no name for a project", _NAME_FIX
        elif kind == "setting":
            problem, fix = context["problem"], context["fix"]
        else:
            problem = _PROBLEMS.get(kind, item["msg"][:1].lower() + item["msg"][1:])
            fix = _fix(kind, place[-1])
        key = ".".join(place)
        found.setdefault(key, SettingProblem(f"{name}: {key}", problem, fix))
    return list(found.values())


def _fix(kind: str, key: str) -> str:
    if kind != "extra_forbidden":
        return FIXES.get(key, _COMPARE)
    if key in FIXES:
        return f"It belongs in another table. {_COMPARE}"
    meant = get_close_matches(key, FIXES, 1)
    return f"Write {meant[0]} if that is meant, or remove it" if meant else f"Remove it. {_COMPARE}"


def _without_consequences(items: Sequence[Any]) -> list[Any]:
    """The errors without those that only follow from a table under a wrong name."""
    if any(item["loc"][0] == "projects" and len(item["loc"]) == 2 and item["type"] == "model_type" for item in items):
        # Settings directly under [projects]: each would be a project that is not a table.
        return [
            *(item for item in items if item["loc"][0] != "projects"),
            _said(("projects",), "holds settings that belong to one project", _SAME_NAME),
        ]
    if any(item["loc"][-1] == "[key]" for item in items):
        return [item for item in items if item["type"] != "missing" or item["loc"][0] != "projects"]
    strays = _strays(items)
    if not strays:
        return list(items)
    kept = [item for item in items if item["loc"][:2] not in strays and not _is_missing_vault(item)]
    return kept + [
        _said(stray, "is no project: it has neither region, channel nor approvers", _SAME_NAME) for stray in strays
    ]


def _strays(items: Sequence[Any]) -> Collection[tuple[Any, ...]]:
    missing: dict[tuple[Any, ...], set[Any]] = {}
    for item in items:
        if item["type"] == "missing" and item["loc"][0] == "projects" and len(item["loc"]) == 3:
            missing.setdefault(item["loc"][:2], set()).add(item["loc"][2])
    return [table for table, keys in missing.items() if keys >= _OF_EVERY_PROJECT]


def _is_missing_vault(item: Any) -> bool:
    place: tuple[Any, ...] = item["loc"]
    return item["type"] == "missing" and place[0] == "projects" and place[2:] == ("vault",)


def _said(place: tuple[Any, ...], problem: str, fix: str) -> dict[str, Any]:
    return {"loc": place, "type": "setting", "ctx": {"problem": problem, "fix": fix}}

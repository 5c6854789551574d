"""Problems in the settings, for people: which key, what is wrong with it, how to fix it.

Turns the errors of pydantic into such lines. Which values are allowed is left to `bot_toml` and `environment`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError


class Problems(list[str]):
    """Collects what is wrong with the settings, one line for each. No line holds the value of a secret."""

    def add(self, key: str, problem: str, fix: str) -> None:
        """Adds one wrong setting: which key, what is wrong with it, how to fix it."""
        self.append(f"{key}: {problem}. {fix}.")


class InvalidSettings(Exception):
    """The settings are wrong. The message holds all that is wrong with them, one line for each problem."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("\n".join(problems))


COMPARE_WITH_EXAMPLE = "Compare it with `taskgroup-bot example bot.toml`"
_PATH_FIX = "Use a path below the mount, without slashes at its ends, such as oms/media/caller"

FIXES: Mapping[str, str] = {
    "command": "Use / and then lowercase letters, digits, - and _, as in your Slack app",
    "projects": "Write one [projects.NAME] table for each Huawei Cloud project",
    "network": "Write a [network] table with ca, proxy or proxy_for, or leave it out",
    "ca": "Use the path of a PEM file with the CA certificate for OMS and IAM, or leave it out",
    "proxy": "Write it as http://HOST:PORT, or http://USER@HOST:PORT with the password in NETWORK_PROXY_PASSWORD",
    "proxy_for": 'Write a list of one or more of "slack", "huawei" and "vault", or leave it out',
    "region": 'Use a region id such as "ap-southeast-3"',
    "project_id": "Use the 32 hexadecimal digits of the project id, or leave it out so that the bot asks IAM",
    "channel": 'Use the channel\'s id ("C…"), from its details in Slack',
    "requesters": 'Write a list of user ids ("U…") and user group ids ("S…"), or ["*"] for every full member',
    "approvers": 'Write a list of user ids ("U…") and user group ids ("S…"), not names',
    "approvals": "Use a whole number from 1 to 20, without quotes",
    "self_approval": "Write true or false, without quotes",
    "expires_after": 'Write it as "30m", "8h" or "2d", from one minute to seven days',
    "schedule_ahead": 'Write it as "30m" or "8h", up to "24h", or write "0" to turn off start times',
    "console_url": "Use the https address of the OMS page in your Huawei Cloud console, or leave it out",
    "watch": 'Write "off", "trouble" or "all"',
    "notify": 'Write a list of user ids ("U…") and user group ids ("S…"), or leave it out',
    "stall_after": 'Write it as "15m" or "2h", from five minutes to seven days',
    "slow_below": 'Write it as "20 MB/s", with KB, MB or GB, or leave it out',
    "digest": 'Write it as "08:00 Asia/Singapore", or leave it out for no digest',
    "keep": 'Write it as "400d", at least "30d"',
    "oms_url": "Use https://HOST, or leave it out to use the region's default",
    "iam_url": "Use https://HOST, or leave it out to use the region's default",
    "vault": "Add a [projects.NAME.vault] table with the Vault paths of the keys",
    "mount": 'Use the path of the KV engine, without slashes at its ends, such as "secret"',
    "caller": _PATH_FIX,
    "source": 'Use a path below the mount, or a table { BUCKET = PATH, "*" = PATH }',
    "destination": _PATH_FIX,
}

_PROBLEMS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a setting",
    "literal_error": "is not an allowed value",
    "string_type": "is not text",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "is not valid",
    "bool_type": "is neither true nor false",
    "int_type": "is not a whole number",
    "greater_than_equal": "is too low",
    "less_than_equal": "is too high",
    "model_type": "is not a table",
    "dict_type": "is not a table",
    "too_short": "is empty",
}

# A table under [projects] without any of these belongs to another project, under whose name it should be.
_REQUIRED_IN_EVERY_PROJECT = frozenset({"region", "channel", "approvers"})
_NAME_FIX = "Use up to 32 lowercase letters, digits, - and _, starting with a letter or digit"
_SAME_NAME = "Write [projects.NAME] with its settings, and [projects.NAME.vault] under the same name"


def setting_error(problem: str, fix: str) -> PydanticCustomError:
    """The exception that a validator raises. Both texts are for people, without a full stop."""
    return PydanticCustomError("setting", "{problem}", {"problem": problem, "fix": fix})


def problems_in(file_name: str, error: ValidationError) -> list[tuple[str, str, str]]:
    """The key, problem and fix of each wrong setting in a file that pydantic checked."""
    found: dict[str, tuple[str, str, str]] = {}
    for item in _without_consequences(error.errors(include_url=False, include_input=False)):
        path = [str(part) for part in item["loc"]]
        kind, context = item["type"], item.get("ctx", {})
        if path[-1] == "[key]":
            path, problem, fix = path[:-1], "is not a valid project name", _NAME_FIX
        elif kind == "setting":
            problem, fix = context["problem"], context["fix"]
        else:
            problem = _PROBLEMS.get(kind, item["msg"][:1].lower() + item["msg"][1:])
            fix = _fix(kind, path[-1])
        key = ".".join(path)
        found.setdefault(key, (f"{file_name}: {key}", problem, fix))
    return list(found.values())


def _fix(kind: str, key: str) -> str:
    if kind != "extra_forbidden":
        return FIXES.get(key, COMPARE_WITH_EXAMPLE)
    if key in FIXES:
        return f"It belongs in another table. {COMPARE_WITH_EXAMPLE}"
    meant = get_close_matches(key, FIXES, 1)
    return f"Did you mean {meant[0]}? Otherwise remove it" if meant else f"Remove it. {COMPARE_WITH_EXAMPLE}"


def _without_consequences(items: Sequence[Any]) -> list[Any]:
    """The errors without those that only follow from a table under a wrong name."""
    if any(item["loc"][0] == "projects" and len(item["loc"]) == 2 and item["type"] == "model_type" for item in items):
        # Settings directly under [projects] are read as projects that are not tables.
        return [
            *(item for item in items if item["loc"][0] != "projects"),
            _item(("projects",), "has settings that belong in one project's table", _SAME_NAME),
        ]
    if any(item["loc"][-1] == "[key]" for item in items):
        return [item for item in items if item["type"] != "missing" or item["loc"][0] != "projects"]
    misnamed = _misnamed_tables(items)
    if not misnamed:
        return list(items)
    others = [item for item in items if item["loc"][:2] not in misnamed and not _is_missing_vault(item)]
    return others + [
        _item(table, "is not a project, because it has no region, channel or approvers", _SAME_NAME)
        for table in misnamed
    ]


def _misnamed_tables(items: Sequence[Any]) -> Collection[tuple[Any, ...]]:
    missing: dict[tuple[Any, ...], set[Any]] = {}
    for item in items:
        if item["type"] == "missing" and item["loc"][0] == "projects" and len(item["loc"]) == 3:
            missing.setdefault(item["loc"][:2], set()).add(item["loc"][2])
    return [table for table, keys in missing.items() if keys >= _REQUIRED_IN_EVERY_PROJECT]


def _is_missing_vault(item: Any) -> bool:
    path: tuple[Any, ...] = item["loc"]
    return item["type"] == "missing" and path[0] == "projects" and path[2:] == ("vault",)


def _item(path: tuple[Any, ...], problem: str, fix: str) -> dict[str, Any]:
    """An error in the form of pydantic's."""
    return {"loc": path, "type": "setting", "ctx": {"problem": problem, "fix": fix}}

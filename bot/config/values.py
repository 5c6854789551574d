"""Values as bot.toml may hold them: ids, paths, addresses, durations. Each check raises what is wrong, for a person."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from bot.config.environment import is_safe_address
from bot.config.problems import FIXES, wrong
from bot.domain.policy import AccountKind, Person, open_slots
from bot.domain.request import Policy

_EXPIRY = re.compile(r"([1-9]\d{0,3})(m|h|d)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_PORTS = {"https": 443, "http": 80}
MAX_EXPIRY = timedelta(days=7)
_PATH = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*")
USER_OR_GROUP = re.compile(r"[UWS][A-Z0-9]{4,20}")
REQUESTER = re.compile(r"\*|[UWS][A-Z0-9]{4,20}")

Slots = tuple[tuple[str, ...], ...]


def checked_path(value: Any, mount: str | None, fix: str, subject: str = "") -> str:
    """A path in Vault.

    Arguments:
        mount: that the path must leave out, where one is known.
        subject: what begins the problem, where one key holds several paths.
    """
    if not isinstance(value, str):
        raise wrong(f"{subject}is not text", fix)
    if not _PATH.fullmatch(value) or len(value) > 512:
        raise wrong(f"{subject}is not well-formed", fix)
    if any(part in (".", "..") for part in value.split("/")):
        raise wrong(f"{subject}holds a part that is '.' or '..'", fix)
    if mount is not None and value.startswith(f"{mount}/data/"):
        raise wrong(f"{subject}begins with {mount}/data/", "Leave out the mount and data/: the path begins after them")
    return value


def checked_ids(value: Any, pattern: re.Pattern[str], fix: str, subject: str = "") -> tuple[str, ...]:
    """A list of Slack ids that has at least one; `subject` begins the problem, where one key holds several lists."""
    if not isinstance(value, list):
        raise wrong(f"{subject}is not a list", fix)
    if not value:
        raise wrong(f"{subject}names nobody", fix)
    for at, item in enumerate(value, 1):
        if not isinstance(item, str) or not pattern.fullmatch(item):
            raise wrong(f"{subject}holds something that is no id, as entry {at}", fix)
    return tuple(value)


def can_be_filled(slots: Slots) -> bool:
    """Whether as many distinct people as there are places could be named by them, were every user group large."""
    names = dict.fromkeys(name for place in slots for name in place)
    groups = [(name, seat) for name in names if name.startswith("S") for seat in range(len(slots))]
    people = [Person(name, "", AccountKind.FULL) for name in names if not name.startswith("S")]
    people += [Person(f"{name} {seat}", "", AccountKind.FULL, frozenset({name})) for name, seat in groups]
    return not open_slots(Policy((), slots, self_approval=False), people)


def checked_address(url: str, key: str) -> str:
    """An https address of a host, in one way of writing it: lower case, without a port that goes without saying."""
    if not is_safe_address(url):
        raise wrong("is not an https address; http is for this very machine alone", FIXES[key])
    parts = urlsplit(url)
    if parts.path not in ("", "/"):
        raise wrong("has a path behind its host", "Leave the path out")
    host = (parts.hostname or "").rstrip(".")
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + (f":{parts.port}" if parts.port not in (None, _PORTS[parts.scheme]) else "")


def parse_duration(text: str) -> timedelta:
    """How long `30m`, `8h` or `2d` is; nothing where it is not written so."""
    found = _EXPIRY.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)

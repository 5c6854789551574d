"""Checks single values of bot.toml: ids, paths, addresses, durations. Each raises a `setting_error`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict

from bot.config.problems import FIXES, setting_error
from bot.config.variables import is_safe_address
from bot.domain.digest import DailyTime
from bot.domain.policy import AccountKind, Person, open_slots
from bot.domain.request import Policy
from bot.net.proxy import Proxy
from bot.redaction import Secret

#: Of every table of bot.toml. Errors do not contain the values.
TABLE_CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)
_DURATION = re.compile(r"([1-9]\d{0,3})(m|h|d)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_PORTS = {"https": 443, "http": 80}
MAX_EXPIRY = timedelta(days=7)
# `at=22:30` is the next 22:30, so no start is further ahead.
MAX_SCHEDULE_AHEAD = timedelta(hours=24)
# Shorter than the time between two sweeps of groups that are paused or failed, a stall would look like a pause.
MIN_STALL, MAX_STALL = timedelta(minutes=5), timedelta(days=7)
# Messages of the last 30 days are kept in any case.
MIN_KEEP = timedelta(days=30)
_RATE = re.compile(r"([1-9]\d{0,3}) ?(KB|MB|GB)/s", re.ASCII)
_RATE_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
_DAILY_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d) (\S+)", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*")
USER_OR_GROUP = re.compile(r"[UWS][A-Z0-9]{4,20}")
REQUESTER = re.compile(r"\*|[UWS][A-Z0-9]{4,20}")

Slots = tuple[tuple[str, ...], ...]


def checked_path(value: Any, mount: str | None, fix: str, subject: str = "") -> str:
    """A Vault path below a mount.

    Arguments:
        mount: the mount, which the path must not begin with; None where it is itself wrong.
        subject: the beginning of the problem, where one key holds several paths.
    """
    if not isinstance(value, str):
        raise setting_error(f"{subject}is not text", fix)
    if not _PATH.fullmatch(value) or len(value) > 512:
        raise setting_error(f"{subject}is not valid", fix)
    if any(part in (".", "..") for part in value.split("/")):
        raise setting_error(f"{subject}contains '.' or '..' as a part", fix)
    if mount is not None and value.startswith(f"{mount}/data/"):
        raise setting_error(
            f"{subject}begins with {mount}/data/", "Leave out the mount and data/: the path begins after them"
        )
    return value


def checked_ids(value: Any, pattern: re.Pattern[str], fix: str, subject: str = "") -> tuple[str, ...]:
    """A list with at least one Slack id.

    Arguments:
        pattern: of each id.
        subject: the beginning of the problem, where one key holds several lists.
    """
    if not isinstance(value, list):
        raise setting_error(f"{subject}is not a list", fix)
    if not value:
        raise setting_error(f"{subject}is empty", fix)
    for at, item in enumerate(value, 1):
        if not isinstance(item, str) or not pattern.fullmatch(item):
            raise setting_error(f"{subject}entry {at} is not an id", fix)
    return tuple(value)


def can_be_filled(slots: Slots) -> bool:
    """Whether distinct people could fill all slots, if every user group had members enough."""
    names = dict.fromkeys(name for slot in slots for name in slot)
    people = [Person(name, "", AccountKind.FULL) for name in names if not name.startswith("S")]
    people += [
        Person(f"{name} {number}", "", AccountKind.FULL, frozenset({name}))
        for name in names
        if name.startswith("S")
        for number in range(len(slots))
    ]
    return not open_slots(Policy((), slots, self_approval=False), people)


def checked_address(url: str, key: str) -> str:
    """An https URL of a host in its normal form: lower case, without the default port, without a slash at its end."""
    if not is_safe_address(url):
        raise setting_error("is not an https address. http is allowed only for this machine", FIXES[key])
    parts = urlsplit(url)
    if parts.path not in ("", "/"):
        raise setting_error("has a path after its host", "Leave the path out")
    host = (parts.hostname or "").rstrip(".")
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + (f":{parts.port}" if parts.port not in (None, _PORTS[parts.scheme]) else "")


def checked_proxy(url: Any) -> Proxy:
    """The proxy of a URL `http://HOST:PORT`, with `USER@` or `USER:PASSWORD@` before the host. Errors omit the URL."""
    fix = FIXES["proxy"]
    if not isinstance(url, str):
        raise setting_error("is not text", fix)
    try:
        parts = urlsplit(url)
        host, port, has_more = parts.hostname, parts.port, parts.path not in ("", "/") or parts.query or parts.fragment
    except ValueError:
        raise setting_error("is not a URL", fix) from None
    if parts.scheme != "http" or not host or not port or has_more or (parts.password and not parts.username):
        raise setting_error("is not the URL of an HTTP proxy with its port", fix)
    user = unquote(parts.username) if parts.username else None
    return Proxy(host, port, user, Secret(unquote(parts.password)) if parts.password else None)


def parse_duration(text: str) -> timedelta:
    """The duration of a text such as `30m`, `8h` or `2d`; zero where it is not valid."""
    found = _DURATION.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)


def parse_rate(text: str) -> int:
    """The bytes per second of a text such as `20 MB/s`; 0 where it is not valid. A MB is 1,000,000 bytes."""
    found = _RATE.fullmatch(text)
    return int(found[1]) * _RATE_UNITS[found[2]] if found else 0


def parse_daily_time(text: str) -> DailyTime | None:
    """The time of a text such as `08:00 Asia/Singapore`; None where it is not valid."""
    found = _DAILY_TIME.fullmatch(text)
    if found is None:
        return None
    try:
        return DailyTime(int(found[1]), int(found[2]), ZoneInfo(found[3]))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None

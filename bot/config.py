"""The settings: the environment and bot.toml as checked values, or every fault in them at once.

Whether what they name exists (a channel, a path, a key) is left to `bot.doctor`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bot.environment import Environment, Fault, is_safe_address, read_environment
from bot.request.model import Plan, Policy

_EXPIRY = re.compile(r"([1-9]\d{0,3})(m|h|d)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
# Regions whose IAM is the global one (official SDK, endpoints of IAM).
_WITHOUT_IAM_OF_ITS_OWN = frozenset({"ap-southeast-5"})
MAX_EXPIRY = timedelta(days=7)
_PATH = r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*$"

UserId = Annotated[str, Field(pattern=r"^[UW][A-Z0-9]{4,20}$")]
UserOrGroupId = Annotated[str, Field(pattern=r"^[UWS][A-Z0-9]{4,20}$")]
Requester = Annotated[str, Field(pattern=r"^(\*|[UWS][A-Z0-9]{4,20})$")]
VaultPath = Annotated[str, Field(pattern=_PATH, max_length=512)]


class ConfigFaults(Exception):
    """What is wrong with the settings, all of it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class ProjectVault(_Table):
    """Where a project's keys are in Vault."""

    mount: VaultPath = "secret"
    caller: VaultPath
    source: VaultPath | dict[str, VaultPath]
    destination: VaultPath

    @field_validator("caller", "destination", "mount")
    @classmethod
    def _no_dots(cls, path: str) -> str:
        return _without_dots(path)

    @field_validator("source")
    @classmethod
    def _no_dots_in_any(cls, source: str | dict[str, str]) -> str | dict[str, str]:
        if isinstance(source, str):
            return _without_dots(source)
        if not source:
            raise ValueError('names no bucket; write BUCKET = PATH, or "*" = PATH for any other')
        return {bucket: _without_dots(path) for bucket, path in source.items()}


def _without_dots(path: str) -> str:
    if any(part in (".", "..") for part in path.split("/")):
        raise ValueError("holds a part that is '.' or '..'")
    return path


class Project(_Table):
    """One Huawei Cloud project: where it is, who may ask, who must approve, where its keys are."""

    region: str = Field(pattern=r"^[a-z]{2,}(-[a-z0-9]+)+$", max_length=40)
    project_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    channel: str = Field(pattern=r"^[CG][A-Z0-9]{4,20}$")
    requesters: tuple[Requester, ...] = Field(default=("*",), min_length=1)
    approvers: tuple[UserOrGroupId, ...] | tuple[tuple[UserOrGroupId, ...], ...]
    approvals: int = Field(default=1, ge=1, le=20)
    self_approval: bool = False
    expires_after: str = "8h"
    oms_url: str | None = None
    iam_url: str | None = None
    vault: ProjectVault

    @field_validator("requesters", "approvers", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)

    @field_validator("oms_url", "iam_url")
    @classmethod
    def _https(cls, url: str | None) -> str | None:
        if url is not None and not is_safe_address(url):
            raise ValueError("is not an https address; http is for this very machine alone")
        return url.rstrip("/") if url else url

    @field_validator("expires_after")
    @classmethod
    def _duration(cls, text: str) -> str:
        if not timedelta(minutes=1) <= _expiry(text) <= MAX_EXPIRY:
            raise ValueError("is not between 1m and 7d; write it as 30m, 8h or 2d")
        return text

    @model_validator(mode="after")
    def _quorum(self) -> Project:
        places = self.policy.places
        if any(not place for place in places):
            raise ValueError("approvers holds an empty list; name at least one person in each")
        if any(isinstance(item, tuple) for item in self.approvers) and self.approvals != 1:
            raise ValueError("approvals counts only with a flat list of approvers; leave it out")
        named = {name for place in places for name in place}
        if not any(name.startswith("S") for name in named) and len(named) < len(places):
            raise ValueError(f"approvers names {len(named)} people, and {len(places)} must approve; name more")
        return self

    @property
    def policy(self) -> Policy:
        """Who may ask and who must approve, a flat list as that list once for each approval."""
        places = (
            tuple(item if isinstance(item, tuple) else (item,) for item in self.approvers)
            if any(isinstance(item, tuple) for item in self.approvers)
            else (tuple(str(item) for item in self.approvers),) * self.approvals
        )
        return Policy(self.requesters, places, self.self_approval)

    @property
    def expiry(self) -> timedelta:
        return _expiry(self.expires_after)

    @property
    def oms_address(self) -> str:
        return self.oms_url or f"https://oms.{self.region}.myhuaweicloud.com"

    @property
    def iam_address(self) -> str:
        if self.iam_url:
            return self.iam_url
        host = "iam" if self.region in _WITHOUT_IAM_OF_ITS_OWN else f"iam.{self.region}"
        return f"https://{host}.myhuaweicloud.com"

    def source_path(self, bucket: str) -> str | None:
        """The Vault path of the source keys for this bucket; None when the table names neither it nor `*`."""
        if isinstance(self.vault.source, str):
            return self.vault.source
        return self.vault.source.get(bucket) or self.vault.source.get("*")

    def plan(self, name: str, project_id: str, source_path: str | None) -> Plan:
        """What a request would call and read.

        Arguments:
            project_id: as set, or as IAM told it.
            source_path: None for a group whose source needs no key.
        """
        return Plan(
            name,
            self.region,
            project_id,
            self.oms_address,
            self.iam_address,
            self.vault.mount,
            self.vault.caller,
            source_path,
            self.vault.destination,
        )


def _expiry(text: str) -> timedelta:
    found = _EXPIRY.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)


class BotFile(_Table):
    """bot.toml."""

    command: str = Field(default="/resume-taskgroup", pattern=r"^/[a-z0-9_\-]{1,31}$")
    projects: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,31}$")], Project] = Field(min_length=1)


@dataclass(frozen=True)
class Config:
    """Everything that was set."""

    environment: Environment
    command: str
    projects: Mapping[str, Project]


def load(environ: Mapping[str, str]) -> Config:
    """Reads the environment and the bot.toml that it names.

    Raises:
        ConfigFaults: with every fault in both.
    """
    faults: list[Fault] = []
    environment = read_environment(environ, faults)
    path = Path(environ.get("BOT_CONFIG") or "bot.toml")
    file = _read_file(path, faults)
    if environment is None or file is None or faults:
        raise ConfigFaults(faults)
    return Config(environment, file.command, file.projects)


def _read_file(path: Path, faults: list[Fault]) -> BotFile | None:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fix = "Write it with `taskgroup-bot config example > bot.toml`, or let BOT_CONFIG name it"
        faults.append(Fault(str(path), f"cannot be read: {error.strerror}", fix))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(Fault(str(path), f"is not TOML: {error}", "Compare it with `taskgroup-bot config example`"))
    else:
        try:
            return BotFile.model_validate(raw)
        except ValidationError as error:
            faults.extend(_toml_faults(path.name, error))
    return None


_FIXES = {
    "region": "Use a region id such as ap-southeast-3",
    "project_id": "Use the 32 hexadecimal digits of the project",
    "channel": "Use the channel's id (C…), from its details in Slack",
    "approvers": "Use user ids (U…) and user group ids (S…), not names",
    "requesters": 'Use user ids (U…), user group ids (S…) or "*"',
    "projects": "Write one [projects.NAME] table for each Huawei Cloud project",
    "command": "Use lower case letters, digits and hyphens after the slash",
    "source": "Use a path below the mount, or a table of bucket = path",
}


def _toml_faults(name: str, error: ValidationError) -> list[Fault]:
    found: dict[str, Fault] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        # Unions add the names of their branches to the place; what a person wrote has none of those.
        place = [str(part) for part in item["loc"] if "[" not in str(part) and str(part) not in ("str", "tuple")]
        last = next((part for part in reversed(place) if not part.isdigit()), "")
        key = ".".join(place) or name
        problem = item["msg"].removeprefix("Value error, ")
        match item["type"]:
            case "missing":
                problem, fix = "is missing", _FIXES.get(last, "Compare with `taskgroup-bot config example`")
            case "extra_forbidden":
                problem, fix = "is not a setting", "Remove it, or compare with `taskgroup-bot config example`"
            case "string_pattern_mismatch":
                problem, fix = "is not well-formed", _FIXES.get(last, "Compare with `taskgroup-bot config example`")
            case _:
                fix = _FIXES.get(last, "Compare with `taskgroup-bot config example`")
        found.setdefault(key, Fault(f"{name}: {key}", problem[:1].lower() + problem[1:], fix))
    return list(found.values())


def example() -> str:
    """A commented bot.toml."""
    return (resources.files("bot") / "example.toml").read_text(encoding="utf-8")

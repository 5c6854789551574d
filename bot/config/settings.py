"""The settings: the environment and bot.toml as checked values, or every fault in them at once.

Whether what they name exists (a channel, a path, a key) is left to `bot.check`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from bot.config.environment import Environment, SettingProblem, read_database, read_environment
from bot.config.problems import FIXES, problems_in, wrong
from bot.config.values import (
    MAX_EXPIRY,
    REQUESTER,
    USER_OR_GROUP,
    Slots,
    can_be_filled,
    checked_address,
    checked_ids,
    checked_path,
    parse_duration,
)
from bot.domain.request import Plan, Policy
from bot.redaction import Secret

# Regions whose IAM is the global one (official SDK, endpoints of IAM).
_WITHOUT_IAM_OF_ITS_OWN = frozenset({"ap-southeast-5"})


class InvalidSettings(Exception):
    """What is wrong with the settings, all of it."""

    def __init__(self, faults: list[SettingProblem]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class ProjectVault(_Table):
    """Where a project's keys are in Vault."""

    mount: str = "secret"
    caller: str
    source: str | dict[str, str]
    destination: str

    @field_validator("mount", mode="before")
    @classmethod
    def _mount(cls, value: Any) -> str:
        return checked_path(value, None, FIXES["mount"])

    @field_validator("caller", "destination", mode="before")
    @classmethod
    def _one_path(cls, value: Any, info: ValidationInfo) -> str:
        return checked_path(value, info.data.get("mount"), FIXES[info.field_name or ""])

    @field_validator("source", mode="before")
    @classmethod
    def _paths(cls, value: Any, info: ValidationInfo) -> str | dict[str, str]:
        mount, fix = info.data.get("mount"), FIXES["source"]
        if not isinstance(value, dict):
            return checked_path(value, mount, fix)
        if not value:
            raise wrong("names no bucket", fix)
        return {bucket: checked_path(path, mount, fix, f"{bucket} ") for bucket, path in value.items()}


class Project(_Table):
    """One Huawei Cloud project: where it is, who may ask, who must approve, where its keys are."""

    region: str = Field(pattern=r"^[a-z]{2,}(-[a-z0-9]+)+$", max_length=40)
    project_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    channel: str = Field(pattern=r"^[CG][A-Z0-9]{4,20}$")
    requesters: tuple[str, ...] = ("*",)
    approvers: tuple[str, ...] | Slots
    approvals: int = Field(default=1, ge=1, le=20)
    self_approval: bool = False
    expires_after: str = "8h"
    oms_url: str | None = None
    iam_url: str | None = None
    vault: ProjectVault

    @field_validator("requesters", mode="before")
    @classmethod
    def _requesters(cls, value: Any) -> tuple[str, ...]:
        return checked_ids(value, REQUESTER, FIXES["requesters"])

    @field_validator("approvers", mode="before")
    @classmethod
    def _approvers(cls, value: Any) -> tuple[str, ...] | Slots:
        fix = FIXES["approvers"]
        if not isinstance(value, list) or not any(isinstance(item, list) for item in value):
            return checked_ids(value, USER_OR_GROUP, fix)
        if not all(isinstance(item, list) for item in value):
            raise wrong("mixes ids and lists of ids", "Write a flat list, or one list for each person who must approve")
        slots = tuple(checked_ids(item, USER_OR_GROUP, fix, f"list {at} ") for at, item in enumerate(value, 1))
        if not can_be_filled(slots):
            raise wrong("names too few people: nobody fills two places", "Name more people in its lists")
        return slots

    @field_validator("approvals")
    @classmethod
    def _fits_approvers(cls, approvals: int, info: ValidationInfo) -> int:
        approvers = info.data.get("approvers")
        if approvers is None or approvals == 1:
            return approvals
        if isinstance(approvers[0], tuple):
            raise wrong("counts only with a flat list of approvers", "Leave it out: each inner list is one approval")
        if not can_be_filled((approvers,) * approvals):
            people = len(set(approvers))
            named = f"{people} {'person' if people == 1 else 'people'}"
            raise wrong(f"asks for {approvals} people, and approvers names {named}", "Name more approvers")
        return approvals

    @field_validator("oms_url", "iam_url")
    @classmethod
    def _https(cls, url: str | None, info: ValidationInfo) -> str | None:
        return None if url is None else checked_address(url, info.field_name or "")

    @field_validator("expires_after")
    @classmethod
    def _duration(cls, text: str) -> str:
        if not timedelta(minutes=1) <= parse_duration(text) <= MAX_EXPIRY:
            raise wrong("is not a time between 1m and 7d", FIXES["expires_after"])
        return text

    @property
    def policy(self) -> Policy:
        """Who may ask and who must approve, a flat list as that list once for each approval."""
        slots = (
            tuple(item if isinstance(item, tuple) else (item,) for item in self.approvers)
            if isinstance(self.approvers[0], tuple)
            else (tuple(str(item) for item in self.approvers),) * self.approvals
        )
        return Policy(self.requesters, slots, self.self_approval)

    @property
    def expiry(self) -> timedelta:
        return parse_duration(self.expires_after)

    @property
    def oms_address(self) -> str:
        return self.oms_url or f"https://oms.{self.region}.myhuaweicloud.com"

    @property
    def iam_address(self) -> str:
        if self.iam_url:
            return self.iam_url
        host = "iam" if self.region in _WITHOUT_IAM_OF_ITS_OWN else f"iam.{self.region}"
        return f"https://{host}.myhuaweicloud.com"

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells this Huawei Cloud project from another, as far as the settings do.

        An id is of one project, whichever address leads there. Where it is left out, it is compared once IAM has told
        it (`bot.jobs.ask.preflight`).
        """
        if self.project_id:
            return (self.project_id,)
        return (self.oms_address, self.region, self.vault.mount, self.vault.caller)

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


class BotFile(_Table):
    """bot.toml."""

    command: str = Field(default="/resume-taskgroup", pattern=r"^/[a-z0-9_\-]{1,31}$")
    projects: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,31}$")], Project] = Field(min_length=1)

    @field_validator("projects")
    @classmethod
    def _each_once(cls, projects: dict[str, Project]) -> dict[str, Project]:
        """One group under two tables would be approved by whichever approvers are easier to win."""
        known: dict[tuple[str, ...], str] = {}
        for name, project in projects.items():
            first = known.setdefault(project.identity, name)
            if first != name:
                raise wrong(
                    f"{first} and {name} are the same Huawei Cloud project, so its groups would have two sets of "
                    "approvers",
                    "Keep one table for it",
                )
        return projects


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
    faults: list[SettingProblem] = []
    environment = read_environment(environ, faults)
    path = Path(environ.get("BOT_CONFIG") or "bot.toml")
    file = _read_file(path, faults)
    if environment is None or file is None:
        raise InvalidSettings(faults)
    return Config(environment, file.command, file.projects)


def load_database(environ: Mapping[str, str]) -> Secret:
    """DATABASE_URL alone: whoever reads the audit needs neither Slack nor Vault.

    Raises:
        ConfigFaults: it is wrong.
    """
    faults: list[SettingProblem] = []
    url = read_database(environ, faults)
    if faults:
        raise InvalidSettings(faults)
    return url


def _read_file(path: Path, faults: list[SettingProblem]) -> BotFile | None:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        fix = "Write it with `taskgroup-bot config example > bot.toml`, or let BOT_CONFIG name it"
        faults.append(SettingProblem(str(path), f"cannot be read: {error.strerror}", fix))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(
            SettingProblem(str(path), f"is not TOML: {error}", "Compare it with `taskgroup-bot config example`")
        )
    else:
        try:
            return BotFile.model_validate(raw)
        except ValidationError as error:
            faults.extend(problems_in(path.name, error))
    return None


def example() -> str:
    """A commented bot.toml."""
    return (resources.files("bot.config") / "example.toml").read_text(encoding="utf-8")

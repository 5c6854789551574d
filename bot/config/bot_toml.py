"""The tables of bot.toml as pydantic models, each key with its checks.

Whether the channels, people, paths and keys that they name exist is left to `bot.check`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from bot.config.network_table import NetworkTable
from bot.config.problems import FIXES, setting_error
from bot.config.values import (
    MAX_EXPIRY,
    MAX_SCHEDULE_AHEAD,
    MAX_STALL,
    MIN_KEEP,
    MIN_STALL,
    REQUESTER,
    TABLE_CONFIG,
    USER_OR_GROUP,
    Slots,
    can_be_filled,
    checked_address,
    checked_ids,
    checked_path,
    parse_daily_time,
    parse_duration,
    parse_rate,
)
from bot.domain.alert import Watch
from bot.domain.digest import DailyTime
from bot.domain.request import Plan, Policy
from bot.domain.watched_group import WatchLimits

# Regions of Huawei Cloud's European site, whose services have addresses of their own (official SDK, regions of IAM).
_EUROPEAN_REGIONS = frozenset({"eu-west-101"})
# Regions without an IAM of their own; they use the global one (official SDK, endpoints of IAM).
_REGIONS_WITH_GLOBAL_IAM = frozenset({"ap-southeast-5"})


class _Table(BaseModel):
    model_config = TABLE_CONFIG


class ProjectVault(_Table):
    """`[projects.NAME.vault]`: the Vault paths of a project's keys, below the mount."""

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
            raise setting_error("has no bucket", fix)
        return {bucket: checked_path(path, mount, fix, f"{bucket} ") for bucket, path in value.items()}


class Project(_Table):
    """`[projects.NAME]`: one Huawei Cloud project, its requesters and approvers, and its Vault paths."""

    region: str = Field(pattern=r"^[a-z]{2,}(-[a-z0-9]+)+$", max_length=40)
    project_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    channel: str = Field(pattern=r"^[CG][A-Z0-9]{4,20}$")
    requesters: tuple[str, ...] = ("*",)
    approvers: tuple[str, ...] | Slots
    approvals: int = Field(default=1, ge=1, le=20)
    self_approval: bool = False
    expires_after: str = "8h"
    schedule_ahead: str = "24h"
    oms_url: str | None = None
    iam_url: str | None = None
    console_url: str | None = Field(default=None, pattern=r"^https://[^\s<>|]+$", max_length=500)
    watch: Watch = "trouble"
    notify: tuple[str, ...] = ()
    stall_after: str = "15m"
    slow_below: str | None = None
    digest: str | None = None
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
            raise setting_error(
                "mixes ids and lists of ids", "Write a flat list, or one list for each person who must approve"
            )
        slots = tuple(checked_ids(item, USER_OR_GROUP, fix, f"list {at} ") for at, item in enumerate(value, 1))
        if not can_be_filled(slots):
            raise setting_error("has too few people, one person can't fill two places", "Add people to the lists")
        return slots

    @field_validator("approvals")
    @classmethod
    def _match_approvers(cls, approvals: int, info: ValidationInfo) -> int:
        approvers = info.data.get("approvers")
        if approvers is None or approvals == 1:
            return approvals
        if isinstance(approvers[0], tuple):
            raise setting_error(
                "is allowed only with a flat list of approvers", "Leave it out: each inner list is one approval"
            )
        if not can_be_filled((approvers,) * approvals):
            people = len(set(approvers))
            named = f"{people} {'person' if people == 1 else 'people'}"
            raise setting_error(f"needs {approvals} people, but approvers has {named}", "Add approvers")
        return approvals

    @field_validator("oms_url", "iam_url")
    @classmethod
    def _https(cls, url: str | None, info: ValidationInfo) -> str | None:
        return None if url is None else checked_address(url, info.field_name or "")

    @field_validator("expires_after")
    @classmethod
    def _duration(cls, text: str) -> str:
        if not timedelta(minutes=1) <= parse_duration(text) <= MAX_EXPIRY:
            raise setting_error("is not a time between 1m and 7d", FIXES["expires_after"])
        return text

    @field_validator("schedule_ahead")
    @classmethod
    def _schedule(cls, text: str) -> str:
        if text != "0" and not timedelta(minutes=1) <= parse_duration(text) <= MAX_SCHEDULE_AHEAD:
            raise setting_error("is neither 0 nor a time between 1m and 24h", FIXES["schedule_ahead"])
        return text

    @field_validator("notify", mode="before")
    @classmethod
    def _notify(cls, value: Any) -> tuple[str, ...]:
        return () if value == [] else checked_ids(value, USER_OR_GROUP, FIXES["notify"])

    @field_validator("stall_after")
    @classmethod
    def _stall(cls, text: str) -> str:
        if not MIN_STALL <= parse_duration(text) <= MAX_STALL:
            raise setting_error("is not a duration between 5m and 7d", FIXES["stall_after"])
        return text

    @field_validator("slow_below")
    @classmethod
    def _slow(cls, text: str | None) -> str | None:
        if text is not None and not parse_rate(text):
            raise setting_error("is not a rate", FIXES["slow_below"])
        return text

    @field_validator("digest")
    @classmethod
    def _digest_time(cls, text: str | None) -> str | None:
        if text is not None and parse_daily_time(text) is None:
            raise setting_error("is not a time of day and a time zone", FIXES["digest"])
        return text

    @property
    def watch_limits(self) -> WatchLimits:
        """From when on a running group counts as stalled or slow."""
        return WatchLimits(parse_duration(self.stall_after), parse_rate(self.slow_below or ""))

    @property
    def digest_time(self) -> DailyTime | None:
        """When the daily digest is posted; None for no digest."""
        return None if self.digest is None else parse_daily_time(self.digest)

    @property
    def policy(self) -> Policy:
        """Who may create requests and who must approve. A flat list of approvers becomes one slot for each approval."""
        slots = (
            tuple(item if isinstance(item, tuple) else (item,) for item in self.approvers)
            if isinstance(self.approvers[0], tuple)
            else (tuple(str(item) for item in self.approvers),) * self.approvals
        )
        return Policy(self.requesters, slots, self.self_approval)

    @property
    def expiry(self) -> timedelta:
        """How long people can vote on a request. Without a start time, its approval expires at the same time."""
        return parse_duration(self.expires_after)

    @property
    def schedule_limit(self) -> timedelta:
        """How far ahead a start time may be; zero if the project allows none."""
        return parse_duration(self.schedule_ahead)

    @property
    def oms_address(self) -> str:
        """The URL of OMS, without a path."""
        return self.oms_url or f"https://oms.{self.region}.{self._domain}"

    @property
    def iam_address(self) -> str:
        """The URL of IAM, without a path."""
        if self.iam_url:
            return self.iam_url
        host = "iam" if self.region in _REGIONS_WITH_GLOBAL_IAM else f"iam.{self.region}"
        return f"https://{host}.{self._domain}"

    @property
    def _domain(self) -> str:
        return "myhuaweicloud.eu" if self.region in _EUROPEAN_REGIONS else "myhuaweicloud.com"

    @property
    def cloud_project(self) -> tuple[str, ...]:
        """Equal for two tables that describe the same Huawei Cloud project, as far as bot.toml shows.

        A project id is unique across addresses. Ids that are left out are compared when IAM has returned them
        (`bot.jobs.ask.preflight`).
        """
        if self.project_id:
            return (self.project_id,)
        return (self.oms_address, self.region, self.vault.mount, self.vault.caller)

    def source_path(self, bucket: str) -> str | None:
        """The Vault path of the source keys for a bucket; None when the table has neither the bucket nor `*`."""
        if isinstance(self.vault.source, str):
            return self.vault.source
        return self.vault.source.get(bucket) or self.vault.source.get("*")

    def plan(self, name: str, project_id: str, source_path: str | None) -> Plan:
        """The addresses that a request would call and the Vault paths that it would read.

        Arguments:
            name: of the project's table.
            project_id: as set, or as IAM returned it.
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
            self.console_url or "",
        )


class BotToml(_Table):
    """The whole file."""

    command: str = Field(default="/resume-taskgroup", pattern=r"^/[a-z0-9_\-]{1,31}$")
    keep: str = "400d"
    network: NetworkTable = NetworkTable()
    projects: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,31}$")], Project] = Field(min_length=1)

    @field_validator("keep")
    @classmethod
    def _keep_time(cls, text: str) -> str:
        if parse_duration(text) < MIN_KEEP:
            raise setting_error("is not a duration of 30d or more", FIXES["keep"])
        return text

    @field_validator("projects")
    @classmethod
    def _distinct(cls, projects: dict[str, Project]) -> dict[str, Project]:
        """Two tables of one project would give its groups two sets of approvers, and requesters the choice."""
        known: dict[tuple[str, ...], str] = {}
        for name, project in projects.items():
            first = known.setdefault(project.cloud_project, name)
            if first != name:
                raise setting_error(
                    f"{first} and {name} are the same Huawei Cloud project, so its groups would have two sets of "
                    "approvers",
                    "Keep one table for it",
                )
        return projects

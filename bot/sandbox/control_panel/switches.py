"""The switches of the control panel: rules in bot.toml, and faults that last until they are switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from bot.sandbox.huawei.paging import Paging
from bot.sandbox.system import Sandbox

USUAL_LAG, LONG_LAG = timedelta(seconds=1), timedelta(seconds=10)
SLOW_SECONDS = 3.0
KILLED = "The bot is killed (kill -9)"


@dataclass(frozen=True)
class Switch:
    """A part of the sandbox that can be switched on and off. `apply` may raise RuntimeError: the bot did not start."""

    apply: Callable[[Sandbox, bool], None]
    is_on: Callable[[Sandbox], bool]


def _kill(sandbox: Sandbox, on: bool) -> None:
    if on and sandbox.bot_exit_code is None:
        sandbox.kill_bot()
    elif not on and sandbox.bot_exit_code is not None:
        sandbox.start_bot()


def _seal(sandbox: Sandbox, on: bool) -> None:
    sandbox.vault.seal() if on else sandbox.vault.unseal()


def _forbid_changes(sandbox: Sandbox, on: bool) -> None:
    for oms in sandbox.oms_by_project.values():
        oms.state.may_change_groups = not on


def _forbid_listing_tasks(sandbox: Sandbox, on: bool) -> None:
    for oms in sandbox.oms_by_project.values():
        oms.state.may_list_tasks = not on


def _paging(paging: Paging) -> Switch:
    def set_paging(sandbox: Sandbox, on: bool) -> None:
        for oms in sandbox.oms_by_project.values():
            oms.state.paging = paging if on else Paging.STABLE

    return Switch(set_paging, lambda sandbox: sandbox.oms.state.paging is paging)


def _set_status_lag(sandbox: Sandbox, on: bool) -> None:
    for oms in sandbox.oms_by_project.values():
        for group in oms.state.groups.values():
            group.status_lag = LONG_LAG if on else USUAL_LAG


def _slow_down_oms(sandbox: Sandbox, on: bool) -> None:
    for oms in sandbox.oms_by_project.values():
        oms.delay_seconds = SLOW_SECONDS if on else 0.0


def _reject_charts(sandbox: Sandbox, on: bool) -> None:
    sandbox.slack.api.takes_charts = not on


def _slack_answers(status: int) -> Switch:
    def set_outage(sandbox: Sandbox, on: bool) -> None:
        sandbox.slack.outage.status = status if on else None

    return Switch(set_outage, lambda sandbox: sandbox.slack.outage.status == status)


def _rule(line: str) -> Switch:
    """A line that every project has in bot.toml."""
    return Switch(
        lambda sandbox, on: sandbox.set_rules(sandbox.rules | {line} if on else sandbox.rules - {line}),
        lambda sandbox: line in sandbox.rules,
    )


TWO_APPROVALS, SELF_APPROVAL = "Two people must approve", "The requester may approve too (break-glass)"

RULES: Mapping[str, Switch] = {
    TWO_APPROVALS: _rule("approvals = 2"),
    SELF_APPROVAL: _rule("self_approval = true"),
}

FAULTS: Mapping[str, Switch] = {
    KILLED: Switch(_kill, lambda sandbox: sandbox.bot_exit_code is not None),
    "Vault is sealed": Switch(_seal, lambda sandbox: sandbox.vault.is_sealed),
    "OMS refuses to change groups (OMS.0072)": Switch(
        _forbid_changes, lambda sandbox: not sandbox.oms.state.may_change_groups
    ),
    "OMS refuses to list sub-tasks (OMS.0072)": Switch(
        _forbid_listing_tasks, lambda sandbox: not sandbox.oms.state.may_list_tasks
    ),
    **{f"OMS lists {paging.value}": _paging(paging) for paging in Paging if paging is not Paging.STABLE},
    f"OMS answers {SLOW_SECONDS:.0f} s late": Switch(_slow_down_oms, lambda sandbox: sandbox.oms.delay_seconds > 0),
    f"OMS shows a new status {LONG_LAG.seconds} s late": Switch(
        _set_status_lag,
        lambda sandbox: any(group.status_lag == LONG_LAG for group in sandbox.oms.state.groups.values()),
    ),
    "Slack gets too many requests (429)": _slack_answers(429),
    "Slack is broken (500)": _slack_answers(500),
    "Slack takes no charts (invalid_blocks)": Switch(
        _reject_charts, lambda sandbox: not sandbox.slack.api.takes_charts
    ),
}

SWITCHES: Mapping[str, Switch] = {**RULES, **FAULTS}

"""What can be switched on the page: rules of the bot, faults that stay, and a plan for the next call of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from bot.huawei.error_catalogue import CATALOGUE
from bot.sandbox.faults import Answer, Drop, FailsLater, Fault, Late, Raw
from bot.sandbox.system import Sandbox

USUAL_LAG, LONG_LAG = timedelta(seconds=1), timedelta(seconds=10)
SLOW_SECONDS = 3.0
KILLED = "The bot is killed (kill -9)"

VERBS = {"start": "resume", "retry": "retry", "stop": "pause", "show": "look at a group", "list": "list of groups"}
_CHANGES_A_GROUP = ("start", "retry")


@dataclass(frozen=True)
class Switch:
    """One thing that stays as it is until it is switched back."""

    turn: Callable[[Sandbox, bool], None]
    is_on: Callable[[Sandbox], bool]


def _kill(sandbox: Sandbox, on: bool) -> None:
    """
    Raises:
        RuntimeError: the bot did not start again.
    """
    if on and sandbox.bot_exit is None:
        sandbox.kill_bot()
    elif not on and sandbox.bot_exit is not None:
        sandbox.start_bot()


def _seal(sandbox: Sandbox, on: bool) -> None:
    sandbox.vault.seal() if on else sandbox.vault.unseal()


def _forbid(sandbox: Sandbox, on: bool) -> None:
    for world in sandbox.worlds.values():
        world.may_start = not on


def _lag(sandbox: Sandbox, on: bool) -> None:
    for world in sandbox.worlds.values():
        for group in world.groups.values():
            group.status_lag = LONG_LAG if on else USUAL_LAG


def _slow(sandbox: Sandbox, on: bool) -> None:
    for cloud in sandbox.clouds.values():
        cloud.delay_seconds = SLOW_SECONDS if on else 0.0


def _slack_answers(status: int) -> Switch:
    def turn(sandbox: Sandbox, on: bool) -> None:
        sandbox.slack.outage.status = status if on else None

    return Switch(turn, lambda sandbox: sandbox.slack.outage.status == status)


def _rule(line: str) -> Switch:
    """A line in every project's table of bot.toml."""
    return Switch(
        lambda sandbox, on: sandbox.set_rules(sandbox.rules | {line} if on else sandbox.rules - {line}),
        lambda sandbox: line in sandbox.rules,
    )


TWO_APPROVALS, SELF_APPROVAL = "Two people must approve", "Whoever asks may approve too (break-glass)"

RULES: Mapping[str, Switch] = {
    TWO_APPROVALS: _rule("approvals = 2"),
    SELF_APPROVAL: _rule("self_approval = true"),
}

FAULTS: Mapping[str, Switch] = {
    KILLED: Switch(_kill, lambda sandbox: sandbox.bot_exit is not None),
    "Vault is sealed": Switch(_seal, lambda sandbox: sandbox.vault.is_sealed),
    "OMS refuses to change groups (OMS.0072)": Switch(_forbid, lambda sandbox: not sandbox.world.may_start),
    f"OMS answers {SLOW_SECONDS:.0f} s late": Switch(_slow, lambda sandbox: sandbox.oms.delay_seconds > 0),
    f"OMS shows a new status {LONG_LAG.seconds} s late": Switch(
        _lag, lambda sandbox: any(group.status_lag == LONG_LAG for group in sandbox.world.groups.values())
    ),
    "Slack gets too many requests (429)": _slack_answers(429),
    "Slack is broken (500)": _slack_answers(500),
}

SWITCHES: Mapping[str, Switch] = {**RULES, **FAULTS}

WAYS: Mapping[str, Fault] = {
    "too many requests, again in 2 s (429)": Answer(429, "APIG.0308", retry_after=2),
    "not available (503)": Answer(503, "APIG.0601"),
    "no answer, and nothing is done": Late(),
    "no answer, but it is done": Late(done=True),
    "the connection breaks before it is done": Drop(done=False),
    "the connection breaks after it is done": Drop(done=True),
    "HTML instead of JSON (502)": Raw(502, b"<html><h1>Bad gateway</h1></html>", {"Content-Type": "text/html"}),
}

# The HTTP status that goes with a code (API references, "Error Codes"), where it is not the usual one of its service.
_CODES_OF_STATUS = {
    401: {"APIG.0301", "APIG.0307", "IAM.0001", "IAM.0061", "IAM.0062", "IAM.0066", "IAM.0067"},
    403: {"OMS.0072", "IAM.0002", "IAM.0003", "IAM.0080", "IAM.0081", "IAM.0082", "IAM.0083"},
    404: {"APIG.0101", "IAM.0004"},
    410: {"IAM.0020"},
    429: {"APIG.0308", "IAM.0012"},
    500: {"APIG.0601", "IAM.0006"},
    502: {"APIG.0201", "APIG.0610"},
    503: {"APIG.0613"},
    504: {"APIG.0203"},
}
_USUAL_STATUS = {"OMS": 400, "APIG": 403, "IAM": 400}


def choices(verb: str) -> dict[str, list[tuple[str, str]]]:
    """What the next call of this kind can be made to meet: under each heading, values and their words."""
    found: dict[str, list[tuple[str, str]]] = {"On the way": [(name, name) for name in WAYS]}
    headings = {"OMS answers": "OMS.", "The gateway answers": "APIG.", "IAM answers": "IAM."}
    if verb in _CHANGES_A_GROUP:
        headings["Accepted, and the group fails later"] = "TRF."
    for heading, prefix in headings.items():
        codes = [code for code in sorted(CATALOGUE) if code.startswith(prefix)]
        found[heading] = [(code, f"{code} {CATALOGUE[code].sentence}") for code in codes]
    return found


def plan(sandbox: Sandbox, verb: str, what: str) -> None:
    """The next call of this kind, of any project, meets this instead of what was planned for it; "" is nothing.

    Raises:
        KeyError: there is no such kind of call, or nothing such to meet.
    """
    if verb not in VERBS:
        raise KeyError(verb)
    fault = _fault(what) if what else None
    sandbox.faults.clear(verb)
    if fault is not None:
        sandbox.faults.add(verb, fault)


def planned(sandbox: Sandbox) -> dict[str, str]:
    """What the next call of each kind will meet."""
    return {verb: _name(sandbox.faults.waiting(verb)) for verb in VERBS}


def _fault(what: str) -> Fault:
    if what in WAYS:
        return WAYS[what]
    sentence = CATALOGUE[what].sentence
    if what.startswith("TRF."):
        return FailsLater(what, sentence)
    usual = _USUAL_STATUS[what.split(".")[0]]
    status = next((status for status, codes in _CODES_OF_STATUS.items() if what in codes), usual)
    return Answer(status, what, sentence)


def _name(waiting: tuple[Fault, ...]) -> str:
    """The value that stands for what waits first."""
    if not waiting:
        return ""
    first = waiting[0]
    named = next((name for name, fault in WAYS.items() if fault == first), "")
    return named or (first.code if isinstance(first, Answer | FailsLater) else "")

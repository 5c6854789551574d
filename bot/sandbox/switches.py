"""What can be made to go wrong from the page: switches that stay on, and a plan for the next call of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from bot.oms.catalogue import CATALOGUE
from bot.sandbox.faults import Answer, Drop, Fault, Late, Raw
from bot.sandbox.town import Town

USUAL_LAG, LONG_LAG = timedelta(seconds=1), timedelta(seconds=10)
SLOW_SECONDS = 3.0

VERBS = {"start": "resume", "retry": "retry", "stop": "pause", "show": "look at a group", "list": "list of groups"}


@dataclass(frozen=True)
class Switch:
    """One thing that stays as it is until it is switched back."""

    turn: Callable[[Town, bool], None]
    is_on: Callable[[Town], bool]


def _seal(town: Town, on: bool) -> None:
    town.vault.seal() if on else town.vault.unseal()


def _forbid(town: Town, on: bool) -> None:
    town.world.may_start = not on


def _lag(town: Town, on: bool) -> None:
    for group in town.world.groups.values():
        group.status_lag = LONG_LAG if on else USUAL_LAG


def _slow(town: Town, on: bool) -> None:
    town.oms.delay_seconds = SLOW_SECONDS if on else 0.0


def _slack_answers(status: int) -> Switch:
    def turn(town: Town, on: bool) -> None:
        town.slack.outage.status = status if on else None

    return Switch(turn, lambda town: town.slack.outage.status == status)


SWITCHES: Mapping[str, Switch] = {
    "Vault is sealed": Switch(_seal, lambda town: town.vault.is_sealed),
    "OMS forbids the bot to change groups": Switch(_forbid, lambda town: not town.world.may_start),
    f"OMS answers {SLOW_SECONDS:.0f} s late": Switch(_slow, lambda town: town.oms.delay_seconds > 0),
    f"a group's status lags by {LONG_LAG.seconds} s": Switch(
        _lag, lambda town: any(group.status_lag == LONG_LAG for group in town.world.groups.values())
    ),
    "Slack answers 429": _slack_answers(429),
    "Slack answers 500": _slack_answers(500),
}

WAYS: Mapping[str, Fault] = {
    "429, again in 2 s": Answer(429, "APIG.0308", retry_after=2),
    "503": Answer(503, "APIG.0601"),
    "no answer, and nothing is done": Late(),
    "no answer, but it is done": Late(done=True),
    "connection dropped before it is done": Drop(done=False),
    "connection dropped after it is done": Drop(done=True),
    "HTML instead of JSON": Raw(502, b"<html><h1>Bad gateway</h1></html>", {"Content-Type": "text/html"}),
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


def choices() -> dict[str, list[tuple[str, str]]]:
    """What the next call can be made to meet: under each heading, values and their words."""
    found: dict[str, list[tuple[str, str]]] = {"On the way": [(name, name) for name in WAYS]}
    for heading, prefix in (
        ("OMS answers", "OMS."),
        ("The gateway answers", "APIG."),
        ("IAM answers", "IAM."),
        ("Accepted, and the group fails later", "TRF."),
    ):
        codes = [code for code in sorted(CATALOGUE) if code.startswith(prefix)]
        found[heading] = [(code, f"{code} {CATALOGUE[code].sentence}") for code in codes]
    return found


def plan(town: Town, verb: str, what: str) -> None:
    """The next call of this kind meets this, instead of what was planned for it before; "" is nothing.

    Raises:
        KeyError: there is no such kind of call, or nothing such to meet.
    """
    if verb not in VERBS:
        raise KeyError(verb)
    fails_later = what.startswith("TRF.")
    fault = None if not what or fails_later else _fault(what)
    town.oms.calm(verb)
    town.world.next_failure = (what, CATALOGUE[what].sentence) if fails_later else None
    if fault is not None:
        town.oms.fault(verb, fault)


def planned(town: Town) -> dict[str, str]:
    """What the next call of each kind will meet."""
    found = {verb: _name(town.oms.waiting(verb)) for verb in VERBS}
    if town.world.next_failure is not None:
        found |= {verb: town.world.next_failure[0] for verb in ("start", "retry") if not found[verb]}
    return found


def _fault(what: str) -> Fault:
    if what in WAYS:
        return WAYS[what]
    usual = _USUAL_STATUS[what.split(".")[0]]
    status = next((status for status, codes in _CODES_OF_STATUS.items() if what in codes), usual)
    return Answer(status, what, CATALOGUE[what].sentence)


def _name(waiting: tuple[Fault, ...]) -> str:
    """The value that stands for what waits first."""
    if not waiting:
        return ""
    first = waiting[0]
    named = next((name for name, fault in WAYS.items() if fault == first), "")
    return named or (first.code if isinstance(first, Answer) else "")

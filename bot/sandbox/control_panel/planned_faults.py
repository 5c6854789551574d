"""Faults that the control panel plans for the next call of a kind: transport faults, and every documented code."""

from __future__ import annotations

from collections.abc import Mapping

from bot.huawei.error_catalogue import CATALOGUE
from bot.sandbox.huawei.faults import Answer, Drop, FailsLater, Fault, NoAnswer, Raw
from bot.sandbox.system import Sandbox

# The kinds of calls by endpoint, each with the words of the page.
CALL_KINDS = {
    "start": "resume",
    "retry": "retry",
    "stop": "pause",
    "show": "look at a group",
    "list": "list of groups",
    "tasks": "list of sub-tasks",
}
_KINDS_THAT_RUN_A_GROUP = ("start", "retry")

TRANSPORT_FAULTS: Mapping[str, Fault] = {
    "too many requests, again in 2 s (429)": Answer(429, "APIG.0308", retry_after=2),
    "not available (503)": Answer(503, "APIG.0601"),
    "no answer, and nothing is done": NoAnswer(),
    "no answer, but it is done": NoAnswer(done=True),
    "the connection breaks before it is done": Drop(done=False),
    "the connection breaks after it is done": Drop(done=True),
    "HTML instead of JSON (502)": Raw(502, b"<html><h1>Bad gateway</h1></html>", {"Content-Type": "text/html"}),
}

# The codes whose HTTP status is not the usual one of their service (API references, "Error Codes").
_CODES_BY_STATUS = {
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


def choices(kind: str) -> dict[str, list[tuple[str, str]]]:
    """The faults that can be planned for this kind of call: by heading, their values and words."""
    found: dict[str, list[tuple[str, str]]] = {"On the way": [(name, name) for name in TRANSPORT_FAULTS]}
    headings = {"OMS answers": "OMS.", "The gateway answers": "APIG.", "IAM answers": "IAM."}
    if kind in _KINDS_THAT_RUN_A_GROUP:
        headings["Accepted, and the group fails later"] = "TRF."
    for heading, prefix in headings.items():
        codes = [code for code in sorted(CATALOGUE) if code.startswith(prefix)]
        found[heading] = [(code, f"{code} {CATALOGUE[code].sentence}") for code in codes]
    return found


def plan_fault(sandbox: Sandbox, kind: str, value: str) -> None:
    """Plans a fault for the next call of this kind to any project, in place of the one that was planned.

    Arguments:
        value: one of `choices`, or "" for none.

    Raises:
        KeyError: there is no such kind or no such fault.
    """
    if kind not in CALL_KINDS:
        raise KeyError(kind)
    fault = _fault(value) if value else None
    sandbox.shared_faults.clear(kind)
    if fault is not None:
        sandbox.shared_faults.add(kind, fault)


def planned_faults(sandbox: Sandbox) -> dict[str, str]:
    """The value of the fault that is planned for each kind of call, "" for none."""
    return {kind: _value(sandbox.shared_faults.pending(kind)) for kind in CALL_KINDS}


def _fault(value: str) -> Fault:
    if value in TRANSPORT_FAULTS:
        return TRANSPORT_FAULTS[value]
    sentence = CATALOGUE[value].sentence
    if value.startswith("TRF."):
        return FailsLater(value, sentence)
    usual = _USUAL_STATUS[value.split(".")[0]]
    status = next((status for status, codes in _CODES_BY_STATUS.items() if value in codes), usual)
    return Answer(status, value, sentence)


def _value(pending: tuple[Fault, ...]) -> str:
    if not pending:
        return ""
    first = pending[0]
    named = next((name for name, fault in TRANSPORT_FAULTS.items() if fault == first), "")
    return named or (first.code if isinstance(first, Answer | FailsLater) else "")

"""Puts what went wrong with Vault or OMS into the words of a card. Pure."""

from __future__ import annotations

from bot.oms.catalogue import explain
from bot.oms.errors import Answer, NotSent, OmsError, Refused, Throttled, Unanswered
from bot.request.group import ErrorReason
from bot.request.model import Plan, Trouble
from bot.vault_faults import VaultFault
from bot.work.caller import KeyRests

NOTHING_STARTED = "Nothing was started."
FAULTS = (VaultFault, OmsError, KeyRests)


def trouble_of(fault: VaultFault | OmsError | KeyRests, plan: Plan) -> Trouble:
    """What a failure before or instead of the start means, and what to do next."""
    match fault:
        case VaultFault():
            return Trouble(
                "Vault", "", "", f"{fault.sentence} {NOTHING_STARTED}", f"{fault.next_step} Then press Retry."
            )
        case KeyRests():
            return Trouble(
                "",
                "APIG.0301",
                "",
                "The gateway refused the signature of the bot's own access key, so it is not used again by itself: "
                f"five refusals lock it for everybody. {NOTHING_STARTED}",
                f"Correct {fault.path} in Vault, then press Retry.",
            )
        case Refused():
            return trouble_of_answer(fault.answer, plan, NOTHING_STARTED)
        case Throttled():
            return Trouble(
                "OMS", "HTTP 429", "", f"OMS asks to slow down. {NOTHING_STARTED}", "Wait a minute, then press Retry."
            )
        case NotSent():
            return Trouble(
                "",
                "",
                "",
                f"OMS cannot be reached at {plan.oms_url}: {fault}. {NOTHING_STARTED}",
                "Check the network, region and oms_url, then press Retry.",
            )
        case Unanswered() if fault.answer is not None:
            return trouble_of_answer(fault.answer, plan, "")
        case _:
            return Trouble("", "", "", f"OMS gave no clear answer: {fault}.", "")


def trouble_of_answer(answer: Answer, plan: Plan, started: str) -> Trouble:
    """What an error code of OMS or the gateway means. `started` says whether anything was."""
    meaning = explain(answer.code, answer.http_status, answer.message)
    said = f"{answer.message} {answer.detail}".strip()
    return Trouble(
        "Huawei Cloud",
        answer.code,
        said,
        f"{meaning.sentence} {started}".strip(),
        _paths(meaning.next_step, plan),
        answer.huawei_request_id,
    )


def trouble_of_reason(reason: ErrorReason | None, plan: Plan) -> Trouble:
    """Why OMS says that a group failed."""
    if reason is None:
        return Trouble(
            "OMS", "", "", "OMS says that the migration failed, and gives no reason.", "Look at it in the console."
        )
    meaning = explain(reason.code, 200, reason.message)
    # A failed group is not resumed: here "Retry" is the console's.
    next_step = meaning.next_step.replace("press Retry", "retry the group in the console")
    return Trouble("OMS", reason.code, reason.message, meaning.sentence, _paths(next_step, plan))


def _paths(next_step: str, plan: Plan) -> str:
    mount = plan.vault_mount
    return next_step.format(
        caller=f"{mount}/{plan.caller_path}",
        source=f"{mount}/{plan.source_path}",
        destination=f"{mount}/{plan.destination_path}",
    )

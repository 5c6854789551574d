"""Puts what went wrong with Vault or Huawei Cloud into the words of a card. Pure."""

from __future__ import annotations

from enum import StrEnum

from bot.oms.catalogue import Meaning, Side, explain
from bot.oms.errors import Answer, NotSent, OmsError, Refused, Service, Throttled, TooLate, Unanswered
from bot.request.group import ErrorReason
from bot.request.model import Plan, Trouble
from bot.vault_faults import VaultFault
from bot.work.caller import KeyRests

NOTHING_STARTED = "Nothing was started."


class Then(StrEnum):
    """What to do once the trouble is mended: it depends on where people read of it."""

    RETRY = "Then press Retry."
    ASK = "Then ask again."
    ASK_AGAIN = "Then press Ask again."
    PAUSE = "Then press Pause again."
    NOTHING = ""


def trouble_of(
    fault: VaultFault | OmsError | KeyRests, plan: Plan, then: Then, started: str = NOTHING_STARTED
) -> Trouble:
    """What a failure means, and what to do next.

    Arguments:
        started: what is known of whether anything was started.
    """
    match fault:
        case VaultFault():
            return _trouble(fault.sentence, started, fault.next_step, then, where="Vault", side=Side.VAULT)
        case KeyRests(code=""):
            return _trouble(
                "The bot's own identity was tried several times and no answer is known, so it is not used for now: if "
                "it was refused each time, one more would lock it for everybody.",
                started,
                "Wait five minutes.",
                then,
                side=Side.CLOUD,
            )
        case KeyRests():
            return _trouble(
                "Huawei Cloud refused the bot's own identity, so it is not used again by itself: some refusals more "
                "lock it for everybody.",
                started,
                f"Correct {fault.path} in Vault." + (" Wait five minutes." if fault.is_close_to_lock else ""),
                then,
                code=fault.code,
                side=Side.RIGHTS,
            )
        case Refused() | Throttled():
            return trouble_of_answer(fault.answer, plan, then, started)
        case TooLate():
            return _trouble("The bot was held up before it could call OMS.", started, "", then, side=Side.BOT)
        case NotSent():
            url, setting = (plan.iam_url, "iam_url") if fault.service is Service.IAM else (plan.oms_url, "oms_url")
            sentence = f"{fault.service} cannot be reached at {url} ({fault})."
            return _trouble(sentence, started, f"Check the network, region and {setting}.", then, side=Side.BOT)
        case Unanswered() if fault.answer is not None:
            return trouble_of_answer(fault.answer, plan, then, started)
        case _:
            sentence = f"{fault.service} gave no clear answer: {fault}."
            return _trouble(sentence, started, "Wait some minutes.", then, side=Side.CLOUD)


def trouble_of_answer(answer: Answer, plan: Plan, then: Then, started: str) -> Trouble:
    """What an error answer of Huawei Cloud means."""
    meaning = explain(answer.code, answer.http_status, answer.message)
    said = f"{answer.message} {answer.detail}".strip()
    return Trouble(
        "Huawei Cloud",
        answer.code,
        said,
        _joined(meaning.sentence, started),
        _remedy(meaning, plan, then),
        answer.huawei_request_id,
        side=meaning.side,
    )


def trouble_of_reason(reason: ErrorReason | None, plan: Plan, then: Then) -> Trouble:
    """Why OMS says that a group failed."""
    if reason is None:
        sentence = "OMS says that the migration failed, and gives no reason."
        return _trouble(sentence, "", "Look at it in the console.", then, where="OMS", side=Side.CLOUD)
    if not reason.code:
        sentence = "OMS says that the migration failed, and gives no code."
        return Trouble("OMS", "", reason.message, sentence, "Look at it in the console.", side=Side.CLOUD)
    meaning = explain(reason.code, 200, reason.message)
    remedy = _remedy(meaning, plan, then)
    return Trouble("OMS", reason.code, reason.message, meaning.sentence, remedy, side=meaning.side)


def _trouble(
    sentence: str, started: str, remedy: str, then: Then, *, code: str = "", where: str = "", side: str
) -> Trouble:
    return Trouble(where, code, "", _joined(sentence, started), _joined(remedy, then), side=side)


def _remedy(meaning: Meaning, plan: Plan, then: Then) -> str:
    mount = plan.vault_mount
    remedy = meaning.remedy.format(
        caller=f"{mount}/{plan.caller_path}",
        source=f"{mount}/{plan.source_path}" if plan.source_path else "the source's address",
        destination=f"{mount}/{plan.destination_path}",
    )
    return _joined(remedy, then if meaning.again else "")


def _joined(first: str, second: str) -> str:
    return f"{first} {second}".strip()

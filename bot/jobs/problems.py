"""Puts what went wrong with Vault or Huawei Cloud into the words of a card. Pure."""

from __future__ import annotations

from enum import StrEnum

from bot.domain.request import Plan, Problem
from bot.domain.task_group import ErrorReason
from bot.huawei.error_catalogue import Meaning, Side, meaning_of
from bot.huawei.errors import Answer, HuaweiError, NotSent, Rejected, Service, Throttled, TooLate, Unanswered
from bot.jobs.identity.guard import IdentitySuspended
from bot.vault.errors import VaultError

NOTHING_STARTED = "Nothing was started."


class RetryHint(StrEnum):
    """What to do once the trouble is mended: it depends on where people read of it."""

    RETRY = "Then press Retry."
    CREATE_REQUEST = "Then ask again."
    REQUEST_AGAIN = "Then press Ask again."
    PAUSE = "Then press Pause again."
    NOTHING = ""


def explain(
    fault: VaultError | HuaweiError | IdentitySuspended, plan: Plan, then: RetryHint, started: str = NOTHING_STARTED
) -> Problem:
    """What a failure means, and what to do next.

    Arguments:
        started: what is known of whether anything was started.
    """
    match fault:
        case VaultError():
            return _trouble(fault.sentence, started, fault.next_step, then, where="Vault", side=Side.VAULT)
        case IdentitySuspended(code=""):
            return _trouble(
                "The bot's own identity was tried several times and no answer is known, so it is not used for now: if "
                "it was refused each time, one more would lock it for everybody.",
                started,
                "Wait five minutes.",
                then,
                side=Side.CLOUD,
            )
        case IdentitySuspended():
            return _trouble(
                "Huawei Cloud refused the bot's own identity, so it is not used again by itself: some refusals more "
                "lock it for everybody.",
                started,
                f"Correct {fault.path} in Vault." + (" Wait five minutes." if fault.is_close_to_lock else ""),
                then,
                code=fault.code,
                side=Side.PERMISSIONS,
            )
        case Rejected() | Throttled():
            return explain_answer(fault.answer, plan, then, started)
        case TooLate():
            return _trouble("The bot was held up before it could call OMS.", started, "", then, side=Side.BOT)
        case NotSent():
            url, setting = (plan.iam_url, "iam_url") if fault.service is Service.IAM else (plan.oms_url, "oms_url")
            sentence = f"{fault.service} cannot be reached at {url} ({fault})."
            return _trouble(sentence, started, f"Check the network, region and {setting}.", then, side=Side.BOT)
        case Unanswered() if fault.answer is not None:
            return explain_answer(fault.answer, plan, then, started)
        case _:
            sentence = f"{fault.service} gave no clear answer: {fault}."
            return _trouble(sentence, started, "Wait some minutes.", then, side=Side.CLOUD)


def explain_answer(answer: Answer, plan: Plan, then: RetryHint, started: str) -> Problem:
    """What an error answer of Huawei Cloud means."""
    meaning = meaning_of(answer.code, answer.http_status, answer.message)
    said = f"{answer.message} {answer.detail}".strip()
    return Problem(
        "Huawei Cloud",
        answer.code,
        said,
        _joined(meaning.sentence, started),
        _remedy(meaning, plan, then),
        answer.huawei_request_id,
        side=meaning.side,
    )


def explain_reason(reason: ErrorReason | None, plan: Plan, then: RetryHint) -> Problem:
    """Why OMS says that a group failed."""
    if reason is None:
        sentence = "OMS says that the migration failed, and gives no reason."
        return _trouble(sentence, "", "Look at it in the console.", then, where="OMS", side=Side.CLOUD)
    if not reason.code:
        sentence = "OMS says that the migration failed, and gives no code."
        return Problem("OMS", "", reason.message, sentence, "Look at it in the console.", side=Side.CLOUD)
    meaning = meaning_of(reason.code, 200, reason.message)
    remedy = _remedy(meaning, plan, then)
    return Problem("OMS", reason.code, reason.message, meaning.sentence, remedy, side=meaning.side)


def _trouble(
    sentence: str, started: str, remedy: str, then: RetryHint, *, code: str = "", where: str = "", side: str
) -> Problem:
    return Problem(where, code, "", _joined(sentence, started), _joined(remedy, then), side=side)


def _remedy(meaning: Meaning, plan: Plan, then: RetryHint) -> str:
    mount = plan.vault_mount
    remedy = meaning.remedy.format(
        caller=f"{mount}/{plan.caller_path}",
        source=f"{mount}/{plan.source_path}" if plan.source_path else "the source's address",
        destination=f"{mount}/{plan.destination_path}",
    )
    return _joined(remedy, then if meaning.retryable else "")


def _joined(first: str, second: str) -> str:
    return f"{first} {second}".strip()

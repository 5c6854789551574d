"""Explains an error of Vault or Huawei Cloud as a `Problem`: what it means, whose side it is on, and the next step.

Pure. The meaning of error codes is in `bot.huawei.error_catalogue`, other sentences are in `bot.ui.problem_texts`.
"""

from __future__ import annotations

from bot.domain.request import Plan, Problem, Request, State, Verb
from bot.domain.task_group import ErrorReason
from bot.huawei.error_catalogue import Meaning, Side, meaning_of
from bot.huawei.errors import (
    Answer,
    HuaweiError,
    NotSent,
    Rejected,
    Service,
    Suspended,
    Throttled,
    TooLate,
    Unanswered,
    Unreadable,
    UnusableIdentity,
)
from bot.ui import problem_texts as texts
from bot.ui.problem_texts import NOTHING_STARTED, RetryHint
from bot.vault.errors import VaultError

# Callers import `explain` and the values of its arguments from here.
__all__ = [
    "NOTHING_STARTED",
    "RetryHint",
    "explain",
    "explain_answer",
    "explain_reason",
    "failure_to_retry",
    "may_pass",
]


def explain(
    error: HuaweiError | VaultError,
    plan: Plan,
    retry_hint: RetryHint,
    started: str = NOTHING_STARTED,
) -> Problem:
    """Explains why a call did not succeed.

    Arguments:
        plan: has the addresses and Vault paths that the next step names.
        retry_hint: how to try again from where the problem is shown.
        started: a sentence that says whether anything was started; empty if that is not known or said elsewhere.
    """
    match error:
        case VaultError() | UnusableIdentity():
            return _problem(error.sentence, started, error.next_step, retry_hint, where="Vault", side=Side.VAULT)
        case Suspended(code=""):
            return _problem(texts.IDENTITY_UNANSWERED, started, texts.WAIT_FIVE_MINUTES, retry_hint, side=Side.CLOUD)
        case Suspended():
            return _problem(
                texts.IDENTITY_REFUSED,
                started,
                texts.correct_identity(error.path, is_close_to_lock=error.is_close_to_lock),
                retry_hint,
                code=error.code,
                side=Side.CREDENTIALS,
            )
        case Rejected() | Throttled():
            return explain_answer(error.answer, plan, retry_hint, started)
        case TooLate():
            return _problem(texts.BOT_WAS_LATE, started, texts.WAIT_A_MINUTE, retry_hint, side=Side.BOT)
        case NotSent():
            url, setting = (plan.iam_url, "iam_url") if error.service is Service.IAM else (plan.oms_url, "oms_url")
            sentence = texts.cannot_reach(error.service, url, str(error))
            remedy = error.next_step or texts.check_address(setting)
            return _problem(sentence, started, remedy, retry_hint, side=Side.BOT)
        case Unanswered() if error.answer is not None:
            return explain_answer(error.answer, plan, retry_hint, started)
        case Unreadable() if error.next_step:
            return _problem(f"{error}.", started, error.next_step, retry_hint, side=Side.BOT)
        case _:
            sentence = texts.no_clear_answer(error.service, str(error))
            return _problem(sentence, started, texts.WAIT_SOME_MINUTES, retry_hint, side=Side.CLOUD)


def may_pass(error: HuaweiError | VaultError) -> bool:
    """Whether the same call may succeed later although nobody changes anything, and does no harm.

    Not for the PUT that starts a group, which may be sent only once: see `bot.jobs.send.put_reply`.
    """
    match error:
        case VaultError():
            return error.may_pass
        case Suspended():
            # Without a code, the identity was not refused: it had no answers. Its circuit breaker closes again.
            return error.code == ""
        case Unreadable():
            # Often sent by a proxy, or by a service in the middle of an upgrade.
            return error.next_step == ""
        case _:
            return isinstance(error, Throttled | NotSent | Unanswered)


def explain_answer(answer: Answer, plan: Plan, retry_hint: RetryHint, started: str) -> Problem:
    """Explains an error response of Huawei Cloud. The arguments are those of `explain`."""
    meaning = meaning_of(answer.code, answer.http_status, answer.message)
    sentence = _joined(meaning.sentence, texts.KEY_REPEATED) if answer.repeats_key else meaning.sentence
    return Problem(
        "Huawei Cloud",
        answer.code,
        f"{answer.message} {answer.detail}".strip(),
        _joined(sentence, started),
        _remedy(meaning, plan, retry_hint),
        answer.huawei_request_id,
        side=meaning.side,
    )


def explain_reason(reason: ErrorReason | None, plan: Plan, retry_hint: RetryHint) -> Problem:
    """Explains why OMS reports a group as failed."""
    if reason is None:
        sentence, remedy = texts.FAILED_WITHOUT_REASON, texts.LOOK_IN_CONSOLE
        return _problem(sentence, "", remedy, retry_hint, where="OMS", side=Side.CLOUD)
    if not reason.code:
        sentence, remedy = texts.FAILED_WITHOUT_CODE, texts.LOOK_IN_CONSOLE
        return Problem("OMS", "", reason.message, sentence, remedy, side=Side.CLOUD)
    meaning = meaning_of(reason.code, 200, reason.message)
    remedy = _remedy(meaning, plan, retry_hint)
    return Problem("OMS", reason.code, reason.message, meaning.sentence, remedy, side=meaning.side)


def failure_to_retry(request: Request) -> Problem | None:
    """Why the group failed that a pending request would retry; None for other requests."""
    if request.verb is not Verb.RETRY or request.state is not State.PENDING:
        return None
    return explain_reason(request.group.error, request.plan, RetryHint.NOTHING)


def _problem(
    sentence: str, started: str, remedy: str, retry_hint: RetryHint, *, code: str = "", where: str = "", side: str
) -> Problem:
    return Problem(where, code, "", _joined(sentence, started), _joined(remedy, retry_hint), side=side)


def _remedy(meaning: Meaning, plan: Plan, retry_hint: RetryHint) -> str:
    mount, remedy = plan.vault_mount, meaning.remedy
    if plan.source_path is None and "{source}" in remedy:
        remedy = texts.CHECK_SOURCE_URLS
    if "{retry}" not in remedy:
        remedy = f"{remedy} {{retry}}"
    text = remedy.format(
        caller=f"{mount}/{plan.caller_path}",
        source=f"{mount}/{plan.source_path}",
        destination=f"{mount}/{plan.destination_path}",
        retry=retry_hint if meaning.retryable else "",
    )
    return " ".join(text.split())


def _joined(first: str, second: str) -> str:
    return f"{first} {second}".strip()

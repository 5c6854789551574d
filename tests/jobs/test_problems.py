"""What people read about an error of Vault or Huawei Cloud, and whether the call is repeated automatically."""

from __future__ import annotations

import json

import pytest

from bot.huawei.error_answer import read_answer
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
from bot.jobs.problems import RetryHint, explain, may_pass
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import SOURCE_SK
from bot.ui.formatting import escape_mrkdwn
from bot.ui.problem_texts import original_message
from bot.vault.errors import VaultError, VaultErrorKind
from tests.support.documented_messages import MESSAGES
from tests.support.values import request

ANSWER = Answer(429, "APIG.0308", "The throttling threshold has been reached", "", "abc")
LASTING = (
    VaultErrorKind.LOGIN,
    VaultErrorKind.WRAPPING,
    VaultErrorKind.FORBIDDEN,
    VaultErrorKind.MISSING,
    VaultErrorKind.UNEXPECTED,
)


@pytest.mark.parametrize(
    ("error", "is_repeated"),
    [
        (Throttled(1, ANSWER), True),
        (NotSent("no connection"), True),
        (TooLate("held up"), True),
        (Unanswered("the connection broke"), True),
        (Unreadable("OMS returned something other than JSON"), True),
        (Unreadable("IAM has 2 projects named r", Service.IAM, "Set project_id in bot.toml."), False),
        (Suspended("secret/x", "", is_close_to_lock=True), True),
        (Suspended("secret/x", "APIG.0301", is_close_to_lock=False), False),
        (UnusableIdentity("secret/x", "No key.", "Write it."), False),
        (Rejected(ANSWER), False),
        *((VaultError(kind, "secret/x", "Vault failed.", "Check it."), kind not in LASTING) for kind in VaultErrorKind),
    ],
)
def test_a_call_is_repeated_only_if_it_may_succeed_although_nobody_changes_anything(
    error: HuaweiError | VaultError, is_repeated: bool
) -> None:
    assert may_pass(error) is is_repeated


def test_a_region_with_several_projects_is_a_setting_to_correct_and_not_a_reason_to_wait() -> None:
    error = Unreadable("IAM has 2 projects named r", Service.IAM, "Set project_id in bot.toml.")
    problem = explain(error, request().plan, RetryHint.RETRY)
    assert problem.meaning == "IAM has 2 projects named r. Nothing was started."
    assert problem.next_step == "Set project_id in bot.toml. Then press Retry."


def test_a_rejected_identity_is_called_credentials_because_it_may_be_a_password() -> None:
    error = Suspended("secret/oms/media/caller", "IAM.0062", is_close_to_lock=False)
    problem = explain(error, request().plan, RetryHint.RETRY)
    assert "access key" not in problem.meaning
    assert problem.next_step == "Correct the bot's credentials at secret/oms/media/caller in Vault. Then press Retry."


@pytest.mark.parametrize("text", MESSAGES)
def test_a_documented_message_and_its_detail_are_quoted_whole(text: str) -> None:
    body = {"error_code": "OMS.0064", "error_msg": "Invalid request.", "error_detail": text}
    answer = read_answer(400, {}, json.dumps(body).encode(), in_body=(Secret(SOURCE_SK),))
    problem = explain(Rejected(answer), request().plan, RetryHint.RETRY)
    quoted = escape_mrkdwn(f"Invalid request. {text}".rstrip("."))
    assert original_message(problem).removesuffix(".") == f"Huawei Cloud said: {quoted}"

"""OMS's reply to the PUT: which kind it is for the domain, how long to wait, what people read and the audit stores."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.put_outcome import PutReplyKind
from bot.domain.request import State
from bot.domain.task_group import Scope
from bot.huawei.error_catalogue import FAILED_OBJECT_LIST
from bot.huawei.errors import (
    Answer,
    HuaweiError,
    NotSent,
    Rejected,
    Throttled,
    TooLate,
    Unanswered,
    Unreadable,
)
from bot.huawei.oms import Accepted
from bot.jobs.send.put_reply import CHECKING, Reply, audit_detail, explain_reply, put_reply, reply_before_put
from bot.ui.problem_texts import CHOOSE_ALL_OBJECTS
from bot.vault.errors import VaultError, VaultErrorKind
from tests.support.values import request


def rejected(http_status: int, code: str) -> Rejected:
    return Rejected(Answer(http_status, code, "words", "", "abc"))


DENIED = rejected(403, "OMS.0072")
TOKEN_EXPIRED = rejected(401, "APIG.0307")
SLOW_DOWN = Answer(429, "APIG.0308", "The throttling threshold has been reached", "", "abc")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Accepted("7f3c"), PutReplyKind.ACCEPTED),
        (Throttled(1, SLOW_DOWN), PutReplyKind.TRY_AGAIN),
        (NotSent("no address"), PutReplyKind.TRY_AGAIN),
        (TooLate("held up"), PutReplyKind.TRY_AGAIN),
        (TOKEN_EXPIRED, PutReplyKind.TRY_AGAIN),
        (rejected(400, "OMS.0065"), PutReplyKind.CONFLICT),
        (rejected(400, "OMS.0070"), PutReplyKind.CONFLICT),
        (Unanswered("the connection broke"), PutReplyKind.UNANSWERED),
        (DENIED, PutReplyKind.REJECTED),
        (Unreadable("no JSON"), PutReplyKind.REJECTED),
    ],
)
def test_every_reply_has_a_kind(reply: Reply, kind: PutReplyKind) -> None:
    assert put_reply(reply).kind is kind


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [(Throttled(40, SLOW_DOWN), 40), (Throttled(None, SLOW_DOWN), 0), (NotSent("no address"), 0), (TOKEN_EXPIRED, 0)],
)
def test_the_next_put_waits_as_long_as_oms_asks_for(reply: Reply, seconds: int) -> None:
    assert put_reply(reply).retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Throttled(1, SLOW_DOWN), PutReplyKind.TRY_AGAIN),
        (TOKEN_EXPIRED, PutReplyKind.TRY_AGAIN),
        (Unanswered("the connection broke"), PutReplyKind.TRY_AGAIN),
        (Unreadable("no JSON"), PutReplyKind.TRY_AGAIN),
        (DENIED, PutReplyKind.REJECTED),
        (rejected(404, "OMS.1031"), PutReplyKind.REJECTED),
        (VaultError(VaultErrorKind.SEALED, "secret/x", "Vault is sealed.", "Unseal it."), PutReplyKind.TRY_AGAIN),
        (VaultError(VaultErrorKind.FORBIDDEN, "secret/x", "No right.", "Grant it."), PutReplyKind.REJECTED),
    ],
)
def test_before_the_put_only_a_lasting_fault_ends_the_attempt(
    error: HuaweiError | VaultError, kind: PutReplyKind
) -> None:
    assert reply_before_put(error).kind is kind


def test_a_problem_says_whether_anything_was_started_and_what_the_next_step_is() -> None:
    assert explain_reply(Accepted("7f3c"), request(State.ACCEPTED)) is None
    problems = {
        state: explain_reply(DENIED, request(state)) for state in (State.APPROVED, State.UNKNOWN, State.NOT_STARTED)
    }
    for state, problem in problems.items():
        assert problem is not None
        assert (problem.code, problem.huawei_request_id) == ("OMS.0072", "abc")
        assert ("Nothing was started." in problem.meaning) == (state is not State.UNKNOWN)
        assert ("Then press Retry." in problem.next_step) == (state is State.NOT_STARTED)
        assert (problem.next_step == CHECKING) == (state is State.UNKNOWN)


@pytest.mark.parametrize("code", sorted(FAILED_OBJECT_LIST))
def test_the_next_step_is_another_scope_if_oms_cannot_use_its_list_of_failed_objects(code: str) -> None:
    for scope in (Scope.FAILED_OBJECTS, Scope.ALL_OBJECTS, None):
        problem = explain_reply(rejected(400, code), request(State.NOT_STARTED, scope=scope))
        assert problem is not None
        assert (problem.next_step == CHOOSE_ALL_OBJECTS) == (scope is Scope.FAILED_OBJECTS), (
            "other cards have no choice"
        )


def test_the_audit_keeps_the_code_and_the_request_id() -> None:
    assert audit_detail(2, Accepted("7f3c")) == {"number": 2, "code": None, "huawei_request_id": "7f3c"}
    assert audit_detail(2, DENIED) == {"number": 2, "code": "OMS.0072", "huawei_request_id": "abc"}
    assert audit_detail(2, NotSent("no address")) == {"number": 2, "code": "NotSent", "huawei_request_id": None}

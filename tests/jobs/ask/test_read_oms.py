"""A read for a command is tried once more after an error that may pass, and never after a refusal."""

from __future__ import annotations

import pytest

from bot.huawei.errors import (
    Answer,
    HuaweiError,
    NotSent,
    Rejected,
    Service,
    Suspended,
    Throttled,
    Unanswered,
    Unreadable,
)
from bot.jobs.ask.read_oms import with_one_retry
from bot.net import retry

ANSWER = Answer(503, "APIG.0601", "", "", "7f3c9a")


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "WAIT_SECONDS", 0)


class Read:
    """Raises these errors, one for each call, and then returns."""

    def __init__(self, *errors: HuaweiError) -> None:
        self._errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "read"


@pytest.mark.parametrize(
    "error",
    [
        Unanswered("OMS answered with APIG.0601", ANSWER),
        Unanswered("the connection broke"),
        NotSent("no connection"),
        Throttled(None, ANSWER),
        Throttled(0, ANSWER),
        Unanswered("IAM answered with 503", ANSWER, Service.IAM),
    ],
)
def test_an_error_that_may_pass_is_tried_again_once(error: HuaweiError) -> None:
    read = Read(error)
    assert with_one_retry(read) == "read"
    assert read.calls == 2
    fails_twice = Read(NotSent("first"), error)
    with pytest.raises(type(error)) as raised:
        with_one_retry(fails_twice)
    assert raised.value is error
    assert fails_twice.calls == 2


@pytest.mark.parametrize(
    "error",
    [
        Rejected(ANSWER),
        Rejected(ANSWER, Service.IAM),
        Suspended("secret/caller", "APIG.0301", is_close_to_lock=True),
        Unreadable("not JSON"),
        Unanswered("no answer to a login, which may have been refused", service=Service.IAM),
        Throttled(60, ANSWER),
    ],
)
def test_any_other_error_is_not_tried_again(error: HuaweiError) -> None:
    read = Read(error)
    with pytest.raises(type(error)):
        with_one_retry(read)
    assert read.calls == 1


def test_a_second_try_that_the_circuit_breaker_stops_leaves_the_first_error() -> None:
    first = Unanswered("the connection broke")
    with pytest.raises(Unanswered) as raised:
        with_one_retry(Read(first, Suspended("secret/caller", "", is_close_to_lock=True)))
    assert raised.value is first

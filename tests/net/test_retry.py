"""A call is repeated once, soon, and only after an error that allows it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from bot.net.retry import MAX_FIRST_CALL_SECONDS, MAX_WAIT_SECONDS, WAIT_SECONDS, retry_once


class Clock:
    """A clock that only sleeping and slow calls move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def failing(*errors: Exception, before: Callable[[], None] = lambda: None) -> Callable[[], str]:
    """A call that raises these errors one after the other, and then returns."""
    left = list(errors)

    def call() -> str:
        before()
        if left:
            raise left.pop(0)
        return "answer"

    return call


def test_a_call_that_succeeds_is_not_repeated(clock: Clock) -> None:
    assert retry_once(failing(), lambda _: 0) == "answer"
    assert clock.slept == []


@pytest.mark.parametrize(
    ("asked", "slept"), [(0, WAIT_SECONDS), (0.1, WAIT_SECONDS), (MAX_WAIT_SECONDS, MAX_WAIT_SECONDS)]
)
def test_the_second_call_waits_for_as_long_as_the_service_asks(clock: Clock, asked: float, slept: float) -> None:
    assert retry_once(failing(TimeoutError()), lambda _: asked) == "answer"
    assert clock.slept == [slept]


@pytest.mark.parametrize("asked", [None, MAX_WAIT_SECONDS + 0.1, 60])
def test_a_call_is_not_repeated_if_it_must_not_be_or_the_wait_is_too_long(clock: Clock, asked: float | None) -> None:
    error = TimeoutError()
    with pytest.raises(TimeoutError) as raised:
        retry_once(failing(error), lambda _: asked)
    assert raised.value is error
    assert clock.slept == []


@pytest.mark.parametrize(("seconds", "is_repeated"), [(MAX_FIRST_CALL_SECONDS, True), (3.1, False)])
def test_a_slow_call_is_not_repeated(clock: Clock, seconds: float, is_repeated: bool) -> None:
    def is_slow() -> None:
        clock.now += seconds

    call = failing(TimeoutError(), before=is_slow)
    if is_repeated:
        assert retry_once(call, lambda _: 0) == "answer"
    else:
        with pytest.raises(TimeoutError):
            retry_once(call, lambda _: 0)


def test_the_error_of_the_second_call_is_raised(clock: Clock) -> None:
    first, second, asked = TimeoutError("first"), TimeoutError("second"), list[Exception]()

    def wait_after(error: Exception) -> float:
        asked.append(error)
        return 0

    with pytest.raises(TimeoutError) as raised:
        retry_once(failing(first, second, TimeoutError("third")), wait_after)
    assert raised.value is second
    assert asked == [first]

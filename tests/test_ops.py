"""The probes tell what is so, and nobody waits for a part that hangs."""

from __future__ import annotations

import threading
import time

from bot.ops import Patience, Ping


def test_patience_is_over_after_its_time_and_begins_anew_with_each_return() -> None:
    now = 1000.0
    patience = Patience(120.0, lambda: now)
    assert not patience.is_over(False)
    now += 120.0
    assert not patience.is_over(False)
    now += 0.1
    assert patience.is_over(False)
    assert not patience.is_over(True)
    assert not patience.is_over(False)


def test_time_in_which_nobody_asked_is_no_time_away() -> None:
    now = 1000.0
    patience = Patience(120.0, lambda: now)
    assert not patience.is_over(True)
    now += 3600.0
    assert not patience.is_over(False)


def test_what_answers_is_well_and_what_raises_is_named() -> None:
    assert Ping(lambda: None, 5.0).problem() is None

    def refuse() -> None:
        raise ConnectionRefusedError

    assert Ping(refuse, 5.0).problem() == "ConnectionRefusedError"


def test_what_hangs_is_waited_for_once_and_is_well_again_when_it_answers() -> None:
    going_on, asked = threading.Event(), []

    def hang() -> None:
        asked.append(1)
        going_on.wait(30)

    ping = Ping(hang, 0.2)
    assert ping.problem() == "it hangs"
    begun = time.monotonic()
    assert [ping.problem() for _ in range(20)] == ["it hangs"] * 20
    assert time.monotonic() - begun < 0.2, "only the first waits"
    assert len(asked) == 1, "questions do not pile up"
    going_on.set()
    ping._asked.result(5)  # type: ignore[union-attr]
    assert ping.problem() is None

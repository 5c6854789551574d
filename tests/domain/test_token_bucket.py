"""A token bucket allows a burst, then a steady rate, and nothing that was refused counts."""

from __future__ import annotations

from bot.domain.token_bucket import TokenBucket


def test_a_burst_is_allowed_and_then_one_at_a_time() -> None:
    bucket = TokenBucket(every_seconds=4.0, burst=3)
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(103.9), bucket.take(104.0), bucket.take(104.0)] == [False, True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


def test_no_minute_has_more_than_the_burst_and_those_of_a_minute() -> None:
    bucket = TokenBucket(every_seconds=4.0, burst=10)
    taken = [now / 10 for now in range(3000) if bucket.take(now / 10)]
    for start in taken:
        assert len([at for at in taken if start <= at < start + 60]) <= 25

"""A person who sends too much is refused, and nobody else is."""

from __future__ import annotations

from bot.listeners.person_limit import BURST, MAX_PEOPLE, PersonLimit


def test_a_person_who_sends_too_much_is_refused_until_they_send_less() -> None:
    now = 0.0
    limit = PersonLimit(lambda: now)
    assert [limit.allows("U1") for _ in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert limit.allows("U2")
    now = 1.0
    assert [limit.allows("U1"), limit.allows("U1")] == [True, False]
    # People who have sent nothing for a while are forgotten, and those who send too much are not.
    assert all(limit.allows(f"U{number}") for number in range(3, 2 * MAX_PEOPLE))
    assert not limit.allows("U1")

"""The fifth refused signature in a row never comes, whoever shares an identity, asks, dies or starts again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event

from bot.huawei.errors import Rejected, Throttled, Unanswered
from bot.jobs.identity.attempts import CALLS_AT_ONCE
from bot.jobs.identity.callers import Callers
from bot.jobs.identity.guard import IdentitySuspended
from bot.jobs.problems import RetryHint, explain
from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, Drop, Hold
from bot.sandbox.vault import SandboxVault
from bot.store.database import open_store
from tests.support.callers import Bench, all_at_once, dies_of_the_answer, open_bench, show
from tests.support.postgres import Postgres
from tests.support.values import request

pytestmark = pytest.mark.usefixtures("patient")

NAMES = [f"project-{number}" for number in range(8)]
MOST = 4


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(CallLog()).start()
    yield vault
    vault.stop()


@pytest.fixture
def place(server: SandboxVault, database_url: str) -> Iterator[Bench]:
    with open_bench(server, database_url) as opened:
        yield opened


@pytest.fixture
def replicas(server: SandboxVault, postgres: Postgres) -> Iterator[tuple[Bench, list[Callers]]]:
    """Four of them on one database."""
    url = postgres.new_database()
    with open_bench(server, url) as opened, ExitStack() as stores:
        opened.write_caller("access key")
        yield opened, [opened.callers(store=stores.enter_context(closing(open_store(url)))) for _ in range(4)]


def is_taken_away(place: Bench) -> None:
    """Huawei Cloud refuses the identity from now on, after a while, so that calls meet."""
    place.oms.delay_seconds = 0.1
    place.oms.faults.add("show", *[Answer(401, "APIG.0301")] * 50)


def people_ask(place: Bench, callers: Callers, name: str = "media") -> None:
    """Again and again, until nothing is sent any more."""
    place.oms.delay_seconds = 0
    for _ in range(6):
        callers.retry_allowed_by_person(name)
        with pytest.raises((Rejected, IdentitySuspended)):
            show(callers, name)
    with pytest.raises(IdentitySuspended) as rests:
        show(callers, name)
    assert rests.value.is_close_to_lock


def test_after_a_refused_signature_nothing_is_signed_until_vault_has_another_version(place: Bench) -> None:
    place.write_caller("access key", sk="wrong")
    callers = place.callers()
    with pytest.raises(Rejected):
        show(callers)
    for again in (callers, place.callers()):  # in this process, and after a restart
        with pytest.raises(IdentitySuspended):
            show(again)
    assert place.refusals() == 1
    place.write_caller("access key")
    assert show(callers) == NIGHTLY_IMAGES
    assert show(place.callers()) == NIGHTLY_IMAGES


def test_many_at_once_try_a_key_that_was_never_accepted_once(place: Bench) -> None:
    place.write_caller("access key", sk="wrong")
    assert all_at_once([partial(show, place.callers())] * 8) == ["IdentitySuspended"] * 7 + ["Rejected"]
    assert place.refusals() == 1


def test_whoever_waited_for_a_first_try_comes_a_few_at_once_when_it_was_let_in(place: Bench) -> None:
    place.write_caller("access key")
    callers = place.callers()
    first, *others = holds = [Hold() for _ in range(1 + CALLS_AT_ONCE)]
    place.oms.faults.add("show", *holds)
    with ThreadPoolExecutor(len(holds)) as pool:
        looks = [pool.submit(show, callers) for _ in holds]
        try:
            assert first.reached.wait(10)
            first.released.set()
            assert all(one.reached.wait(10) for one in others)
        finally:
            for one in holds:
                one.released.set()
        assert {look.result() for look in looks} == {NIGHTLY_IMAGES}


def test_projects_that_share_a_key_try_it_once_between_them(place: Bench) -> None:
    place.write_caller("access key", sk="wrong")
    place.oms.delay_seconds = 0.1
    callers = place.callers(NAMES)
    assert all_at_once([partial(show, callers, name) for name in NAMES]) == ["IdentitySuspended"] * 7 + ["Rejected"]
    assert place.refusals() == 1


def test_one_ask_in_all_projects_is_one_try(place: Bench) -> None:
    place.write_caller("access key", sk="wrong")
    callers = place.callers(NAMES)
    with pytest.raises(Rejected):
        show(callers, NAMES[0])
    for name in NAMES:
        callers.retry_allowed_by_person(name)
    assert all_at_once([partial(show, callers, name) for name in NAMES]) == ["IdentitySuspended"] * 7 + ["Rejected"]
    assert place.refusals() == 2


def test_people_who_ask_never_bring_the_refusal_that_locks_the_key(place: Bench) -> None:
    place.write_caller("access key", sk="wrong")
    callers = place.callers()
    people_ask(place, callers)
    assert place.refusals() == MOST
    place.clock.now += timedelta(minutes=6)
    callers.retry_allowed_by_person("media")
    with pytest.raises(Rejected):
        show(callers)


def test_a_key_that_is_taken_away_is_refused_to_those_under_way_and_once_more_at_most(place: Bench) -> None:
    place.write_caller("access key")
    callers = place.callers(NAMES)
    for name in NAMES:
        show(callers, name)
    is_taken_away(place)
    ends = all_at_once([partial(show, callers, name) for name in NAMES * 2])
    assert ends.count("well") == 0
    assert place.refusals() <= MOST - 1
    people_ask(place, callers, NAMES[0])
    assert place.refusals() <= MOST


def test_nobody_knows_what_became_of_the_calls_of_a_process_before_this_one(place: Bench) -> None:
    place.write_caller("access key")
    show(place.callers())
    is_taken_away(place)
    after = place.callers()
    with pytest.raises(Rejected):
        show(after)
    people_ask(place, after)
    assert place.refusals() == 1, "three may have been under way"


def test_of_replicas_one_takes_what_a_person_asked_for(replicas: tuple[Bench, list[Callers]]) -> None:
    place, callers = replicas
    place.write_caller("access key", sk="wrong")
    place.oms.delay_seconds = 0.1
    assert all_at_once([partial(show, one) for one in callers]) == ["IdentitySuspended"] * 3 + ["Rejected"]
    for _ in range(5):
        callers[0].retry_allowed_by_person("media")
        all_at_once([partial(show, one) for one in callers])
    assert place.refusals() == MOST


def test_replicas_with_a_key_that_is_taken_away_share_its_seats(replicas: tuple[Bench, list[Callers]]) -> None:
    place, callers = replicas
    assert all_at_once([partial(show, one) for one in callers]) == ["well"] * 4
    is_taken_away(place)
    ends = all_at_once([partial(show, one) for one in callers * 4])
    assert ends.count("well") == 0
    assert place.refusals() <= MOST - 1
    people_ask(place, callers[0])
    assert place.refusals() <= MOST


def test_the_same_wrong_key_written_again_is_no_other_key(place: Bench) -> None:
    callers = place.callers()
    for _ in range(6):
        place.write_caller("access key", sk="wrong")
        with pytest.raises((Rejected, IdentitySuspended)):
            show(callers)
    assert place.refusals() == MOST
    place.write_caller("access key")
    with pytest.raises(IdentitySuspended) as rests:
        show(callers)
    assert rests.value.is_close_to_lock, "this one is right, and who knows"
    place.clock.now += timedelta(minutes=6)
    assert show(callers) == NIGHTLY_IMAGES


def test_another_key_in_between_does_not_set_the_count_back(place: Bench) -> None:
    callers = place.callers()
    for kind in ("access key", "temporary key") * 6:
        place.write_caller(kind, sk="wrong")
        with pytest.raises((Rejected, IdentitySuspended)):
            show(callers)
    assert place.refusals() == 2 * MOST
    place.write_caller("password")
    assert show(callers) == NIGHTLY_IMAGES, "one that was never refused does not wait"


def test_whoever_was_killed_before_the_answer_counts_as_refused(server: SandboxVault, postgres: Postgres) -> None:
    url = postgres.new_database()
    with open_bench(server, url) as place:
        place.write_caller("access key", sk="wrong")
        for _ in range(2):
            dies_of_the_answer(place, url)
        people_ask(place, place.callers())
        assert place.refusals() == MOST


def test_without_any_answer_it_is_said_that_none_is_known(place: Bench) -> None:
    place.write_caller("access key")
    place.oms.faults.add("show", *[Drop(done=False)] * MOST)
    callers = place.callers()
    for _ in range(MOST):
        with pytest.raises(Unanswered):
            show(callers)
    with pytest.raises(IdentitySuspended) as rests:
        show(callers)
    told = explain(rests.value, request().plan, RetryHint.NOTHING)
    assert "no answer is known" in told.meaning
    assert "Wait five minutes" in told.next_step
    assert "refused the bot" not in told.meaning, "nobody knows that"
    place.clock.now += timedelta(minutes=6)
    assert show(callers) == NIGHTLY_IMAGES


def test_the_silence_of_oms_keeps_nobody_out_who_was_let_in_before(place: Bench) -> None:
    place.write_caller("access key")
    show(place.callers())
    after = place.callers()
    place.oms.faults.add("show", *[Drop(done=False)] * 6)
    for _ in range(6):
        with pytest.raises(Unanswered):
            show(after)
    assert show(after) == NIGHTLY_IMAGES


def test_what_says_nothing_of_the_key_is_no_refusal_of_it(place: Bench) -> None:
    place.write_caller("access key")
    callers = place.callers()
    place.oms.faults.add("show", *[Answer(429, "APIG.0308")] * 6)
    for _ in range(6):
        with pytest.raises(Throttled):
            show(callers)
    for _ in range(6):
        with callers.turn("media"):
            pass  # nothing is sent
    assert show(callers) == NIGHTLY_IMAGES


def test_a_key_in_use_writes_nothing(place: Bench) -> None:
    place.write_caller("access key")
    callers = place.callers()
    place.oms.faults.add("show", Answer(404, "OMS.0066"))
    with pytest.raises(Rejected):
        show(callers)  # the gateway let it through
    said: list[str] = []
    event.listen(place.store.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    for _ in range(3):
        show(callers)
    assert said
    assert [words for words in said if not words.startswith(("SELECT", "BEGIN"))] == []
    assert [words for words in said if "IMMEDIATE" in words] == []


def test_what_a_person_changed_in_vault_is_read_when_they_ask(place: Bench) -> None:
    place.write_caller("access key")
    callers = place.callers()
    place.oms.faults.add("show", Answer(403, "OMS.0072"))
    with pytest.raises(Rejected):
        show(callers)
    place.write_caller("access key", sk="another")
    assert show(callers) == NIGHTLY_IMAGES, "what works is not read again and again"
    callers.retry_allowed_by_person("media")
    with pytest.raises(Rejected, match="0301"):
        show(callers)

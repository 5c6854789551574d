"""The fifth refused signature in a row never comes, whoever shares an identity, asks, dies or starts again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event

from bot.oms.errors import Refused, Throttled, Unanswered
from bot.sandbox.faults import Drop
from bot.sandbox.journal import Journal
from bot.sandbox.oms_server import Answer, Hold
from bot.sandbox.oms_world import NIGHTLY_IMAGES
from bot.sandbox.vault import SandboxVault
from bot.store.engine import open_store
from bot.work.caller import Callers, KeyRests
from bot.work.tries import CALLS_AT_ONCE
from bot.work.trouble import Then, trouble_of
from tests.support.calling import Place, all_at_once, dies_of_the_answer, open_place, show
from tests.support.postgres import Postgres
from tests.support.values import request

pytestmark = pytest.mark.usefixtures("patient")

NAMES = [f"project-{number}" for number in range(8)]
MOST = 4


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(Journal()).start()
    yield vault
    vault.stop()


@pytest.fixture
def place(server: SandboxVault, database_url: str) -> Iterator[Place]:
    with open_place(server, database_url) as opened:
        yield opened


@pytest.fixture
def replicas(server: SandboxVault, postgres: Postgres) -> Iterator[tuple[Place, list[Callers]]]:
    """Four of them on one database."""
    url = postgres.new_database()
    with open_place(server, url) as opened, ExitStack() as stores:
        opened.comes_as("access key")
        yield opened, [opened.callers(store=stores.enter_context(closing(open_store(url)))) for _ in range(4)]


def is_taken_away(place: Place) -> None:
    """Huawei Cloud refuses the identity from now on, after a while, so that calls meet."""
    place.oms.delay_seconds = 0.1
    place.oms.fault("show", *[Answer(401, "APIG.0301")] * 50)


def people_ask(place: Place, callers: Callers, name: str = "media") -> None:
    """Again and again, until nothing is sent any more."""
    place.oms.delay_seconds = 0
    for _ in range(6):
        callers.a_person_asks(name)
        with pytest.raises((Refused, KeyRests)):
            show(callers, name)
    with pytest.raises(KeyRests) as rests:
        show(callers, name)
    assert rests.value.is_close_to_lock


def test_after_a_refused_signature_nothing_is_signed_until_vault_has_another_version(place: Place) -> None:
    place.comes_as("access key", sk="wrong")
    callers = place.callers()
    with pytest.raises(Refused):
        show(callers)
    for again in (callers, place.callers()):  # in this process, and after a restart
        with pytest.raises(KeyRests):
            show(again)
    assert place.refusals() == 1
    place.comes_as("access key")
    assert show(callers) == NIGHTLY_IMAGES
    assert show(place.callers()) == NIGHTLY_IMAGES


def test_many_at_once_try_a_key_that_was_never_accepted_once(place: Place) -> None:
    place.comes_as("access key", sk="wrong")
    assert all_at_once([partial(show, place.callers())] * 8) == ["KeyRests"] * 7 + ["Refused"]
    assert place.refusals() == 1


def test_whoever_waited_for_a_first_try_comes_a_few_at_once_when_it_was_let_in(place: Place) -> None:
    place.comes_as("access key")
    callers = place.callers()
    first, *others = holds = [Hold(threading.Event(), threading.Event()) for _ in range(1 + CALLS_AT_ONCE)]
    place.oms.fault("show", *holds)
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


def test_projects_that_share_a_key_try_it_once_between_them(place: Place) -> None:
    place.comes_as("access key", sk="wrong")
    place.oms.delay_seconds = 0.1
    callers = place.callers(NAMES)
    assert all_at_once([partial(show, callers, name) for name in NAMES]) == ["KeyRests"] * 7 + ["Refused"]
    assert place.refusals() == 1


def test_one_ask_in_all_projects_is_one_try(place: Place) -> None:
    place.comes_as("access key", sk="wrong")
    callers = place.callers(NAMES)
    with pytest.raises(Refused):
        show(callers, NAMES[0])
    for name in NAMES:
        callers.a_person_asks(name)
    assert all_at_once([partial(show, callers, name) for name in NAMES]) == ["KeyRests"] * 7 + ["Refused"]
    assert place.refusals() == 2


def test_people_who_ask_never_bring_the_refusal_that_locks_the_key(place: Place) -> None:
    place.comes_as("access key", sk="wrong")
    callers = place.callers()
    people_ask(place, callers)
    assert place.refusals() == MOST
    place.clock.now += timedelta(minutes=6)
    callers.a_person_asks("media")
    with pytest.raises(Refused):
        show(callers)


def test_a_key_that_is_taken_away_is_refused_to_those_under_way_and_once_more_at_most(place: Place) -> None:
    place.comes_as("access key")
    callers = place.callers(NAMES)
    for name in NAMES:
        show(callers, name)
    is_taken_away(place)
    ends = all_at_once([partial(show, callers, name) for name in NAMES * 2])
    assert ends.count("well") == 0
    assert place.refusals() <= MOST - 1
    people_ask(place, callers, NAMES[0])
    assert place.refusals() <= MOST


def test_nobody_knows_what_became_of_the_calls_of_a_process_before_this_one(place: Place) -> None:
    place.comes_as("access key")
    show(place.callers())
    is_taken_away(place)
    after = place.callers()
    with pytest.raises(Refused):
        show(after)
    people_ask(place, after)
    assert place.refusals() == 1, "three may have been under way"


def test_of_replicas_one_takes_what_a_person_asked_for(replicas: tuple[Place, list[Callers]]) -> None:
    place, callers = replicas
    place.comes_as("access key", sk="wrong")
    place.oms.delay_seconds = 0.1
    assert all_at_once([partial(show, one) for one in callers]) == ["KeyRests"] * 3 + ["Refused"]
    for _ in range(5):
        callers[0].a_person_asks("media")
        all_at_once([partial(show, one) for one in callers])
    assert place.refusals() == MOST


def test_replicas_with_a_key_that_is_taken_away_share_its_seats(replicas: tuple[Place, list[Callers]]) -> None:
    place, callers = replicas
    assert all_at_once([partial(show, one) for one in callers]) == ["well"] * 4
    is_taken_away(place)
    ends = all_at_once([partial(show, one) for one in callers * 4])
    assert ends.count("well") == 0
    assert place.refusals() <= MOST - 1
    people_ask(place, callers[0])
    assert place.refusals() <= MOST


def test_the_same_wrong_key_written_again_is_no_other_key(place: Place) -> None:
    callers = place.callers()
    for _ in range(6):
        place.comes_as("access key", sk="wrong")
        with pytest.raises((Refused, KeyRests)):
            show(callers)
    assert place.refusals() == MOST
    place.comes_as("access key")
    with pytest.raises(KeyRests) as rests:
        show(callers)
    assert rests.value.is_close_to_lock, "this one is right, and who knows"
    place.clock.now += timedelta(minutes=6)
    assert show(callers) == NIGHTLY_IMAGES


def test_another_key_in_between_does_not_set_the_count_back(place: Place) -> None:
    callers = place.callers()
    for kind in ("access key", "temporary key") * 6:
        place.comes_as(kind, sk="wrong")
        with pytest.raises((Refused, KeyRests)):
            show(callers)
    assert place.refusals() == 2 * MOST
    place.comes_as("password")
    assert show(callers) == NIGHTLY_IMAGES, "one that was never refused does not wait"


def test_whoever_was_killed_before_the_answer_counts_as_refused(server: SandboxVault, postgres: Postgres) -> None:
    url = postgres.new_database()
    with open_place(server, url) as place:
        place.comes_as("access key", sk="wrong")
        for _ in range(2):
            dies_of_the_answer(place, url)
        people_ask(place, place.callers())
        assert place.refusals() == MOST


def test_without_any_answer_it_is_said_that_none_is_known(place: Place) -> None:
    place.comes_as("access key")
    place.oms.fault("show", *[Drop(done=False)] * MOST)
    callers = place.callers()
    for _ in range(MOST):
        with pytest.raises(Unanswered):
            show(callers)
    with pytest.raises(KeyRests) as rests:
        show(callers)
    told = trouble_of(rests.value, request().plan, Then.NOTHING)
    assert "no answer is known" in told.meaning
    assert "Wait five minutes" in told.next_step
    assert "refused the bot" not in told.meaning, "nobody knows that"
    place.clock.now += timedelta(minutes=6)
    assert show(callers) == NIGHTLY_IMAGES


def test_the_silence_of_oms_keeps_nobody_out_who_was_let_in_before(place: Place) -> None:
    place.comes_as("access key")
    show(place.callers())
    after = place.callers()
    place.oms.fault("show", *[Drop(done=False)] * 6)
    for _ in range(6):
        with pytest.raises(Unanswered):
            show(after)
    assert show(after) == NIGHTLY_IMAGES


def test_what_says_nothing_of_the_key_is_no_refusal_of_it(place: Place) -> None:
    place.comes_as("access key")
    callers = place.callers()
    place.oms.fault("show", *[Answer(429, "APIG.0308")] * 6)
    for _ in range(6):
        with pytest.raises(Throttled):
            show(callers)
    for _ in range(6):
        with callers.turn("media"):
            pass  # nothing is sent
    assert show(callers) == NIGHTLY_IMAGES


def test_a_key_in_use_writes_nothing(place: Place) -> None:
    place.comes_as("access key")
    callers = place.callers()
    place.oms.fault("show", Answer(404, "OMS.0066"))
    with pytest.raises(Refused):
        show(callers)  # the gateway let it through
    said: list[str] = []
    event.listen(place.store.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    for _ in range(3):
        show(callers)
    assert said
    assert [words for words in said if not words.startswith(("SELECT", "BEGIN"))] == []
    assert [words for words in said if "IMMEDIATE" in words] == []


def test_what_a_person_changed_in_vault_is_read_when_they_ask(place: Place) -> None:
    place.comes_as("access key")
    callers = place.callers()
    place.oms.fault("show", Answer(403, "OMS.0072"))
    with pytest.raises(Refused):
        show(callers)
    place.comes_as("access key", sk="another")
    assert show(callers) == NIGHTLY_IMAGES, "what works is not read again and again"
    callers.a_person_asks("media")
    with pytest.raises(Refused, match="0301"):
        show(callers)

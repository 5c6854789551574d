"""A wrong key is refused three times in five minutes at the most, whoever shares it, asks, dies or starts again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event, text

from bot.domain.circuit_breaker import MAX_REFUSALS, BreakerState
from bot.huawei.errors import Rejected, Suspended, Throttled, Unanswered
from bot.huawei.identity import Identity
from bot.jobs.problems import RetryHint, explain
from bot.redaction import Secret
from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, Drop, Hold
from bot.sandbox.vault import SandboxVault
from bot.store.circuit_breakers import CircuitBreakers
from bot.store.connections import BUSY_TIMEOUT_SECONDS
from bot.store.database import open_store
from bot.vault.client import Vault
from bot.vault.login import VaultToken
from tests.support.identity import (
    OTHER_PATH,
    PATH,
    Cloud,
    Replica,
    all_at_once,
    killed_before_storing_a_refusal,
    open_cloud,
    project,
    show,
    vault_paths,
)
from tests.support.postgres import Postgres
from tests.support.values import request

pytestmark = pytest.mark.usefixtures("slow_database_locks")

NAMES = [f"project-{number}" for number in range(8)]
# Longer than a probe may take, with the time by which this machine's clock is ahead of the one of a test.
LOST_PROBE = timedelta(seconds=90)


@pytest.fixture
def cloud(server: SandboxVault, database_url: str) -> Iterator[Cloud]:
    with open_cloud(server, database_url) as opened:
        yield opened


@pytest.fixture
def replicas(server: SandboxVault, postgres: Postgres) -> Iterator[tuple[Cloud, list[Identity]]]:
    """Four of them on one database."""
    url = postgres.new_database()
    with open_cloud(server, url) as opened, ExitStack() as stores:
        opened.write_caller("access key")
        yield opened, [opened.identity(store=stores.enter_context(closing(open_store(url)))) for _ in range(4)]


def people_ask(cloud: Cloud, identity: Identity, name: str = "media") -> None:
    """Again and again, until nothing is sent any more."""
    cloud.oms.delay_seconds = 0
    for _ in range(6):
        identity.allow_retry(name)
        with pytest.raises((Rejected, Suspended)):
            show(identity, name)
    with pytest.raises(Suspended) as suspended:
        show(identity, name)
    assert suspended.value.is_close_to_lock


def holds(number: int) -> list[Hold]:
    return [Hold(threading.Event(), threading.Event()) for _ in range(number)]


# A new identity


def test_of_16_threads_with_a_wrong_new_key_one_sends(cloud: Cloud) -> None:
    cloud.write_caller("access key", sk="wrong")
    cloud.oms.delay_seconds = 0.1
    assert all_at_once([partial(show, cloud.identity())] * 16) == ["Rejected"] + ["Suspended"] * 15
    assert cloud.refusals() == 1


def test_of_two_processes_with_16_threads_and_a_wrong_new_key_one_thread_sends(
    server: SandboxVault, postgres: Postgres
) -> None:
    url = postgres.new_database()
    with open_cloud(server, url) as cloud:
        cloud.write_caller("access key", sk="wrong")
        cloud.oms.delay_seconds = 0.5
        processes = [Replica(cloud, url, threads=8) for _ in range(2)]
        for process in processes:
            process.begin()
        ends = sorted(end for process in processes for end in process.ends())
        assert ends == ["Rejected"] + ["Suspended"] * 15
        assert cloud.refusals() == 1


def test_projects_that_share_a_new_key_prove_it_once(cloud: Cloud) -> None:
    cloud.write_caller("access key", sk="wrong")
    cloud.oms.delay_seconds = 0.1
    identity = cloud.identity(NAMES)
    assert all_at_once([partial(show, identity, name) for name in NAMES]) == ["Rejected"] + ["Suspended"] * 7
    assert cloud.refusals() == 1


def test_once_it_is_proven_the_calls_that_waited_run_in_parallel(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    first, *others = held = holds(7)
    cloud.oms.faults.add("show", *held)
    with ThreadPoolExecutor(len(held)) as pool:
        calls = [pool.submit(show, identity) for _ in held]
        try:
            assert first.reached.wait(10)
            assert not others[0].reached.wait(0.3), "one call proves it"
            first.released.set()
            assert all(one.reached.wait(10) for one in others)
        finally:
            for one in held:
                one.released.set()
        assert {call.result() for call in calls} == {NIGHTLY_IMAGES}


def test_a_call_waits_for_a_probe_longer_than_the_database_lets_anything_wait(
    server: SandboxVault, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the time-outs of the database as they are
    with open_cloud(server, database_url) as cloud, ThreadPoolExecutor(2) as pool:
        cloud.write_caller("access key")
        identity = cloud.identity()
        [hold] = holds(1)
        cloud.oms.faults.add("show", hold)
        probe = pool.submit(show, identity)
        assert hold.reached.wait(10)
        waiting = pool.submit(show, identity)
        with pytest.raises(TimeoutError):
            waiting.result(BUSY_TIMEOUT_SECONDS + 0.5)
        hold.released.set()
        assert (probe.result(), waiting.result()) == (NIGHTLY_IMAGES,) * 2


def test_hanging_calls_of_one_project_do_not_keep_another_waiting(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity(["hangs", "other"])
    show(identity, "other")
    held = holds(12)
    cloud.oms.faults.add("show", *held)
    with ThreadPoolExecutor(len(held)) as pool:
        calls = [pool.submit(show, identity, "hangs") for _ in held]
        try:
            assert all(one.reached.wait(10) for one in held)
            assert show(identity, "other") == NIGHTLY_IMAGES
            assert not any(call.done() for call in calls)
        finally:
            for one in held:
                one.released.set()


def test_a_closed_circuit_breaker_is_read_once_for_each_call_and_nothing_is_written(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    cloud.oms.faults.add("show", Answer(404, "OMS.0066"))
    with pytest.raises(Rejected):
        show(identity)  # the gateway let it through
    said: list[str] = []
    event.listen(cloud.store.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    for _ in range(3):
        show(identity)
    assert [words.split()[0] for words in said if not words.startswith("BEGIN")] == ["SELECT"] * 3
    assert [words for words in said if "IMMEDIATE" in words] == []


def test_what_was_answered_counts_though_the_database_went_away_meanwhile(
    server: SandboxVault, postgres: Postgres
) -> None:
    url = postgres.new_database()
    with open_cloud(server, url) as cloud, ThreadPoolExecutor(1) as pool:
        cloud.write_caller("access key")
        identity = cloud.identity()
        show(identity)
        [hold] = holds(1)
        cloud.oms.faults.add("show", hold)
        call = pool.submit(show, identity)
        assert hold.reached.wait(10)
        with cloud.store.write() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        hold.released.set()
        assert call.result() == NIGHTLY_IMAGES


# A refused identity


def test_after_a_refusal_nothing_is_sent_until_vault_has_another_version(cloud: Cloud) -> None:
    cloud.write_caller("access key", sk="wrong")
    identity = cloud.identity()
    with pytest.raises(Rejected):
        show(identity)
    for again in (identity, cloud.identity()):  # in this process, and after a restart
        with pytest.raises(Suspended):
            show(again)
    assert cloud.refusals() == 1
    cloud.write_caller("access key")
    assert show(identity) == NIGHTLY_IMAGES
    assert show(cloud.identity()) == NIGHTLY_IMAGES


def test_the_log_says_once_that_an_identity_is_suspended(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud.write_caller("access key", sk="wrong")
    all_at_once([partial(show, cloud.identity())] * 4)
    assert caplog.messages == [f"the identity at secret/{PATH} was refused with APIG.0301, and is suspended"]


def test_a_person_who_asks_in_all_projects_causes_one_call(cloud: Cloud) -> None:
    cloud.write_caller("access key", sk="wrong")
    identity = cloud.identity(NAMES)
    with pytest.raises(Rejected):
        show(identity, NAMES[0])
    for name in NAMES:
        identity.allow_retry(name)
    cloud.oms.delay_seconds = 0.1
    assert all_at_once([partial(show, identity, name) for name in NAMES]) == ["Rejected"] + ["Suspended"] * 7
    assert cloud.refusals() == 2


def test_people_who_ask_never_cause_the_refusals_that_lock_the_key(cloud: Cloud) -> None:
    cloud.write_caller("access key", sk="wrong")
    identity = cloud.identity()
    people_ask(cloud, identity)
    assert cloud.refusals() == MAX_REFUSALS
    cloud.clock.now += timedelta(minutes=6)
    identity.allow_retry("media")
    with pytest.raises(Rejected):
        show(identity)


def test_a_person_who_asks_changes_nothing_unless_the_identity_is_suspended(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    identity.allow_retry("media")
    assert cloud.breakers() == []
    show(identity)
    stored = cloud.breakers()
    assert [one.state for one in stored] == [BreakerState.CLOSED]
    identity.allow_retry("media")
    assert cloud.breakers() == stored


def test_a_retry_is_allowed_within_the_transaction_of_a_click_or_not_at_all(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    cloud.oms.faults.add("show", Answer(401, "APIG.0301"))
    with pytest.raises(Rejected):
        show(cloud.identity())
    with cloud.store.write() as connection:
        cloud.identity().allow_retry("media", CircuitBreakers.within(connection))
        connection.rollback()
    with pytest.raises(Suspended):
        show(cloud.identity())
    identity = cloud.identity()  # after a restart: it has not read Vault yet
    with cloud.store.write() as connection:
        identity.allow_retry("media", CircuitBreakers.within(connection))
    assert show(identity) == NIGHTLY_IMAGES


def test_of_replicas_one_takes_the_try_that_a_person_asked_for(replicas: tuple[Cloud, list[Identity]]) -> None:
    cloud, identities = replicas
    cloud.write_caller("access key", sk="wrong")
    cloud.oms.delay_seconds = 0.1
    assert all_at_once([partial(show, one) for one in identities]) == ["Rejected"] + ["Suspended"] * 3
    for _ in range(5):
        identities[0].allow_retry("media")
        all_at_once([partial(show, one) for one in identities])
    assert cloud.refusals() == MAX_REFUSALS


def test_a_key_that_is_revoked_is_refused_once_for_each_call_that_was_sent(
    replicas: tuple[Cloud, list[Identity]],
) -> None:
    cloud, identities = replicas
    assert all_at_once([partial(show, one) for one in identities]) == ["ok"] * 4
    cloud.refuse(seconds=0.5)
    assert all_at_once([partial(show, one) for one in identities]) == ["Rejected"] * 4
    assert cloud.refusals() == 4
    assert all_at_once([partial(show, one) for one in identities * 4]) == ["Suspended"] * 16
    people_ask(cloud, identities[0])
    assert cloud.refusals() == 4


def test_the_first_refusal_suspends_all_replicas_and_projects(replicas: tuple[Cloud, list[Identity]]) -> None:
    cloud, identities = replicas
    assert all_at_once([partial(show, one) for one in identities]) == ["ok"] * 4
    cloud.refuse(calls=1)
    with pytest.raises(Rejected):
        show(identities[0])
    assert all_at_once([partial(show, one) for one in identities]) == ["Suspended"] * 4
    assert cloud.refusals() == 1


def test_a_restart_does_not_forget_a_refusal(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    show(cloud.identity())
    cloud.refuse()
    after = cloud.identity()
    with pytest.raises(Rejected):
        show(after)
    people_ask(cloud, after)
    assert cloud.refusals() == MAX_REFUSALS


def test_the_same_wrong_key_written_again_is_the_same_identity(cloud: Cloud) -> None:
    identity = cloud.identity()
    for _ in range(6):
        cloud.write_caller("access key", sk="wrong")
        with pytest.raises((Rejected, Suspended)):
            show(identity)
    assert cloud.refusals() == MAX_REFUSALS
    cloud.write_caller("access key")
    with pytest.raises(Suspended) as suspended:
        show(identity)
    assert suspended.value.is_close_to_lock, "this key is right, and nobody knows that"
    cloud.clock.now += timedelta(minutes=6)
    assert show(identity) == NIGHTLY_IMAGES


def test_another_key_in_between_does_not_set_the_count_back(cloud: Cloud) -> None:
    identity = cloud.identity()
    for kind in ("access key", "temporary key") * 6:
        cloud.write_caller(kind, sk="wrong")
        with pytest.raises((Rejected, Suspended)):
            show(identity)
    assert cloud.refusals() == 2 * MAX_REFUSALS
    cloud.write_caller("password")
    assert show(identity) == NIGHTLY_IMAGES, "an identity that was never refused does not wait"


def test_an_identity_that_was_replaced_is_forgotten_once_its_refusals_no_longer_count(cloud: Cloud) -> None:
    identity = cloud.identity()
    cloud.write_caller("access key", sk="wrong")
    with pytest.raises(Rejected):
        show(identity)
    cloud.write_caller("password")
    show(identity)
    assert len(cloud.breakers()) == 2
    cloud.clock.now += timedelta(minutes=6)
    cloud.write_caller("token")
    show(identity)
    assert len(cloud.breakers()) == 1


# Answers that are not known, and answers that say nothing of the identity


def test_a_call_whose_process_was_killed_counts_as_refused(server: SandboxVault, postgres: Postgres) -> None:
    url = postgres.new_database()
    with open_cloud(server, url) as cloud:
        cloud.write_caller("access key", sk="wrong")
        killed_before_storing_a_refusal(cloud, url)
        cloud.clock.now += LOST_PROBE
        identity = cloud.identity()
        people_ask(cloud, identity)
        assert cloud.refusals() == MAX_REFUSALS


def test_a_killed_process_keeps_the_others_waiting_no_longer_than_a_call_takes(
    server: SandboxVault, postgres: Postgres
) -> None:
    url = postgres.new_database()
    with open_cloud(server, url) as cloud, ThreadPoolExecutor(1) as pool:
        cloud.write_caller("access key")
        cloud.oms.faults.add("show", Answer(503, "APIG.0201"))
        killed_before_storing_a_refusal(cloud, url)
        waiting = pool.submit(show, cloud.identity())
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        cloud.clock.now += LOST_PROBE
        assert waiting.result(30) == NIGHTLY_IMAGES


def test_without_any_answer_people_are_told_that_none_is_known(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    cloud.oms.faults.add("show", *[Drop(done=False)] * MAX_REFUSALS)
    identity = cloud.identity()
    for _ in range(MAX_REFUSALS):
        with pytest.raises(Unanswered):
            show(identity)
    with pytest.raises(Suspended) as suspended:
        show(identity)
    told = explain(suspended.value, request().plan, RetryHint.NOTHING)
    assert "didn't answer the bot's last calls" in told.meaning
    assert "Wait five minutes" in told.next_step
    assert "rejected the bot" not in told.meaning, "nobody knows that"
    cloud.clock.now += timedelta(minutes=6)
    assert show(identity) == NIGHTLY_IMAGES


def test_calls_without_an_answer_do_not_suspend_an_identity_that_was_accepted(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    show(cloud.identity())
    after = cloud.identity()
    cloud.oms.faults.add("show", *[Drop(done=False)] * 6)
    for _ in range(6):
        with pytest.raises(Unanswered):
            show(after)
    assert show(after) == NIGHTLY_IMAGES


def test_an_answer_that_says_nothing_of_the_key_is_no_refusal(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    cloud.oms.faults.add("show", *[Answer(429, "APIG.0308")] * 6)
    for _ in range(6):
        with pytest.raises(Throttled):
            show(identity)
    for _ in range(6):
        with identity.ready("media"):
            pass  # nothing is sent
    assert show(identity) == NIGHTLY_IMAGES


# One key at two Vault paths, and KV version 1


def two_paths(cloud: Cloud) -> Identity:
    """Two projects whose tables name different paths."""
    url = cloud.oms.server.url
    return cloud.identity_of({"media": project(url), "archive": project(url, vault=vault_paths(OTHER_PATH))})


def test_the_refusals_of_a_key_at_two_paths_count_together(cloud: Cloud) -> None:
    for path in (PATH, OTHER_PATH):
        cloud.write_caller("access key", path, sk="wrong")
    identity = two_paths(cloud)
    for name, path in (("media", PATH), ("archive", OTHER_PATH)):
        with pytest.raises(Rejected):
            show(identity, name)
        with pytest.raises(Suspended) as suspended:
            show(identity, name)
        assert suspended.value.path == f"secret/{path}", "the key is to be corrected where it was refused"
    for _ in range(6):
        for name in ("media", "archive"):
            identity.allow_retry(name)
            with pytest.raises((Rejected, Suspended)):
                show(identity, name)
    assert cloud.refusals() == MAX_REFUSALS


def test_after_a_restart_the_first_retry_reaches_an_identity_at_either_path(cloud: Cloud) -> None:
    for path in (PATH, OTHER_PATH):
        cloud.write_caller("access key", path, sk="wrong")
    with pytest.raises(Rejected):
        show(two_paths(cloud), "archive")
    restarted = two_paths(cloud)
    restarted.allow_retry("archive")
    with pytest.raises(Rejected):
        show(restarted, "archive")


def test_two_paths_with_the_same_key_prove_it_once(cloud: Cloud) -> None:
    for path in (PATH, OTHER_PATH):
        cloud.write_caller("access key", path)
    show(two_paths(cloud), "media")
    stored = cloud.breakers()
    identity = two_paths(cloud)  # after a restart
    for name in ("media", "archive") * 3:
        assert show(identity, name) == NIGHTLY_IMAGES
    assert cloud.breakers() == stored, "nothing was stored for any of these calls"


def test_a_wrong_secret_at_one_path_does_not_suspend_the_key_at_another(cloud: Cloud) -> None:
    cloud.write_caller("access key", PATH)
    cloud.write_caller("access key", OTHER_PATH, sk="wrong")
    identity = two_paths(cloud)
    assert show(identity, "media") == NIGHTLY_IMAGES
    with pytest.raises(Rejected):
        show(identity, "archive")
    for _ in range(4):
        with pytest.raises(Suspended):
            show(identity, "archive")
        assert show(identity, "media") == NIGHTLY_IMAGES
    assert cloud.refusals() == 1
    cloud.write_caller("access key", OTHER_PATH)
    assert show(identity, "archive") == NIGHTLY_IMAGES


def test_calls_without_an_answer_at_one_path_do_not_suspend_the_key_at_another(cloud: Cloud) -> None:
    for path in (PATH, OTHER_PATH):
        cloud.write_caller("access key", path)
    identity = two_paths(cloud)
    assert show(identity, "media") == NIGHTLY_IMAGES
    for _ in range(MAX_REFUSALS):
        cloud.oms.faults.add("show", Drop(done=False))
        with pytest.raises(Unanswered):
            show(identity, "archive")
    assert show(identity, "media") == NIGHTLY_IMAGES


def test_on_kv_version_1_changed_content_is_a_new_credential(cloud: Cloud) -> None:
    def write(**more: str) -> None:
        values = CALLERS["access key"] | more
        cloud.vault.as_root().secrets.kv.v1.create_or_update_secret(PATH, values, mount_point="kv1")

    def start() -> Identity:
        vault = Vault(cloud.vault.url, VaultToken(Secret(cloud.vault.root_token)))
        paths = vault_paths(PATH) | {"mount": "kv1"}
        return cloud.identity_of({"media": project(cloud.oms.server.url, vault=paths)}, vault=vault)

    write(sk="wrong")
    identity = start()
    with pytest.raises(Rejected):
        show(identity)
    for again in (identity, start()):
        with pytest.raises(Suspended):
            show(again)
    write()
    assert show(identity) == NIGHTLY_IMAGES
    write(sk="wrong")
    cloud.oms.delay_seconds = 0.1
    restarted = start()
    assert all_at_once([partial(show, restarted)] * 16) == ["Rejected"] + ["Suspended"] * 15
    assert cloud.refusals() == 2

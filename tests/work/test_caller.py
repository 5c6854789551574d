"""As whom the bot calls: every kind of identity, tokens kept and renewed, and the rest after a refusal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.config import Project
from bot.identity import VaultAppRole
from bot.oms.errors import NotSent, Refused, Service
from bot.redaction import Secret
from bot.sandbox import oms_world as ow
from bot.sandbox.journal import Call, Journal
from bot.sandbox.oms_server import Answer, OmsStandIn, Raw
from bot.sandbox.oms_world import NIGHTLY_IMAGES, demo_world
from bot.sandbox.vault import SandboxVault
from bot.store import rests
from bot.store.engine import Store, open_store
from bot.vault import Vault
from bot.vault_faults import VaultFault
from bot.work.caller import Callers, KeyRests

PATH = "oms/media/caller"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class Place:
    """OMS, IAM and Vault, and a bot that calls."""

    def __init__(self, vault: SandboxVault, store: Store, oms: OmsStandIn, journal: Journal, clock: Clock) -> None:
        self.vault, self.store, self.oms, self.journal, self.clock = vault, store, oms, journal, clock

    def callers(self, role: str = "bot", **settings: object) -> Callers:
        """As after a start: nothing is held in memory."""
        login = self.vault.login(role)
        project = Project.model_validate(
            {
                "region": ow.REGION,
                "project_id": ow.PROJECT_ID,
                "channel": "C0123456789",
                "approvers": ["U0123456789"],
                "oms_url": self.oms.server.url,
                "iam_url": self.oms.server.url,
                "vault": {"caller": PATH, "source": "oms/media/source", "destination": "oms/media/destination"},
            }
            | settings
        )
        vault = Vault(self.vault.url, VaultAppRole(login.role_id, Secret(login.secret_id)))
        return Callers(vault, {"media": project}, self.store, self.clock)

    def comes_as(self, kind: str, **more: str) -> None:
        self.vault.write(PATH, ow.CALLERS[kind] | more)

    def calls(self, service: str) -> list[Call]:
        return [call for call in self.journal.since() if call.service == service]


def show(callers: Callers) -> str:
    return callers.call("media", lambda oms: oms.show(NIGHTLY_IMAGES)).group_id


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(Journal()).start()
    yield vault
    vault.stop()


@pytest.fixture
def place(server: SandboxVault, tmp_path: Path) -> Iterator[Place]:
    clock, journal = Clock(), Journal()
    oms = OmsStandIn(demo_world(clock), journal)
    oms.server.start()
    store = open_store(f"sqlite:///{tmp_path / 'bot.sqlite'}")
    yield Place(server, store, oms, journal, clock)
    store.close()
    oms.server.stop()


@pytest.mark.parametrize("kind", ["access key", "temporary key", "password", "token"])
def test_every_kind_of_identity_is_let_in(place: Place, kind: str) -> None:
    place.comes_as(kind)
    callers = place.callers()
    assert [show(callers) for _ in range(3)] == [NIGHTLY_IMAGES] * 3
    logins = [call for call in place.calls("iam") if call.method == "POST"]
    assert len(logins) == (1 if kind == "password" else 0), "a token is fetched once, never once for each call"


@pytest.mark.parametrize("kind", ["access key", "password"])
def test_the_projects_id_may_be_left_to_iam(place: Place, kind: str) -> None:
    place.comes_as(kind)
    callers = place.callers(project_id=None)
    assert callers.project_id("media") == ow.PROJECT_ID
    assert show(callers) == NIGHTLY_IMAGES
    assert len(place.calls("iam")) == 1, "it is asked once"


def test_a_ready_token_does_not_tell_its_project(place: Place) -> None:
    place.comes_as("token")
    with pytest.raises(VaultFault, match="does not tell its project") as fault:
        show(place.callers(project_id=None))
    assert "project_id" in fault.value.next_step


def test_a_token_is_renewed_before_it_ends(place: Place) -> None:
    place.comes_as("password")
    place.oms.set_token_lifetime(timedelta(hours=24))
    callers = place.callers()
    show(callers)
    place.clock.now += timedelta(hours=23, minutes=29)
    show(callers)
    assert len(place.calls("iam")) == 1
    place.clock.now += timedelta(minutes=2)
    show(callers)
    assert len(place.calls("iam")) == 2


def test_a_short_token_is_kept_for_most_of_its_life(place: Place) -> None:
    place.comes_as("password")
    place.oms.set_token_lifetime(timedelta(minutes=20))
    callers = place.callers()
    show(callers)
    place.clock.now += timedelta(minutes=14)
    show(callers)
    assert len(place.calls("iam")) == 1
    place.clock.now += timedelta(minutes=2)
    show(callers)
    assert len(place.calls("iam")) == 2


def test_a_ready_token_that_is_over_rests_for_nothing_renews_it(place: Place) -> None:
    place.comes_as("token")
    callers = place.callers()
    place.oms.fault("show", Answer(401, "APIGW.0307"))
    with pytest.raises(KeyRests):
        show(callers)
    assert len(place.calls("oms")) == 1


def test_a_refusal_that_says_nothing_of_the_identity_lets_it_go_on(place: Place) -> None:
    place.comes_as("access key")
    callers = place.callers()
    place.oms.fault("show", Answer(403, "OMS.0072"))
    with pytest.raises(Refused):
        show(callers)
    assert show(callers) == NIGHTLY_IMAGES


def test_a_token_that_is_over_is_renewed_once_and_what_was_read_is_read_again(place: Place) -> None:
    place.comes_as("password")
    callers = place.callers()
    show(callers)
    place.oms.expire_tokens()
    assert show(callers) == NIGHTLY_IMAGES
    assert [call.status for call in place.calls("oms")] == [200, 401, 200]
    place.oms.fault("show", *[Answer(401, "APIGW.0307")] * 2)
    with pytest.raises(Refused):
        show(callers)
    assert len(place.calls("oms")) == 5, "a fresh token that is over too is not renewed again and again"


def test_what_changes_something_is_never_sent_twice(place: Place) -> None:
    place.comes_as("password")
    callers = place.callers()
    show(callers)
    place.oms.expire_tokens()
    with pytest.raises(Refused):
        callers.send("media", lambda oms: oms.stop(NIGHTLY_IMAGES))
    assert [call.method for call in place.calls("oms")] == ["GET", "PUT"]


def test_after_a_refused_signature_nothing_is_signed_until_vault_has_another_version(place: Place) -> None:
    place.comes_as("access key", sk="wrong")
    callers = place.callers()
    with pytest.raises(Refused):
        show(callers)
    for again in (callers, place.callers()):  # in this process, and after a restart
        with pytest.raises(KeyRests):
            show(again)
    assert len(place.calls("oms")) == 1
    place.comes_as("access key")
    assert show(callers) == NIGHTLY_IMAGES
    assert show(place.callers()) == NIGHTLY_IMAGES
    with place.store.read() as connection:
        assert rests.get(connection, f"secret/{PATH}") is None, "it rests no more, and is read from Vault no more"


def test_on_kv_version_1_another_value_is_tried_and_the_same_is_not(place: Place) -> None:
    def write(sk: str) -> None:
        values = ow.CALLERS["access key"] | {"sk": sk}
        place.vault.as_root().secrets.kv.v1.create_or_update_secret(PATH, values, mount_point="kv1")

    place.vault.as_root().sys.create_or_update_policy("on-kv1", 'path "kv1/*" {\n  capabilities = ["read"]\n}')
    root = place.vault.as_root()
    root.auth.approle.create_or_update_approle("bot-on-kv1", token_policies=["on-kv1"])
    mount = {"mount": "kv1", "caller": PATH, "source": "source", "destination": "destination"}
    write("wrong")
    callers = place.callers("bot-on-kv1", vault=mount)
    with pytest.raises(Refused):
        show(callers)
    for again in (callers, place.callers("bot-on-kv1", vault=mount)):  # a process that knows no other value waits too
        with pytest.raises(KeyRests):
            show(again)
    write(ow.SECRET_KEY)
    assert show(callers) == NIGHTLY_IMAGES


def test_many_at_once_try_a_key_that_was_never_accepted_once(place: Place) -> None:
    place.comes_as("access key", sk="wrong")
    callers = place.callers()
    ends: list[type[Exception]] = []

    def one() -> None:
        try:
            show(callers)
        except (Refused, KeyRests) as error:
            ends.append(type(error))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends, key=lambda end: end.__name__) == [KeyRests] * 7 + [Refused]
    assert len(place.calls("oms")) == 1


def test_people_who_ask_never_bring_the_refusal_that_locks_the_key(place: Place) -> None:
    place.comes_as("access key", sk="wrong")
    callers = place.callers()
    for _ in range(10):
        callers.a_person_asks("media")
        with pytest.raises((Refused, KeyRests)):
            show(callers)
    assert len(place.calls("oms")) == 4
    with pytest.raises(KeyRests) as rests:
        show(callers)
    assert rests.value.is_close_to_lock
    place.clock.now += timedelta(minutes=6)
    callers.a_person_asks("media")
    with pytest.raises(Refused):
        show(callers)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_password_rests_too(place: Place, status: int) -> None:
    place.comes_as("password", password="wrong")
    if status == 403:
        place.oms.fault("token", Raw(403, b"{}"))
    callers = place.callers()
    with pytest.raises(Refused) as refused:
        show(callers)
    assert refused.value.service is Service.IAM
    assert refused.value.answer.code == f"HTTP {status}"
    with pytest.raises(KeyRests):
        show(callers)
    assert len(place.calls("iam")) == 1
    assert place.calls("oms") == []


@pytest.mark.parametrize(
    "values", [{"ak": "A"}, {"username": "u", "password": "p"}, {"other": "x"}, {"ak": "", "sk": ""}]
)
def test_what_is_no_identity_is_said_before_anything_is_sent(place: Place, values: dict[str, str]) -> None:
    place.vault.write(PATH, values)
    with pytest.raises(VaultFault, match="holds no identity"):
        show(place.callers())
    assert place.journal.since() == []


def test_iam_that_cannot_be_reached_is_told_from_oms(place: Place) -> None:
    place.comes_as("password")
    with pytest.raises(NotSent) as unreached:
        show(place.callers(iam_url="http://127.0.0.1:9"))
    assert unreached.value.service is Service.IAM

"""As whom the bot calls: every kind of credential, read again in time, and tokens that are kept and renewed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from bot.huawei.errors import NotSent, Rejected, Service, Suspended, UnusableIdentity
from bot.huawei.identity import Identity
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, Hold, Raw
from bot.sandbox.vault import SandboxVault
from bot.vault.errors import VaultError
from tests.support.identity import (
    OTHER_PATH,
    PATH,
    Cloud,
    all_at_once,
    open_cloud,
    project,
    show,
    vault_paths,
)
from tests.support.wire import Wire

NAMES = [f"project-{number}" for number in range(8)]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def cloud(server: SandboxVault, tmp_path: Path) -> Iterator[Cloud]:
    with open_cloud(server, f"sqlite:///{tmp_path / 'bot.sqlite'}") as opened:
        yield opened


@pytest.fixture
def wire(cloud: Cloud) -> Iterator[Wire]:
    """The way to Vault."""
    wire = Wire(cloud.vault.url)
    yield wire
    wire.cut()


def behind(wire: Wire, cloud: Cloud) -> Identity:
    """An identity whose way to Vault is this wire."""
    return cloud.identity_of({"media": project(cloud.oms.server.url)}, vault=cloud.new_vault(wire.url))


def logins(cloud: Cloud) -> list[int]:
    """How each login was answered."""
    return [call.status for call in cloud.calls("iam") if call.method == "POST"]


# Kinds of credentials


@pytest.mark.parametrize("kind", ["access key", "temporary key", "password", "token"])
def test_every_kind_of_credential_is_accepted(cloud: Cloud, kind: str) -> None:
    cloud.write_caller(kind)
    identity = cloud.identity()
    assert [show(identity) for _ in range(3)] == [NIGHTLY_IMAGES] * 3
    assert logins(cloud) == ([201] if kind == "password" else []), "a token is fetched once, not for each call"


@pytest.mark.parametrize(
    "values", [{"ak": "A"}, {"username": "u", "password": "p"}, {"other": "x"}, {"ak": "", "sk": ""}]
)
def test_a_secret_that_is_no_identity_is_told_before_anything_is_sent(cloud: Cloud, values: dict[str, str]) -> None:
    cloud.vault.write(PATH, values)
    with pytest.raises(UnusableIdentity, match=r"has none of|, but no "):
        show(cloud.identity())
    assert cloud.call_log.since() == []


@pytest.mark.parametrize("kind", ["access key", "password"])
def test_the_id_of_the_project_may_be_left_to_iam_which_is_asked_once(cloud: Cloud, kind: str) -> None:
    cloud.write_caller(kind)
    identity = cloud.identity(project_id=None)
    for _ in range(3):
        identity.allow_retry("media")
        assert identity.project_id("media") == PROJECT_ID
        assert show(identity) == NIGHTLY_IMAGES
    assert len(cloud.calls("iam")) == 1


def test_a_ready_token_does_not_tell_its_project(cloud: Cloud) -> None:
    cloud.write_caller("token")
    with pytest.raises(UnusableIdentity, match="doesn't say which project") as unusable:
        show(cloud.identity(project_id=None))
    assert "project_id" in unusable.value.next_step


def test_an_identity_of_another_project_is_not_used(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    with pytest.raises(UnusableIdentity, match="now belong to a different Huawei Cloud project"):
        cloud.identity().call("media", lambda oms: oms.show(NIGHTLY_IMAGES), project_id="f" * 32)
    assert cloud.calls("oms") == []


def test_iam_that_cannot_be_reached_is_told_from_oms(cloud: Cloud) -> None:
    cloud.write_caller("password")
    with pytest.raises(NotSent) as unreached:
        show(cloud.identity(iam_url="http://127.0.0.1:9"))
    assert unreached.value.service is Service.IAM


def test_an_answer_that_says_nothing_of_the_identity_lets_it_go_on(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    cloud.oms.faults.add("show", Answer(403, "OMS.0072"))
    with pytest.raises(Rejected):
        show(identity)
    assert show(identity) == NIGHTLY_IMAGES


# Tokens


def test_six_requests_cause_one_login(cloud: Cloud) -> None:
    cloud.write_caller("password")
    identity = cloud.identity(project_id=None)
    for _ in range(6):
        identity.allow_retry("media")  # as whoever types a command does
        identity.project_id("media")
        show(identity)
        cloud.clock.now += timedelta(minutes=10)
    assert logins(cloud) == [201]


def test_tables_and_paths_with_the_same_user_share_a_token_and_log_in_one_at_a_time(cloud: Cloud) -> None:
    paths = [PATH, OTHER_PATH] * 4
    for path in set(paths):
        cloud.write_caller("password", path)
    url = cloud.oms.server.url
    tables = {name: project(url, vault=vault_paths(path)) for name, path in zip(NAMES, paths, strict=True)}
    identity = cloud.identity_of(tables)
    assert all_at_once([partial(show, identity, name) for name in NAMES]) == ["ok"] * 8
    assert logins(cloud) == [201]


def test_a_login_that_hangs_keeps_no_other_project_waiting(cloud: Cloud) -> None:
    cloud.write_caller("password")
    url = cloud.oms.server.url
    identity = cloud.identity_of({"media": project(url), "other": project(url, project_id=None)})
    show(identity, "other")
    hold = Hold(threading.Event(), threading.Event())
    cloud.oms.faults.add("token", hold)
    with ThreadPoolExecutor(1) as pool:
        hangs = pool.submit(show, identity, "media")
        try:
            assert hold.reached.wait(10)
            assert show(identity, "other") == NIGHTLY_IMAGES
        finally:
            hold.released.set()
        assert hangs.result() == NIGHTLY_IMAGES


def test_a_token_is_renewed_before_it_ends(cloud: Cloud) -> None:
    cloud.write_caller("password")
    cloud.oms.tokens.lifetime = timedelta(hours=24)
    identity = cloud.identity()
    show(identity)
    cloud.clock.now += timedelta(hours=23, minutes=29)
    show(identity)
    assert len(logins(cloud)) == 1
    cloud.clock.now += timedelta(minutes=2)
    show(identity)
    assert len(logins(cloud)) == 2


def test_a_short_token_is_kept_for_most_of_its_life(cloud: Cloud) -> None:
    cloud.write_caller("password")
    cloud.oms.tokens.lifetime = timedelta(minutes=20)
    identity = cloud.identity()
    show(identity)
    cloud.clock.now += timedelta(minutes=14)
    show(identity)
    assert len(logins(cloud)) == 1
    cloud.clock.now += timedelta(minutes=2)
    show(identity)
    assert len(logins(cloud)) == 2


def test_a_token_that_ends_at_once_is_used_for_the_call_that_it_was_fetched_for(cloud: Cloud) -> None:
    cloud.write_caller("password")
    identity = cloud.identity()
    cloud.oms.tokens.lifetime = timedelta(0)
    with pytest.raises(Rejected, match="0307"):
        show(identity)
    assert len(logins(cloud)) == 2, "it was fetched again once"


def test_an_expired_token_is_renewed_once_and_the_call_that_reads_is_repeated(cloud: Cloud) -> None:
    cloud.write_caller("password")
    identity = cloud.identity()
    show(identity)
    cloud.oms.tokens.expire_all()
    assert show(identity) == NIGHTLY_IMAGES
    assert [call.status for call in cloud.calls("oms")] == [200, 401, 200]
    cloud.oms.faults.add("show", *[Answer(401, "APIGW.0307")] * 2)
    with pytest.raises(Rejected):
        show(identity)
    assert len(cloud.calls("oms")) == 5, "a fresh token that expired too is not renewed again and again"


def test_a_token_that_expired_for_many_threads_is_renewed_once(cloud: Cloud) -> None:
    cloud.write_caller("password")
    identity = cloud.identity()
    show(identity)
    cloud.oms.tokens.expire_all()
    cloud.oms.delay_seconds = 0.1
    assert all_at_once([partial(show, identity)] * 8) == ["ok"] * 8
    assert logins(cloud) == [201, 201]


def test_a_call_that_changes_something_is_never_repeated(cloud: Cloud) -> None:
    cloud.write_caller("password")
    identity = cloud.identity()
    show(identity)
    cloud.oms.tokens.expire_all()
    with pytest.raises(Rejected):
        identity.send("media", lambda oms: oms.stop(NIGHTLY_IMAGES))
    assert [call.method for call in cloud.calls("oms")] == ["GET", "PUT"]
    assert show(identity) == NIGHTLY_IMAGES, "the next call has a fresh token"


def test_a_ready_token_that_expired_is_suspended_because_nothing_renews_it(cloud: Cloud) -> None:
    cloud.write_caller("token")
    identity = cloud.identity()
    cloud.oms.faults.add("show", Answer(401, "APIGW.0307"))
    with pytest.raises(Suspended):
        show(identity)
    assert len(cloud.calls("oms")) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_password_is_suspended_too(cloud: Cloud, status: int) -> None:
    cloud.write_caller("password", password="wrong")
    if status == 403:
        cloud.oms.faults.add("token", Raw(403, b"{}"))
    identity = cloud.identity()
    with pytest.raises(Rejected) as refused:
        show(identity)
    assert refused.value.service is Service.IAM
    assert refused.value.answer.code == f"HTTP {status}"
    with pytest.raises(Suspended):
        show(identity)
    assert logins(cloud) == [status]
    assert cloud.calls("oms") == []


def test_a_password_that_was_replaced_by_a_key_is_not_asked_about_at_iam(cloud: Cloud) -> None:
    cloud.write_caller("password", password="wrong")
    identity = cloud.identity()
    with pytest.raises(Rejected):
        show(identity)
    cloud.write_caller("access key")
    assert show(identity) == NIGHTLY_IMAGES
    assert len(cloud.calls("iam")) == 1


def test_a_password_that_was_changed_at_iam_is_refused_once_for_many_threads(cloud: Cloud) -> None:
    cloud.write_caller("password")
    identity = cloud.identity()
    show(identity)
    cloud.oms.tokens.expire_all()
    cloud.oms.faults.add("token", *[Answer(401, "")] * 16)
    cloud.oms.delay_seconds = 0.1
    assert all_at_once([partial(show, identity)] * 16) == ["Rejected"] + ["Suspended"] * 15
    assert logins(cloud) == [201, 401]


def test_a_token_that_is_refused_is_not_used_for_the_next_try(cloud: Cloud) -> None:
    cloud.write_caller("password")
    identity = cloud.identity()
    cloud.oms.faults.add("show", Answer(401, "APIG.0301", "decrypt token fail"))
    with pytest.raises(Rejected):
        show(identity)
    identity.allow_retry("media")
    assert show(identity) == NIGHTLY_IMAGES
    assert logins(cloud) == [201, 201]


# What Vault holds by now


def test_the_credential_is_read_again_once_it_is_a_minute_old(cloud: Cloud, wire: Wire) -> None:
    cloud.write_caller("access key")
    identity = behind(wire, cloud)
    show(identity)
    carried = wire.carried
    cloud.clock.now += MINUTE - timedelta(seconds=1)
    show(identity)
    assert wire.carried == carried
    cloud.clock.now += timedelta(seconds=2)
    for _ in range(3):
        show(identity)
    assert wire.carried == carried + 1


def test_a_key_that_was_rotated_in_vault_is_used_without_a_refusal(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    show(identity)
    cloud.write_caller("password")
    show(identity)
    assert cloud.calls("iam") == [], "not before a minute has passed"
    cloud.clock.now += MINUTE
    assert all_at_once([partial(show, identity)] * 8) == ["ok"] * 8
    assert logins(cloud) == [201]
    assert cloud.refusals() == 0


def test_a_wrong_key_that_was_rotated_in_vault_is_refused_once_for_many_threads(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    show(identity)
    cloud.write_caller("access key", sk="wrong")
    cloud.clock.now += MINUTE
    cloud.oms.delay_seconds = 0.1
    ends = all_at_once([partial(show, identity)] * 16)
    assert ends.count("Rejected") == 1
    assert cloud.refusals() == 1
    assert all_at_once([partial(show, identity)] * 16) == ["Suspended"] * 16


def test_a_call_that_reads_is_repeated_if_vault_has_a_newer_credential_than_the_refused_one(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    show(identity)
    cloud.write_caller("access key")
    cloud.oms.faults.add("show", Answer(401, "APIG.0301"))
    assert show(identity) == NIGHTLY_IMAGES
    cloud.oms.faults.add("show", Answer(401, "APIG.0301"))
    with pytest.raises(Rejected):
        show(identity)
    assert [call.status for call in cloud.calls("oms")] == [200, 401, 200, 401]


def test_a_call_that_changes_something_is_not_repeated_though_vault_has_a_newer_credential(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    show(identity)
    cloud.write_caller("access key")
    cloud.oms.faults.add("stop", Answer(401, "APIG.0301"))
    with pytest.raises(Rejected):
        identity.send("media", lambda oms: oms.stop(NIGHTLY_IMAGES))
    assert [call.method for call in cloud.calls("oms")] == ["GET", "PUT"]
    assert show(identity) == NIGHTLY_IMAGES


def test_what_a_person_changed_in_vault_is_read_when_they_ask(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    show(identity)
    cloud.write_caller("access key", sk="another")
    assert show(identity) == NIGHTLY_IMAGES, "a credential that works is not read again and again"
    identity.allow_retry("media")
    with pytest.raises(Rejected, match="0301"):
        show(identity)


def test_while_vault_is_down_an_accepted_credential_stays_in_use(
    cloud: Cloud, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.write_caller("access key")
    identity = behind(wire, cloud)
    show(identity)
    wire.cut()
    cloud.clock.now += MINUTE
    for _ in range(3):
        assert show(identity) == NIGHTLY_IMAGES
    assert caplog.messages == [
        f"cannot read the identity at secret/{PATH} again, so the last one stays in use: Vault doesn't answer at "
        f"{wire.url}."
    ]
    wire.mend()
    cloud.write_caller("password")
    cloud.clock.now += MINUTE
    assert show(identity) == NIGHTLY_IMAGES
    assert logins(cloud) == [201]


def test_a_secret_that_is_no_identity_any_more_leaves_an_accepted_credential_in_use(cloud: Cloud) -> None:
    cloud.write_caller("access key")
    identity = cloud.identity()
    show(identity)
    cloud.vault.write(PATH, {"ak": "alone"})
    cloud.clock.now += MINUTE
    assert show(identity) == NIGHTLY_IMAGES


def test_while_vault_is_down_a_suspended_identity_is_not_tried(cloud: Cloud, wire: Wire) -> None:
    cloud.write_caller("access key")
    identity = behind(wire, cloud)
    cloud.oms.faults.add("show", Answer(401, "APIG.0301"))
    with pytest.raises(Rejected):
        show(identity)
    wire.cut()
    identity.allow_retry("media")
    with pytest.raises(VaultError, match="Vault doesn't answer"):
        show(identity)
    assert len(cloud.calls("oms")) == 1
    wire.mend()
    assert show(identity) == NIGHTLY_IMAGES

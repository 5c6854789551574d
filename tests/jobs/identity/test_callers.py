"""As whom the bot calls: every kind of identity, and tokens kept and renewed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.huawei.errors import NotSent, Rejected, Service
from bot.jobs.identity.guard import IdentitySuspended
from bot.sandbox.call_log import CallLog
from bot.sandbox.huawei.credentials import PROJECT_ID
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.huawei.faults import Answer, Raw
from bot.sandbox.vault import SandboxVault
from bot.vault.errors import VaultError
from tests.support.callers import PATH, Bench, open_bench, show


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxVault]:
    vault = SandboxVault(CallLog()).start()
    yield vault
    vault.stop()


@pytest.fixture
def place(server: SandboxVault, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(server, f"sqlite:///{tmp_path / 'bot.sqlite'}") as opened:
        yield opened


@pytest.mark.parametrize("kind", ["access key", "temporary key", "password", "token"])
def test_every_kind_of_identity_is_let_in(place: Bench, kind: str) -> None:
    place.write_caller(kind)
    callers = place.callers()
    assert [show(callers) for _ in range(3)] == [NIGHTLY_IMAGES] * 3
    logins = [call for call in place.calls("iam") if call.method == "POST"]
    assert len(logins) == (1 if kind == "password" else 0), "a token is fetched once, never once for each call"


@pytest.mark.parametrize("kind", ["access key", "password"])
def test_the_projects_id_may_be_left_to_iam(place: Bench, kind: str) -> None:
    place.write_caller(kind)
    callers = place.callers(project_id=None)
    assert callers.project_id("media") == PROJECT_ID
    assert show(callers) == NIGHTLY_IMAGES
    assert len(place.calls("iam")) == 1, "it is asked once"


def test_a_ready_token_does_not_tell_its_project(place: Bench) -> None:
    place.write_caller("token")
    with pytest.raises(VaultError, match="does not tell its project") as fault:
        show(place.callers(project_id=None))
    assert "project_id" in fault.value.next_step


def test_a_token_is_renewed_before_it_ends(place: Bench) -> None:
    place.write_caller("password")
    place.oms.tokens.lifetime = timedelta(hours=24)
    callers = place.callers()
    show(callers)
    place.clock.now += timedelta(hours=23, minutes=29)
    show(callers)
    assert len(place.calls("iam")) == 1
    place.clock.now += timedelta(minutes=2)
    show(callers)
    assert len(place.calls("iam")) == 2


def test_a_short_token_is_kept_for_most_of_its_life(place: Bench) -> None:
    place.write_caller("password")
    place.oms.tokens.lifetime = timedelta(minutes=20)
    callers = place.callers()
    show(callers)
    place.clock.now += timedelta(minutes=14)
    show(callers)
    assert len(place.calls("iam")) == 1
    place.clock.now += timedelta(minutes=2)
    show(callers)
    assert len(place.calls("iam")) == 2


def test_a_ready_token_that_is_over_rests_for_nothing_renews_it(place: Bench) -> None:
    place.write_caller("token")
    callers = place.callers()
    place.oms.faults.add("show", Answer(401, "APIGW.0307"))
    with pytest.raises(IdentitySuspended):
        show(callers)
    assert len(place.calls("oms")) == 1


def test_a_refusal_that_says_nothing_of_the_identity_lets_it_go_on(place: Bench) -> None:
    place.write_caller("access key")
    callers = place.callers()
    place.oms.faults.add("show", Answer(403, "OMS.0072"))
    with pytest.raises(Rejected):
        show(callers)
    assert show(callers) == NIGHTLY_IMAGES


def test_a_token_that_is_over_is_renewed_once_and_what_was_read_is_read_again(place: Bench) -> None:
    place.write_caller("password")
    callers = place.callers()
    show(callers)
    place.oms.tokens.expire_all()
    assert show(callers) == NIGHTLY_IMAGES
    assert [call.status for call in place.calls("oms")] == [200, 401, 200]
    place.oms.faults.add("show", *[Answer(401, "APIGW.0307")] * 2)
    with pytest.raises(Rejected):
        show(callers)
    assert len(place.calls("oms")) == 5, "a fresh token that is over too is not renewed again and again"


def test_what_changes_something_is_never_sent_twice(place: Bench) -> None:
    place.write_caller("password")
    callers = place.callers()
    show(callers)
    place.oms.tokens.expire_all()
    with pytest.raises(Rejected):
        callers.send("media", lambda oms: oms.stop(NIGHTLY_IMAGES))
    assert [call.method for call in place.calls("oms")] == ["GET", "PUT"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_password_rests_too(place: Bench, status: int) -> None:
    place.write_caller("password", password="wrong")
    if status == 403:
        place.oms.faults.add("token", Raw(403, b"{}"))
    callers = place.callers()
    with pytest.raises(Rejected) as refused:
        show(callers)
    assert refused.value.service is Service.IAM
    assert refused.value.answer.code == f"HTTP {status}"
    with pytest.raises(IdentitySuspended):
        show(callers)
    assert len(place.calls("iam")) == 1
    assert place.calls("oms") == []


@pytest.mark.parametrize(
    "values", [{"ak": "A"}, {"username": "u", "password": "p"}, {"other": "x"}, {"ak": "", "sk": ""}]
)
def test_what_is_no_identity_is_said_before_anything_is_sent(place: Bench, values: dict[str, str]) -> None:
    place.vault.write(PATH, values)
    with pytest.raises(VaultError, match="holds no identity"):
        show(place.callers())
    assert place.call_log.since() == []


def test_iam_that_cannot_be_reached_is_told_from_oms(place: Bench) -> None:
    place.write_caller("password")
    with pytest.raises(NotSent) as unreached:
        show(place.callers(iam_url="http://127.0.0.1:9"))
    assert unreached.value.service is Service.IAM

"""Every error of Huawei Cloud is explained on the card.

The card shows its code, its meaning, whose side it is on, whether anything was started, and what to do.

All tests share one sandbox. Each has a request for a group of its own, which carol approves, and runs the jobs in this
process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import delete

from bot.clients import new_identity
from bot.config.settings import DIRECT
from bot.domain.request import State
from bot.huawei.error_catalogue import ALREADY_RUNNING, CATALOGUE, WRONG_STATE, Side, meaning_of
from bot.jobs.context import Context
from bot.sandbox.huawei.credentials import (
    CALLERS,
    DESTINATION_AK,
    DESTINATION_SK,
    PASSWORD,
    SECRET_KEY,
    SOURCE_AK,
    SOURCE_SK,
)
from bot.sandbox.huawei.faults import Answer, Drop, NoAnswer, Raw
from bot.sandbox.huawei.group import CREATION_FAILED, MIGRATION_FAILED, MONITORING, PAUSED
from bot.sandbox.slack.ids import BOB, CAROL
from bot.sandbox.system import Sandbox
from bot.store.circuit_breakers import CircuitBreakers
from bot.store.inbox import Kind
from bot.store.tables import circuit_breakers
from bot.ui.problem_texts import FAILED_WITHOUT_CODE, GROUP_NOT_READ, KEY_REPEATED, RetryHint
from tests.support.card import Card
from tests.support.codes import APIG, EVERY_CODE, IAM_STATUS, OMS, TRF
from tests.support.in_process import (
    press_button,
    sandbox_and_context,
    stored_request,
)
from tests.support.sandbox import button_ids
from tests.support.writings import WRITINGS

AT_GATEWAY = {"APIG.0101": 404, "APIG.0201": 413, "APIG.0301": 401, "APIG.0307": 401, "APIG.0308": 429}
MAYBE_STARTED = {"APIG.0203": 504, "APIG.0601": 500, "APIG.0610": 502, "APIG.0613": 503}
KEYS = (SOURCE_AK, SOURCE_SK, DESTINATION_AK, DESTINATION_SK, SECRET_KEY, PASSWORD)
VAULT_PATHS = {
    Side.SOURCE: "secret/oms/media/source",
    Side.DESTINATION: "secret/oms/media/destination",
    Side.PERMISSIONS: "secret/oms/media/caller",
    Side.CREDENTIALS: "secret/oms/media/caller",
}


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Sandbox, Context]]:
    with sandbox_and_context() as made:
        yield made


@pytest.fixture
def card(place: tuple[Sandbox, Context]) -> Iterator[Card]:
    sandbox, context = place
    # A process remembers the refusals of its identity.
    rows = CircuitBreakers(context.store.read, context.store.write)
    identity = new_identity(context.vault, context.projects, rows, context.now, DIRECT)
    yield Card(sandbox, replace(context, identity=identity))
    sandbox.oms.faults.clear()
    with context.store.write() as connection:
        connection.execute(delete(circuit_breakers))


def assert_explained(card: Card, text: str, code: str, http_status: int) -> None:
    meaning = meaning_of(code, http_status)
    assert code in text
    assert meaning.sentence.rstrip(".").lower() in text.lower()
    assert f"Cause: {meaning.side}" in text
    caller = VAULT_PATHS[Side.CREDENTIALS]
    remedy = meaning.remedy.format(caller=caller, source="…", destination="…", retry="…").split("…")[0]
    assert remedy.rstrip() in text
    if "{" in meaning.remedy.replace("{retry}", ""):
        assert VAULT_PATHS[meaning.side] in text
    assert card.request.id in text
    assert card.request.group.group_id in text
    assert not [key for key in KEYS if key in text]


REFUSALS = [code for code in (*OMS, *APIG, "OMS.9999", "S3M.0064") if code not in MAYBE_STARTED]


@pytest.mark.parametrize("code", REFUSALS)
def test_every_error_code_of_a_start_is_explained_on_the_card(card: Card, code: str) -> None:
    status = AT_GATEWAY.get(code, 403 if code.startswith("APIG.") else 400)
    sent = code.replace("APIG.", "APIGW.")
    card.sandbox.oms.faults.add("start", Answer(status, sent, "words of OMS", detail="request parameter [x] invalid."))
    text = card.approve()
    if code in ALREADY_RUNNING | WRONG_STATE:
        assert card.stands() is State.UNKNOWN
        assert "checks the group for about a minute" in text
        assert code in text
        return
    if status == 429 or code == "APIG.0307":
        assert "retries automatically" in text
        assert code in text
        assert card.stands() is State.APPROVED
        return
    assert card.stands() is State.NOT_STARTED
    assert_explained(card, text, code, status)
    assert "Nothing was started." in text
    assert "words of OMS request parameter [x] invalid." in text
    assert "Huawei request id" in text
    assert button_ids(card.posted) == ["retry", "cancel"]
    assert card.puts() == [status]


def test_the_catalogue_has_every_documented_error_code_and_no_other() -> None:
    assert sorted(CATALOGUE) == sorted(EVERY_CODE)


@pytest.mark.parametrize(("code", "status"), IAM_STATUS.items())
def test_every_error_code_of_a_login_is_explained_on_the_card(card: Card, code: str, status: int) -> None:
    may_pass = status == 429 or status >= 500
    card.sandbox.vault.write("oms/media/caller", CALLERS["password"])
    body = {"error_code": code, "error_msg": "words of IAM"}
    answer = Raw(status, json.dumps(body).encode(), {"X-IAM-Trace-Id": "trace-1"})
    card.sandbox.oms.faults.add("token", *[answer] * (3 if may_pass else 1))
    try:
        text = card.approve()
        for wait in (6, 12) if may_pass else ():
            assert card.stands() is State.APPROVED
            assert "retries automatically until" in text
            text = card.after(wait)
    finally:
        card.sandbox.vault.write("oms/media/caller", CALLERS["access key"])
    assert card.stands() is (State.APPROVED if may_pass else State.NOT_STARTED)
    assert_explained(card, text, code, status)
    assert "Nothing was started." in text
    assert "trace-1" in text
    assert card.puts() == []


@pytest.mark.parametrize("code", [*TRF, "OMS.1014", "TRF.9999"])
def test_every_error_code_of_a_failed_migration_is_explained_on_the_card(card: Card, code: str) -> None:
    card.approve()
    group = card.sandbox.oms.state.groups[card.request.group.group_id]
    group.pending_changes.clear()
    group.status, group.error = MIGRATION_FAILED, (code, "words of <!channel> OMS")
    # The group is first read as running, because its status may lag behind the call.
    assert card.stands() is State.ACCEPTED
    group.status = MONITORING
    card.after(3)
    group.status = MIGRATION_FAILED
    text = card.after(6)
    assert card.stands() is State.FAILED
    assert_explained(card, text, code, 200)
    assert "<!channel>" not in text
    assert "OMS said: words of" in text
    assert button_ids(card.posted) == ["request"]
    if meaning_of(code, 200).retryable:
        assert RetryHint.REQUEST_AGAIN in text


def test_a_failed_migration_without_an_error_code_shows_the_message_of_oms(card: Card) -> None:
    card.approve()
    group = card.sandbox.oms.state.groups[card.request.group.group_id]
    group.pending_changes.clear()
    group.status = MONITORING
    card.after(3)
    group.status, group.error = MIGRATION_FAILED, ("", "words of <!channel> OMS")
    text = card.after(6)
    assert card.stands() is State.FAILED
    assert FAILED_WITHOUT_CODE[len("OMS ") :].rstrip(".") in text
    assert "OMS said: words of" in text
    assert "<!channel>" not in text


SHAPES = [
    pytest.param(Raw(400, b'{"errorCode":"OMS.0057","errorMsg":"camel"}'), "OMS.0057", id="camelCase"),
    pytest.param(
        Raw(403, b'{"error":{"code":403,"message":"no rights","title":"Forbidden"}}'), "HTTP 403", id="IAM v3"
    ),
    pytest.param(Raw(403, b'{"code":"OMS.0072","message":"plain"}'), "OMS.0072", id="code and message"),
    pytest.param(Raw(404, b"<html><h1>Not here</h1></html>", {"Content-Type": "text/html"}), "HTTP 404", id="HTML"),
    pytest.param(Raw(400, b""), "HTTP 400", id="empty"),
    pytest.param(Raw(400, b'{"error_code":'), "HTTP 400", id="broken"),
    pytest.param(Raw(400, b"[" * 5_000_000), "HTTP 400", id="huge"),
    pytest.param(Raw(405, b'{"error_code":"<!channel>","error_msg":"x"}'), "HTTP 405", id="an invalid code"),
    pytest.param(Raw(413, b""), "HTTP 413", id="413"),
    pytest.param(Raw(307, b"", {"Location": "http://127.0.0.1:9/steal"}), "HTTP 307", id="a redirect"),
]


@pytest.mark.parametrize(("fault", "code"), SHAPES)
def test_an_error_body_of_any_shape_is_explained_on_the_card(card: Card, fault: Raw, code: str) -> None:
    card.sandbox.oms.faults.add("start", fault)
    text = card.approve()
    assert card.stands() is State.NOT_STARTED
    assert_explained(card, text, code, fault.http_status)
    assert "<!channel>" not in text
    assert "<html>" not in text


def test_a_200_with_an_empty_body_is_accepted(card: Card) -> None:
    card.sandbox.oms.faults.add("start", Raw(200, b"", done=True))
    assert "Accepted by OMS, nothing has moved yet" in card.approve()


@pytest.mark.parametrize(
    "fault",
    [
        *[pytest.param(Answer(status, code), id=code) for code, status in MAYBE_STARTED.items()],
        pytest.param(Raw(502, b"<html>Bad gateway</html>"), id="HTML of a 502"),
        pytest.param(Drop(done=False), id="dropped"),
        pytest.param(Raw(200, b"x" * 100, cut_after=10), id="cut short"),
        pytest.param(Raw(200, b" " * 5_000_000), id="huge"),
    ],
)
def test_a_start_without_a_clear_answer_is_unknown_until_the_group_is_read_and_is_never_sent_twice(
    card: Card, fault: Answer | Raw | Drop
) -> None:
    card.sandbox.oms.faults.add("start", fault)
    text = card.approve()
    assert card.stands() is State.UNKNOWN
    assert "Checking whether" in text
    assert "You don't need to do anything. The bot checks" in text
    assert button_ids(card.posted) == []
    assert card.stands() is State.UNKNOWN
    card.after(5)
    assert card.stands() is State.UNKNOWN, "the status may lag behind the call"
    text = card.after(61)
    assert card.stands() is State.NOT_STARTED
    assert "OMS still shows the group as paused" in text
    assert button_ids(card.posted) == ["retry", "cancel"]
    assert len(card.puts()) == 1


@pytest.mark.parametrize(
    "fault", [Drop(done=True), Raw(504, b"", done=True), Raw(200, b"x" * 99, done=True, cut_after=9)]
)
def test_a_start_whose_answer_was_lost_is_followed(card: Card, fault: Drop | Raw) -> None:
    card.sandbox.oms.faults.add("start", fault)
    card.approve()
    assert card.stands() is State.UNKNOWN
    card.sandbox.oms.state.groups[card.request.group.group_id].pending_changes.clear()
    card.sandbox.oms.state.groups[card.request.group.group_id].status = MONITORING
    card.after(4)
    assert card.stands() is State.ACCEPTED
    assert len(card.puts()) == 1


def test_a_start_without_an_answer_in_time_is_unknown(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.huawei import http, oms

    monkeypatch.setattr(oms, "Timeouts", lambda: http.Timeouts(5, 2))
    card.sandbox.oms.faults.add("start", NoAnswer())
    text = card.approve()
    assert card.stands() is State.UNKNOWN
    assert "no answer in time" in text


@pytest.mark.parametrize("refusal", ["OMS.1039", "OMS.0065"])
def test_a_group_that_somebody_else_resumed_first_is_not_a_failure(card: Card, refusal: str) -> None:
    card.sandbox.oms.faults.add("start", Answer(400, refusal))
    card.approve()
    group = card.sandbox.oms.state.groups[card.request.group.group_id]
    group.status = MONITORING
    text = card.after(4)
    assert card.stands() is State.ACCEPTED
    assert "Already resumed by someone else" in text
    assert "Accepted by OMS" not in text


def test_a_group_that_was_resumed_before_the_approval_is_not_sent(card: Card) -> None:
    card.sandbox.oms.state.groups[card.request.group.group_id].status = MONITORING
    text = card.approve()
    assert "Already resumed by someone else" in text
    assert card.puts() == []


@pytest.mark.parametrize("status", [CREATION_FAILED, MIGRATION_FAILED, 8, 9])
def test_a_request_is_void_if_the_group_has_another_status_at_the_approval(card: Card, status: int) -> None:
    card.sandbox.oms.state.groups[card.request.group.group_id].status = status
    text = card.approve()
    assert card.stands() is State.VOID
    assert "so the approval no longer applies" in text
    assert "Nothing was started." in text
    assert card.puts() == []


@pytest.mark.parametrize("write", WRITINGS.values(), ids=list(WRITINGS))
def test_a_key_that_oms_repeats_in_any_writing_is_neither_shown_nor_stored(
    card: Card, write: Callable[[str], str]
) -> None:
    written = write(SOURCE_SK)
    card.sandbox.oms.faults.add("start", Answer(400, "OMS.0064", f"request parameter [src_sk] invalid: {written}"))
    text = card.approve()
    shown_and_stored = text + repr(stored_request(card.context, card.request.id))
    assert written not in shown_and_stored
    assert SOURCE_SK[:6] not in shown_and_stored
    assert KEY_REPEATED in text
    assert "OMS rejected a parameter" in text, "the meaning of the code is shown all the same"


def test_a_pause_is_sent_and_the_card_names_the_person(card: Card) -> None:
    card.approve()
    group = card.sandbox.oms.state.groups[card.request.group.group_id]
    group.pending_changes.clear()
    group.status, group.bytes_per_second = MONITORING, 1
    card.after(3)
    assert button_ids(card.posted) == ["pause"]
    card.request = press_button(card.context, Kind.PAUSE, BOB, card.request, card.posted)
    assert card.stands() is State.PAUSING
    text = card.after(4)
    assert 'Pausing "' in text
    group.pending_changes.clear()
    group.status = PAUSED
    text = card.after(8)
    assert card.stands() is State.PAUSED_AGAIN
    assert f"paused by <@{BOB}>" in text
    assert button_ids(card.posted) == ["request"]


def test_a_refused_pause_is_explained_and_the_group_is_still_followed(card: Card) -> None:
    card.approve()
    group = card.sandbox.oms.state.groups[card.request.group.group_id]
    group.pending_changes.clear()
    group.status, group.bytes_per_second = MONITORING, 1
    card.after(3)
    card.sandbox.oms.faults.add("stop", Answer(403, "OMS.0072", "Insufficient permission."))
    card.request = press_button(card.context, Kind.PAUSE, CAROL, card.request, card.posted)
    text = card.after(4)
    assert card.stands() is State.ACCEPTED
    assert "Not paused:" in text
    assert "OMS.0072" in text
    assert "Nothing was paused." in text
    assert "press Pause again" in text
    assert button_ids(card.posted) == ["pause"]


def test_a_deleted_group_is_no_longer_followed_and_the_card_says_so(card: Card) -> None:
    card.approve()
    del card.sandbox.oms.state.groups[card.request.group.group_id]
    for tries in (0, 1):
        card.after(3, tries)
        assert card.stands() is State.ACCEPTED, "one such answer may be an error of OMS"
    text = card.after(9, 2)
    assert card.stands() is State.FAILED
    assert "deleted while the bot followed it" in text
    assert not card.request.is_open


def test_the_card_of_a_group_that_cannot_be_read_does_not_say_moving(card: Card) -> None:
    card.approve()
    group = card.sandbox.oms.state.groups[card.request.group.group_id]
    group.pending_changes.clear()
    group.status, group.complete_bytes, group.bytes_per_second = MONITORING, 9 * 10**9, 1
    assert "Resumed, moving" in card.after(3)
    card.sandbox.oms.faults.add("show", Answer(503, "APIG.0601"))
    text = card.after(50, 2)
    assert "progress can't be read right now" in text
    assert GROUP_NOT_READ in text
    assert "moving at" not in text
    assert "Resumed, moving" in card.after(100)


def test_a_request_whose_project_was_removed_is_no_longer_followed_and_the_card_says_so(card: Card) -> None:
    card.approve()
    card.context = replace(card.context, projects={})
    text = card.after(3)
    assert card.stands() is State.NOT_FOLLOWED
    assert "No longer followed, the settings changed" in text
    assert not card.request.is_open

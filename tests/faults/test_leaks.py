"""No key is in anything that the bot writes, whatever OMS and IAM repeat; and the search for keys finds every leak.

The jobs run in this process. The log has all levels, and no filter that would remove keys.
"""

from __future__ import annotations

import itertools
import json
import logging
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from prometheus_client import Counter, generate_latest
from sqlalchemy import delete

from bot.domain.audit_events import AuditEvent
from bot.domain.request import State, Verb
from bot.domain.task_group import Scope
from bot.huawei.oms import Accepted, Oms
from bot.jobs.context import Context
from bot.sandbox.huawei.credentials import CALLERS
from bot.sandbox.huawei.faults import Echo, Raw
from bot.sandbox.huawei.group import MIGRATION_FAILED, MONITORING
from bot.sandbox.slack.ids import ALICE, MIGRATIONS
from bot.sandbox.system import Sandbox
from bot.store.audit import BOT, Event, append
from bot.store.outbox import Delivery, Notice, add_notice
from bot.store.tables import circuit_breakers
from bot.ui.blocks import SlackMessage
from bot.ui.problem_texts import KEY_REPEATED
from tests.support.card import Card
from tests.support.codes import APIG, IAM_STATUS, OMS, TRF
from tests.support.in_process import context_of
from tests.support.leaks import SENT_KEYS, find_leaks, record_calls
from tests.support.postgres import Postgres
from tests.support.sandbox import everything_shown, everything_stored, exported_audit
from tests.support.writings import WRITINGS

Write = Callable[[str], str]


@dataclass
class Place:
    """A sandbox and the parts of a bot in this process, and what the bot has sent to Slack."""

    sandbox: Sandbox
    context: Context
    calls: list[str]

    def texts(self) -> dict[str, str]:
        """Everything that the bot has written so far, by where it is."""
        return everything_stored(self.sandbox) | {
            "calls to Slack": "\n".join(self.calls),
            "Slack": everything_shown(self.sandbox),
            "audit export": exported_audit(self.sandbox),
            "metrics": generate_latest().decode(),
        }

    def new_card(self, **changes: object) -> Card:
        """A request for a new group. Whatever the calls before it have done to the bot's identity is forgotten."""
        with self.context.store.write() as connection:
            connection.execute(delete(circuit_breakers))
        self.sandbox.oms.faults.clear()
        return Card(self.sandbox, self.context, **changes)


@contextmanager
def logging_everything(sandbox: Sandbox) -> Iterator[None]:
    """Writes the log of this process to the log of the sandbox, with tracebacks."""
    handler = logging.FileHandler(sandbox.log_path)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    url = None
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        url = server.new_database()
    sandbox = Sandbox(database_url=url)
    try:
        sandbox.slack.api.enforces_rate_limits = False
        calls = record_calls(sandbox.slack)
        sandbox.open()
        with logging_everything(sandbox), context_of(sandbox) as context:
            yield Place(sandbox, context, calls)
    finally:
        sandbox.close()


def body(code: str, message: str = "Invalid request.", **more: str) -> bytes:
    return json.dumps({"error_code": code, "error_msg": message, **more}).encode()


def split(code: str, leak: str) -> Raw:
    third = len(leak) // 3 + 1
    first, second, last = leak[:third], leak[third : 2 * third], leak[2 * third :]
    return Raw(400, body(first, second, request_id=last))


#: The answers in which OMS, its gateway and proxies can repeat a key. Each takes an error code and the written key.
ANSWERS: Mapping[str, Callable[[str, str], Raw]] = {
    "code": lambda code, leak: Raw(400, body(leak)),
    "message": lambda code, leak: Raw(400, body(code, f"request parameter [src_sk] invalid: {leak}")),
    "detail": lambda code, leak: Raw(403, body(code, error_detail=f"ak:{leak},err:ak not exist")),
    "request id": lambda code, leak: Raw(400, body(code, request_id=leak)),
    "header": lambda code, leak: Raw(400, body(code), {"X-Request-Id": leak.replace("\n", "")}),
    "nested": lambda code, leak: Raw(503, json.dumps({"error": {"code": code, "message": leak}}).encode()),
    "unknown field": lambda code, leak: Raw(429, body(code, request=leak)),
    "several fields": split,
    "page": lambda code, leak: Raw(502, f"<html><p>{leak}</p></html>".encode(), {"Content-Type": "text/html"}),
    "accepted": lambda code, leak: Raw(200, leak.encode(), {"X-Request-Id": leak.replace("\n", "")}),
}
FIELDS = ("src_ak", "src_sk", "dst_ak", "dst_sk")
#: The texts before a key in the reason of a failed group.
REASONS = ("secret: ", "Bearer ", "sig=", "api_key=", "ak:", "Signature=", "password=")


def repeating(code: str, field: str, write: Write, answer: str) -> Echo:
    """Repeats a field of the call, written in this way, in one of `ANSWERS`."""
    return Echo(lambda content: ANSWERS[answer](code, write(json.loads(content)[field])))


def repeating_password(code: str, http_status: int, write: Write) -> Echo:
    """Repeats the password of a login, written in this way."""

    def answer(content: bytes) -> Raw:
        password = json.loads(content)["auth"]["identity"]["password"]["user"]["password"]
        return Raw(http_status, body(code, f"wrong password: {write(password)}"), {"X-IAM-Trace-Id": "trace-1"})

    return Echo(answer)


@pytest.mark.long
def test_no_answer_to_start_or_retry_leaves_a_key_in_any_place(place: Place) -> None:
    # Every writing and every answer on both databases, and each error code on one of them.
    codes = (*OMS, *APIG, *TRF)[place.context.store.is_sqlite :: 2]
    cases = zip(codes, itertools.cycle(WRITINGS.values()), itertools.cycle(ANSWERS), strict=False)
    reasons = itertools.cycle(REASONS)
    withheld = 0
    for number, (code, write, answer) in enumerate(cases):
        retries = code.startswith("TRF.") or number % 3 == 0
        card = place.new_card(**({"verb": Verb.RETRY, "scope": Scope.ALL_OBJECTS} if retries else {}))
        if retries:
            group = card.sandbox.oms.state.groups[card.request.group.group_id]
            group.status = MIGRATION_FAILED
            group.error = (code, f"access failed, {next(reasons)}{list(SENT_KEYS.values())[number % 4]}")
        place.sandbox.oms.faults.add(
            "retry" if retries else "start", repeating(code, FIELDS[number % 4], write, answer)
        )
        withheld += KEY_REPEATED in card.approve()
        assert len(card.puts()) == 1, "OMS was sent the key"
    assert withheld > len(codes) / 2
    assert find_leaks(place.texts()) == []


def test_no_reason_of_a_failed_group_leaves_a_key_in_any_place(place: Place) -> None:
    for before in REASONS:
        card = place.new_card()
        card.approve()
        group = card.sandbox.oms.state.groups[card.request.group.group_id]
        group.pending_changes.clear()
        group.status = MONITORING
        card.after(3)
        keys = ", ".join(f"{before}{key}" for key in SENT_KEYS.values())
        group.status, group.error = MIGRATION_FAILED, ("TRF.0151", f"access failed ({keys})")
        assert "access failed" in card.after(6)
        assert card.stands() is State.FAILED
    assert find_leaks(place.texts()) == []


def test_no_answer_to_a_login_leaves_a_password_in_any_place(place: Place) -> None:
    place.sandbox.vault.write("oms/media/caller", CALLERS["password"])
    try:
        for (code, status), write in zip(itertools.cycle(IAM_STATUS.items()), WRITINGS.values(), strict=False):
            card = place.new_card()
            place.sandbox.oms.faults.add("token", *[repeating_password(code, status, write)] * 3)
            card.approve()
            assert card.puts() == []
    finally:
        place.sandbox.vault.write("oms/media/caller", CALLERS["access key"])
        place.context.identity.allow_retry("media")
    assert find_leaks(place.texts()) == []


def test_no_bug_leaves_a_key_in_any_place(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(oms: Oms, group_id: str, content: bytes) -> Accepted:
        raise RuntimeError(content.decode())

    monkeypatch.setattr(Oms, "start", fail)
    card = place.new_card()
    card.approve()
    assert card.stands() is State.UNKNOWN
    texts = place.texts()
    assert "RuntimeError" in texts["log"]
    assert find_leaks(texts) == []


PLANTED = Counter("planted", "Where the tests plant keys", ["text"])
RANDOM = Random(13)
#: A key for each writing.
PLANTED_KEYS = {
    writing: "".join(RANDOM.choices(string.ascii_letters + string.digits + "+/", k=40)) for writing in WRITINGS
}


@given(
    st.text(string.ascii_letters + string.digits + "+/", min_size=40, max_size=40),
    st.sampled_from(sorted(WRITINGS)),
    st.text("abc =:/\n", max_size=30),
)
def test_the_search_finds_a_random_key_behind_any_text(key: str, writing: str, before: str) -> None:
    assume(sum(map(str.isalnum, key)) > 36)
    assert find_leaks({"text": before + WRITINGS[writing](key)}, {"key": key}) == ["text: key"]


@pytest.fixture(scope="module")
def found(place: Place) -> list[str]:
    """What the search finds after a key in each writing was planted in each place."""
    log = logging.getLogger("bot.planted")
    for writing, key in PLANTED_KEYS.items():
        text = WRITINGS[writing](key)
        try:
            raise ValueError(text)
        except ValueError:
            log.exception("the answer can't be read")
        ts = place.context.messenger.post(MIGRATIONS, SlackMessage(f"```{text}```"))
        place.context.messenger.direct(ALICE, text)
        place.context.messenger.update(MIGRATIONS, ts, SlackMessage("This text is corrected."))
        PLANTED.labels(text)
        with place.context.store.write() as connection:
            now = place.context.now()
            append(connection, Event(AuditEvent.PUT_UNANSWERED, BOT, None, {"message": text}), now)
            add_notice(connection, Notice(Delivery.DIRECT, ALICE, text), now)
    texts = place.texts()
    PLANTED.clear()
    return find_leaks(texts, PLANTED_KEYS)


@pytest.mark.parametrize("writing", WRITINGS)
def test_the_search_finds_a_leak_of_each_writing_in_each_place(found: list[str], place: Place, writing: str) -> None:
    places = ["log", "calls to Slack", "Slack", "rows", "audit export", "metrics"]
    if place.context.store.is_sqlite:
        places.append("files of the database")
    assert {f"{one}: {writing}" for one in places} <= set(found)

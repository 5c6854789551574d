"""OMS or Vault cannot be reached: the card says which and what to do, and the request goes on when they are back.

Each test has a request for a group of its own, approved by carol and processed in the test.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.domain.request import State
from bot.huawei import http, oms
from bot.jobs.context import Context
from bot.sandbox.huawei.faults import Answer
from bot.sandbox.huawei.group import PAUSED, PAUSING
from bot.sandbox.slack.ids import ALICE
from bot.sandbox.system import Sandbox
from bot.store import tables
from bot.store.inbox import Kind
from bot.ui.formatting import local_time
from tests.support.card import Card
from tests.support.in_process import context_of, press_button
from tests.support.sandbox import button_ids, key_reads
from tests.support.tls import serving_tls
from tests.support.wire import Wire, answer_of

DATABASES = itertools.count(1)
CHECK_ADDRESS = "Check the bot's network. Check region and oms_url in bot.toml."


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    try:
        yield sandbox.open()
    finally:
        sandbox.close()


@pytest.fixture
def bot(sandbox: Sandbox) -> Iterator[Callable[..., Context]]:
    """Builds a bot that calls OMS and Vault at these addresses."""
    toml = sandbox.directory / "bot.toml"
    before = toml.read_text(encoding="utf-8")
    with ExitStack() as stack:

        def build(oms: str | None = None, vault: str | None = None) -> Context:
            addressed = before.replace(
                f'oms_url = "{sandbox.oms.server.url}"', f'oms_url = "{oms or sandbox.oms.server.url}"'
            )
            toml.write_text(addressed, encoding="utf-8")
            sandbox.extra_environment = {
                "DATABASE_URL": f"sqlite:///{sandbox.directory / f'{next(DATABASES)}.sqlite'}",
                "VAULT_ADDR": vault or sandbox.vault.url,
            }
            return stack.enter_context(context_of(sandbox))

        yield build
    toml.write_text(before, encoding="utf-8")
    sandbox.extra_environment = {}
    sandbox.oms.faults.clear()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oms, "Timeouts", lambda: http.Timeouts(0.3, 5))


def retried(card: Card) -> str:
    """Alice presses Retry. Returns the text of the card afterwards."""
    card.request = press_button(card.context, Kind.RETRY, ALICE, card.request, card.posted)
    return card.after(1)


def check_unreachable(card: Card, address: str, why: str, next_step: str = CHECK_ADDRESS) -> None:
    """Approves, and checks that the bot goes on trying. No key is read, and nothing is sent."""
    reads = len(key_reads(card.sandbox))
    text = card.approve()
    for tries in range(5):
        assert_waits(card, text, f"The bot couldn't reach OMS at {address} ({why}). Nothing was started.")
        assert "Side: the bot or its settings" in text
        assert f"{next_step} The bot retries" in text
        text = card.after(40 * (tries + 1))
    assert card.puts() == []
    assert len(key_reads(card.sandbox)) == reads


def assert_waits(card: Card, text: str, words: str) -> None:
    """Asserts that the card says what the approved request waits for and until when, and that it can be canceled."""
    assert card.stands() is State.APPROVED
    assert "Approved, not started yet" in text
    assert words in text
    until = local_time(card.request.approval_valid_until)
    assert f"The bot retries automatically until {until}." in text
    assert button_ids(card.posted) == ["cancel"]


def test_an_oms_that_refuses_the_connection(sandbox: Sandbox, bot: Callable[..., Context]) -> None:
    wire = Wire(sandbox.oms.server.url)
    wire.cut()
    card = Card(sandbox, bot(wire.url))
    check_unreachable(card, wire.url, "no connection")
    wire.mend()
    assert "Accepted by OMS" in card.after(300), "without a click"
    assert card.puts() == [200]
    wire.cut()


def test_an_oms_whose_name_is_not_found(sandbox: Sandbox, bot: Callable[..., Context]) -> None:
    # RFC 6761: names under `.invalid` never resolve, and resolvers do not send the query on.
    address = "https://oms.nowhere.invalid"
    check_unreachable(Card(sandbox, bot(address)), address, "no connection")


def test_an_oms_that_accepts_no_connection(sandbox: Sandbox, bot: Callable[..., Context], quick: None) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for _ in range(4):
            one = stack.enter_context(closing(socket.socket()))
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        check_unreachable(Card(sandbox, bot(address)), address, "no connection in time")


def test_an_oms_whose_certificate_is_not_trusted(sandbox: Sandbox, bot: Callable[..., Context], tmp_path: Path) -> None:
    with serving_tls(tmp_path) as served:
        next_step = "Set ca under [network] in bot.toml to the CA certificate that signed it."
        check_unreachable(Card(sandbox, bot(served.url)), served.url, "the TLS certificate is not trusted", next_step)
        assert served.received == []


def test_a_put_that_alone_could_not_connect_is_sent_once_later(sandbox: Sandbox, bot: Callable[..., Context]) -> None:
    wire = Wire(sandbox.oms.server.url)
    wire.left = 1  # the look before the PUT
    card = Card(sandbox, bot(wire.url))
    text = card.approve()
    assert wire.carried == 1
    assert card.stands() is State.APPROVED
    assert "no connection" in text
    assert card.puts() == []
    wire.mend()
    assert "Accepted by OMS" in card.after(6)
    assert card.puts() == [200]
    assert card.request.attempt is not None
    assert (card.request.attempt.number, card.request.attempt.tries) == (1, 1)
    wire.cut()


@pytest.mark.parametrize("has_called", [False, True], ids=["before the first call", "after a call"])
def test_a_vault_that_is_down(sandbox: Sandbox, bot: Callable[..., Context], has_called: bool) -> None:
    wire = Wire(sandbox.vault.url)
    card = Card(sandbox, bot(vault=wire.url))
    if has_called:
        card.context.identity.call("media", lambda oms: oms.show(card.request.group.group_id))
    wire.cut()
    text = card.approve()
    assert_waits(card, text, f"Vault doesn't answer at {wire.url}. Nothing was started.")
    assert "Side: Vault" in text
    assert "Check that Vault is running and VAULT_ADDR is correct." in text
    assert_waits(card, card.after(3), "Vault doesn't answer")
    assert card.puts() == []
    wire.mend()
    assert "Accepted by OMS" in card.after(40), "without a click"
    assert card.puts() == [200]
    wire.cut()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answer_of(503, b'{"errors": ["Vault is sealed"]}'), "Vault is sealed. Nothing was started."),
        (answer_of(500, b'{"errors": ["local node not active but active cluster node not found"]}'), "has no leader"),
        (answer_of(503), "is unavailable (HTTP 503). Nothing was started."),
        (answer_of(429), "is throttling calls (HTTP 429). Nothing was started."),
        (answer_of(412), "hasn't replicated the bot's login yet (HTTP 412). Nothing was started."),
        (
            answer_of(307, b"", Location="http://vault-2.example.com/v1/x"),
            "that redirects to http://vault-2.example.com",
        ),
    ],
)
def test_a_vault_that_cannot_serve_calls_now_is_waited_for(
    sandbox: Sandbox, bot: Callable[..., Context], answer: bytes, words: str
) -> None:
    wire = Wire(sandbox.vault.url)
    card = Card(sandbox, bot(vault=wire.url))
    wire.answers = [answer] * 4
    assert_waits(card, card.approve(), words)
    assert_waits(card, card.after(3), words)
    assert (len(wire.answered), card.puts()) == (4, [])
    assert "Accepted by OMS" in card.after(40)
    assert card.puts() == [200]
    wire.cut()


def test_an_outage_of_vault_is_told_to_the_requester_once(sandbox: Sandbox, bot: Callable[..., Context]) -> None:
    wire = Wire(sandbox.vault.url)
    wire.cut()
    card = Card(sandbox, bot(vault=wire.url))
    card.approve()
    for tries in range(4):
        card.after(40 * (tries + 1))
    with card.context.store.read() as connection:
        query = select(tables.notices.c.text).where(tables.notices.c.request_id == card.request.id)
        lines = [text for text in connection.execute(query).scalars() if "isn't started yet" in text]
    assert len(lines) == 1
    assert lines[0].startswith(f"<@{ALICE}>, ")
    assert "The bot retries automatically until" in lines[0]


def test_an_outage_of_vault_does_not_update_the_card_at_each_try(sandbox: Sandbox, bot: Callable[..., Context]) -> None:
    wire = Wire(sandbox.vault.url)
    card = Card(sandbox, bot(vault=wire.url))
    wire.cut()
    card.approve()
    version = card.request.version
    for tries in range(1, 4):
        card.after(40 * tries)
        assert card.request.attempt is not None
        assert (card.request.attempt.tries, card.request.version) == (tries + 1, version)


@pytest.mark.parametrize("code", [429, 503])
def test_an_outage_of_oms_does_not_update_the_card_at_each_try(
    sandbox: Sandbox, bot: Callable[..., Context], code: int
) -> None:
    """OMS answers each try with another request id, and often with another message."""
    card = Card(sandbox, bot())
    sandbox.oms.faults.add("show", *[Answer(code, "APIG.0308", f"call {number} refused") for number in range(4)])
    card.approve()
    version, problem = card.request.version, card.request.problem
    for tries in range(1, 4):
        assert "call 0 refused" in card.after(40 * tries)
        assert card.request.problem == problem, "the row has the problem that the card shows"
        assert card.request.attempt is not None
        assert (card.request.attempt.tries, card.request.version) == (tries + 1, version)
    assert "Accepted by OMS" in card.after(200)


def test_a_group_that_pauses_for_long_does_not_update_the_card_at_each_look(
    sandbox: Sandbox, bot: Callable[..., Context]
) -> None:
    card = Card(sandbox, bot())
    group = sandbox.oms.state.groups[card.request.group.group_id]
    group.status = PAUSING
    card.approve()
    version = card.request.version
    for looks in range(1, 4):
        card.after(15 * looks)
        assert (card.stands(), card.request.version) == (State.APPROVED, version)
    group.status = PAUSED
    assert "Accepted by OMS" in card.after(60)
    assert card.puts() == [200]


def test_a_request_that_waits_for_vault_can_be_canceled(sandbox: Sandbox, bot: Callable[..., Context]) -> None:
    wire = Wire(sandbox.vault.url)
    card = Card(sandbox, bot(vault=wire.url))
    wire.cut()
    card.approve()
    card.request = press_button(card.context, Kind.CANCEL, ALICE, card.request, card.posted)
    assert card.stands() is State.CANCELLED
    wire.mend()
    card.after(40)
    assert (card.stands(), card.puts()) == (State.CANCELLED, [])
    wire.cut()


def test_a_request_that_waits_for_vault_ends_with_its_approval(sandbox: Sandbox, bot: Callable[..., Context]) -> None:
    wire = Wire(sandbox.vault.url)
    card = Card(sandbox, bot(vault=wire.url))
    wire.cut()
    card.approve()
    wire.mend()
    left = card.request.approval_valid_until - card.context.now()
    card.after(int(left.total_seconds()) + 1)
    assert (card.stands(), card.puts()) == (State.APPROVAL_EXPIRED, [])
    wire.cut()


@pytest.mark.parametrize("path", ["oms/media/source", "oms/media/caller"])
def test_a_vault_that_forbids_a_path(sandbox: Sandbox, bot: Callable[..., Context], path: str) -> None:
    root = sandbox.vault.as_root()
    policy = root.sys.read_policy("bot")["data"]["rules"]
    card = Card(sandbox, bot())
    root.sys.create_or_update_policy("bot", policy + f'\npath "secret/data/{path}" {{\n  capabilities = ["deny"]\n}}\n')
    try:
        text = card.approve()
    finally:
        root.sys.create_or_update_policy("bot", policy)
    assert card.stands() is State.NOT_STARTED
    for words in (
        f"Vault doesn't allow the bot to read secret/{path}. Nothing was started.",
        "Side: Vault",
        "Allow this path in the bot's Vault policy. Then press Retry.",
    ):
        assert words in text
    assert button_ids(card.posted) == ["retry", "cancel"]
    assert card.puts() == []
    assert "Accepted by OMS" in retried(card), "and the approval holds"

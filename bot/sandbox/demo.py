"""The demo of `--play`: a paused group is requested, approved, resumed and followed to its end. Each step is checked.

A step that fails ends the demo with exit code 1 and its name.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import click

from bot.sandbox.call_log import Call
from bot.sandbox.huawei.example_groups import NIGHTLY_IMAGES
from bot.sandbox.slack.ids import ALICE, APPROVERS_GROUP, BOB, CAROL, MIGRATIONS
from bot.sandbox.slack.workspace import PostedMessage
from bot.sandbox.system import Sandbox

T = TypeVar("T")

DATE = re.compile(r"<!date\^\d+\^[^|]*\|([^>]*)>")


class StepFailed(Exception):
    """A step of the demo did not happen in time, or a check failed. The message names it."""


def run_demo(sandbox: Sandbox) -> int:
    """Runs the demo in an open sandbox with a bot. Returns the exit code."""
    try:
        _Demo(sandbox).run()
    except StepFailed as step:
        click.echo(f"\nFailed: {step}")
        exit_code = sandbox.bot_exit_code
        if exit_code is not None:
            click.echo(f"The bot has ended (exit {exit_code}). The end of its log:\n{sandbox.end_of_log()}")
        return 1
    click.echo("\nAll steps passed.")
    return 0


class _Demo:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._started_at = time.monotonic()

    def run(self) -> None:
        """
        Raises:
            StepFailed: a step did not happen in time, or a check failed.
        """
        card = self._request()
        self._reject_bob(card)
        self._approve(card)
        self._follow(card)

    def _request(self) -> PostedMessage:
        self._title("alice types")
        self._line(f"/resume-taskgroup {NIGHTLY_IMAGES} network is back")
        ack = self._sandbox.people.type(ALICE, f"{NIGHTLY_IMAGES} network is back")
        _check(ack.failure is None, "the command was acknowledged")
        card = self._wait("the card", lambda: self._sandbox.workspace.messages_in(MIGRATIONS)[0])
        self._title("The card in #migrations")
        self._show(card)
        _check(not self._put_calls(), "nothing was started before the approval")
        _check(not self._key_reads(), "no source or destination key was read before the approval")
        return card

    def _reject_bob(self, card: PostedMessage) -> None:
        self._title("bob, who is not an approver, presses Approve")
        self._sandbox.people.press(BOB, card, "approve")
        reply = self._wait("the reply to bob", lambda: self._sandbox.workspace.private_texts(BOB)[0])
        self._line(f"only bob sees: {self._plain(reply)}")
        _check(not self._put_calls(), "bob's press started nothing")

    def _approve(self, card: PostedMessage) -> None:
        call_log = self._sandbox.call_log
        self._title("carol presses Approve")
        calls_before = len(call_log.since())
        self._sandbox.people.press(CAROL, card, "approve")
        start = self._wait("the call to start the group", lambda: self._put_calls()[0])
        self._wait("the outcome on the card", lambda: any(word in card.text.lower() for word in ("accepted", "moving")))
        for call in call_log.since(calls_before):
            if call.service in ("vault", "oms"):
                self._line(f"{call.service:5} {call.method:4} {call.path}  {call.status} {call.note}".rstrip())
            if call.number >= start.number:
                break
        _check(len(self._key_reads()) == 2, "the keys of source and destination were read, once each")
        is_revoked = any("revoke-self" in call.path for call in call_log.since(calls_before))
        _check(is_revoked, "the Vault token was revoked")
        _check(start.status == 200, "OMS accepted the call")

    def _follow(self, card: PostedMessage) -> None:
        self._title("The card")
        self._show(card)
        self._wait("the migration to move", lambda: "moving" in card.text, 30)
        self._title("The card, as the migration moves")
        self._show(card)
        self._print_progress(card)
        self._title("The card at the end")
        self._show(card)
        self._title("Its thread")
        self._wait("the end in the thread", lambda: any("is done" in reply.text for reply in self._thread(card)))
        for reply in self._thread(card):
            self._line(self._plain(reply.text))
        _check(len(self._put_calls()) == 1, "exactly one call to start the group was sent")
        _check(len(self._sandbox.workspace.messages_in(MIGRATIONS)) == 1, "the channel holds one card")

    def _print_progress(self, card: PostedMessage) -> None:
        """Prints each new percentage from OMS, until the card says that the migration is done."""
        click.echo("    Percent done, from OMS:", nl=False)
        state = self._sandbox.oms.state
        group = state.groups[NIGHTLY_IMAGES]
        printed = -1

        def is_done() -> bool:
            nonlocal printed
            state.show(group.id)
            percentage = 100 * group.complete_bytes // group.total_bytes
            if percentage != printed:
                click.echo(f" {percentage}", nl=False)
                printed = percentage
            return " is done" in card.text

        self._wait("the migration to be done", is_done, 120)
        click.echo()

    def _thread(self, card: PostedMessage) -> list[PostedMessage]:
        return self._sandbox.workspace.messages_in(card.channel, card.ts)

    def _put_calls(self) -> list[Call]:
        return [call for call in self._sandbox.call_log.since() if call.service == "oms" and call.method == "PUT"]

    def _key_reads(self) -> list[Call]:
        reads = (call for call in self._sandbox.call_log.since() if call.service == "vault" and "/data/" in call.path)
        return [call for call in reads if not call.path.endswith("/caller")]

    def _wait(self, what: str, find: Callable[[], T], timeout_seconds: float = 15) -> T:
        """Calls `find` until its result is true, and returns it. An IndexError counts as false.

        Raises:
            StepFailed: this did not happen in time, or the bot has ended.
        """
        pause = threading.Event()
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                found: T | None = find()
            except IndexError:
                found = None
            if found:
                return found
            if time.monotonic() > deadline or self._sandbox.bot_exit_code is not None:
                raise StepFailed(what)
            pause.wait(0.02)

    def _title(self, text: str) -> None:
        click.echo(f"\n[{time.monotonic() - self._started_at:5.1f} s] {text}")

    def _line(self, text: str) -> None:
        click.echo(f"    {text}")

    def _show(self, card: PostedMessage) -> None:
        for block in card.blocks:
            texts = [block.get("text"), *(block.get("fields") or []), *(block.get("elements") or [])]
            for text in texts:
                if not isinstance(text, dict):
                    continue
                if text.get("type") == "button":
                    self._line(f"[{text['text']['text']}]")
                else:
                    self._line(self._plain(text["text"]).replace("\n", "  "))

    def _plain(self, text: str) -> str:
        """The text as a console can show it: names instead of ids, and no mrkdwn."""
        for user_id, user in self._sandbox.workspace.users.items():
            text = text.replace(f"<@{user_id}>", f"@{user['name']}")
        text = text.replace(f"<!subteam^{APPROVERS_GROUP}>", "@migration-leads")
        text = re.sub(r"<https?://[^|>]+\|([^>]*)>", r"\1", DATE.sub(r"\1", text))
        return re.sub(r"[*`​]", "", text).replace(":warning: ", "")


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise StepFailed(what)
    click.echo(f"    checked: {what}")

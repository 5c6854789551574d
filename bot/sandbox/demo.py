"""The story of `--play`: one paused group, asked for, approved, resumed, followed to its end; each part checked.

A part that does not happen ends the story with exit code 1 and says which it was.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import click

from bot.sandbox.call_log import Call
from bot.sandbox.oms_state import NIGHTLY_IMAGES
from bot.sandbox.slack import workspace as w
from bot.sandbox.slack.workspace import Posted
from bot.sandbox.system import Sandbox

T = TypeVar("T")

DATE = re.compile(r"<!date\^\d+\^[^|]*\|([^>]*)>")


class StepFailed(Exception):
    """A part of the story that was waited for and did not come."""


def run_demo(sandbox: Sandbox) -> int:
    """Plays it on a town with a bot in it; the exit code."""
    try:
        _Story(sandbox).tell()
    except StepFailed as missing:
        click.echo(f"\nDid not happen: {missing}")
        if sandbox.bot_exit is not None:
            click.echo(f"The bot has ended (exit {sandbox.bot_exit}). The end of its log:\n{sandbox.end_of_log()}")
        return 1
    click.echo("\nAll of it happened.")
    return 0


class _Story:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._begun = time.monotonic()

    def tell(self) -> None:
        sandbox, people = self._sandbox, self._sandbox.people
        self._title("alice types")
        self._line(f"/resume-taskgroup {NIGHTLY_IMAGES} network is back")
        ack = people.type(w.ALICE, f"{NIGHTLY_IMAGES} network is back")
        _must(ack.failure is None, "the command was acknowledged")
        card = self._wait("the card", lambda: sandbox.workspace.of(w.MIGRATIONS)[0])
        self._title("The card in #migrations")
        self._show(card)
        _must(not self._starts(), "nothing was started before the approval")
        _must(not self._reads(), "no source or destination key was read before the approval")

        self._title("bob, who may not, presses Approve")
        people.press(w.BOB, card, "approve")
        self._wait("bob was told why not", lambda: sandbox.workspace.told(w.BOB)[0])
        self._line(f"only bob sees: {self._plain(sandbox.workspace.told(w.BOB)[0])}")
        _must(not self._starts(), "bob's press started nothing")

        self._title("carol presses Approve")
        seen = len(sandbox.call_log.since())
        people.press(w.CAROL, card, "approve")
        start = self._wait("the call to start", lambda: self._starts()[0])
        self._wait("the answer on the card", lambda: _has(card, "Accepted") or _has(card, "moving"))
        for call in sandbox.call_log.since(seen):
            if call.service in ("vault", "oms"):
                self._call(call)
            if call.number >= start.number:
                break
        _must(len(self._reads()) == 2, "the keys of source and destination were read, once each")
        _must(
            any("revoke-self" in call.path for call in sandbox.call_log.since(seen)), "the Vault token was given back"
        )
        _must(start.status == 200, "OMS accepted the call")
        self._title("The card")
        self._show(card)
        self._wait("the migration moves", lambda: _has(card, "moving"), 30)
        self._title("The card, as the migration moves")
        self._show(card)
        self._follow(card)
        self._title("The card at the end")
        self._show(card)
        self._title("Its thread")
        self._wait("the thread tells of the end", lambda: any("Done" in one.text for one in self._thread(card)))
        for reply in self._thread(card):
            self._line(self._plain(reply.text))
        _must(len(self._starts()) == 1, "exactly one call to start was sent")
        _must(len(sandbox.workspace.of(w.MIGRATIONS)) == 1, "the channel holds one card")

    def _follow(self, card: Posted) -> None:
        """Prints every new percentage, as OMS counts, until the card says that it is done."""
        click.echo("    Per cent, as OMS counts:", nl=False)
        group = self._sandbox.world.groups[NIGHTLY_IMAGES]
        told = -1

        def is_done() -> bool:
            nonlocal told
            self._sandbox.world.show(group.id)
            percentage = 100 * group.complete_bytes // group.total_bytes
            if percentage != told:
                click.echo(f" {percentage}", nl=False)
                told = percentage
            return card.text.startswith("Done")

        self._wait("the migration is done", is_done, 120)
        click.echo()

    def _thread(self, card: Posted) -> list[Posted]:
        return self._sandbox.workspace.of(card.channel, card.ts)

    def _starts(self) -> list[Call]:
        return [c for c in self._sandbox.call_log.since() if c.service == "oms" and c.method == "PUT"]

    def _reads(self) -> list[Call]:
        found = (c for c in self._sandbox.call_log.since() if c.service == "vault" and "/data/" in c.path)
        return [call for call in found if not call.path.endswith("/caller")]

    def _wait(self, what: str, holds: Callable[[], T], timeout_seconds: float = 15) -> T:
        """
        Raises:
            DidNotHappen: it did not come to hold in time, or the bot has ended.
        """
        never = threading.Event()
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                found: T | None = holds()
            except IndexError:
                found = None
            if found:
                return found
            if time.monotonic() > deadline or self._sandbox.bot_exit is not None:
                raise StepFailed(what)
            never.wait(0.02)

    def _title(self, text: str) -> None:
        click.echo(f"\n[{time.monotonic() - self._begun:5.1f} s] {text}")

    def _line(self, text: str) -> None:
        click.echo(f"    {text}")

    def _call(self, call: Call) -> None:
        self._line(f"{call.service:5} {call.method:4} {call.path}  {call.status} {call.note}".rstrip())

    def _show(self, card: Posted) -> None:
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
        for user_id, user in self._sandbox.workspace.users.items():
            text = text.replace(f"<@{user_id}>", f"@{user['name']}")
        text = text.replace(f"<!subteam^{w.APPROVERS_GROUP}>", "@migration-leads")
        text = re.sub(r"<https?://[^|>]+\|([^>]*)>", r"\1", DATE.sub(r"\1", text))
        return re.sub(r"[*`​]", "", text).replace(":warning: ", "")


def _has(card: Posted, words: str) -> bool:
    return words in card.text


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise StepFailed(what)
    click.echo(f"    checked: {what}")

"""One request of a soak: what its people can do, and what must follow. Which kinds there are is in `kinds`.

People repeat what Slack could not deliver and what the bot refused at once. Anything else that makes them repeat
something is a violation. Each request has people of its own, so that every reply belongs to one request.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import partial

from bot.domain.audit_events import LOOKUP_FAILED_REASON, AuditEvent
from bot.domain.policy import Refusal
from bot.domain.request import Request, State
from bot.sandbox.huawei.group import Group
from bot.sandbox.slack.ids import APPROVERS_GROUP, CAROL
from bot.sandbox.slack.server import Ack
from bot.sandbox.system import Sandbox
from bot.store.inbox import DISCARDED
from bot.ui.replies import CLICK_NOT_STORED, COMMAND_NOT_STORED
from tests.soak.truth import Truth
from tests.support.sandbox import view_text

# Far longer than anything takes on a slow machine. What has not happened by then does not happen.
_AT_LAST_SECONDS = 240.0
# How long a person looks at the place of a refusal before they take a click for accepted.
_REFUSAL_SECONDS = 10.0
_FORM_SECONDS = 8.0
_POLL_SECONDS = 0.1
_PASSING = (LOOKUP_FAILED_REASON, Refusal.GROUPS_UNKNOWN.value)
#: A click was refused, and the reply of the bot that says so did not reach Slack.
REFUSAL_LOST = "refused, and the refusal lost with Slack"
WRONG_SK = "sandbox-wrong-secret-key-00000000000000001"


class Violation(Exception):
    """A promise that the bot did not keep. The message names it."""


@dataclass
class Tally:
    """What happened to the clicks, commands and forms of all people together, and which promises were broken."""

    counts: Counter[str]
    violations: list[str]
    refused_keys: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1

    def violate(self, text: str) -> None:
        with self._lock:
            self.violations.append(text)

    def refuse(self, key: str) -> None:
        with self._lock:
            self.counts["refused at once"] += 1
            self.refused_keys.append(key)


@dataclass(frozen=True)
class World:
    """What all stories share.

    Arguments:
        allows_answer: whether an answer that asks for another try is allowed, because the fault lasts for long.
        is_over: set when the stories have had enough time.
    """

    sandbox: Sandbox
    truth: Truth
    tally: Tally
    allows_answer: Callable[[], bool]
    is_over: threading.Event = field(default_factory=threading.Event)


class Story:
    """One request and its three people: a requester and two approvers.

    Arguments:
        project: the project whose OMS has the group.
    """

    def __init__(self, world: World, number: int, project: str, group: Group) -> None:
        self.world = world
        self.number = number
        self.group = group
        self.oms = world.sandbox.oms_by_project[project].state
        self.oms.groups[group.id] = group
        self.people = tuple(f"U0SOAK{role}{number:04d}" for role in "RAB")
        self.requester, self.approver, self.second = self.people
        workspace = world.sandbox.workspace
        for person in self.people:
            workspace.users[person] = workspace.users[CAROL] | {"id": person, "name": person.lower()}
        workspace.groups[APPROVERS_GROUP] += [self.approver, self.second]

    # What people do

    def type(self, more: Callable[[], str] = str) -> None:
        """The requester types the command until there is a request.

        Arguments:
            more: what follows the group id.
        """
        while self._found() is None:
            self._type_once(more())

    def _type_once(self, more: str) -> None:
        key, text = self._new_key(self.requester), f"{self.group.id} {more}".strip()
        ack = self._send(partial(self.world.sandbox.people.type, self.requester, text, trigger_id=key))
        is_refused = isinstance(ack.payload, dict) and ack.payload.get("text") == COMMAND_NOT_STORED
        self._after(ack, key, lambda: is_refused, "command", lambda: self._found() is not None)

    def request_by_form(self) -> None:
        """The requester opens the request form with the command alone, and submits it until there is a request."""
        people = self.world.sandbox.people
        while self._found() is None:
            view = self._open_form(self.requester, "group", lambda: people.type(self.requester, ""))
            values = {"group": self.group.id, "reason": "by form"}
            self._submit(self.requester, view, values, lambda: self._found() is not None)

    def press(self, person: str, action_id: str, took_effect: Callable[[Request], bool]) -> None:
        """A person presses a button on the card until the press has had its effect."""
        while not took_effect(self.request()):
            self._press_once(person, action_id, lambda: took_effect(self.request()))

    def _press_once(self, person: str, action_id: str, took_effect: Callable[[], bool]) -> None:
        posted = self.world.truth.posted(self.request())
        key, refusals = self._new_key(person), self._refusals(person)
        try:
            if posted is None:
                raise LookupError("there is no card yet")
            press = partial(self.world.sandbox.people.press, person, copy(posted), action_id, trigger_id=key)
            ack = self._send(press)
        except LookupError:
            # The card does not show the button yet, or not any more.
            self._pause()
        else:
            self._after(ack, key, lambda: self._refusals(person) > refusals, action_id, took_effect)

    def approve(self, person: str) -> None:
        self.press(person, "approve", lambda request: request.state is not State.PENDING or has_voted(request, person))

    def deny(self, person: str) -> None:
        """A person opens the deny form and submits it until the request is denied."""
        people = self.world.sandbox.people
        while self.request().state is State.PENDING:
            posted = self.world.truth.posted(self.request())
            if posted is None:
                self._pause()
                continue
            try:
                view = self._open_form(person, "reason", partial(people.press, person, copy(posted), "deny"))
            except LookupError:
                self._pause()
                continue
            self._submit(person, view, {"reason": "not today"}, lambda: self.request().state is not State.PENDING)

    def pause(self, person: str) -> None:
        """A person presses Pause until the group is paused. Once is enough, whatever fails meanwhile."""
        while self.request().state is not State.PAUSED_AGAIN:
            self.press(person, "pause", lambda request: request.state not in (State.ACCEPTED, State.MOVING))
            self.waits_for("paused", lambda request: request.state is not State.PAUSING or request.pause is None)
            request = self.request()
            if request.state in (State.ACCEPTED, State.MOVING):
                failure = request.pause.failure if request.pause else None
                self.world.tally.count("pauses that failed")
                self.world.tally.violate(f"{self}: Pause had to be pressed again: {failure}")

    # What must follow

    def ends(self, state: State) -> None:
        """Waits for the end of the request, as `waits_for` does."""
        self.waits_for(state, lambda request: request.state is state)

    def waits_for(self, what: str, holds: Callable[[Request], bool]) -> None:
        """Waits until something is so of the request. People answer the question of a lost PUT by Retry.

        Raises:
            Violation: it is not so in time, or never can be.
        """
        deadline = time.monotonic() + _AT_LAST_SECONDS
        while not holds(request := self.request()):
            if request.state is State.NOT_STARTED:
                self._retry(request)
            elif not request.is_open or time.monotonic() > deadline:
                raise Violation(f"{self} is {request.state} instead of {what}: {request.problem}")
            self._pause()

    def request(self) -> Request:
        found = self._found()
        assert found is not None, "the command was acknowledged"
        return found

    def __str__(self) -> str:
        return f"request {self.number} ({self.group.description}, group {self.group.id})"

    def _found(self) -> Request | None:
        return self.world.truth.request(self.group.id)

    def _retry(self, request: Request) -> None:
        """Answers the question that follows a lost PUT. Anything else that stops a request is a violation."""
        attempt = request.attempt
        if attempt is None or not attempt.may_take_effect:
            self.world.tally.violate(f"{self} was stopped by a fault that passed: {request.problem}")
        else:
            self.world.tally.count("questions after a lost PUT")
        number = attempt.number if attempt else 0
        self.press(self.requester, "retry", lambda now: now.attempt is not None and now.attempt.number > number)

    def _open_form(self, person: str, block_id: str, act: Callable[[], Ack]) -> str:
        """Opens a form until the bot has filled it, and returns the id of the view. It changes nothing to try again."""
        sandbox = self.world.sandbox
        while True:
            before = sandbox.people.open_view_id(person)
            self._send(act)
            deadline = time.monotonic() + _FORM_SECONDS
            while time.monotonic() < deadline:
                view = sandbox.people.open_view_id(person)
                if view is not None and view != before and "One moment." not in view_text(sandbox, view):
                    if any(block.get("block_id") == block_id for block in sandbox.workspace.views[view].view["blocks"]):
                        return view
                    break
                self._pause()
            self.world.tally.count("forms opened again")

    def _submit(
        self, person: str, view: str, values: Mapping[str, str | None], took_effect: Callable[[], bool]
    ) -> None:
        ack = self._send(partial(self.world.sandbox.people.submit, person, view, values))
        answer = ack.payload if isinstance(ack.payload, dict) else {}
        self._after(ack, view, lambda: answer.get("response_action") == "errors", "form", took_effect)

    def _after(
        self, ack: Ack, key: str, is_refused: Callable[[], bool], what: str, took_effect: Callable[[], bool]
    ) -> None:
        """Waits for the effect of what a person did, or returns because it must be repeated."""
        tally, truth = self.world.tally, self.world.truth
        if ack.failure is not None:
            tally.count("not delivered by Slack")
            self._pause(1.0)
            return
        began = time.monotonic()
        answers = self._passing_answers()
        while not took_effect():
            row = truth.message(key)
            seconds = time.monotonic() - began
            if is_refused() or (row is not None and row.mark == DISCARDED):
                tally.refuse(key)
                self._pause(1.0)
                return
            if row is None and seconds > _REFUSAL_SECONDS:
                if what in ("command", "form"):
                    tally.violate(f"{self}: a {what} was acknowledged, and neither stored nor refused")
                tally.count(REFUSAL_LOST)
                return
            if self._passing_answers() > answers:
                tally.count("answered with 'try again' after 20 s")
                if not self.world.allows_answer():
                    told = [text for one in self.people for text in self.world.sandbox.workspace.private_texts(one)]
                    tally.violate(
                        f"{self}: an acknowledged {what} had to be repeated after {seconds:.0f} s: {told[-1:]}"
                    )
                return
            if seconds > _AT_LAST_SECONDS:
                refusals = [one.why for person in self.people for one in truth.refusals(person)]
                raise Violation(f"{self}: an acknowledged {what} had no effect, refusals: {refusals}")
            self._pause()
        tally.count("acknowledged")

    def _passing_answers(self) -> int:
        """How often the people of this request were asked to try again."""
        refusals = [one for person in self.people for one in self.world.truth.refusals(person)]
        return sum(one.event == AuditEvent.REQUEST_NOT_CREATED or one.why in _PASSING for one in refusals)

    def _refusals(self, person: str) -> int:
        return self.world.sandbox.workspace.private_texts(person).count(CLICK_NOT_STORED)

    def _send(self, act: Callable[[], Ack]) -> Ack:
        """Sends something to the bot. On a machine that is too slow for the simulated Slack, it is not delivered."""
        try:
            return act()
        except TimeoutError:
            return Ack(None, "no time")

    def _new_key(self, person: str) -> str:
        return self.world.sandbox.workspace.new_trigger(person)

    def _pause(self, seconds: float = _POLL_SECONDS) -> None:
        if self.world.is_over.wait(seconds):
            raise Violation(f"{self} has not ended")


def has_voted(request: Request, person: str) -> bool:
    return request.vote_progress is not None and person in request.vote_progress.people

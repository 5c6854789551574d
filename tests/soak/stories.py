"""The requests of a soak: what people do with each, from the command to its end, and how it must end.

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
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from bot.domain.audit_events import LOOKUP_FAILED_REASON, AuditEvent
from bot.domain.policy import Refusal
from bot.domain.request import Request, State
from bot.sandbox.huawei.credentials import SOURCE_AK, SOURCE_SK
from bot.sandbox.huawei.group import MIGRATION_FAILED, PAUSED, Group
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
# How long OMS shows the old status of a group that was started.
_STATUS_LAGS = (1, 8, 0, 4)
_PASSING = (LOOKUP_FAILED_REASON, Refusal.GROUPS_UNKNOWN.value)
#: A click was refused, and the reply of the bot that says so did not reach Slack.
REFUSAL_LOST = "refused, and the refusal lost with Slack"
WRONG_SK = "sandbox-wrong-secret-key-00000000000000001"


class Violation(Exception):
    """A promise that the bot did not keep. The message names it."""


@dataclass
class Tally:
    """What happened to the clicks, commands and forms of all people together, and which promises were broken."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
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
        allows_answer: whether an answer that asks for another try is allowed, because a fault lasts for long.
    """

    sandbox: Sandbox
    truth: Truth
    tally: Tally
    allows_answer: Callable[[], bool]


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
            key = self._new_key(self.requester)
            people = self.world.sandbox.people
            ack = people.type(self.requester, f"{self.group.id} {more()}".strip(), trigger_id=key)
            is_refused = isinstance(ack.payload, dict) and ack.payload.get("text") == COMMAND_NOT_STORED
            self._after(ack, key, lambda refused=is_refused: refused, "command", lambda: self._found() is not None)  # type: ignore[misc]

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
            posted = self.world.truth.posted(self.request())
            if posted is None:
                self._pause()
                continue
            key, refusals = self._new_key(person), self._refusals(person)
            try:
                ack = self.world.sandbox.people.press(person, copy(posted), action_id, trigger_id=key)
            except LookupError:
                # The card does not show the button yet, or not any more.
                self._pause()
                continue
            self._after(
                ack,
                key,
                lambda person=person, before=refusals: self._refusals(person) > before,  # type: ignore[misc]
                action_id,
                lambda: took_effect(self.request()),
            )

    def approve(self, person: str) -> None:
        self.press(person, "approve", lambda request: request.state is not State.PENDING or _voted(request, person))

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
            act()
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
        ack = self.world.sandbox.people.submit(person, view, values)
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

    def _new_key(self, person: str) -> str:
        return self.world.sandbox.workspace.new_trigger(person)

    def _pause(self, seconds: float = _POLL_SECONDS) -> None:
        time.sleep(seconds)


def _voted(request: Request, person: str) -> bool:
    return request.vote_progress is not None and person in request.vote_progress.people


# The kinds of requests, each with its group and what people do


def approved(story: Story) -> None:
    story.type(lambda: "network is back")
    story.approve(story.approver)
    story.ends(State.DONE)


def approved_by_form(story: Story) -> None:
    story.request_by_form()
    story.approve(story.approver)
    story.ends(State.DONE)


def denied(story: Story) -> None:
    story.type()
    story.deny(story.approver)
    story.ends(State.DENIED)


def cancelled(story: Story) -> None:
    story.type()
    story.press(story.requester, "cancel", lambda request: request.state is not State.PENDING)
    story.ends(State.CANCELLED)


def quorum(story: Story) -> None:
    story.type()
    story.approve(story.approver)
    story.approve(story.second)
    story.ends(State.DONE)


def withdrawn(story: Story) -> None:
    story.type()
    story.approve(story.approver)
    story.press(story.approver, "withdraw", lambda request: not _voted(request, story.approver))
    story.approve(story.second)
    story.approve(story.approver)
    story.ends(State.DONE)


def retried(story: Story) -> None:
    story.type(lambda: "the source works again")
    story.approve(story.approver)
    story.ends(State.DONE)


def paused(story: Story) -> None:
    story.type()
    story.approve(story.approver)
    story.waits_for("moving", lambda request: request.state is State.MOVING)
    story.pause(story.approver)
    story.ends(State.PAUSED_AGAIN)


def scheduled(story: Story) -> None:
    def at() -> str:
        zone = ZoneInfo(str(story.world.sandbox.workspace.users[story.requester]["tz"]))
        # The next full minute, or the one after it if that is too close to be approved before.
        start = datetime.now(zone) + timedelta(seconds=85)
        return f"at={start:%H:%M}"

    story.type(at)
    story.approve(story.approver)
    story.ends(State.DONE)


def fails_later(story: Story) -> None:
    story.type()
    story.approve(story.approver)
    story.ends(State.FAILED)


def wrong_key(story: Story) -> None:
    """OMS refuses the first PUT with an error code. Somebody corrects the key in Vault and presses Retry."""
    story.type()
    story.approve(story.approver)
    story.waits_for("refused by OMS", _is_refused_by_oms)
    vault = story.world.sandbox.vault
    vault.write(f"oms/media/source/{story.group.bucket}", {"ak": SOURCE_AK, "sk": SOURCE_SK})
    story.press(story.requester, "retry", lambda request: not _is_refused_by_oms(request))
    story.ends(State.DONE)


def _is_refused_by_oms(request: Request) -> bool:
    return request.state is State.NOT_STARTED and request.problem is not None and request.problem.code == "OMS.1014"


def no_approver(story: Story) -> None:
    """The requester, who is no approver, presses Approve and is refused. Then an approver approves."""
    story.type()
    refusals = story.world.truth.refusals
    story.press(
        story.requester,
        "approve",
        lambda _: any(one.why == Refusal.NOT_AN_APPROVER for one in refusals(story.requester)),
    )
    story.approve(story.approver)
    story.ends(State.DONE)


@dataclass(frozen=True)
class Kind:
    """A kind of request.

    Arguments:
        tell: what people do, and how it ends.
        project: `media` needs one approval, `archive` two.
        puts: how many PUTs reach OMS, if none is lost.
        changes: of the group.
    """

    tell: Callable[[Story], None]
    project: str = "media"
    puts: int = 1
    changes: Mapping[str, object] = field(default_factory=dict)

    def new_story(self, world: World, number: int) -> Story:
        """A story with a new group."""
        changes = dict(self.changes)
        if self.tell is wrong_key:
            changes["bucket"] = f"wrong-{number}"
        group = Group(
            f"50a50a50-0000-4000-8000-{number:012d}",
            self.tell.__name__.replace("_", " "),
            status_lag=timedelta(seconds=_STATUS_LAGS[number % len(_STATUS_LAGS)]),
            **{"status": PAUSED, "bytes_per_second": 1_000_000_000, **changes},  # type: ignore[arg-type]
        )
        return Story(world, number, self.project, group)


_FAILED: Mapping[str, object] = {
    "status": MIGRATION_FAILED,
    "error": ("TRF.0157", "Source service error."),
    "complete_bytes": 9_600_000_000,
    "bytes_per_second": 60_000_000,
    "failed_objects": 37,
    "records_failed_objects": True,
}

KINDS = (
    Kind(approved),
    Kind(approved_by_form),
    Kind(denied, puts=0),
    Kind(cancelled, puts=0),
    Kind(quorum, "archive"),
    Kind(withdrawn, "archive"),
    Kind(retried, changes=_FAILED),
    Kind(paused, changes={"bytes_per_second": 10_000_000}),
    Kind(scheduled),
    Kind(fails_later, changes={"fails_later": ("TRF.0152", "The source AK/SK has no rights.")}),
    Kind(wrong_key, puts=2),
    Kind(no_approver),
)

"""Answers people without delaying the acknowledgement: opens forms, and sends replies that only one person sees.

Nothing here changes a request, so nothing is lost if the process ends before an answer is sent. What a form shows is
left to `bot.jobs.ask.request_form` and `bot.jobs.decide.deny_form`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

from bot.domain.token_bucket import TokenBucket
from bot.listeners.payloads import MalformedPayload, Payload, text_at, to_message
from bot.listeners.person_limit import PersonLimit
from bot.listeners.receiver import Receiver
from bot.slack.errors import SlackError
from bot.slack.messenger import Messenger
from bot.store.inbox import Kind, Message
from bot.ui import modals, replies

log = logging.getLogger(__name__)

THREADS = 8
# A form must open within 3 s of the click. If more forms were pending for 8 threads, the last one would be too late.
MAX_PENDING_FORMS = 32
# Forms and replies together. Forms cannot use the whole limit, so that a person whose form does not open gets a reply.
MAX_PENDING = 64
REMEMBERED_TRIGGERS = 500
# 50 forms in any minute for all unknown people together. Slack allows about 100 calls of views.open.
UNKNOWN_EVERY_SECONDS, UNKNOWN_BURST = 6.0, 40
# 8 forms in any minute for each unknown person, so that one of them cannot use up the forms of the others.
PERSON_EVERY_SECONDS, PERSON_BURST = 30.0, 6

_TITLES = {Kind.OPEN_DENY: modals.DENY_TITLE, Kind.OPEN_REQUEST: modals.REQUEST_TITLE}


class Responder:
    """Opens forms and sends replies, on its own threads.

    Arguments:
        messenger: must have a short timeout, because a form must open within 3 s.
        receiver: accepts the message that lets a worker fill the form.
        executor: runs the calls to Slack.
        is_known: whether bot.toml is known to name a person. Forms of each other person, and of all of them together,
            have a limit, because Slack limits how many forms the bot opens.
        monotonic: a clock in seconds, for these limits.
    """

    def __init__(
        self,
        messenger: Messenger,
        receiver: Receiver,
        executor: Executor | None = None,
        is_known: Callable[[str], bool] = lambda person: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._messenger = messenger
        self._receiver = receiver
        self._executor = executor or ThreadPoolExecutor(THREADS, "responder")
        self._is_known = is_known
        self._monotonic = monotonic
        self._unknown_person = PersonLimit(monotonic, PERSON_EVERY_SECONDS, PERSON_BURST)
        self._unknown = TokenBucket(UNKNOWN_EVERY_SECONDS, UNKNOWN_BURST)
        self._lock = threading.Lock()
        self._pending = 0
        # Of the last forms. Slack itself opens only one form for a trigger, but counts each call.
        self._triggers: deque[str] = deque(maxlen=REMEMBERED_TRIGGERS)

    def reply(self, body: Payload, text: str) -> None:
        """Sends a reply to the person who sent a payload. It is dropped after an error or beyond `MAX_PENDING`."""
        if not self._submit(MAX_PENDING, self._send_reply, text_at(body, "response_url"), text):
            log.warning("a reply was dropped: %d answers wait to be sent", MAX_PENDING)

    def open_form(self, body: Payload, kind: Kind) -> None:
        """Opens a form that says "One moment", and stores a message that lets a worker fill it.

        If the form cannot be opened, the person gets a reply.

        Arguments:
            kind: `OPEN_DENY` or `OPEN_REQUEST`.
        """
        message = to_message(body, kind)
        if isinstance(message, MalformedPayload):
            self._receiver.accept(message)  # logs what is missing
            self.reply(body, replies.FORM_DID_NOT_OPEN)
        elif not self._is_repeated(message.key):
            is_known = self._is_known(message.person)
            if not is_known and not self._unknown_person.allows(message.person):
                self.reply(body, replies.TOO_MANY)
            elif not (is_known or self._may_open()) or not self._submit(MAX_PENDING_FORMS, self._open_form, message):
                self.reply(body, replies.TOO_MANY_FORMS)

    def _is_repeated(self, trigger_id: str) -> bool:
        """Whether the same click or command came before. Slack delivers it again if it got no answer."""
        with self._lock:
            if trigger_id in self._triggers:
                return True
            self._triggers.append(trigger_id)
            return False

    def _may_open(self) -> bool:
        """Whether one more form of an unknown person may open."""
        with self._lock:
            return self._unknown.take(self._monotonic())

    def _submit(self, max_pending: int, send: Callable[..., None], *arguments: object) -> bool:
        with self._lock:
            if self._pending >= max_pending:
                return False
            self._pending += 1
        self._executor.submit(self._run, send, *arguments)
        return True

    def _run(self, send: Callable[..., None], *arguments: object) -> None:
        try:
            send(*arguments)
        except Exception:
            log.exception("an answer was not sent")
        finally:
            with self._lock:
                self._pending -= 1

    def _send_reply(self, response_url: str, text: str) -> None:
        try:
            self._messenger.answer(response_url, text)
        except SlackError as failure:
            # The reply only said that nothing was changed, and there is no other way to send it to this person alone.
            log.warning("a reply was not sent: %s", failure)

    def _open_form(self, message: Message) -> None:
        title = _TITLES[message.kind]
        try:
            view_id = self._messenger.open_view(message.key, modals.loading(title))
            if not self._receiver.accept(replace(message, view_id=view_id)):
                self._messenger.update_view(view_id, modals.note(title, replies.FORM_NOT_STORED))
        except SlackError as failure:
            # The click was delivered twice, and the first delivery has opened the form.
            if failure.code != "exchanged_trigger_id":
                self._send_reply(message.response_url, replies.FORM_DID_NOT_OPEN)

"""The events of the audit chain: every name that an audit row can have, and what each records.

Names have the form `object.what_happened`. A test compares the table in bot/store/README.md with this enum.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from bot.domain.decisions import ActionKind
from bot.domain.request import State


class AuditEvent(StrEnum):
    """The name of an audit event. `description` says what a row with this name records."""

    description: str

    def __new__(cls, value: str, description: str) -> AuditEvent:
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    REQUEST_CREATED = "request.created", "A person created a request."
    REQUEST_NOT_CREATED = "request.not_created", "A person tried to create a request, and why none was created."
    REQUEST_POSTPONED = "request.postponed", "The group is still pausing; the request is created once it is paused."
    FORM_OPENED = "form.opened", "A person was shown a form, which changes nothing by itself."
    VOTE_ADDED = "vote.added", "A person approved a request."
    VOTE_WITHDRAWN = "vote.withdrawn", "A person withdrew their approval."
    VOTE_SELF_APPROVED = "vote.self_approved", "The requester approved their own request."
    VOTE_SELF_APPROVAL_NOTIFIED = "vote.self_approval_notified", "An approver was told of a self approval."
    REQUEST_SCOPE_CHOSEN = "request.scope_chosen", "A person chose what a retry migrates; earlier approvals are void."
    REQUEST_DENIED = "request.denied", "An approver denied a request."
    REQUEST_CANCELLED = "request.cancelled", "The requester or an approver cancelled a request."
    REQUEST_RETRIED = "request.retried", "A person pressed Retry."
    ATTEMPT_OPENED = "attempt.opened", "An approval or Retry opened an attempt, and whose approvals it has."
    REMINDER_SENT = "reminder.sent", "People were reminded that approvals are missing."
    QUORUM_IMPOSSIBLE = "quorum.impossible", "Too few people are left who could approve; the requester was told."
    ACTION_REFUSED = "action.refused", "A command, click or form had no effect, and why."
    MESSAGE_DISCARDED = "message.discarded", "A message was stored too late, so it was discarded."
    VAULT_OPENED = "vault.opened", "A login to Vault for reading the keys, with its accessor."
    VAULT_CLOSED = (
        "vault.closed",
        "The login ended without a call: the versions read, and whether it was given back.",
    )
    PUT_SENDING = (
        "put.sending",
        "The call is about to be sent: the versions read, and whether the login was given back.",
    )
    PUT_ACCEPTED = "put.accepted", "OMS accepted the call."
    PUT_CONFLICT = "put.conflict", "OMS refused the call because of the group's status, which is then read."
    PUT_UNANSWERED = "put.unanswered", "OMS gave no clear answer; the group is read until the outcome is known."
    PUT_POSTPONED = "put.postponed", "Nothing was sent or done; the same attempt is tried again."
    PUT_FOUND = "put.found", "A request was found in `sending` after its process ended; it is not sent again."
    PUT_SETTLED = "put.settled", "The group showed what the call had done."
    PUT_ANSWERED_LATE = "put.answered_late", "OMS answered after the group had been read; the answer changed nothing."
    GROUP_CHANGED = "group.changed", "Before the call, the group was not as it was approved; nothing was sent."
    GROUP_NOT_VISIBLE = "group.not_visible", "The group could not be read several times in a row."
    PAUSE_REQUESTED = "pause.requested", "A person pressed Pause."
    PAUSE_ACCEPTED = "pause.accepted", "OMS accepted the pause."
    PAUSE_NOT_NEEDED = "pause.not_needed", "The group was not running, so no pause was sent."
    PAUSE_FAILED = "pause.failed", "The group was not paused, and why."
    REQUEST_NOT_STARTED = "request.not_started", "Nothing was started, and why."
    REQUEST_ACCEPTED = "request.accepted", "The group runs because someone else started it."
    REQUEST_MOVING = "request.moving", "A later look showed that the group moves."
    REQUEST_DONE = "request.done", "The group is complete."
    REQUEST_FAILED = "request.failed", "The group failed, or is gone."
    REQUEST_PAUSED_AGAIN = "request.paused_again", "The group is paused again."
    REQUEST_EXPIRED = "request.expired", "The request expired before enough people approved it."
    REQUEST_APPROVAL_EXPIRED = "request.approval_expired", "The approval expired before anything was started."
    REQUEST_VOID = "request.void", "The settings or the group are no longer what was requested."
    REQUEST_NOT_FOLLOWED = "request.not_followed", "The settings no longer have the project at this address."
    CARD_NOT_SHOWN = "card.not_shown", "Slack refused the card; the requester was told."
    CARD_DELETED = "card.deleted", "The card was deleted in Slack."
    NOTICE_NOT_SENT = "notice.not_sent", "A notice could not be sent, and why."
    BUG = "bug", "The bot failed, with the reference under which the log has the error."
    AUDIT_ANCHORED = "audit.anchored", "The newest hash was posted to a project's channel."


#: The event for a state that the bot moves a request to, without an action of a person.
STATE_EVENTS: Mapping[State, AuditEvent] = {
    State.ACCEPTED: AuditEvent.REQUEST_ACCEPTED,
    State.NOT_STARTED: AuditEvent.REQUEST_NOT_STARTED,
    State.MOVING: AuditEvent.REQUEST_MOVING,
    State.DONE: AuditEvent.REQUEST_DONE,
    State.FAILED: AuditEvent.REQUEST_FAILED,
    State.PAUSED_AGAIN: AuditEvent.REQUEST_PAUSED_AGAIN,
    State.EXPIRED: AuditEvent.REQUEST_EXPIRED,
    State.APPROVAL_EXPIRED: AuditEvent.REQUEST_APPROVAL_EXPIRED,
    State.VOID: AuditEvent.REQUEST_VOID,
    State.NOT_FOLLOWED: AuditEvent.REQUEST_NOT_FOLLOWED,
}

#: The reason in an event if Slack did not identify a person.
LOOKUP_FAILED_REASON = "Slack cannot be asked"

#: The event for an action of a person that had an effect.
ACTION_EVENTS: Mapping[ActionKind, AuditEvent] = {
    ActionKind.APPROVE: AuditEvent.VOTE_ADDED,
    ActionKind.WITHDRAW: AuditEvent.VOTE_WITHDRAWN,
    ActionKind.CHOOSE_SCOPE: AuditEvent.REQUEST_SCOPE_CHOSEN,
    ActionKind.DENY: AuditEvent.REQUEST_DENIED,
    ActionKind.CANCEL: AuditEvent.REQUEST_CANCELLED,
    ActionKind.RETRY: AuditEvent.REQUEST_RETRIED,
    ActionKind.PAUSE: AuditEvent.PAUSE_REQUESTED,
}

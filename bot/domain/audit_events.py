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
    REQUEST_NOT_CREATED = "request.not_created", "A person tried to create a request and none was created; the reason."
    REQUEST_POSTPONED = "request.postponed", "The group is still pausing; the request is created once it is paused."
    FORM_OPENED = "form.opened", "A person opened a form, which changes nothing."
    VOTE_ADDED = "vote.added", "A person approved a request."
    VOTE_WITHDRAWN = "vote.withdrawn", "A person withdrew their approval."
    VOTE_SELF_APPROVED = "vote.self_approved", "The requester approved their own request."
    VOTE_SELF_APPROVAL_NOTIFIED = "vote.self_approval_notified", "The bot notified an approver of a self approval."
    REQUEST_SCOPE_CHOSEN = "request.scope_chosen", "A person chose what a retry migrates; earlier approvals are void."
    REQUEST_ASKED_AGAIN = (
        "request.asked_again",
        "The bot's key changed, so it isn't known who approved the request; earlier approvals are void.",
    )
    REQUEST_DENIED = "request.denied", "An approver denied a request."
    REQUEST_CANCELLED = "request.cancelled", "The requester or an approver cancelled a request."
    REQUEST_RETRIED = "request.retried", "A person pressed Retry."
    ATTEMPT_OPENED = "attempt.opened", "An approval or Retry opened an attempt; the people whose approvals it has."
    APPROVAL_VOID = (
        "approval.void",
        "An approval no longer counted before the keys were read; the request is pending again.",
    )
    REMINDER_SENT = "reminder.sent", "The bot sent a reminder that approvals are missing."
    QUORUM_IMPOSSIBLE = "quorum.impossible", "Too few people are left who can approve; the bot notified the requester."
    ACTION_REFUSED = "action.refused", "A command, click or form had no effect; the reason."
    MESSAGE_DISCARDED = "message.discarded", "The bot discarded a message because it was stored too late."
    MESSAGE_NOT_AUTHENTIC = (
        "message.not_authentic",
        "A stored message had no effect because the bot didn't write it, or wrote it with an unknown key.",
    )
    VAULT_OPENED = "vault.opened", "The bot logged in to Vault to read the keys; the accessor of the login."
    VAULT_CLOSED = (
        "vault.closed",
        "The login ended without a call; the versions read, and whether the token was revoked.",
    )
    PUT_SENDING = (
        "put.sending",
        "The call is about to be sent; the versions read, and whether the token was revoked.",
    )
    PUT_ACCEPTED = "put.accepted", "OMS accepted the call."
    PUT_CONFLICT = "put.conflict", "OMS refused the call because of the group's status, which is then read."
    PUT_UNANSWERED = "put.unanswered", "OMS gave no clear answer; the group is read until the outcome is known."
    PUT_POSTPONED = "put.postponed", "Nothing was sent or done; the bot retries the same attempt."
    PUT_FOUND = "put.found", "A request was still in `sending` after its process ended; the bot doesn't send it again."
    PUT_SETTLED = "put.settled", "The group's status showed the outcome of the call."
    PUT_ANSWERED_LATE = "put.answered_late", "OMS answered after the group had been read; the answer changed nothing."
    GROUP_CHANGED = "group.changed", "The group no longer matched what was approved before the call; nothing was sent."
    GROUP_MUTED = "group.muted", "A person muted alerts about a group; until when, or empty for until it moves."
    GROUP_NOT_VISIBLE = "group.not_visible", "The group could not be read several times in a row."
    CAUSES_READ = (
        "causes.read",
        "OMS listed why sub-tasks failed; the number for each code, or why it didn't.",
    )
    PAUSE_REQUESTED = "pause.requested", "A person pressed Pause."
    PAUSE_ACCEPTED = "pause.accepted", "OMS accepted the pause."
    PAUSE_NOT_NEEDED = "pause.not_needed", "The group was not running, so no pause was sent."
    PAUSE_FAILED = "pause.failed", "The group was not paused; the reason."
    REQUEST_NOT_STARTED = "request.not_started", "Nothing was started; the reason."
    REQUEST_ACCEPTED = "request.accepted", "The group is running because someone else (outside this bot) started it."
    REQUEST_MOVING = "request.moving", "A later reading showed that the group is moving."
    REQUEST_DONE = "request.done", "The group is complete."
    REQUEST_FAILED = "request.failed", "The group failed or was deleted."
    REQUEST_PAUSED_AGAIN = "request.paused_again", "The group is paused again."
    REQUEST_EXPIRED = "request.expired", "The request expired before enough people approved it."
    REQUEST_APPROVAL_EXPIRED = "request.approval_expired", "The approval expired before anything was started."
    REQUEST_VOID = "request.void", "The settings or the group are no longer what was requested."
    REQUEST_TAMPERED = "request.tampered", "The request isn't what the bot stored, so it is void."
    REQUEST_NOT_FOLLOWED = (
        "request.not_followed",
        "The settings no longer contain this project at this address.",
    )
    CARD_NOT_SHOWN = "card.not_shown", "Slack refused the card; the bot notified the requester."
    CARD_DELETED = "card.deleted", "The card was deleted in Slack."
    NOTICE_NOT_SENT = "notice.not_sent", "A notice could not be sent; the reason."
    BUG = "bug", "The bot failed; the reference of the error in the log."
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
#: The reason in an event if a message was received before what makes it invalid, and handled later.
TOO_OLD_REASON = "too old"

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

"""What a message in the inbox requests, and which messages can take long.

`bot.store.inbox` stores the messages, and `bot.jobs.inbox_dispatcher` hands each to the stage that handles it.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a message requests. The values are stored."""

    #: Create a request for each task group of a command, typed or entered in the form.
    CREATE_REQUEST = "create request"
    #: Create a request for one task group once it is paused. Scheduled by `CREATE_REQUEST` for a group that is pausing.
    CREATE_ONCE_PAUSED = "create once paused"
    #: Approve a request.
    APPROVE = "approve"
    #: Deny a request, with the reason from the deny form.
    DENY = "deny"
    #: Cancel a request.
    CANCEL = "cancel"
    #: Withdraw an approval.
    WITHDRAW = "withdraw"
    #: Choose which objects a retry migrates.
    CHOOSE_SCOPE = "choose"
    #: Start another attempt after the last one started nothing.
    RETRY = "retry"
    #: Pause the task group of a request.
    PAUSE = "pause"
    #: Pause a task group, whether or not there is a request for it.
    PAUSE_GROUP = "pause group"
    #: Send the pause of a task group without a request. Scheduled by `PAUSE_GROUP`.
    SEND_PAUSE = "send pause"
    #: Mute a task group for a day.
    MUTE_FOR_A_DAY = "mute for a day"
    #: Mute a task group until it moves.
    MUTE_UNTIL_IT_MOVES = "mute until it moves"
    #: Fill the deny form that a listener has opened.
    OPEN_DENY = "open deny form"
    #: Fill the request form that a listener has opened.
    OPEN_REQUEST = "open request form"
    #: Show App Home, and update it for a while. The mark is the fingerprint of what it shows.
    HOME = "home"
    #: List the open requests and the task groups that can be resumed.
    LIST = "list"
    #: Show the status of a request or of a task group.
    STATUS = "status"
    #: Record in the audit chain that a payload of another workspace or app was rejected.
    FOREIGN_PAYLOAD = "foreign payload"
    #: Notify all possible approvers that a requester approved their own request. Scheduled by the bot.
    NOTIFY_APPROVERS = "notify approvers"
    #: Notify one approver of a self approval. Scheduled by `NOTIFY_APPROVERS`, so that each person is notified once.
    NOTIFY_APPROVER = "notify approver"


#: Kinds that can take long, because they look up several task groups or people. They have their own threads, so that
#: decisions do not wait for them.
SLOW_KINDS = frozenset(
    {
        Kind.CREATE_REQUEST,
        Kind.CREATE_ONCE_PAUSED,
        Kind.OPEN_REQUEST,
        Kind.HOME,
        Kind.LIST,
        Kind.STATUS,
        Kind.PAUSE_GROUP,
        Kind.SEND_PAUSE,
        Kind.NOTIFY_APPROVERS,
        Kind.NOTIFY_APPROVER,
    }
)
FAST_KINDS = frozenset(Kind) - SLOW_KINDS

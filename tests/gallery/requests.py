"""Sample requests: each state of a request, and each variant of a state that has other texts.

The bot's own functions make the states and problems where that is possible, so that the gallery shows their sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bot.domain import outcome, put_outcome
from bot.domain.announcements import Announced
from bot.domain.failure_causes import FailureCauses, SubTask, SubTaskStatus, causes_by_code
from bot.domain.request import (
    Attempt,
    Decision,
    KeyCheck,
    LastSeen,
    Pause,
    Policy,
    Problem,
    Request,
    State,
    Verb,
    VoteProgress,
)
from bot.domain.task_group import FAILED_STATUSES, ErrorReason, GroupStatus, Progress, Scope, SubTasks, TaskGroup
from bot.domain.watched_group import Activity, Movement
from bot.huawei.errors import Answer, HuaweiError, NotSent, Rejected, Suspended, Throttled, Unanswered
from bot.huawei.oms import Accepted
from bot.jobs.follow.follow import explain_group
from bot.jobs.problems import NOTHING_STARTED, RetryHint, explain, explain_reason
from bot.jobs.send.put_reply import Reply, explain_reply, put_reply
from bot.net.proxy import Proxy
from bot.ui.problem_texts import (
    APPROVERS_NOT_CONFIRMED,
    GROUP_NOT_READ,
    KEY_CHANGED,
    MAY_NOT_LIST_TASKS,
    NOT_PAUSED_KEY_CHANGED,
    NOT_PAUSED_TAMPERED,
    NOTHING_PAUSED,
    TAMPERED,
    UNVERIFIED,
    grant_listing_tasks,
)
from bot.vault.errors import VaultError, forbidden, missing
from tests.support.values import GROUP, HALF, NOON, PLAN, request

LEADS = "SLEADS00"
ONE_APPROVAL = Policy(("*",), (("UCAROL00", LEADS),), self_approval=False)
TWO_APPROVALS = Policy(("*",), (("UCAROL00", LEADS), ("UCAROL00", LEADS)), self_approval=False)
SELF_APPROVAL = replace(ONE_APPROVAL, self_approval=True)
APPROVED_AT, SENT_AT = NOON + timedelta(minutes=5), NOON + timedelta(minutes=5, seconds=2)
STARTS_AT = NOON + timedelta(hours=3)
SOON = SENT_AT + timedelta(seconds=43)
LATE = SENT_AT + timedelta(minutes=2)
REQUEST_ID = "7f3c9a52e1b84d0f"
#: The names of the keys are those that Vault lists; a KV version 1 engine has neither versions nor names.
KEYS = (
    KeyCheck("oms/media/source", 7, ("ak", "sk")),
    KeyCheck("oms/media/destination", 3, ("ak", "sk")),
)
PLAN_WITH_PATHS = replace(
    PLAN, caller_path="oms/media/caller", source_path="oms/media/source", destination_path="oms/media/destination"
)

_REFUSED = Proxy("proxy.example.com", 3128, "bot").refusal(407, "oms.ap-southeast-3.myhuaweicloud.com:443")


def refused(code: str, http_status: int = 400, message: str = "") -> Rejected:
    """OMS answered with this error code."""
    return Rejected(Answer(http_status, code, message, "", REQUEST_ID))


def explained(
    error: HuaweiError | VaultError, retry_hint: RetryHint = RetryHint.RETRY, started: str = NOTHING_STARTED
) -> Problem:
    """The problem for an error of a call."""
    return explain(error, PLAN_WITH_PATHS, retry_hint, started)


PROBLEM = explained(refused("OMS.0072", 403, "insufficient permission"))


def failed_group(code: str = "TRF.0157", message: str = "Source service error.", **changes: object) -> TaskGroup:
    """A group whose migration failed."""
    found = replace(
        GROUP,
        status=GroupStatus.MIGRATION_FAILED,
        description="tax files",
        progress=Progress(10_000_000_000, 9_600_000_000, 1000, 963, failed_objects=37),
        error=ErrorReason(code, message) if code else None,
        records_failed_objects=True,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def pending(policy: Policy = ONE_APPROVAL, **changes: object) -> Request:
    """A request that nobody has decided."""
    found = request(policy=policy, plan=PLAN_WITH_PATHS, keys=KEYS)
    return replace(found, **changes)  # type: ignore[arg-type]


def approved(**changes: object) -> Request:
    """A request that carol approved, before anything was sent."""
    decided = replace(
        pending(), decision=Decision(("UCAROL00",), APPROVED_AT), attempt=Attempt(1, "UCAROL00", APPROVED_AT)
    )
    return replace(decided.with_state(State.APPROVED, at=APPROVED_AT), **changes)  # type: ignore[arg-type]


def sent(**changes: object) -> Request:
    """A request whose PUT is on its way."""
    start = approved(**changes)
    assert start.attempt is not None
    return put_outcome.sending(start, start.attempt, start.group, SENT_AT)


def answered(reply: Reply, **changes: object) -> Request:
    """A request after this reply to its PUT."""
    found = put_outcome.after_reply(sent(**changes), put_reply(reply), SENT_AT).request
    return replace(found, problem=explain_reply(reply, found))


def not_started(error: HuaweiError, **changes: object) -> Request:
    """A request for which nothing was started, because of this error."""
    found = approved(**changes).with_state(State.NOT_STARTED, at=SENT_AT)
    return replace(found, problem=explain_reply(error, found))


def keys_not_read(error: VaultError) -> Request:
    """A request for which Vault did not give the keys, because of this error."""
    return approved().with_state(State.NOT_STARTED, at=SENT_AT, problem=explained(error))


def running(start: Request, progress: Progress, at: datetime = SOON, status: int = GroupStatus.MONITORING) -> Request:
    """A started request after a reading of its group with this progress and status."""
    error = ErrorReason("TRF.0152", "The source AK/SK has no rights.") if status in FAILED_STATUSES else None
    group = replace(start.group, status=GroupStatus(status), progress=progress, error=error)
    return outcome.follow(start, group, explain_group(start), at)


def with_causes(found: Request, *counts: tuple[str, int]) -> Request:
    """The request after OMS listed the failed sub-tasks of its group: codes, and how many sub-tasks have them."""
    codes = [code for code, count in counts for _ in range(count)]
    failed = [
        SubTask(number, SubTaskStatus.FAILED, ErrorReason(code, "") if code else None)
        for number, code in enumerate(codes)
    ]
    causes = causes_by_code(
        failed, lambda reason: explain_reason(reason, found.plan, RetryHint.NOTHING), len(failed), LATE
    )
    progress = replace(_MORE, failed_objects=500, total_objects=100_000, success_objects=60_000)
    group = replace(found.group, sub_tasks=SubTasks(1000, failed=len(failed)), failed_list="oms/failed/images.txt")
    return replace(found, group=group, last_seen=LastSeen(LATE, progress), failure_causes=causes)


def void(group: TaskGroup) -> Request:
    """An approved request whose group is different right before the PUT."""
    start = approved()
    assert start.attempt is not None
    found = put_outcome.before_put(start, start.attempt, group, explain_group(start), SENT_AT)
    assert found is not None
    return found


def watched(activity: Activity, start: Request | None = None, **movement: Any) -> Request:
    """A request whose group OMS runs since two hours, and moves like this."""
    start = start or _MOVING
    status = GroupStatus.EXECUTING if activity is Activity.LISTING else GroupStatus.MONITORING
    group = replace(start.group, status=status, progress=_LARGE, sub_tasks=_SUB_TASKS)
    return outcome.follow(start, group, explain_group(start), _READ_AT, Movement(activity, **movement))


VOTED = pending(TWO_APPROVALS, vote_progress=VoteProgress(("UCAROL00",), ((LEADS,),)))
_RETRY: Mapping[str, Any] = {"verb": Verb.RETRY, "group": failed_group(), "scope": Scope.FAILED_OBJECTS}
_ACCEPTED = answered(Accepted(REQUEST_ID))
_MORE = replace(HALF, complete_bytes=6_000_000_000, success_objects=600)
_MOVING = running(_ACCEPTED, replace(_MORE, speed_bytes_per_second=140_000_000))
_ALL = Progress(10_000_000_000, 10_000_000_000, 1000, 1000)
# A large migration. The time of its last reading is two hours after its start, at 15:05.
_LARGE = Progress(10_000_000_000_000, 6_000_000_000_000, 1_000_000, 560_000, 40_000, 37)
_SUB_TASKS = SubTasks(total=48, executing=4, waiting=30, complete=12, failed=2)
_READ_AT = SENT_AT + timedelta(hours=2)
_STILL_SINCE = _READ_AT - timedelta(minutes=27)
_MEASURED: Mapping[str, Any] = {"rate": 140_000_000, "rate_since": SENT_AT}
_PAUSE = Pause("UBOB0000", SOON, State.MOVING)
_ELSEWHERE = void(replace(GROUP, status=GroupStatus.MONITORING))
_UNKNOWN = answered(Unanswered("HTTP 503"))
_CONFLICT = answered(refused("OMS.0065", 400, "task is running"))
_FAILURE = explain_reason(None, PLAN_WITH_PATHS, RetryHint.REQUEST_AGAIN)
_LOOKED = explained(Unanswered("HTTP 503"), RetryHint.NOTHING, "")
_MAY_NOT_LIST = Problem(
    "OMS", "OMS.0072", "", MAY_NOT_LIST_TASKS, grant_listing_tasks(f"secret/{PLAN_WITH_PATHS.caller_path}")
)
_UNREADABLE = replace(_LOOKED, meaning=f"{GROUP_NOT_READ} {_LOOKED.meaning}")


def settled() -> Request:
    """A request without a clear reply, whose group is unchanged a minute later."""
    found = outcome.settle(_UNKNOWN, GROUP, explain_group(_UNKNOWN), LATE)
    assert found is not None
    return found


def _ended(state: State, reason: str = "") -> Request:
    return replace(pending(), ending=Decision(("UCAROL00",), APPROVED_AT, reason)).with_state(state, at=APPROVED_AT)


def _not_paused(problem: Problem) -> Request:
    pausing = replace(_MOVING, pause=_PAUSE).with_state(State.PAUSING, at=SOON)
    return outcome.not_paused(pausing, problem, LATE)


_LARGE_ACCEPTED = replace(
    _ACCEPTED,
    group=replace(_ACCEPTED.group, progress=_LARGE),
    attempt=replace(_ACCEPTED.attempt or Attempt(1, "", SENT_AT), before=_LARGE),
)
_ARCHIVED = replace(_MOVING, group=replace(_MOVING.group, restores_archives=True))
_STEADY = watched(Activity.MOVING, **_MEASURED)
STALLED = watched(Activity.STALLED, _STEADY, still_since=_STILL_SINCE)
MOVED_AGAIN = watched(Activity.MOVING, STALLED)
assert MOVED_AGAIN.last_seen is not None
_MOVING_NOW = replace(MOVED_AGAIN.last_seen.progress, speed_bytes_per_second=140_000_000)
MOVING_AGAIN = replace(MOVED_AGAIN, last_seen=replace(MOVED_AGAIN.last_seen, progress=_MOVING_NOW))
SLOW = watched(
    Activity.MOVING, rate=3_200_000, rate_since=SENT_AT, slow_since=_READ_AT - timedelta(minutes=20), is_slow=True
)
NO_LONGER_SLOW = watched(Activity.MOVING, SLOW, **_MEASURED)
#: What a thread line tells of the movement of a group: the request before, and after.
ANNOUNCEMENTS: tuple[tuple[Request, Request], ...] = (
    (_MOVING, STALLED),
    (STALLED, MOVING_AGAIN),
    (STALLED, MOVED_AGAIN),
    (_MOVING, SLOW),
    (SLOW, NO_LONGER_SLOW),
    (_MOVING, replace(_STEADY, announced=Announced(milestone=50, milestone_at=_READ_AT))),
)


#: Every state, and its variants, in the order of the enum.
REQUESTS: Mapping[str, Request] = {
    "Pending, 0 of 1 approvals": pending(),
    "Pending, 1 of 2 approvals": VOTED,
    "Pending, 0 of 2 approvals, no reason, with a start time": pending(TWO_APPROVALS, reason="", start_at=STARTS_AT),
    "Pending, self approval is allowed": pending(SELF_APPROVAL),
    "Pending, the requester approved, another approval is missing": pending(
        replace(TWO_APPROVALS, self_approval=True), vote_progress=VoteProgress(("UALICE00",), (("UCAROL00", LEADS),))
    ),
    "Pending again, one of two approvals no longer counts": replace(VOTED, void_approvals=("UDAVE000",)),
    "Pending again, signing key is new": pending(TWO_APPROVALS, problem=KEY_CHANGED),
    "Pending, with warnings, prefix, CDN": pending(
        group=replace(
            GROUP,
            restores_archives=True,
            overwrite_mode="FULL_OVERWRITE",
            destination=replace(GROUP.destination, save_prefix="2026/"),
            cdn_authentication="ALIYUN_OSS_A",
        )
    ),
    "Pending, source is a list of URLs, keys not checked": pending(
        group=replace(GROUP, task_type="URL_LIST", source=replace(GROUP.source, bucket="", cloud_type="URLSOURCE")),
        keys=(KeyCheck("oms/media/destination", None, None),),
    ),
    "Pending, retry, choice of all or failed objects": pending(**_RETRY),
    "Pending, retry, group without name": pending(**{**_RETRY, "group": failed_group("", description="")}),
    "Approved": approved(),
    "Approved, self approval": approved(policy=SELF_APPROVAL, decision=Decision(("UALICE00",), APPROVED_AT)),
    "Approved, two approvals, with a start time": approved(
        start_at=STARTS_AT, decision=Decision(("UCAROL00", "UDAVE000"), APPROVED_AT)
    ),
    "Approved, retry of failed objects": approved(**_RETRY),
    "Approved, tried again by Retry": approved(attempt=Attempt(2, "UALICE00", LATE)),
    "Approved, a problem that the bot retries": approved(
        attempt=Attempt(1, "UCAROL00", APPROVED_AT, tries=1, not_before=SOON),
        problem=explained(
            Throttled(5, Answer(429, "APIG.0308", "Too many requests", "", REQUEST_ID)), RetryHint.NOTHING
        ),
    ),
    "Approved, approvers not confirmed": approved(
        attempt=Attempt(1, "UCAROL00", APPROVED_AT, tries=1, not_before=SOON),
        problem=Problem("Slack", "", "", f"{APPROVERS_NOT_CONFIRMED} {NOTHING_STARTED}", ""),
    ),
    "Sending": sent(),
    "Unknown": _UNKNOWN,
    "Unknown, because someone else may have started the group": _CONFLICT,
    "Not started, permission missing": not_started(refused("OMS.0072", 403, "insufficient permission")),
    "Not started, a key is wrong": not_started(refused("OMS.0057", 400, "Invalid AK/SK of the source end.")),
    "Not started, retry, the list of failed objects is missing": not_started(
        refused("OMS.0167", 400, "The failed object list does not exist."), **_RETRY
    ),
    "Not started, OMS cannot be reached": not_started(NotSent("connection refused")),
    "Not started, the proxy rejects the bot's password": not_started(
        NotSent(_REFUSED.problem, next_step=_REFUSED.next_step)
    ),
    "Not started, the bot's access key was refused": not_started(
        Suspended("secret/oms/media/caller", "APIG.0301", is_close_to_lock=True)
    ),
    "Not started, Vault refuses a path": keys_not_read(forbidden("secret/oms/media/source")),
    "Not started, Vault has no secret": keys_not_read(missing("secret/oms/media/source")),
    "Not started, the outcome was unknown for a minute": settled(),
    "Not started, accepted but not visible for a minute": running(_ACCEPTED, HALF, LATE, GroupStatus.PAUSED),
    "Not started, second attempt": not_started(
        refused("OMS.0072", 403, "insufficient permission"), attempt=Attempt(2, "UALICE00", LATE)
    ),
    "Accepted": _ACCEPTED,
    "Accepted, started by someone else": _ELSEWHERE,
    "Accepted, all sub-tasks wait": watched(Activity.QUEUED, _LARGE_ACCEPTED),
    "Accepted, OMS lists the source": watched(Activity.LISTING, _LARGE_ACCEPTED, still_since=SENT_AT),
    "Moving, with speed": _MOVING,
    "Moving, without speed": running(_ACCEPTED, _MORE),
    "Moving, started by someone else": running(_ELSEWHERE, _MORE),
    "Moving, group not readable": replace(_MOVING, problem=_UNREADABLE),
    "Moving, with the time left": _STEADY,
    "Moving, OMS lists the source": watched(Activity.LISTING, **_MEASURED),
    "Moving, the total has grown": watched(Activity.MOVING, **_MEASURED, grew_at=_READ_AT),
    "Moving, nothing has moved for some minutes": watched(Activity.MOVING, still_since=_READ_AT - timedelta(minutes=8)),
    "Moving, slow": SLOW,
    "Moving, no longer slow": NO_LONGER_SLOW,
    "Moving, may be waiting for archive restores": watched(
        Activity.RESTORING, _ARCHIVED, still_since=_READ_AT - timedelta(hours=1)
    ),
    "Moving, stalled": STALLED,
    "Moving again after a stall": MOVING_AGAIN,
    "Moving, pause failed": _not_paused(
        explained(refused("OMS.0072", 403, "insufficient permission"), RetryHint.PAUSE, NOTHING_PAUSED)
    ),
    "Moving, sub-tasks failed": with_causes(
        _MOVING, ("TRF.0151", 3), ("", 1), *[(f"TRF.015{n}", 1) for n in range(2, 8)]
    ),
    "Not paused, tampered with": _not_paused(NOT_PAUSED_TAMPERED),
    "Not paused, signing key is new": _not_paused(NOT_PAUSED_KEY_CHANGED),
    "Pausing": replace(_MOVING, pause=_PAUSE).with_state(State.PAUSING, at=SOON),
    "Done": running(_MOVING, _ALL, LATE, GroupStatus.COMPLETED),
    "Done, with failures": running(
        _MOVING, replace(_ALL, success_objects=963, failed_objects=37), LATE, GroupStatus.COMPLETED
    ),
    "Done, started by someone else": running(_ELSEWHERE, _ALL, LATE, GroupStatus.COMPLETED),
    "Failed": running(_MOVING, _MORE, LATE, GroupStatus.MIGRATION_FAILED),
    "Failed, for three reasons": with_causes(
        running(_MOVING, _MORE, LATE, GroupStatus.MIGRATION_FAILED),
        ("TRF.0159", 120),
        ("TRF.0156", 80),
        ("TRF.0152", 50),
    ),
    "Failed, sub-tasks cannot be listed": replace(
        running(_MOVING, _MORE, LATE, GroupStatus.MIGRATION_FAILED),
        failure_causes=FailureCauses(LATE, 3, not_read=_MAY_NOT_LIST),
    ),
    "Failed, without a reason": replace(running(_MOVING, _MORE, LATE, GroupStatus.MIGRATION_FAILED), problem=_FAILURE),
    "Failed, the group was deleted": outcome.group_deleted(_MOVING, explain_group(_MOVING), LATE),
    "Paused again, by the Pause button": running(
        replace(_MOVING, pause=replace(_PAUSE, sent_at=SOON)).with_state(State.PAUSING, at=SOON),
        _MORE,
        LATE,
        GroupStatus.PAUSED,
    ),
    "Paused again, outside the bot": running(_MOVING, _MORE, LATE, GroupStatus.PAUSED),
    "No longer followed": _MOVING.with_state(State.NOT_FOLLOWED, at=LATE),
    "Approval expired": approved(problem=PROBLEM).with_state(State.APPROVAL_EXPIRED, at=NOON + timedelta(hours=8)),
    "Denied, with a reason": _ended(State.DENIED, "the bucket is being audited"),
    "Denied, without a reason": _ended(State.DENIED),
    "Canceled": _ended(State.CANCELLED),
    "Canceled, after the approval": replace(
        approved(start_at=STARTS_AT), ending=Decision(("UALICE00",), LATE)
    ).with_state(State.CANCELLED, at=LATE),
    "Expired": pending().with_state(State.EXPIRED, at=NOON + timedelta(hours=8)),
    "Void, the settings changed": pending().with_state(State.VOID, at=LATE),
    "Void, the group has another status": void(replace(GROUP, status=GroupStatus.DELETED)),
    "Void, the group moves something else": void(
        replace(GROUP, settings=(("dst_node.bucket", "photos-archive"), ("src_node.bucket", "photos-test")))
    ),
    "Void, can't be verified": pending().with_state(State.VOID, at=LATE, problem=UNVERIFIED),
    "Void, tampered with": pending().with_state(State.VOID, at=LATE, problem=TAMPERED),
}

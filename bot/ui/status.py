"""How a request stands, in one line: the headline of its card and the turn of events in its thread.

Pure, and plain text. Each says what is known to be true and no more.
"""

from __future__ import annotations

from bot.domain.decisions import missing_approvers
from bot.domain.progress import seconds_left
from bot.domain.request import Request, State, Verb
from bot.domain.task_group import TaskGroup
from bot.ui.formatting import approvals_needed, duration, escape_mrkdwn, local_time, mentions, rate, size

RESUMED = {Verb.RESUME: "resumed", Verb.RETRY: "retried"}
RESUMING = {Verb.RESUME: "resuming", Verb.RETRY: "retrying"}
# Sentences that begin with a name keep its capital in the middle of a line.
_NAMES = ("Vault", "Huawei", "OMS", "IAM", "Slack")


def group_name(group: TaskGroup) -> str:
    """What people call the group: its description, or the beginning of its id."""
    return group.description.strip() or f"group {group.group_id[:8]}"


def headline(request: Request) -> str:
    """One line, without mrkdwn."""
    name, verb = group_name(request.group), request.verb
    by = " by somebody else" if request.started_elsewhere else ""
    match request.state:
        case State.PENDING:
            return f"{'Resume migration' if verb is Verb.RESUME else 'Retry failed migration'}: {name}"
        case State.APPROVED if request.problem is not None:
            return f"Approved, not started yet, trying again: {name}"
        case State.APPROVED if request.start_at is not None:
            return f"Approved, waits for its time: {name}"
        case State.APPROVED:
            return f"Approved, {RESUMING[verb]}: {name}"
        case State.SENDING:
            return f"Asking OMS to {verb}: {name}"
        case State.UNKNOWN:
            return f"Not known yet whether it was {RESUMED[verb]}, looking: {name}"
        case State.NOT_STARTED:
            return _with_why(f"Not {RESUMED[verb]}", request)
        case State.ACCEPTED if request.started_elsewhere:
            return f"Already {RESUMED[verb]} by somebody else, nothing has moved yet: {name}"
        case State.ACCEPTED:
            return f"Accepted by OMS, nothing has moved yet: {name}"
        case State.MOVING if request.problem is not None:
            # What was seen last is no longer known to be so.
            return f"{RESUMED[verb].capitalize()}{by}, cannot be seen just now: {name}"
        case State.MOVING:
            return f"{RESUMED[verb].capitalize()}{by}, {_pace(request)}: {name}"
        case State.PAUSING:
            return f"Being paused: {name}"
        case State.DONE:
            return f"Done{by}: {name}, {_total(request)}"
        case State.FAILED:
            return _with_why("Migration failed", request)
        case State.PAUSED_AGAIN:
            return f"Paused again: {name}"
        case State.NOT_FOLLOWED:
            return f"No longer followed, the settings have changed: {name}"
        case State.APPROVAL_EXPIRED:
            return f"Not {RESUMED[verb]}, the approval ran out: {name}"
        case State.DENIED:
            return f"Denied: {name}"
        case State.CANCELLED:
            return f"Cancelled: {name}"
        case State.EXPIRED:
            return f"Expired, nobody decided in time: {name}"
        case State.VOID if request.problem is not None:
            return f"Void, the group has changed since it was asked: {name}"
        case State.VOID:
            return f"Void, the settings have changed: {name}"


def headline_states_problem(request: Request) -> bool:
    """Whether the headline says what went wrong instead of which group it is."""
    return request.problem is not None and request.state in (State.NOT_STARTED, State.FAILED)


def _with_why(what: str, request: Request) -> str:
    problem = request.problem
    if problem is None:
        return f"{what}: {group_name(request.group)}"
    code = f"{problem.code}, " if problem.code else ""
    return f"{what}: {code}{_first_sentence(problem.meaning)}"


def _pace(request: Request) -> str:
    progress = request.last_seen.progress if request.last_seen else request.group.progress
    if progress.speed_bytes_per_second <= 0:
        return "moving"
    left = seconds_left(progress)
    pace = f"moving at {rate(progress.speed_bytes_per_second)}"
    return f"{pace}, about {duration(left)} left" if left is not None else pace


def _total(request: Request) -> str:
    progress = request.last_seen.progress if request.last_seen else request.group.progress
    text = f"{progress.success_objects + progress.skipped_objects:,} objects, {size(progress.complete_bytes)}"
    return f"{text}, {progress.failed_objects:,} objects failed" if progress.failed_objects else text


def _first_sentence(text: str) -> str:
    sentence = text.split(". ")[0].rstrip(".")
    return sentence if sentence.startswith(_NAMES) else sentence[:1].lower() + sentence[1:]


def group_label(group: TaskGroup) -> str:
    """A group by its name, where it has one, and its whole id."""
    name = escape_mrkdwn(group.description, 80)
    return f"{name}, group `{group.group_id}`" if name else f"group `{group.group_id}`"


def status_text(request: Request) -> str:
    """How it stands, in some short sentences: what is so, of which group, who decided, what it waits for."""
    name = f", {escape_mrkdwn(group_name(request.group), 80)}," if headline_states_problem(request) else ""
    said = [
        f"{request.id}: {escape_mrkdwn(headline(request), 200)}.",
        f"Group `{request.group.group_id}`{name} in project {escape_mrkdwn(request.plan.project)}.",
    ]
    for done, what in ((request.decision, "Approved"), (request.ending, str(request.state).capitalize())):
        if done is not None:
            said.append(f"{what} by {mentions(done.people, 'and')} {local_time(done.at)}.")
    return " ".join([*said, *_waits_for(request)])


def _waits_for(request: Request) -> list[str]:
    """For whom, and until when; until its time, where it has one."""
    starts = [f"It starts {local_time(request.start_at)}."] if request.start_at is not None else []
    match request.state:
        case State.PENDING:
            so_far = (
                f", approved so far by {mentions(request.vote_progress.people, 'and')}" if request.vote_progress else ""
            )
            return [
                f"Needs {approvals_needed(missing_approvers(request))} until {local_time(request.expires_at)}{so_far}.",
                *starts,
            ]
        case State.APPROVED if request.problem is None:
            return starts
        case State.NOT_STARTED:
            return [f"The approval holds until {local_time(request.expires_at)}."]
        case _:
            return []

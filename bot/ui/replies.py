"""What is said to one person, and what a thread is told when things turn. Pure; cards are in `cards`."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.decisions import is_self_approved
from bot.domain.policy import Refusal, approver_names
from bot.domain.request import Policy, Problem, Request, State
from bot.domain.task_group import GroupStatus
from bot.ui.formatting import approvals_needed, code, duration, escape_mrkdwn, local_time, mentions, user_text
from bot.ui.status import group_label, group_name, headline, status_text

COMMAND_NOT_STORED = "Not taken, please type it again. The bot could not write it down."
CLICK_NOT_STORED = "Not taken, please press it again. The bot could not write it down."
FOREIGN_PAYLOAD = "This does not come from the workspace and app that this bot serves. Nothing was changed."
UNKNOWN_CONTROL = "The bot does not know this button or form. Nothing was changed."
NO_SUCH_REQUEST = "There is no such request that you may see. Nothing was changed."
DUPLICATE_CARD = "That was a copy of the card. Nothing was changed."
FORM_DID_NOT_OPEN = "Slack did not open the form. Nothing was changed. Please try again."
FORM_NOT_STORED = "The bot could not write it down. Please close this and try again."
NOTHING_TO_SEE = "There is no project here that you may see."
NOT_A_REQUESTER = "You are not among those who may ask here. Nothing was asked."
LOOKUP_FAILED = "Slack does not tell who you are just now, so nothing was changed. Please try again in a minute."


def help_text(command: str) -> str:
    """How to use the command."""
    return "\n".join(
        (
            f"`{command} GROUP_ID why you want it` asks for approval to resume a paused group, or retry a failed one.",
            "Several ids may stand first. `project=NAME` says which project, `at=22:30` when to start, in your zone.",
            f"`{command}` alone opens a form.",
            f"`{command} list` shows open requests, and paused and failed groups.",
            f"`{command} status ID` shows how a request (R-…) or a task group stands.",
        )
    )


def with_link(text: str, permalink: str | None) -> str:
    """A sentence and where to look."""
    return f"{text} <{permalink}|See the card>" if permalink else text


def with_group_id(group_id: str, said: str) -> str:
    """What is said of one group among several: it names which."""
    return said if group_id in said else f"Group `{group_id}`: {said}"


def request_created(request: Request, permalink: str | None) -> str:
    """To whoever asked, once the card is there."""
    starts = f" It starts {local_time(request.start_at)}, not at once." if request.start_at else ""
    may = f"{mentions(approver_names(request.policy))} may approve."
    return with_link(f"Asked. {may}{starts} Request {request.id}: {group_label(request.group)}.", permalink)


def already_open(request: Request, permalink: str | None) -> str:
    """To whoever asks for a group that has an open request."""
    text = (
        f"{mentions([request.requester])} has already asked for this group: {request.id}, {group_label(request.group)}."
    )
    return with_link(f"{text} Nothing was asked twice.", permalink)


def already_open_by_you(request: Request, permalink: str | None) -> str:
    """To whoever asks a second time for a group."""
    text = f"You have asked for this group already: {request.id}, {group_label(request.group)}. "
    text += "What you typed now was not taken."
    if request.state is State.PENDING:
        text += " To change the reason or the time, cancel that request first."
    return with_link(text, permalink)


def not_resumable(status: GroupStatus, group_id: str) -> str:
    """Why nobody is asked for a group in this status. A paused group is resumed, a failed one retried."""
    said = {
        GroupStatus.WAITING: "is waiting to run: there is nothing to resume. OMS starts it by itself",
        GroupStatus.EXECUTING: "is running already: OMS is making its tasks. There is nothing to resume",
        GroupStatus.MONITORING: "is running already: there is nothing to resume",
        GroupStatus.COMPLETED: "is complete: there is nothing to resume",
        GroupStatus.WAITING_FOR_DELETION: "waits to be deleted, so it cannot be resumed",
        GroupStatus.DELETED: "is deleted, so it cannot be resumed",
    }[status]
    return f"Group `{group_id}` {said}. Nothing was asked."


def waits_until_paused(group_id: str) -> str:
    return f"Group `{group_id}` is still pausing. The bot asks for approval as soon as it is paused."


def still_pausing(group_id: str) -> str:
    return f"Group `{group_id}` is still pausing, after half an hour. Nothing was asked. Look at it in the console."


# What is the same whatever request it is, and tells nothing of any.
_OUTSIDERS = {
    Refusal.GUEST: "Guests cannot do this. Nothing was changed.",
    Refusal.BOT: "Bots cannot do this. Nothing was changed.",
    Refusal.DEACTIVATED: "This account is deactivated. Nothing was changed.",
    Refusal.EXTERNAL: "People of another organisation cannot do this. Nothing was changed.",
    Refusal.CANNOT_SEE_PROJECT: NO_SUCH_REQUEST,
    Refusal.GROUPS_UNKNOWN: "Slack does not tell just now who is in the user groups, so this was not counted. "
    "Please press again in a minute.",
}


def outsider_text(refusal: Refusal) -> str:
    """Why somebody may do nothing here, whatever it was."""
    return _OUTSIDERS[refusal]


def refusal_text(refusal: Refusal, request: Request) -> str:
    """Why what somebody pressed does not count."""
    return (
        _OUTSIDERS.get(refusal)
        or {
            Refusal.NOT_A_REQUESTER: "You are not among the requesters of this project. Nothing was changed.",
            Refusal.NOT_AN_APPROVER: f"You are not among those who decide: {approver_mentions(request.policy)}. "
            "Nothing was changed.",
            Refusal.NO_LONGER_NAMED: "The settings have changed since this was asked, and no longer name you among "
            "those who may do this. Nothing was changed.",
            Refusal.OWN_REQUEST: "You asked for this, so somebody else must decide: "
            f"{approver_mentions(request.policy)}. Nothing was changed.",
            Refusal.OWN_REQUEST_NEEDS_REASON: "Approving what you asked for yourself needs a reason, and this has "
            "none. Cancel it, and ask again with a reason. Nothing was changed.",
            Refusal.ALREADY_APPROVED_BY_YOU: "You have approved this already. Nothing was changed.",
            Refusal.NOTHING_TO_WITHDRAW: "You have not approved this, so there is nothing to withdraw.",
            Refusal.NOT_PENDING: f"This is decided already. {status_text(request)}",
            Refusal.EXPIRED: "This has expired. It can be asked again.",
            Refusal.NOT_RETRYABLE: f"There is nothing to retry now. {status_text(request)}",
            Refusal.NOT_PAUSABLE: f"There is nothing to pause now. {status_text(request)}",
            Refusal.NO_SCOPE_TO_CHOOSE: "There is nothing to choose for this request. Nothing was changed.",
            Refusal.SCOPE_UNCHANGED: f"That is what is chosen already: {request.scope}.",
            Refusal.SCOPE_CHANGED_MEANWHILE: f"Somebody has changed what is retried: it is {request.scope} now. "
            "Look at the card again. Nothing was changed.",
        }[refusal]
    )


def request_void(request: Request) -> str:
    """To whoever pressed, when what would be called is no longer what was asked for."""
    return f"The settings have changed since {request.id} was asked, so it is void. It can be asked again."


def self_approval_notice(request: Request) -> str:
    """To everybody else who could approve, when a requester approves on their own."""
    return (
        f"Break-glass: {mentions([request.requester])} approved their own request {request.id}, to resume "
        f"{escape_mrkdwn(group_name(request.group), 80)} in project {escape_mrkdwn(request.plan.project)}. "
        f"Reason: {user_text(request.reason)}"
    )


def self_approval_line(request: Request) -> str:
    """That whoever asked has approved it themselves, too."""
    if request.state is State.PENDING:
        return "Break-glass: the approval of whoever asked counts, too."
    return "Break-glass: approved by whoever asked."


def denied(request: Request) -> str:
    """To whoever asked: who said no, and why."""
    ending = request.ending
    by = mentions(ending.people, "and") if ending else ""
    why = f" Reason: {user_text(ending.reason)}" if ending and ending.reason else " No reason was given."
    return f"{request.id}, {escape_mrkdwn(group_name(request.group), 80)}: denied by {by}.{why}"


def scope_changed(request: Request, person: str, voters: Sequence[str]) -> str:
    """To the thread, when what is to be retried has changed after somebody had approved."""
    return (
        f"{mentions([person])} chose to retry {request.scope}. The approval of {mentions(voters, 'and')} was for "
        "something else and no longer counts."
    )


def no_quorum_possible(request: Request, slots: Sequence[Sequence[str]]) -> str:
    """To whoever asked, when people have left and no quorum could approve any more."""
    return (
        f"{request.id} cannot be approved any more: nobody is left for {approvals_needed(slots)}. Cancel it, add "
        f"approvers to projects.{escape_mrkdwn(request.plan.project)} in bot.toml, and ask again."
    )


def half_time_reminder(request: Request, missing: Sequence[Sequence[str]]) -> str:
    # Only those still missing are mentioned: a name that rings nobody would remind nobody.
    return (
        f"Half of the time is over. Still missing: {approvals_needed(missing)}, until {local_time(request.expires_at)}."
    )


def final_reminder(request: Request) -> str:
    # Whoever was mentioned at half time follows the thread since, and is not rung a second time.
    return f"{mentions([request.requester])}: this is still not decided, and expires {local_time(request.expires_at)}."


def approver_mentions(policy: Policy) -> str:
    return mentions(approver_names(policy))


def thread_line(request: Request) -> str | None:
    """The line in the thread when a request has come to this state; None for states that pass by."""
    requester = mentions([request.requester])
    approved_by = mentions(request.decision.people, "and") if request.decision else ""
    ended_by = mentions(request.ending.people, "and") if request.ending else ""
    attempt = request.attempt
    match request.state:
        case State.APPROVED if request.problem is not None:
            return f"Not sent yet: {escape_mrkdwn(request.problem.meaning)} The bot tries again by itself."
        case State.APPROVED if attempt is not None and attempt.number > 1:
            return f"Retry by {mentions([attempt.opened_by])}."
        case State.APPROVED if attempt is not None and attempt.tries == 0:
            when = f" It starts {local_time(request.start_at)}." if request.start_at else ""
            alone = f" {self_approval_line(request)}" if is_self_approved(request) else ""
            return f"Approved by {approved_by}.{alone}{when}"
        case State.DENIED:
            reason = request.ending.reason if request.ending else ""
            return f"Denied by {ended_by}.{f' Reason: {user_text(reason)}' if reason else ''}"
        case State.CANCELLED:
            return f"Cancelled by {ended_by}."
        case State.EXPIRED:
            return f"{requester}: nobody decided in time. It can be asked again."
        case State.APPROVAL_EXPIRED:
            return "The approval ran out before anything was started. It can be asked again."
        case State.VOID:
            why = (
                escape_mrkdwn(request.problem.meaning)
                if request.problem
                else "the settings have changed since this was asked."
            )
            return f"{requester}: {why} It can be asked again."
        case State.ACCEPTED if request.started_elsewhere:
            return f"{escape_mrkdwn(headline(request))}. This bot started nothing."
        case State.ACCEPTED:
            return "Accepted by OMS. Nothing has moved yet."
        case State.UNKNOWN if request.started_elsewhere and request.problem is not None:
            code = escape_mrkdwn(request.problem.code)
            return f"OMS refused the call with {code}. The bot looks whether somebody else has started the group."
        case State.UNKNOWN:
            return "No clear answer from OMS: it may have started or not. The bot looks until it knows."
        case State.PAUSING if request.pause is not None:
            return f"{mentions([request.pause.person])} wants it paused."
        case State.NOT_FOLLOWED:
            why = "its project has changed in bot.toml"
            return f"{requester}: the bot no longer looks at this group, for {why}. Look at it in the console."
        case State.PAUSED_AGAIN:
            by = f" by {mentions([request.pause.person])}" if request.pause is not None else ", not by this bot"
            return f"{requester}: paused{by}. To go on, press Ask again."
        case State.NOT_STARTED | State.FAILED if request.problem is not None:
            rest = _after(after_first_sentence(request.problem))
            return f"{requester}: {escape_mrkdwn(headline(request))}.{rest}{_and_then(request.problem)}"
        case State.MOVING | State.DONE | State.FAILED:
            took = ""
            if request.state is State.DONE and attempt and attempt.answered_at and request.ended_at:
                took = f" It took {duration(int((request.ended_at - attempt.answered_at).total_seconds()))}."
            return f"{escape_mrkdwn(headline(request))}.{took}"
        case _:
            return None


def pause_failed(request: Request) -> str:
    """The line in the thread when a pause came to nothing."""
    failure = request.pause.failure if request.pause else None
    what = f"{escape_mrkdwn(failure.code)}, " if failure and failure.code else ""
    said = f"{escape_mrkdwn(failure.meaning)}{_and_then(failure)}" if failure else ""
    return f"Not paused: {what}{said}"


def original_message(problem: Problem) -> str:
    """Somebody else's own words for it, where they say more than the meaning does."""
    words = problem.message.rstrip(".")
    if not words or problem.meaning.lower().startswith(words.lower()):
        return ""
    return f"{escape_mrkdwn(problem.where)} said: {escape_mrkdwn(problem.message, 300)}"


def _after(text: str) -> str:
    return f" {text}" if text else ""


def _and_then(problem: Problem) -> str:
    """What the thread says after the meaning: whose words, what to do, and what Huawei Cloud finds it by."""
    said = original_message(problem).rstrip(".")
    parts = [
        f"{said}." if said else "",
        f"Next: {escape_mrkdwn(problem.next_step)}" if problem.next_step else "",
        f"Huawei request id {code(problem.huawei_request_id, 80)}." if problem.huawei_request_id else "",
    ]
    return "".join(f" {part}" for part in parts if part)


def after_first_sentence(problem: Problem) -> str:
    """What the meaning says after the sentence that the headline has."""
    return escape_mrkdwn(problem.meaning.partition(". ")[2])

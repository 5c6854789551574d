"""What is said to one person, and what a thread is told when things turn. Pure; cards are in `cards`."""

from __future__ import annotations

from collections.abc import Sequence

from bot.request.group import GroupStatus
from bot.request.model import Policy, Request, State, Trouble
from bot.request.policy import Refusal, approver_names
from bot.request.votes import is_break_glass
from bot.slack.headlines import group_name, headline
from bot.slack.standing import stands, which
from bot.slack.words import clock, code, duration, needed, people, plain, quoted

NOT_TAKEN = "Not taken, please type it again. The bot could not write it down."
NOT_TAKEN_CLICK = "Not taken, please press it again. The bot could not write it down."
NOT_OURS = "This does not come from the workspace and app that this bot serves. Nothing was changed."
NOT_UNDERSTOOD = "The bot does not know this button or form. Nothing was changed."
NO_SUCH_REQUEST = "There is no such request that you may see. Nothing was changed."
THAT_WAS_A_COPY = "That was a copy of the card. Nothing was changed."
FORM_DID_NOT_OPEN = "Slack did not open the form. Nothing was changed. Please try again."
FORM_NOT_TAKEN = "The bot could not write it down. Please close this and try again."
NOTHING_TO_SEE = "There is no project here that you may see."
MAY_NOT_ASK = "You are not among those who may ask here. Nothing was asked."
SLACK_CANNOT_BE_ASKED = (
    "Slack does not tell who you are just now, so nothing was changed. Please try again in a minute."
)


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


def of_group(group_id: str, said: str) -> str:
    """What is said of one group among several: it names which."""
    return said if group_id in said else f"Group `{group_id}`: {said}"


def asked(request: Request, permalink: str | None) -> str:
    """To whoever asked, once the card is there."""
    starts = f" It starts {clock(request.start_at)}, not at once." if request.start_at else ""
    may = f"{people(approver_names(request.policy))} may approve."
    return with_link(f"Asked. {may}{starts} Request {request.id}: {which(request.group)}.", permalink)


def already_open(request: Request, permalink: str | None) -> str:
    """To whoever asks for a group that has an open request."""
    text = f"{people([request.requester])} has already asked for this group: {request.id}, {which(request.group)}."
    return with_link(f"{text} Nothing was asked twice.", permalink)


def already_open_by_you(request: Request, permalink: str | None) -> str:
    """To whoever asks a second time for a group."""
    text = f"You have asked for this group already: {request.id}, {which(request.group)}. "
    text += "What you typed now was not taken."
    if request.state is State.PENDING:
        text += " To change the reason or the time, cancel that request first."
    return with_link(text, permalink)


def nothing_to_ask(status: GroupStatus, group_id: str) -> str:
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
    Refusal.STRANGER: "People of another organisation cannot do this. Nothing was changed.",
    Refusal.NOT_A_READER: NO_SUCH_REQUEST,
    Refusal.GROUPS_UNKNOWN: "Slack does not tell just now who is in the user groups, so this was not counted. "
    "Please press again in a minute.",
}


def why_not_at_all(refusal: Refusal) -> str:
    """Why somebody may do nothing here, whatever it was."""
    return _OUTSIDERS[refusal]


def why_not(refusal: Refusal, request: Request) -> str:
    """Why what somebody pressed does not count."""
    return (
        _OUTSIDERS.get(refusal)
        or {
            Refusal.NOT_A_REQUESTER: "You are not among the requesters of this project. Nothing was changed.",
            Refusal.NOT_AN_APPROVER: f"You are not among those who decide: {approvers(request.policy)}. "
            "Nothing was changed.",
            Refusal.NO_LONGER_NAMED: "The settings have changed since this was asked, and no longer name you among "
            "those who may do this. Nothing was changed.",
            Refusal.OWN_REQUEST: "You asked for this, so somebody else must decide: "
            f"{approvers(request.policy)}. Nothing was changed.",
            Refusal.OWN_REQUEST_NEEDS_REASON: "Approving what you asked for yourself needs a reason, and this has "
            "none. Cancel it, and ask again with a reason. Nothing was changed.",
            Refusal.ALREADY_APPROVED_BY_YOU: "You have approved this already. Nothing was changed.",
            Refusal.NOTHING_TO_WITHDRAW: "You have not approved this, so there is nothing to withdraw.",
            Refusal.NOT_PENDING: f"This is decided already. {stands(request)}",
            Refusal.EXPIRED: "This has expired. It can be asked again.",
            Refusal.NOT_RETRYABLE: f"There is nothing to retry now. {stands(request)}",
            Refusal.NOT_PAUSABLE: f"There is nothing to pause now. {stands(request)}",
            Refusal.NOTHING_TO_CHOOSE: "There is nothing to choose for this request. Nothing was changed.",
            Refusal.CHOSEN_ALREADY: f"That is what is chosen already: {request.scope}.",
            Refusal.CHOSEN_OTHERWISE: f"Somebody has changed what is retried: it is {request.scope} now. Look at the "
            "card again. Nothing was changed.",
        }[refusal]
    )


def is_void(request: Request) -> str:
    """To whoever pressed, when what would be called is no longer what was asked for."""
    return f"The settings have changed since {request.id} was asked, so it is void. It can be asked again."


def self_approval(request: Request) -> str:
    """To everybody else who could approve, when a requester approves on their own."""
    return (
        f"Break-glass: {people([request.requester])} approved their own request {request.id}, to resume "
        f"{plain(group_name(request.group), 80)} in project {plain(request.plan.project)}. "
        f"Reason: {quoted(request.reason)}"
    )


def break_glass(request: Request) -> str:
    """That whoever asked has approved it themselves, too."""
    if request.state is State.PENDING:
        return "Break-glass: the approval of whoever asked counts, too."
    return "Break-glass: approved by whoever asked."


def denied(request: Request) -> str:
    """To whoever asked: who said no, and why."""
    ending = request.ending
    by = people(ending.people, "and") if ending else ""
    why = f" Reason: {quoted(ending.reason)}" if ending and ending.reason else " No reason was given."
    return f"{request.id}, {plain(group_name(request.group), 80)}: denied by {by}.{why}"


def chosen_anew(request: Request, person: str, voters: Sequence[str]) -> str:
    """To the thread, when what is to be retried has changed after somebody had approved."""
    return (
        f"{people([person])} chose to retry {request.scope}. The approval of {people(voters, 'and')} was for something "
        "else and no longer counts."
    )


def nobody_left(request: Request, places: Sequence[Sequence[str]]) -> str:
    """To whoever asked, when people have left and no quorum could approve any more."""
    return (
        f"{request.id} cannot be approved any more: nobody is left for {needed(places)}. Cancel it, add approvers to "
        f"projects.{plain(request.plan.project)} in bot.toml, and ask again."
    )


def reminder_at_half_time(request: Request, missing: Sequence[Sequence[str]]) -> str:
    # Only those still missing are mentioned: a name that rings nobody would remind nobody.
    return f"Half of the time is over. Still missing: {needed(missing)}, until {clock(request.expires_at)}."


def reminder_before_the_end(request: Request) -> str:
    # Whoever was mentioned at half time follows the thread since, and is not rung a second time.
    return f"{people([request.requester])}: this is still not decided, and expires {clock(request.expires_at)}."


def approvers(policy: Policy) -> str:
    return people(approver_names(policy))


def turn_of_events(request: Request) -> str | None:
    """The line in the thread when a request has come to this state; None for states that pass by."""
    requester = people([request.requester])
    approved_by = people(request.decision.people, "and") if request.decision else ""
    ended_by = people(request.ending.people, "and") if request.ending else ""
    attempt = request.attempt
    match request.state:
        case State.APPROVED if request.trouble is not None:
            return f"Not sent yet: {plain(request.trouble.meaning)} The bot tries again by itself."
        case State.APPROVED if attempt is not None and attempt.number > 1:
            return f"Retry by {people([attempt.opened_by])}."
        case State.APPROVED if attempt is not None and attempt.tries == 0:
            when = f" It starts {clock(request.start_at)}." if request.start_at else ""
            alone = f" {break_glass(request)}" if is_break_glass(request) else ""
            return f"Approved by {approved_by}.{alone}{when}"
        case State.DENIED:
            reason = request.ending.reason if request.ending else ""
            return f"Denied by {ended_by}.{f' Reason: {quoted(reason)}' if reason else ''}"
        case State.CANCELLED:
            return f"Cancelled by {ended_by}."
        case State.EXPIRED:
            return f"{requester}: nobody decided in time. It can be asked again."
        case State.LAPSED:
            return "The approval ran out before anything was started. It can be asked again."
        case State.VOID:
            why = (
                plain(request.trouble.meaning) if request.trouble else "the settings have changed since this was asked."
            )
            return f"{requester}: {why} It can be asked again."
        case State.ACCEPTED if request.is_elsewhere:
            return f"{plain(headline(request))}. This bot started nothing."
        case State.ACCEPTED:
            return "Accepted by OMS. Nothing has moved yet."
        case State.UNKNOWN if request.is_elsewhere and request.trouble is not None:
            code = plain(request.trouble.code)
            return f"OMS refused the call with {code}. The bot looks whether somebody else has started the group."
        case State.UNKNOWN:
            return "No clear answer from OMS: it may have started or not. The bot looks until it knows."
        case State.PAUSING if request.pause is not None:
            return f"{people([request.pause.person])} wants it paused."
        case State.UNFOLLOWED:
            why = "its project has changed in bot.toml"
            return f"{requester}: the bot no longer looks at this group, for {why}. Look at it in the console."
        case State.PAUSED_AGAIN:
            by = f" by {people([request.pause.person])}" if request.pause is not None else ", not by this bot"
            return f"{requester}: paused{by}. To go on, press Ask again."
        case State.NOT_STARTED | State.FAILED if request.trouble is not None:
            rest = _after(rest_of(request.trouble))
            return f"{requester}: {plain(headline(request))}.{rest}{_and_then(request.trouble)}"
        case State.MOVING | State.DONE | State.FAILED:
            took = ""
            if request.state is State.DONE and attempt and attempt.answered_at and request.ended_at:
                took = f" It took {duration(int((request.ended_at - attempt.answered_at).total_seconds()))}."
            return f"{plain(headline(request))}.{took}"
        case _:
            return None


def pause_failed(request: Request) -> str:
    """The line in the thread when a pause came to nothing."""
    failure = request.pause.failure if request.pause else None
    what = f"{plain(failure.code)}, " if failure and failure.code else ""
    said = f"{plain(failure.meaning)}{_and_then(failure)}" if failure else ""
    return f"Not paused: {what}{said}"


def said_by(trouble: Trouble) -> str:
    """Somebody else's own words for it, where they say more than the meaning does."""
    words = trouble.message.rstrip(".")
    if not words or trouble.meaning.lower().startswith(words.lower()):
        return ""
    return f"{plain(trouble.where)} said: {plain(trouble.message, 300)}"


def _after(text: str) -> str:
    return f" {text}" if text else ""


def _and_then(trouble: Trouble) -> str:
    """What the thread says after the meaning: whose words, what to do, and what Huawei Cloud finds it by."""
    said = said_by(trouble).rstrip(".")
    parts = [
        f"{said}." if said else "",
        f"Next: {plain(trouble.next_step)}" if trouble.next_step else "",
        f"Huawei request id {code(trouble.huawei_request_id, 80)}." if trouble.huawei_request_id else "",
    ]
    return "".join(f" {part}" for part in parts if part)


def rest_of(trouble: Trouble) -> str:
    """What the meaning says after the sentence that the headline has."""
    return plain(trouble.meaning.partition(". ")[2])

"""The replies to a refused action, and to a request that is not created.

Pure. `bot.domain.policy` and `bot.domain.decisions` refuse actions, `bot.jobs.ask` refuses to create requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bot.domain.approvals import possible_approvers
from bot.domain.policy import Refusal
from bot.domain.request import Policy, Problem, Request, State
from bot.domain.task_group import GroupStatus, TaskGroup
from bot.ui.formatting import (
    approvals_needed,
    capitalized,
    escape_mrkdwn,
    inline_code,
    join_words,
    link_console,
    mentions,
)
from bot.ui.problem_texts import LOOK_IN_CONSOLE, problem_sentences
from bot.ui.replies import named_group
from bot.ui.status import status_text
from bot.ui.usage import NO_REQUEST_CREATED

NO_SUCH_REQUEST = "No such request, or you can't see it."
NO_SUCH_GROUP = "No such group, or you can't see it."
NOTHING_TO_SEE = "You don't have access to any of this bot's projects. Ask the bot's administrator to add you."
DUPLICATE_CARD = "This is a copy of the card. Nothing changed; use the original card."
LOOKUP_FAILED = "Slack couldn't confirm who you are. Nothing changed; try again in a minute."
KEY_CHANGED = (
    "The bot's signing key is new, so it can't verify earlier approvals. Check the card, then press the button again."
)
MESSAGE_KEY_CHANGED = (
    "The bot's signing key is new, so it can't verify your last command or click. Nothing changed; please repeat it."
)
CREATED_BEFORE = "This command already created a request for this group. Repeat it to create another request."
UNVERIFIED = "The bot can't verify this request, so it's void. Press Request again on its card."
TAMPERED = "Someone changed this request in the bot's database, so it's void. Tell the bot's administrator."
TOO_OLD = "The request has changed since you pressed the button. Nothing changed. Check the card, then press again."
GROUPS_UNKNOWN = "Slack couldn't tell which user groups you're in. Nothing changed; try again in a minute."

NOT_A_REQUESTER = f"You can't create requests with this bot. {NO_REQUEST_CREATED}"
TIME_ZONE_UNKNOWN = "Slack couldn't tell your time zone. No request was created; try again in a minute."
APPROVERS_UNKNOWN = "Slack couldn't tell who can approve this. No request was created; try again in a minute."

NOTHING_CHANGED = "Nothing changed."


def slack_denied(problem: str, code: str, fix: str, outcome: str) -> str:
    """Slack refuses the bot until people change the app.

    Arguments:
        problem: continues a sentence that begins with "Slack".
        fix: continues a sentence that begins with "Ask the bot's administrator to".
        outcome: a sentence that says what did not happen.
    """
    sentence = f"Slack {problem} ({code}), so the bot can't look people up."
    return f"{sentence} {outcome} Ask the bot's administrator to {fix}."


# These reveal nothing about a request, so the bot can show them to people who may not see it.
_ACCOUNTS = {
    Refusal.GUEST: "Guests can't use this app.",
    Refusal.BOT: "Bots can't use this app.",
    Refusal.DEACTIVATED: "Deactivated accounts can't use this app.",
    Refusal.EXTERNAL: "People from other organizations can't use this app.",
}
_OUTSIDERS = {
    **{refusal: f"{text} Nothing changed." for refusal, text in _ACCOUNTS.items()},
    Refusal.CANNOT_SEE_PROJECT: NO_SUCH_REQUEST,
    Refusal.GROUPS_UNKNOWN: GROUPS_UNKNOWN,
}


def account_text(refusal: Refusal) -> str:
    """The reply to a person whose account may not use the bot.

    Raises:
        KeyError: the refusal is not about the kind of the account.
    """
    return _ACCOUNTS[refusal]


def outsider_text(refusal: Refusal) -> str:
    """The reply to a person who may not use the bot at all.

    Raises:
        KeyError: the refusal depends on a request.
    """
    return _OUTSIDERS[refusal]


def refusal_text(refusal: Refusal, request: Request) -> str:
    """The reply to a refused action."""
    if refusal in _OUTSIDERS:
        return _OUTSIDERS[refusal]
    requester, approvers = mentions([request.requester]), mentions(possible_approvers(request))
    others_can = f"; {approvers} can" if approvers else ""
    expired = "This request" if request.state is State.PENDING else "The approval"
    return {
        Refusal.NOT_A_REQUESTER: "You can't create requests in this project. Nothing changed.",
        Refusal.NOT_AN_APPROVER: f"You can't approve or deny this{others_can}. Nothing changed.",
        Refusal.NEITHER_REQUESTER_NOR_APPROVER: f"Only the requester ({requester}) and the approvers"
        f"{f' ({approvers})' if approvers else ''} can do this. Nothing changed.",
        Refusal.NO_LONGER_NAMED: "You're no longer an approver of this project. Nothing changed.",
        Refusal.OWN_REQUEST: f"You can't approve or deny your own request{others_can}. Nothing changed.",
        Refusal.OWN_REQUEST_NEEDS_REASON: "You can't approve your own request without a reason. Nothing changed. "
        "Cancel it, then request it again with a reason.",
        Refusal.ALREADY_APPROVED_BY_YOU: "You've already approved this. Nothing changed.",
        Refusal.NOTHING_TO_WITHDRAW: "You haven't approved this, so there's nothing to withdraw.",
        Refusal.NOT_PENDING: f"This is already decided. Nothing changed. {status_text(request)}",
        Refusal.EXPIRED: f"{expired} has expired. Nothing changed. You can request it again.",
        Refusal.NOT_RETRYABLE: f"There's nothing to retry. {status_text(request)}",
        Refusal.NOT_PAUSABLE: f"There's nothing to pause. {status_text(request)}",
        Refusal.NO_SCOPE_TO_CHOOSE: "There's nothing to choose for this request. Nothing changed.",
        Refusal.SCOPE_UNCHANGED: f"This request already retries {request.scope}. Nothing changed.",
        Refusal.SCOPE_CHANGED_MEANWHILE: f"This request now retries {request.scope}. Nothing changed. "
        "Check the card, then press the button again.",
    }[refusal]


def request_void(request: Request) -> str:
    """The reply to an action that made the request void, because the settings have changed."""
    return f"The settings changed after {request.id} was created, so it's void. You can request it again."


def no_such_project(typed_name: str, projects: Sequence[str]) -> str:
    """The person may not create requests in the project they typed. `projects` are those where they can."""
    hint = f" You can create them in {join_words(projects)}." if projects else ""
    return f"You can't create requests in a project named {inline_code(typed_name, 60)}.{hint} {NO_REQUEST_CREATED}"


def group_not_found(group_id: str, regions: Mapping[str, str]) -> str:
    """No project has the group. `regions` has the region of each searched project."""
    searched = join_words((f"{project} ({region})" for project, region in regions.items()), "or")
    return f"No group `{group_id}` in {searched}. Check the id and the region."


def group_in_several_projects(group_id: str, projects: Iterable[str]) -> str:
    return f"Group `{group_id}` is in {join_words(projects)}. Add `project=NAME` to your command. {NO_REQUEST_CREATED}"


def project_not_asked(project: str, problem: Problem, console_url: str) -> str:
    """Why a project could not be searched for a group."""
    return f"Project {project} couldn't be searched{problem_sentences(problem, console_url)}"


def group_not_read(group_id: str, failures: str) -> str:
    """`failures` has a `project_not_asked` for each project that could not be searched."""
    return f"The bot couldn't read group `{group_id}`. {failures}"


def duplicate_project(project: str) -> str:
    """Two tables in bot.toml have the same Huawei Cloud project. Names only the project that the person may see."""
    return (
        f"Project {project} is in bot.toml twice, under two names, so its groups would have two sets of approvers. "
        f"Keep one table for it. {NO_REQUEST_CREATED}"
    )


def maybe_duplicate_project(project: str, region: str) -> str:
    """As `duplicate_project`, when the id of a project could not be looked up."""
    return (
        f"The bot couldn't check whether bot.toml has another name for project {project}, with other approvers. "
        f"Set project_id for each project in {region}, or try again in a minute. {NO_REQUEST_CREATED}"
    )


def not_resumable(group: TaskGroup) -> str:
    """A task group in its status can be neither resumed nor retried.

    Raises:
        KeyError: the group can be resumed or retried, or is still pausing.
    """
    why = {
        GroupStatus.WAITING: "is waiting to run. OMS starts it automatically",
        GroupStatus.EXECUTING: "is already running; OMS is creating its sub-tasks",
        GroupStatus.MONITORING: "is already running",
        GroupStatus.COMPLETED: "is done, so there's nothing to resume",
        GroupStatus.WAITING_FOR_DELETION: "is waiting to be deleted, so it can't be resumed",
        GroupStatus.DELETED: "is deleted, so it can't be resumed",
    }[group.status]
    return f"{capitalized(named_group(group))} {why}. {NO_REQUEST_CREATED}"


def still_pausing(group: TaskGroup, console_url: str) -> str:
    """The bot waited for the group to be paused, and gave up."""
    next_step = link_console(LOOK_IN_CONSOLE, console_url)
    return f"{capitalized(named_group(group))} is still pausing after half an hour. {NO_REQUEST_CREATED} {next_step}"


def no_source_path(bucket: str, project: str) -> str:
    """bot.toml has no Vault path for the keys of the source bucket."""
    return (
        f"bot.toml has no Vault path for the source bucket {escape_mrkdwn(bucket)}. Add it to "
        f"projects.{project}.vault.source. {NO_REQUEST_CREATED}"
    )


def keys_not_checked(meaning: str, next_step: str) -> str:
    """Vault did not list the keys at a path. Both arguments are sentences about the error."""
    return f"{escape_mrkdwn(meaning)} Next: {escape_mrkdwn(next_step)} Then request again. {NO_REQUEST_CREATED}"


def missing_key(vault_path: str, missing: str) -> str:
    """`missing` names the keys, such as `ak and sk`."""
    return (
        f"`{vault_path}` in Vault is missing {missing}. Write {missing} there, then request again. {NO_REQUEST_CREATED}"
    )


def key_not_text(vault_path: str, keys: str) -> str:
    """`keys` names the keys whose value is a JSON object, such as `ak and sk`."""
    return (
        f"The value of {keys} at `{vault_path}` in Vault is a JSON object. Write it there as text, then request it "
        f"again. {NO_REQUEST_CREATED}"
    )


def temporary_key(vault_path: str) -> str:
    return (
        f"`{vault_path}` in Vault holds a temporary access key, which OMS doesn't accept for the source or "
        f"destination. Write a permanent access key there, then request again. {NO_REQUEST_CREATED}"
    )


def no_quorum(project: str, policy: Policy, missing: Sequence[Sequence[str]], reason: str) -> str:
    """The slots in `missing` cannot be filled by anybody but the requester."""
    own, next_step = "Your own approval doesn't count.", "Add"
    if policy.self_approval and reason.strip():
        own = "Your own approval alone isn't enough."
    elif policy.self_approval:
        own, next_step = "Your own approval needs a reason.", "Request it again with a reason, or add"
    return (
        f"Too few people could approve this. It needs {approvals_needed(missing)}, and no other full member can give "
        f"that. {own} {next_step} approvers to projects.{project} in bot.toml. {NO_REQUEST_CREATED}"
    )

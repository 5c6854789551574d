"""The replies to a refused action, and to a request that is not created.

Pure. `bot.domain.policy` and `bot.domain.decisions` refuse actions, `bot.jobs.ask` refuses to create requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bot.domain.policy import Refusal, approver_names
from bot.domain.request import Policy, Problem, Request
from bot.domain.task_group import GroupStatus
from bot.ui.formatting import approvals_needed, escape_mrkdwn, inline_code, join_words, mentions
from bot.ui.status import status_text

NO_SUCH_REQUEST = "There is no such request that you may see. Nothing was changed."
NOTHING_TO_SEE = "There is no project here that you may see."
DUPLICATE_CARD = "That was a copy of the card. Nothing was changed."
LOOKUP_FAILED = "Slack does not tell who you are just now, so nothing was changed. Please try again in a minute."

NOTHING_ASKED = "Nothing was asked."
NOT_A_REQUESTER = "You are not among those who may ask here. Nothing was asked."
GROUPS_UNKNOWN = "Slack does not tell just now who is in the user groups. Please try again in a minute."
TIME_ZONE_UNKNOWN = "Slack does not tell your time zone just now. Please try again in a minute."
APPROVERS_UNKNOWN = (
    "Slack does not tell just now who could approve this. Please try again in a minute. Nothing was asked."
)

# These reveal nothing about a request, so the bot can show them to people who may not see it.
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
    """The reply to a person who may not use the bot at all.

    Raises:
        KeyError: the refusal depends on a request.
    """
    return _OUTSIDERS[refusal]


def refusal_text(refusal: Refusal, request: Request) -> str:
    """The reply to a refused action."""
    if refusal in _OUTSIDERS:
        return _OUTSIDERS[refusal]
    approvers = mentions(approver_names(request.policy))
    return {
        Refusal.NOT_A_REQUESTER: "You are not among the requesters of this project. Nothing was changed.",
        Refusal.NOT_AN_APPROVER: f"You are not among those who decide: {approvers}. Nothing was changed.",
        Refusal.NO_LONGER_NAMED: "The settings have changed since this was asked, and no longer name you among "
        "those who may do this. Nothing was changed.",
        Refusal.OWN_REQUEST: f"You asked for this, so somebody else must decide: {approvers}. Nothing was changed.",
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


def request_void(request: Request) -> str:
    """The reply to an action that made the request void, because the settings have changed."""
    return f"The settings have changed since {request.id} was asked, so it is void. It can be asked again."


def no_such_project(typed_name: str, projects: Sequence[str]) -> str:
    """The person may not create requests in the project they typed. `projects` are those where they can."""
    hint = f" You may ask in {join_words(projects)}." if projects else ""
    return f"There is no project {inline_code(typed_name, 60)} in which you may ask.{hint} Nothing was asked."


def group_not_found(group_id: str, regions: Mapping[str, str]) -> str:
    """No project has the group. `regions` has the region of each searched project."""
    asked = ", ".join(f"{project} ({region})" for project, region in regions.items())
    return f"No task group `{group_id}` in: {asked}. Check the id and the region."


def group_in_several_projects(group_id: str, projects: Iterable[str]) -> str:
    return f"Group `{group_id}` is in {join_words(projects)}. Type it again with `project=NAME`. Nothing was asked."


def project_not_asked(project: str, problem: Problem) -> str:
    """Why a project could not be searched for a group. Begins in lower case, to follow a colon."""
    code = f"{problem.code}: " if problem.code else ""
    message = f" ({escape_mrkdwn(problem.message, 200)})" if problem.message else ""
    reference = f" Huawei request id {problem.huawei_request_id}." if problem.huawei_request_id else ""
    next_step = escape_mrkdwn(problem.next_step)
    return f"project {project}: {code}{escape_mrkdwn(problem.meaning)}{message}{reference} Next: {next_step}"


def group_not_read(group_id: str, failures: str) -> str:
    """`failures` has a `project_not_asked` for each project that could not be searched."""
    return f"Group `{group_id}`: {failures}"


def duplicate_project(project: str) -> str:
    """Two tables in bot.toml have the same Huawei Cloud project. Names only the project that the person may see."""
    return (
        f"Project {project} is in bot.toml a second time, under another name, so its groups would have "
        "two sets of approvers. Keep one table for it. Nothing was asked."
    )


def maybe_duplicate_project(project: str, region: str) -> str:
    """As `duplicate_project`, when the id of a project could not be looked up."""
    return (
        f"Whether project {project} is in bot.toml a second time, with other approvers, cannot be told "
        f"just now. Set project_id in every table of {region}, or try again later. Nothing was asked."
    )


def not_resumable(status: GroupStatus, group_id: str) -> str:
    """A task group in this status can be neither resumed nor retried.

    Raises:
        KeyError: a group in this status can be resumed or retried, or is still pausing.
    """
    why = {
        GroupStatus.WAITING: "is waiting to run: there is nothing to resume. OMS starts it by itself",
        GroupStatus.EXECUTING: "is running already: OMS is making its tasks. There is nothing to resume",
        GroupStatus.MONITORING: "is running already: there is nothing to resume",
        GroupStatus.COMPLETED: "is complete: there is nothing to resume",
        GroupStatus.WAITING_FOR_DELETION: "waits to be deleted, so it cannot be resumed",
        GroupStatus.DELETED: "is deleted, so it cannot be resumed",
    }[status]
    return f"Group `{group_id}` {why}. Nothing was asked."


def still_pausing(group_id: str) -> str:
    """The bot waited for the group to be paused, and gave up."""
    return f"Group `{group_id}` is still pausing, after half an hour. Nothing was asked. Look at it in the console."


def no_source_path(bucket: str, project: str) -> str:
    """bot.toml has no Vault path for the keys of the source bucket."""
    return (
        f"bot.toml names no Vault path for the source bucket {escape_mrkdwn(bucket)}. Add it to "
        f"projects.{project}.vault.source. Nothing was asked."
    )


def keys_not_checked(meaning: str, next_step: str) -> str:
    """Vault did not list the keys at a path. Both arguments are sentences about the error."""
    return f"{escape_mrkdwn(meaning)} Next: {escape_mrkdwn(next_step)} Then ask again. Nothing was asked."


def missing_key(vault_path: str, missing: str) -> str:
    """`missing` names the keys, such as `ak and sk`."""
    return f"`{vault_path}` in Vault has no key {missing}. Write it there, then ask again. Nothing was asked."


def temporary_key(vault_path: str) -> str:
    return (
        f"`{vault_path}` in Vault holds a temporary access key, and OMS takes no security token for source and "
        "destination. Write a permanent access key there, then ask again. Nothing was asked."
    )


def no_quorum(project: str, policy: Policy, missing: Sequence[Sequence[str]], reason: str) -> str:
    """The slots in `missing` cannot be filled by anybody but the requester."""
    own, next_step = "your own approval does not count", "Add"
    if policy.self_approval and reason.strip():
        own = "your own approval alone is not enough"
    elif policy.self_approval:
        own, next_step = "your own approval needs a reason", "Ask again with a reason, or add"
    return (
        f"Nobody but you could approve this: no other full member is left for {approvals_needed(missing)}, and {own}. "
        f"{next_step} approvers to projects.{project} in bot.toml. Nothing was asked."
    )

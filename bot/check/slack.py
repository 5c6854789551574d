"""Checks Slack: tokens, scopes, user groups, people and channels. It posts no message."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, partial

from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from bot.check.finding import Finding, skipped
from bot.clients import slack_route
from bot.config.bot_toml import Project
from bot.config.settings import Settings
from bot.domain.policy import EVERY_FULL_MEMBER, AccountKind, Person, approver_names, unfillable_slots
from bot.redaction import Secret
from bot.slack.client import DirectClient
from bot.slack.errors import Denied, LookupFailed, SlackError, Unavailable, translating_errors
from bot.slack.installation import app_id_of, authenticate
from bot.slack.transport import new_client
from bot.slack.user_groups import UNAVAILABLE_CODES
from bot.slack.users import Users
from bot.slack.websocket import new_address

# The text of a scheduled message. Slack posts it only if `check` is killed before it deletes the message.
LEFT_BEHIND = (
    "`taskgroup-bot check` scheduled this message to test whether the bot can post here, and was stopped before it "
    "could delete it. Nothing is wrong. You don't need to do anything."
)
# Either lets `check` see who is in a channel. The bot itself needs neither.
CHANNEL_SCOPES = ("channels:read", "groups:read")
# Each is looked up, and Slack allows about 100 look-ups a minute.
MAX_MEMBERS = 40
SCOPES = ("commands", "chat:write", "users:read", "usergroups:read")


def check_slack(settings: Settings, client: DirectClient) -> Iterator[Finding]:
    """Yields the findings about the whole workspace.

    The first finding is about the bot token. If Slack does not accept the token, there is no other finding.
    """
    try:
        me = authenticate(client)
    except (Denied, Unavailable) as error:
        failed = _failed("Slack", error, client)
        yield failed
        yield skipped("Slack scopes, app, Socket Mode, user groups and people", failed)
        return
    yield Finding("Slack", f"workspace {me['team']}, bot {me['user']}")
    yield _scopes(me)
    app_token = settings.environment.slack_app_token
    yield _app(client, me, app_token)
    if app_token is not None:
        yield _socket_mode(new_client(app_token, client.base_url, route=slack_route(settings.network)))
    yield from _people_in_channels(settings, client, me)
    for group_id in settings.user_groups:
        yield _user_group(client, group_id)
    users = Users(client, me["team_id"], time.monotonic, settings.named_ids)
    try:
        yield from _people(settings, users, cache(partial(users.look_up, names=settings.user_groups)))
    except LookupFailed as error:
        yield Finding(
            "people",
            f"can't be looked up ({error}), so people and approvers were not checked",
            "fix the failures above, or try again later",
        )


def check_channel(client: WebClient, name: str, project: Project) -> Finding:
    """Whether the bot may post to a project's channel.

    Schedules a message for tomorrow and deletes it at once. This needs the same rights as posting, and nobody sees it.
    """
    subject = f"project {name}, channel {project.channel}"
    post_at = int(datetime.now(UTC).timestamp()) + 3600 * 24
    try:
        with translating_errors():
            scheduled = client.chat_scheduleMessage(channel=project.channel, text=LEFT_BEHIND, post_at=post_at)
            client.chat_deleteScheduledMessage(
                channel=project.channel, scheduled_message_id=scheduled["scheduled_message_id"]
            )
    except SlackError as error:
        fix = {
            "is_archived": "unarchive it, or set another channel in bot.toml",
            "not_in_channel": "invite the bot with /invite in that channel",
            "channel_not_found": "invite the bot with /invite in that channel, or correct the id in bot.toml",
        }.get(error.code, "check the channel's id and its posting permissions")
        return _failed(subject, error, client, fix, "the bot can't post there")
    return Finding(subject, "the bot can post there")


def _scopes(me: SlackResponse) -> Finding:
    granted = str(me.headers.get("x-oauth-scopes") or "").split(",")
    missing = [scope for scope in SCOPES if scope not in granted]
    if missing:
        return Finding(
            "Slack scopes", f"missing {', '.join(missing)}", "add them under OAuth & Permissions and reinstall the app"
        )
    return Finding("Slack scopes", ", ".join(SCOPES))


def _people_in_channels(settings: Settings, client: WebClient, me: SlackResponse) -> Iterator[Finding]:
    """Warns about channels in which guests or other organizations can read cards, if the scopes allow the check."""
    granted = set(str(me.headers.get("x-oauth-scopes") or "").split(","))
    channels = dict.fromkeys(project.channel for project in settings.projects.values())
    if not granted & set(CHANNEL_SCOPES):
        public, private = CHANNEL_SCOPES
        result = f"not checked for guests, because this needs the scope {public}, or {private} for private channels"
        yield Finding("channels", result, is_skipped=True)
        return
    for channel in channels:
        yield _people_in_channel(client, str(me["team_id"]), channel)


def _people_in_channel(client: WebClient, team_id: str, channel: str) -> Finding:
    subject = f"channel {channel}"
    try:
        with translating_errors():
            info = client.conversations_info(channel=channel).get("channel") or {}
            answer = client.conversations_members(channel=channel, limit=MAX_MEMBERS)
        members = [str(one) for one in answer.get("members") or ()]
        users = Users(client, team_id, time.monotonic, members)
        kinds = [users.look_up(one, ()).account_kind for one in members]
    except SlackError as error:
        return Finding(subject, f"not checked for guests ({error.code})", is_skipped=True)
    guests, others = kinds.count(AccountKind.GUEST), kinds.count(AccountKind.EXTERNAL)
    found = [f"{guests} guest{'s' if guests > 1 else ''}"] if guests else []
    if others or info.get("is_ext_shared"):
        found.append("people from other organizations")
    is_part = bool((answer.get("response_metadata") or {}).get("next_cursor"))
    of = f" (of {MAX_MEMBERS} members that were looked up)" if is_part else ""
    if not found:
        return Finding(subject, f"no guests or people from other organizations{of}")
    result = f"{' and '.join(found)} can read its cards{of}"
    return Finding(subject, result, "remove them, or set another channel in bot.toml", is_warning=True)


def _app(client: DirectClient, me: SlackResponse, app_token: Secret | None) -> Finding:
    try:
        return Finding("Slack app", app_id_of(client, me, app_token) or "id unknown")
    except (Denied, Unavailable) as error:
        return _failed("Slack app", error, client)


def _socket_mode(app_client: DirectClient) -> Finding:
    try:
        new_address(app_client)
    except (Denied, Unavailable) as error:
        return _failed("Socket Mode", error, app_client)
    return Finding("Socket Mode", "connects")


def _user_group(client: WebClient, group_id: str) -> Finding:
    subject = f"user group {group_id}"
    try:
        with translating_errors():
            users = client.usergroups_users_list(usergroup=group_id)["users"]
    except SlackError as error:
        if error.code in UNAVAILABLE_CODES:
            fix = "enable it in Slack, or correct or remove its id in bot.toml"
            return Finding(subject, f"is disabled or deleted in Slack ({error.code}), so it counts as empty", fix)
        return _failed(subject, error, client, "correct its id in bot.toml", "can't be read")
    return Finding(
        subject, "1 person" if len(users) == 1 else f"{len(users)} people", "" if users else "add people to it"
    )


def _people(settings: Settings, users: Users, look_up: Callable[[str], Person]) -> Iterator[Finding]:
    """Yields a finding for every person in bot.toml, and for each project whether its approvers can form a quorum.

    Raises:
        LookupFailed: Slack did not return a person, or the members of a user group.
    """
    names = {
        name
        for project in settings.projects.values()
        for name in (*project.policy.requesters, *approver_names(project.policy))
        if name != EVERY_FULL_MEMBER and not name.startswith("S")
    }
    for user_id in sorted(names):
        yield _person(look_up(user_id))
    for name, project in settings.projects.items():
        yield _approvers(name, project, users, look_up)


def _person(person: Person) -> Finding:
    is_full = person.account_kind is AccountKind.FULL
    fix = "" if is_full else "correct or remove it in bot.toml, because only full members count"
    return Finding(f"user {person.id}", person.account_kind.value if person.team_id else "isn't in this workspace", fix)


def _approvers(name: str, project: Project, users: Users, look_up: Callable[[str], Person]) -> Finding:
    subject, policy = f"project {name}, approvers", project.policy
    unfillable = unfillable_slots(policy, policy, "", users.members(approver_names(policy)), look_up)
    if not unfillable:
        return Finding(subject, "enough people can approve")
    slots = " and of ".join(" or ".join(slot) for slot in unfillable)
    return Finding(
        subject,
        f"no full member can fill the place of {slots}",
        "add approvers in bot.toml, or add people to the user groups",
    )


def _failed(
    subject: str, error: SlackError, client: WebClient, fix: str = "", result: str = "rejected the call"
) -> Finding:
    """The finding for a call that failed.

    Arguments:
        fix, result: used if Slack refused the call. If it did not answer or refuses the app, the error provides both.
    """
    if isinstance(error, Unavailable):
        result, fix = error.problem, error.fix_for(client.base_url)
    elif isinstance(error, Denied):
        result, fix = error.problem, error.fix
    return Finding(subject, f"{result} ({error.code})", fix)

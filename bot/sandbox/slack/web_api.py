"""The methods of the Web API that the bot calls, as strict as Slack about tokens, scopes, sizes, rates and states."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.sandbox.slack.checks import charts_in, problems_of_blocks, problems_of_view
from bot.sandbox.slack.elements import with_block_ids
from bot.sandbox.slack.ids import APP_ID, APP_TOKEN, BOT_ID, BOT_TOKEN, BOT_USER_ID, TEAM_ID
from bot.sandbox.slack.workspace import ApiError, Channel, Json, OpenView, Workspace, formatting_in

TEXT_CHARACTERS, UPDATE_CHARACTERS = 40_000, 4_000

# How many calls of a method Slack takes in any minute: tier 2, 3 and 4, and the methods with a rule of their own. Slack
# documents these as minimums, and takes some more. apps.connections.open has no limit here: in tier 1, two starts of a
# bot within a minute could meet it.
TIER_2, TIER_3, TIER_4 = 20, 50, 100
CALLS_PER_MINUTE = {
    "auth.test": 600,
    "bots.info": TIER_3,
    "users.info": TIER_4,
    "usergroups.users.list": TIER_2,
    "conversations.info": TIER_3,
    "conversations.members": TIER_4,
    "chat.postMessage": 300,  # "several hundred"
    "chat.update": TIER_3,
    "chat.getPermalink": 600,
    "chat.scheduleMessage": TIER_3,
    "chat.deleteScheduledMessage": TIER_3,
    "views.open": TIER_4,
    "views.update": TIER_4,
    "views.publish": TIER_4,
}
WINDOW = timedelta(minutes=1)
# For each channel: one post a second, and a short burst.
CHANNEL_BURST = 5


@dataclass
class _ChannelPosts:
    """The rate limit of the posts to one channel, as a token bucket."""

    at: datetime
    left: float = CHANNEL_BURST

    def take(self, now: datetime) -> None:
        self.left = min(CHANNEL_BURST, self.left + (now - self.at).total_seconds())
        self.at = now
        if self.left < 1:
            raise ApiError("ratelimited", retry_after=1)
        self.left -= 1


class WebApi:
    """Answers one call at a time.

    Rate limits apply while `enforces_rate_limits` is set. While `denial` is set, it is the error of every call with a
    bot token, such as `token_revoked`. Unless `takes_charts` is set, the workspace rejects charts, as one that does not
    have them yet.

    Attributes:
        bot_tokens: the answer of auth.test for each bot token that is accepted.
        app_tokens: the app-level tokens that are accepted.
        bot: the answer of bots.info.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.enforces_rate_limits = True
        self.denial: str | None = None
        self.takes_charts = True
        self.bot_tokens: dict[str, Json] = {
            BOT_TOKEN: {
                "url": "https://sandbox.slack.com/",
                "team": "Sandbox",
                "user": "taskgroup-bot",
                "team_id": TEAM_ID,
                "user_id": BOT_USER_ID,
                "bot_id": BOT_ID,
                "is_enterprise_install": False,
            }
        }
        self.app_tokens = {APP_TOKEN}
        self.bot: Json = {"id": BOT_ID, "app_id": APP_ID, "user_id": BOT_USER_ID, "deleted": False}
        self._calls: dict[str, deque[datetime]] = {}  # by method, the times of the calls of the last minute
        self._channel_posts: dict[str, _ChannelPosts] = {}
        self._scheduled: set[str] = set()
        self._methods: dict[str, tuple[str | None, Callable[[Json], Json]]] = {
            "bots.info": ("users:read", self._bots_info),
            "users.info": ("users:read", self._users_info),
            "usergroups.users.list": ("usergroups:read", self._usergroups_users_list),
            "conversations.info": ("channels:read", self._conversations_info),
            "conversations.members": ("channels:read", self._conversations_members),
            "chat.postMessage": ("chat:write", self._post_message),
            "chat.update": ("chat:write", self._update),
            "chat.getPermalink": (None, self._permalink),
            "chat.scheduleMessage": ("chat:write", self._schedule),
            "chat.deleteScheduledMessage": ("chat:write", self._delete_scheduled),
            "views.open": (None, self._views_open),
            "views.update": (None, self._views_update),
            "views.publish": (None, self._views_publish),
        }

    def call(self, method: str, token: str | None, arguments: Json) -> Json:
        """Answers a call, without the field `ok`.

        Raises:
            ApiError: the call is rejected, with Slack's name of the error.
        """
        if method == "apps.connections.open":
            if token not in self.app_tokens:
                raise ApiError("not_allowed_token_type" if token in self.bot_tokens else "invalid_auth")
            return {}
        if token is None:
            raise ApiError("not_authed")
        if token not in self.bot_tokens:
            raise ApiError("invalid_auth")
        if self.denial is not None:
            raise ApiError(self.denial)
        if method == "auth.test":
            return self.bot_tokens[token]
        found = self._methods.get(method)
        if found is None:
            raise ApiError("unknown_method")
        scope, answer = found
        if scope is not None and scope not in self.workspace.scopes:
            raise ApiError("missing_scope")
        with self.workspace.lock:
            self._limit(method)
            return answer(arguments)

    def reset_rate_limits(self) -> None:
        """Forgets all calls so far, as if enough time had passed."""
        with self.workspace.lock:
            self._calls.clear()
            self._channel_posts.clear()

    def _limit(self, method: str) -> None:
        """Refuses the call if the method was called too often in the last minute. Refused calls do not count."""
        if not self.enforces_rate_limits:
            return
        now = self.workspace.now()
        calls = self._calls.setdefault(method, deque())
        while calls and now - calls[0] >= WINDOW:
            calls.popleft()
        if len(calls) >= CALLS_PER_MINUTE[method]:
            raise ApiError("ratelimited", retry_after=math.ceil((calls[0] + WINDOW - now).total_seconds()))
        calls.append(now)

    def _bots_info(self, arguments: Json) -> Json:
        if arguments.get("bot") != BOT_ID:
            raise ApiError("bot_not_found")
        return {"bot": self.bot}

    def _users_info(self, arguments: Json) -> Json:
        user = self.workspace.users.get(str(arguments.get("user")))
        if user is None:
            raise ApiError("user_not_found")
        return {"user": user}

    def _usergroups_users_list(self, arguments: Json) -> Json:
        users = self.workspace.groups.get(str(arguments.get("usergroup")))
        if users is None:
            raise ApiError("no_such_subteam")
        return {"users": users}

    def _conversations_info(self, arguments: Json) -> Json:
        channel = self._visible_channel(arguments)
        is_shared = any(self.workspace.users[one].get("is_stranger") for one in channel.members)
        return {"channel": {"id": channel.id, "name": channel.name, "is_ext_shared": is_shared}}

    def _conversations_members(self, arguments: Json) -> Json:
        members, limit = sorted(self._visible_channel(arguments).members), int(arguments.get("limit") or 100)
        more = "more" if len(members) > limit else ""
        return {"members": members[:limit], "response_metadata": {"next_cursor": more}}

    def _visible_channel(self, arguments: Json) -> Channel:
        channel = self.workspace.channels.get(str(arguments.get("channel")))
        if channel is None:
            raise ApiError("channel_not_found")
        return channel

    def _post_message(self, arguments: Json) -> Json:
        channel = self.workspace.channel_for_post(str(arguments.get("channel") or ""))
        text, blocks = self._content(arguments, TEXT_CHARACTERS)
        if self.enforces_rate_limits:
            now = self.workspace.now()
            self._channel_posts.setdefault(channel.id, _ChannelPosts(now)).take(now)
        thread_ts = arguments.get("thread_ts")
        if thread_ts is not None:
            try:
                self.workspace.message(channel.id, str(thread_ts))
            except ApiError:
                raise ApiError("thread_not_found") from None
        posted = self.workspace.add_message(channel.id, BOT_USER_ID, text, blocks, thread_ts)
        posted.formatting = formatting_in(arguments)
        return {"channel": channel.id, "ts": posted.ts, "message": {"text": text}}

    def _update(self, arguments: Json) -> Json:
        channel = self.workspace.channels.get(str(arguments.get("channel")))
        if channel is None:
            raise ApiError("channel_not_found")
        if channel.archived:
            raise ApiError("is_archived")
        text, blocks = self._content(arguments, UPDATE_CHARACTERS)
        posted = self.workspace.message(channel.id, str(arguments.get("ts")))
        if posted.user != BOT_USER_ID:
            raise ApiError("cant_update_message")
        posted.text, posted.blocks, posted.formatting = text, blocks, formatting_in(arguments)
        return {"channel": channel.id, "ts": posted.ts, "text": text}

    def _content(self, arguments: Json, most: int) -> tuple[str, list[Json]]:
        text = str(arguments.get("text") or "")
        blocks = _parsed(arguments.get("blocks")) or []
        if not text and not blocks:
            raise ApiError("no_text")
        if len(text) > most:
            raise ApiError("msg_too_long")
        problems = problems_of_blocks(blocks)
        if not self.takes_charts and charts_in(blocks):
            problems.append("unsupported type: data_visualization")
        if problems:
            raise ApiError("invalid_blocks", problems)
        return text, with_block_ids({"blocks": blocks})["blocks"]

    def _permalink(self, arguments: Json) -> Json:
        channel, ts = str(arguments.get("channel")), str(arguments.get("message_ts"))
        self.workspace.message(channel, ts)
        return {"permalink": f"https://sandbox.slack.com/archives/{channel}/p{ts.replace('.', '')}", "channel": channel}

    def _schedule(self, arguments: Json) -> Json:
        channel = self.workspace.channel_for_post(str(arguments.get("channel") or ""))
        if int(arguments.get("post_at") or 0) <= self.workspace.now().timestamp():
            raise ApiError("time_in_past")
        number = f"Q{len(self._scheduled) + 1:08d}"
        self._scheduled.add(number)
        return {"channel": channel.id, "scheduled_message_id": number, "post_at": arguments["post_at"]}

    def _delete_scheduled(self, arguments: Json) -> Json:
        number = str(arguments.get("scheduled_message_id"))
        if number not in self._scheduled:
            raise ApiError("invalid_scheduled_message_id")
        self._scheduled.remove(number)
        return {}

    def _views_open(self, arguments: Json) -> Json:
        view = _parsed(arguments.get("view"))
        trigger_id = str(arguments.get("trigger_id") or "")
        person = self.workspace.use_trigger(trigger_id)
        _check_view(view, "modal")
        return {"view": self.workspace.open_view(person, view).as_json()}

    def _views_update(self, arguments: Json) -> Json:
        view = _parsed(arguments.get("view"))
        opened = self.workspace.view(str(arguments.get("view_id") or ""))
        _check_view(view, opened.view["type"])
        _check_hash(arguments, opened)
        self.workspace.change_view(opened, view)
        return {"view": opened.as_json()}

    def _views_publish(self, arguments: Json) -> Json:
        view, person = _parsed(arguments.get("view")), str(arguments.get("user_id") or "")
        if person not in self.workspace.users:
            raise ApiError("invalid_arguments", ["user_id is unknown"])
        _check_view(view, "home")
        home = self.workspace.homes.get(person)
        if home is None:
            return {"view": self.workspace.publish_home(person, view).as_json()}
        _check_hash(arguments, home)
        self.workspace.change_view(home, view)
        return {"view": home.as_json()}


def _check_view(view: Any, kind: str) -> None:
    problems = problems_of_view(view)
    if "view_too_large" in problems:
        raise ApiError("view_too_large")
    if not problems and view["type"] != kind:
        problems = [f"/type must be {kind} here"]
    if problems:
        raise ApiError("invalid_arguments", problems)


def _check_hash(arguments: Json, opened: OpenView) -> None:
    """Rejects an update that names the hash of an older version of the view."""
    if arguments.get("hash") not in (None, opened.hash):
        raise ApiError("hash_conflict")


def _parsed(value: Any) -> Any:
    """The value of an argument. A form-encoded call carries JSON as text."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            raise ApiError("invalid_arguments", ["not JSON"]) from None
    return value

"""Posts each alert to the channel of its project, and edits the message when the alert has changed.

`bot.domain.alert` decides what an alert says. The queue hands out alerts within Slack's rate limits.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from bot.config.bot_toml import Project
from bot.domain.alert import Alert, as_posted
from bot.domain.audit_events import AuditEvent
from bot.domain.request import Problem
from bot.domain.request_record import Authenticity
from bot.domain.watched_group import Trouble
from bot.jobs.context import CHECK_KEY_EVERY, WAIT_FOR_KEY, Context, report_foreign_row
from bot.jobs.notify.cards import CHECK_CHANNEL_EVERY, CHECK_SELDOM_EVERY
from bot.jobs.problems import RetryHint, explain_reason
from bot.jobs.worker import Failed, Finished, Rescheduled, Result, backoff
from bot.slack.errors import ChannelUnavailable, Denied, Gone, RateLimited, SlackError, Unavailable
from bot.store import alerts, slack_budget, tables
from bot.store.alerts import StoredAlert
from bot.store.audit import BOT, Event, append
from bot.store.queue import Claim
from bot.ui.alert import alert_message

log = logging.getLogger(__name__)


def show_alert(context: Context, claim: Claim) -> Result:
    """Posts the claimed alert, or edits its message.

    Until an alert is posted, items can be added to it, so that only one message is posted after an outage of Slack.
    Trouble that is over by then is left out.
    """
    number = int(claim.key)
    with context.store.write() as connection:
        stored = alerts.lock(connection, number)
        if stored is not None and _waits_for_key(context, stored):
            return Failed(context.now() + CHECK_KEY_EVERY)
        if stored is not None and stored.authenticity is not Authenticity.AUTHENTIC:
            report_foreign_row(f"alert {number}", tables.alerts.name, stored.authenticity)
            append(connection, _not_sent(stored.authenticity.value), context.now())
            return Finished()
        project = context.projects.get(stored.alert.project) if stored is not None else None
        if stored is None or project is None:
            return Finished()
        if stored.ts is None:
            stored = replace(stored, alert=as_posted(stored.alert))
            if not stored.alert.items:
                alerts.remove(connection, number)
                return Finished()
            alerts.save(connection, stored, context.now())
    try:
        ts = _send(context, stored, project)
    except SlackError as error:
        return _handle_error(context, claim, stored, error)
    with context.store.write() as connection:
        current = alerts.lock(connection, number)
        if current is not None and current.authenticity is Authenticity.AUTHENTIC:
            is_behind = current.alert != stored.alert
            alerts.save(connection, replace(current, ts=ts), context.now() if is_behind else None)
    return Rescheduled()


def _waits_for_key(context: Context, stored: StoredAlert) -> bool:
    """Whether the alert is left to a replica that knows its key."""
    is_new = context.now() - stored.alert.created_at < WAIT_FOR_KEY
    return stored.authenticity is Authenticity.UNKNOWN_KEY and is_new and not context.store.is_sqlite


def _send(context: Context, stored: StoredAlert, project: Project) -> str:
    """Posts or edits the message, and returns its `ts`.

    Raises:
        SlackError: Slack did not confirm the message.
    """
    problems = _problems(stored.alert, project)
    message = alert_message(stored.alert, project.notify, problems, project.console_url or "", context.command)
    if stored.ts is None:
        return context.messenger.post(stored.channel, message)
    context.messenger.update(stored.channel, stored.ts, message)
    return stored.ts


def _problems(alert: Alert, project: Project) -> Mapping[str, Problem]:
    """Why the groups failed, by key."""
    found = {}
    for item in alert.items:
        if item.trouble is Trouble.FAILED and not item.is_over:
            path = project.source_path(item.group.source.bucket)
            plan = project.plan(alert.project, project.project_id or "", path)
            found[item.key] = explain_reason(item.group.error, plan, RetryHint.RETRY)
    return found


def _handle_error(context: Context, claim: Claim, stored: StoredAlert, error: SlackError) -> Result:
    """Decides when an alert that Slack did not accept is sent again."""
    now = context.now()
    if isinstance(error, RateLimited):
        with context.store.write() as connection:
            return Failed(slack_budget.stop(connection, claim.slack_call, now, error.retry_after_seconds))
    if isinstance(error, Unavailable):
        return Failed(now + backoff(claim.tries))
    if isinstance(error, Gone) and stored.ts is not None:
        # Someone deleted the message. Trouble that lasts is posted again.
        with context.store.write() as connection:
            current = alerts.lock(connection, stored.number)
            if current is not None and current.authenticity is Authenticity.AUTHENTIC:
                alerts.save(connection, replace(current, ts=None), now)
        return Rescheduled()
    if claim.tries == 0:
        log.warning("an alert was not sent: project %s, %s", stored.alert.project, error.code)
        with context.store.write() as connection:
            append(connection, _not_sent(error.code), now)
    if isinstance(error, ChannelUnavailable):
        is_new = now - stored.alert.created_at <= CHECK_SELDOM_EVERY
        return Failed(now + (CHECK_CHANNEL_EVERY if is_new else CHECK_SELDOM_EVERY))
    if stored.ts is None or isinstance(error, Denied):
        return Failed(now + backoff(claim.tries, CHECK_SELDOM_EVERY))
    return Finished()  # Slack no longer accepts edits of this message.


def _not_sent(code: str) -> Event:
    return Event(AuditEvent.NOTICE_NOT_SENT, BOT, None, {"delivery": "alert", "code": code})

"""Posts the report on a request that has ended to the thread of its card.

The report is made from the stored request when it is sent. Slack's answer to the first chart shows whether the
workspace accepts charts.
"""

from __future__ import annotations

import logging

from bot.jobs.context import Context
from bot.slack.errors import SlackError
from bot.store import slack_budget
from bot.store.reports import report_on
from bot.ui.report import report_message, report_message_with_chart

log = logging.getLogger(__name__)

_INVALID_BLOCKS = "invalid_blocks"


def post_report(context: Context, request_id: str, channel: str, thread_ts: str) -> None:
    """Posts the report, with a chart unless Slack refused one within the last day.

    If Slack refuses the blocks with the chart and accepts the same message without it, the workspace accepts no charts.

    Raises:
        SlackError: the report was not posted, or may not have been.
    """
    now = context.now()
    with context.store.read() as connection:
        report = report_on(connection, request_id, now)
        takes_charts = slack_budget.takes_charts(connection, now)
    if report is None:
        raise LookupError(f"{request_id} has a card and no row")
    with_chart = report_message_with_chart(report) if takes_charts else None
    if with_chart is not None:
        try:
            context.messenger.reply(channel, thread_ts, with_chart)
        except SlackError as error:
            if error.code != _INVALID_BLOCKS:
                raise
        else:
            return
    # The budget of posts has room for this second post, because it happens once a day at most.
    context.messenger.reply(channel, thread_ts, report_message(report))
    if with_chart is not None:
        log.info("the Slack workspace doesn't accept charts, so the bot draws bars of text for a day")
        with context.store.write() as connection:
            slack_budget.refuse_charts(connection, now)

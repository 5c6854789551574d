"""Everything else that Slack may send: acknowledged, so that it is not sent again, and left alone."""

from __future__ import annotations

import re

from slack_bolt import Ack, App, BoltResponse

from bot.ui import replies


def register(app: App) -> None:
    """Listens for what no other handler took. Comes last."""

    def leave(ack: Ack) -> None:
        ack()

    def unknown_form(ack: Ack) -> None:
        ack(response_action="clear")

    def no_options(ack: Ack) -> None:
        ack(options=[])

    anything = re.compile(".*")
    app.view_submission(anything)(unknown_form)
    app.view_closed(anything)(leave)
    app.options(anything)(no_options)
    app.shortcut(anything)(leave)
    app.event(anything)(leave)

    @app.error
    def failed(error: Exception) -> BoltResponse:
        app.logger.error("fault in a handler", exc_info=error)
        return BoltResponse(status=200, body=replies.COMMAND_NOT_STORED)

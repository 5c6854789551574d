"""Shows App Home to whoever opened it: open requests of the projects that are theirs to see, and a way to ask."""

from __future__ import annotations

from bot.request.policy import why_not_member
from bot.slack import answers, views
from bot.slack.people import SlackCannotBeAsked
from bot.slack.posting import PostingFault
from bot.store.audit import Event, append
from bot.store.inbox import Message
from bot.work import tell
from bot.work.tools import Tools


def show(tools: Tools, message: Message) -> None:
    """One opening of App Home. Where Slack does not take it, it stays as it was until it is opened again."""
    why = None
    try:
        person = tools.people.look_up(message.person)
        outsider = why_not_member(person)
        mine = tell.projects_to_see(tools, person)
        lines = tell.open_lines(tools, mine) if mine else [answers.NOTHING_TO_SEE]
        if outsider is not None or not mine:
            why = outsider.value if outsider is not None else "no project to see"
            lines = [answers.why_not_at_all(outsider)] if outsider is not None else lines
    except SlackCannotBeAsked:
        why, lines = "Slack cannot be asked", [answers.SLACK_CANNOT_BE_ASKED]
    view = views.home(lines, answers.help_text(tools.command)) if why is None else views.empty_home(lines[0])
    if why is not None:
        with tools.store.write() as connection:
            append(connection, Event("refused", message.person, None, {"kind": "home", "why": why}), tools.now())
    try:
        tools.posting.publish_home(message.person, view)
    except PostingFault:
        return

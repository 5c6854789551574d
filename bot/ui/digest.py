"""The daily digest of a project, in one message to its channel.

Pure. `bot.domain.digest` decides what it contains.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.domain.digest import Digest
from bot.domain.task_group import GroupKind
from bot.domain.watched_group import Reading
from bot.ui.blocks import SECTION_CHARACTERS
from bot.ui.formatting import local_time
from bot.ui.lists import Section, fit
from bot.ui.status import status_text
from bot.ui.watched_group import group_line


def digest_text(digest: Digest, command: str) -> str:
    """The groups that ended, failed or were paused since the last digest or run now, and the requests to approve.

    Arguments:
        command: the slash command, with its slash.
    """
    failed, waiting = _lines(digest.failed), tuple(status_text(request) for request in digest.waiting)
    sections = [
        Section(f"{len(failed)} {GroupKind.FAILED}", failed, len(failed)),
        Section(f"{len(waiting)} waiting for approval", waiting, len(waiting)),
        Section(f"{len(digest.running)} {GroupKind.RUNNING}", _lines(digest.running), 0),
        Section(f"{len(digest.paused)} {GroupKind.PAUSED}", _lines(digest.paused), 0),
        Section(f"{len(digest.done)} done", _lines(digest.done), 0),
        Section(f"{len(digest.deleted)} deleted", _lines(digest.deleted), 0),
    ]
    title = f"*Digest for {digest.project} since {local_time(digest.since)}*"
    more = f"Type `{command} list` for all groups."
    room = SECTION_CHARACTERS - len(title) - len(more) - 2
    return f"{title}\n{fit([section for section in sections if section.lines], room)}\n{more}"


def _lines(groups: Iterable[Reading]) -> tuple[str, ...]:
    return tuple(group_line(one) for one in groups)

"""Small words that every message is made of: mentions, times, sizes, bars, and text that nobody obeys.

Pure. What is said when is left to `cards`, `headlines` and `answers`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

# mrkdwn has no escape for its marks, and beside a zero-width space they still pair up. What looks like them does not.
_FORMATS = re.compile(r"[*~`]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LOOK_ALIKES = {"*": "\u2217", "~": "\u223c", "`": "\u02cb", "_": "\u02cd"}
_EMOJI = re.compile(r":(?=[\w+'-]+:)")
# White space to `str.split`, so that no text that came through here holds one.
_OPEN, _CLOSE = "\x1e", "\x1f"
_QUOTED = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")


def escape_mrkdwn(text: str, characters: int = 600) -> str:
    """Somebody else's text for an mrkdwn field: shown, never obeyed; cut to a length, its lines joined.

    Escaping `&`, `<` and `>` is what keeps `<!channel>` from ringing everybody; a zero-width space breaks the name of
    an emoji. Inside a word such as `oms_url` a mark formats nothing, and it can be copied as it is.
    """
    looks_alike = _FORMATS.sub(lambda mark: _LOOK_ALIKES[mark[0]], _escaped(text, characters))
    return _EMOJI.sub(":\u200b", looks_alike)


def user_text(text: str, characters: int = 600) -> str:
    """What somebody typed, in a line that is for `bot.ui.blocks` to lay out: there it becomes plain text."""
    return f"{_OPEN}{_cut(text, characters)}{_CLOSE}"


def split_user_text(text: str) -> list[str]:
    """A line taken apart: the bot's own words in mrkdwn, what somebody typed, and so on by turns."""
    return _QUOTED.split(text)


def flatten_user_text(text: str) -> str:
    """A line in mrkdwn alone, for where there are no blocks."""
    return _QUOTED.sub(lambda found: escape_mrkdwn(found[1], len(found[1])), text)


def code(text: str, characters: int = 600) -> str:
    """The same between backticks: what is shown there can be copied as it is."""
    shown = _escaped(text.replace("`", "'"), characters)
    return f"`{shown}`"


def _escaped(text: str, characters: int) -> str:
    return html.escape(_cut(text, characters), quote=False)


def _cut(text: str, characters: int) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= characters else joined[: characters - 1] + "…"


def mention(user_or_group: str) -> str:
    """A user or a user group as Slack rings them."""
    return f"<!subteam^{user_or_group}>" if user_or_group.startswith("S") else f"<@{user_or_group}>"


def mentions(names: Iterable[str], last: str = "or") -> str:
    """`<@U1>, <@U2> or <!subteam^S1>`."""
    mentions = [mention(name) for name in names]
    if len(mentions) < 2:
        return "".join(mentions)
    return f"{', '.join(mentions[:-1])} {last} {mentions[-1]}"


def approvals_needed(slots: Sequence[Sequence[str]]) -> str:
    """`2 of <@U1>, <@U2>`, or `1 of <@U1>; and 1 of <!subteam^S1>`: one person for each place."""
    if len({tuple(place) for place in slots}) == 1:
        return f"{len(slots)} of {', '.join(mention(name) for name in slots[0])}"
    return "; and ".join(f"1 of {', '.join(mention(name) for name in place)}" for place in slots)


def local_time(at: datetime) -> str:
    """A moment in the reader's own zone: `today 22:05`. Readers without one see UTC."""
    fallback = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>"


def local_time_with_seconds(at: datetime) -> str:
    """As `clock`, where seconds matter: `today 22:05:07`."""
    fallback = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{fallback}>"


def size(size_bytes: int, unit_from: int | None = None) -> str:
    """Bytes in decimal units, three digits at most: `4.0 GB`."""
    amount, unit = _scaled(size_bytes, unit_from or size_bytes)
    return f"{amount} {unit}"


def size_of(part_bytes: int, whole_bytes: int) -> str:
    """`4.0 of 10.0 GB`, both in the unit of the whole."""
    part, unit = _scaled(part_bytes, whole_bytes)
    whole, _ = _scaled(whole_bytes, whole_bytes)
    return f"{part} of {whole} {unit}"


def _scaled(size_bytes: int, unit_from: int) -> tuple[str, str]:
    units = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    power = 0
    while power < len(units) - 1 and unit_from >= 1000 ** (power + 1):
        power += 1
    if power == 0:
        return str(size_bytes), "B"
    return f"{size_bytes / 1000**power:.1f}", units[power]


def rate(bytes_per_second: int) -> str:
    """`220 MB/s`: no decimals where they would only flicker."""
    amount, unit = _scaled(bytes_per_second, bytes_per_second)
    shown = amount if float(amount) < 10 and unit != "B" else f"{float(amount):.0f}"
    return f"{shown} {unit}/s"


def duration(seconds: int) -> str:
    """`43 s`, `27 min`, `3 h 5 min`, `2 d 4 h`."""
    if seconds < 60:
        return f"{max(seconds, 1)} s"
    minutes = -(-seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def bar(percent: int, width: int = 20) -> str:
    """A bar of text. It stands beside its percentage, never alone."""
    full = percent * width // 100
    return "█" * full + "░" * (width - full)


def join_words(items: Iterable[str]) -> str:
    """`a, b and c`."""
    listed = list(items)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}" if listed else ""

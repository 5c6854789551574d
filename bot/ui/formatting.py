"""Formats values for messages: mentions, times, sizes, names of groups, and text from users with mrkdwn escaped.

Pure. The sentences around these values are in the other modules of this package.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from bot.domain.request import Verb
from bot.domain.task_group import TaskGroup

# mrkdwn has no escape sequence for its formatting characters, and a zero-width space next to them has no effect. So
# they are replaced by characters that look alike.
_FORMATTING_CHARACTERS = re.compile(r"[*~`]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LOOK_ALIKES = {"*": "\u2217", "~": "\u223c", "`": "\u02cb", "_": "\u02cd"}
# Everybody who can write to the database can change the ids in it.
_SLACK_ID = re.compile(r"[A-Z0-9]+", re.ASCII)
_EMOJI_START = re.compile(r":(?=[\w+'-]+:)")
# `str.split` treats both as white space, so text that passed `_one_line` contains neither.
_USER_TEXT_START, _USER_TEXT_END = "\x1e", "\x1f"
_USER_TEXT = re.compile(f"{_USER_TEXT_START}([^{_USER_TEXT_END}]*){_USER_TEXT_END}")

_PAST_TENSE = {Verb.RESUME: "resumed", Verb.RETRY: "retried"}
_ING_FORM = {Verb.RESUME: "resuming", Verb.RETRY: "retrying"}


def escape_mrkdwn(text: str, max_characters: int = 600) -> str:
    """Text from outside the bot for an mrkdwn field: joined to one line, truncated, and without any formatting.

    Escaping `&`, `<` and `>` keeps `<!channel>` from notifying the channel. A zero-width space breaks the name of an
    emoji. Inside a word such as `oms_url` an underscore formats nothing, so it stays and the word can be copied.
    """
    looks_alike = _FORMATTING_CHARACTERS.sub(lambda found: _LOOK_ALIKES[found[0]], _escaped(text, max_characters))
    return _EMOJI_START.sub(":\u200b", looks_alike)


def user_text(text: str, max_characters: int = 600) -> str:
    """Marks text that a person typed, so that `bot.ui.blocks` can show it as `plain_text`, unchanged."""
    return f"{_USER_TEXT_START}{_one_line(text, max_characters)}{_USER_TEXT_END}"


def split_user_text(line: str) -> list[str]:
    """Splits a line at marked user text: mrkdwn of the bot at even indexes, user text at odd ones."""
    return _USER_TEXT.split(line)


def flatten_user_text(line: str) -> str:
    """Replaces marked user text by escaped mrkdwn, for messages without blocks."""
    return _USER_TEXT.sub(lambda found: escape_mrkdwn(found[1], len(found[1])), line)


def inline_code(text: str, max_characters: int = 600) -> str:
    """Text from outside the bot between backticks. Only backticks are replaced, so the text can be copied."""
    shown = _escaped(text.replace("`", "'"), max_characters)
    return f"`{shown}`"


def _escaped(text: str, max_characters: int) -> str:
    return html.escape(_one_line(text, max_characters), quote=False)


def _one_line(text: str, max_characters: int) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= max_characters else joined[: max_characters - 1] + "…"


def group_name(group: TaskGroup) -> str:
    """The group's description, or the beginning of its id. Not escaped."""
    return group.description.strip() or f"group {group.group_id[:8]}"


def quoted_name(group: TaskGroup) -> str:
    """`"nightly images"`, or `group 00878453` for a group without a description. At most 80 characters, not escaped."""
    name = _one_line(group.description, 78)
    return quote(name) if name else group_name(group)


def quote(name: str) -> str:
    """The name in straight double quotes."""
    # A quotation mark in the name would look like its end.
    inside = name.replace('"', "'")
    return f'"{inside}"'


def capitalized(text: str) -> str:
    """The text with its first letter in upper case. `str.capitalize` would change the other letters as well."""
    return text[:1].upper() + text[1:]


def past_tense(verb: Verb) -> str:
    """`resumed` or `retried`."""
    return _PAST_TENSE[verb]


def ing_form(verb: Verb) -> str:
    """`resuming` or `retrying`."""
    return _ING_FORM[verb]


def mention(user_or_group: str) -> str:
    """Mentions a user id (`U…`, `W…`) or a user group id (`S…`). Any other text mentions nobody."""
    if not _SLACK_ID.fullmatch(user_or_group):
        return escape_mrkdwn(user_or_group)
    return f"<!subteam^{user_or_group}>" if user_or_group.startswith("S") else f"<@{user_or_group}>"


def mentions(ids: Iterable[str], conjunction: str = "or") -> str:
    """Mentions several ids: `<@U1>, <@U2> or <!subteam^S1>`."""
    found = [mention(one) for one in ids]
    if len(found) < 2:
        return "".join(found)
    return f"{', '.join(found[:-1])} {conjunction} {found[-1]}"


def approvals_needed(slots: Sequence[Sequence[str]]) -> str:
    """Names the people who can fill each slot.

    `2 approvals from <@U1>, <@U2> or <@U3>`, or `one approval from <@U1>, and one from <!subteam^S1>`.
    """
    if len(slots) > 1 and len({tuple(slot) for slot in slots}) == 1:
        return f"{len(slots)} approvals from {mentions(slots[0])}"
    return "one approval from " + ", and one from ".join(mentions(slot) for slot in slots)


def link_console(mrkdwn: str, console_url: str) -> str:
    """Turns the words `the Huawei Cloud console` into a link, if the address of the console is known."""
    words = "the Huawei Cloud console"
    return mrkdwn.replace(words, f"<{html.escape(console_url, quote=False)}|{words}>", 1) if console_url else mrkdwn


def local_time(at: datetime) -> str:
    """A time that Slack shows in the reader's time zone: `today at 22:05`. Clients without time zones show UTC."""
    fallback = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time}}|{fallback}>"


def local_time_with_seconds(at: datetime) -> str:
    """As `local_time`, with seconds: `today at 22:05:07`."""
    fallback = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} at {{time_secs}}|{fallback}>"


def duration(seconds: int) -> str:
    """An elapsed time in its two largest units, never rounded up: `43 s`, `8 min 11 s`, `2 h 5 min`, `3 days 4 h`.

    `time_left` has the words for an estimate.
    """
    if seconds < 1:
        return "less than 1 s"
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def time_left(seconds: int) -> str:
    """An estimate, rounded to the nearest: `less than a minute`, `about 9 min`, `about 25 h`, `about 3 days`.

    From 20 min on it is rounded to 5 min, from 1 h on to half an hour, from 10 h on to 1 h, and from 48 h on to days.
    """
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 1:
        return "less than a minute"
    if minutes < 57.5:
        return f"about {round(minutes) if minutes < 20 else 5 * round(minutes / 5)} min"
    if hours < 47.5:
        return f"about {round(2 * hours) / 2 if hours < 10 else round(hours):g} h"
    return f"about {round(hours / 24)} days"


def size(size_bytes: int) -> str:
    """Bytes in decimal units: `4.0 GB`."""
    amount, unit = _scaled(size_bytes, size_bytes)
    return f"{amount} {unit}"


def size_of_total(part_bytes: int, total_bytes: int) -> str:
    """`4.0 of 10.0 GB`, both in the unit of the total."""
    part, unit = _scaled(part_bytes, total_bytes)
    total, _ = _scaled(total_bytes, total_bytes)
    return f"{part} of {total} {unit}"


def rate(bytes_per_second: int) -> str:
    """`220 MB/s`. Without decimals from 10 on, because they would change at every update."""
    amount, unit = _scaled(bytes_per_second, bytes_per_second)
    shown = amount if float(amount) < 10 and unit != "B" else f"{float(amount):.0f}"
    return f"{shown} {unit}/s"


def unit_of(size_bytes: int) -> tuple[int, str]:
    """The unit in which to show a size: how many bytes it has, and its name, such as `(1000000, "MB")`."""
    units = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    power = 0
    while power < len(units) - 1 and size_bytes >= 1000 ** (power + 1):
        power += 1
    return 1000**power, units[power]


def _scaled(size_bytes: int, unit_of_bytes: int) -> tuple[str, str]:
    """The size in the unit that fits `unit_of_bytes`, and that unit."""
    unit_bytes, unit = unit_of(unit_of_bytes)
    return str(size_bytes) if unit_bytes == 1 else f"{size_bytes / unit_bytes:.1f}", unit


def sparkline(values: Sequence[int]) -> str:
    """A line of bars such as `▂▅█▁`, with heights in proportion to the values. Show the highest value next to it."""
    bars = "▁▂▃▄▅▆▇█"
    highest = max(values, default=0) or 1
    return "".join(bars[value * (len(bars) - 1) // highest] for value in values)


def percentage(percent: int) -> str:
    """`40 %`, with a no-break space."""
    return f"{percent}\u00a0%"


def progress_bar(percent: int, width: int = 20) -> str:
    """A bar of block characters. Show the percentage next to it, for screen readers."""
    full = percent * width // 100
    return "█" * full + "░" * (width - full)


def join_words(items: Iterable[str], conjunction: str = "and") -> str:
    """`a, b and c`."""
    listed = list(items)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} {conjunction} {listed[-1]}" if listed else ""

"""Searches what the bot writes for parts of keys, in every writing of `tests.support.writings`.

`bot.huawei.echo` decodes a text. This search encodes the parts of the keys instead, so that the two share no error.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from urllib.parse import unquote_plus

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.sandbox.huawei.credentials import (
    ACCESS_KEY,
    AZURE_CONNECTION_STRING,
    CDN_KEY,
    DESTINATION_AK,
    DESTINATION_SK,
    GOOGLE_JSON,
    PASSWORD,
    PREISSUED_TOKEN,
    SECRET_KEY,
    SECURITY_TOKEN,
    SOURCE_AK,
    SOURCE_SK,
    TEMPORARY_AK,
    TEMPORARY_SK,
)
from bot.sandbox.slack.ids import APP_TOKEN, BOT_TOKEN
from bot.sandbox.slack.server import SlackStandIn
from tests.support.writings import WRITINGS

#: What only the owner knows of the keys that START and RETRY send.
SENT_KEYS = {
    "source access key": SOURCE_AK,
    "source secret key": SOURCE_SK,
    "destination access key": DESTINATION_AK,
    "destination secret key": DESTINATION_SK,
    "CDN key": CDN_KEY,
    "account key": AZURE_CONNECTION_STRING.partition("AccountKey=")[2].partition(";")[0],
    "private key": json.loads(GOOGLE_JSON)["private_key"],
}
KEYS = SENT_KEYS | {
    "access key": ACCESS_KEY,
    "secret key": SECRET_KEY,
    "temporary access key": TEMPORARY_AK,
    "temporary secret key": TEMPORARY_SK,
    "security token": SECURITY_TOKEN,
    "password": PASSWORD,
    "IAM token": PREISSUED_TOKEN,
}
#: Their parts are ordinary words, so they are searched for as a whole.
TOKENS = (BOT_TOKEN, APP_TOKEN)

# A text repeats a key if it has this many characters in a row of it. Fewer occur by chance in a large database.
_PART_CHARACTERS = 8
# The parts are looked up by their first characters.
_START_CHARACTERS = 6
# These write each character by itself, so each writes a part of a key as it writes the part in the whole key. Without
# punctuation, other writings look the same: `%70` as hexadecimal digits, and `\x70` as `&#x70;`.
_BY_CHARACTER = [
    WRITINGS[name]
    for name in (
        "plain",
        "backward",
        "hexadecimal",
        "hexadecimal, a list",
        "HTML, decimal",
        "HTML, hexadecimal",
        "JSON, escaped",
        "octal",
        "Python, 8 digits",
    )
]
# JSON escapes full-width letters.
_BY_CHARACTER.append(lambda part: WRITINGS["JSON, escaped"](WRITINGS["full-width letters"](part)))
_PUNCTUATION = re.compile(r"[\W_]+")


def find_leaks(places: Mapping[str, str], keys: Mapping[str, str] = KEYS, tokens: Sequence[str] = TOKENS) -> list[str]:
    """The places with a part of a key in any writing, or with a token: `PLACE: NAME OF THE KEY`.

    Arguments:
        places: texts by where they are from.
        keys: random keys by their names.
        tokens: these are searched for as a whole, and unencoded.
    """
    parts: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, key in keys.items():
        for part in _folded_parts(key):
            parts[part[:_START_CHARACTERS]].append((part, name))
    found = []
    for place, text in places.items():
        folded = _folded(text)
        names = {
            name
            for at in range(len(folded) - _START_CHARACTERS + 1)
            for part, name in parts.get(folded[at : at + _START_CHARACTERS], ())
            if folded.startswith(part, at)
        }
        names.update(f"{token[:5]}…" for token in tokens if token in text)
        found += [f"{place}: {name}" for name in sorted(names)]
    return found


def record_calls(slack: SlackStandIn) -> list[str]:
    """The bodies of all calls to Slack from now on, as the bot sends them. Call this before the stand-in starts."""
    bodies: list[str] = []

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        bodies.append(unquote_plus((await request.read()).decode()))
        return await handler(request)

    slack.application.middlewares.append(record)
    return bodies


def _folded(text: str) -> str:
    return _PUNCTUATION.sub("", unicodedata.normalize("NFKC", text)).casefold()


@cache
def _folded_parts(key: str) -> frozenset[str]:
    return frozenset(map(_folded, _written_parts(key)))


def _written_parts(key: str) -> Iterator[str]:
    """The parts of a key in every writing."""
    for part in _parts(key):
        yield from (write(part) for write in _BY_CHARACTER)
        yield from _in_base64(part)
        yield from _in_base32(part)
    for encoded in _in_base64(key):
        for part in _parts(encoded):
            yield from _in_base64(part)


def _parts(text: str) -> Iterator[str]:
    return (text[at : at + _PART_CHARACTERS] for at in range(len(text) - _PART_CHARACTERS + 1))


def _in_base64(part: str) -> Iterator[str]:
    """The base64 of a text that follows other text, for each of the three places in its groups of three bytes.

    Without the first and the last character if they also depend on the text around.
    """
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + part.encode()).decode()
        yield encoded[-(-before * 8 // 6) : (before + len(part.encode())) * 8 // 6]


def _in_base32(part: str) -> Iterator[str]:
    """As `_in_base64`, for each of the five places in the groups of five bytes of base32."""
    for before in range(5):
        encoded = base64.b32encode(b"\0" * before + part.encode()).decode()
        yield encoded[-(-before * 8 // 5) : (before + len(part.encode())) * 8 // 5]

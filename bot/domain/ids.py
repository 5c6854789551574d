"""Makes request ids, and parses request ids and task group ids as people type or paste them.

Pure: the caller passes in the random bytes of a new id.
"""

from __future__ import annotations

import html
import re
import unicodedata
from urllib.parse import urlsplit

# Crockford's base 32, without I, L, O and U, which are easily misread.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REQUEST_ID = re.compile(r"R-[0-9A-HJKMNP-TV-Z]{8}", re.ASCII)
_GROUP_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_GROUP_KEY = re.compile(rf"[0-9A-Za-z_-]{{1,64}}/{_GROUP_ID.pattern}", re.ASCII)
# A link as Slack sends it, `<URL>` or `<URL|text>`, or as typed.
_LINK = re.compile(r"<(https?://[^|>\s]+)(?:\|[^>]*)?>|(https?://\S+)")
# Quotes, brackets, formatting marks and punctuation around a pasted id.
_AROUND_LINK = "\"'`´‘’‚‛“”„‟′″«»‹›()[]{}*_~,;:.!?"
_AROUND_ID = f"{_AROUND_LINK}<>"
_MINUS_SIGN = "\u2212"
_SEPARATORS = re.compile(r"[,;]")
_CONSOLE_DOMAIN = "huaweicloud.com"


def new_request_id(digest: bytes) -> str:
    """Makes a request id such as `R-7K3F2QAB` from the first five bytes of a hash."""
    number = int.from_bytes(digest[:5], "big")
    return "R-" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(35, -1, -5))


def is_request_id(text: str) -> bool:
    return _REQUEST_ID.fullmatch(text) is not None


def is_group_key(text: str) -> bool:
    """Whether the text has the form of a `Request.group_key`."""
    return _GROUP_KEY.fullmatch(text) is not None


def without_decoration(word: str) -> str:
    """One typed or pasted word, without the characters that a document or a chat puts into and around it.

    Removes invisible characters (zero-width characters, direction marks, the byte order mark, soft hyphens), replaces
    typographic dashes by hyphens, and removes quotes, brackets, formatting marks and punctuation from both ends.

    Arguments:
        word: as Slack sends it, with `&`, `<`, `>` escaped or not.
    """
    return _visible(word).strip(_AROUND_ID)


def parse_request_id(word: str) -> str | None:
    """The request id in one typed word, in upper case. None if the word is not a request id."""
    upper = without_decoration(word).upper()
    return upper if is_request_id(upper) else None


def parse_group_id(text: str) -> str | None:
    """The task group id (a UUID) in lower case, or None if the text is not a UUID."""
    lower = text.lower()
    return lower if _GROUP_ID.fullmatch(lower) else None


def is_link(word: str) -> bool:
    return _link_in(word) is not None


def parse_typed_group_id(word: str) -> str | None:
    """The task group id in one typed word: a UUID, or a link to the console with one UUID in it. None otherwise."""
    url = _link_in(word)
    return parse_group_id(without_decoration(word)) if url is None else _group_id_in_url(url)


def parse_typed_group_ids(word: str) -> tuple[str, ...]:
    """The task group ids in one typed word: one id, or several joined by commas or semicolons.

    Returns an empty tuple if `parse_typed_group_id` does not accept every part.
    """
    group_id = parse_typed_group_id(word)
    if group_id or is_link(word):
        found = [group_id]
    else:
        found = [
            parse_typed_group_id(part) for part in _SEPARATORS.split(html.unescape(word)) if without_decoration(part)
        ]
    ids = tuple(part for part in found if part is not None)
    return ids if len(ids) == len(found) else ()


def _link_in(word: str) -> str | None:
    """The URL of a word that is a link, also between quotes, brackets or formatting marks."""
    link = _LINK.fullmatch(_visible(word).strip(_AROUND_LINK))
    return (link[1] or link[2]) if link else None


def _visible(word: str) -> str:
    """The word without invisible characters, and with hyphens in place of other dashes."""
    plain = (character for character in html.unescape(word) if unicodedata.category(character) != "Cf")
    return "".join("-" if _is_dash(character) else character for character in plain)


def _is_dash(character: str) -> bool:
    return character == _MINUS_SIGN or unicodedata.category(character) == "Pd"


def _group_id_in_url(url: str) -> str | None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    found = set(_GROUP_ID.findall(url.lower()))
    # UUIDs in other links, such as links to tickets and chats, are not task group ids.
    return found.pop() if len(found) == 1 and f".{host}".endswith(f".{_CONSOLE_DOMAIN}") else None

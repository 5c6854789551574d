"""Makes and parses request ids, and parses task group ids as people type them.

Pure: the caller passes in the random bytes of a new id.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

# Crockford's base 32, without I, L, O and U, which are easily misread.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REQUEST_ID = re.compile(r"R-[0-9A-HJKMNP-TV-Z]{8}", re.ASCII)
_GROUP_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
# A link as Slack sends it, `<URL>` or `<URL|text>`, or as typed.
_LINK = re.compile(r"<(https?://[^|>\s]+)(?:\|[^>]*)?>|(https?://\S+)")
# Punctuation around a typed id.
_PUNCTUATION = "`,;:.<>"
_CONSOLE_DOMAIN = "huaweicloud.com"


def new_request_id(random_bytes: bytes) -> str:
    """Makes a request id such as `R-7K3F2QAB` from the first five of these random bytes."""
    number = int.from_bytes(random_bytes[:5], "big")
    return "R-" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(35, -1, -5))


def is_request_id(text: str) -> bool:
    return _REQUEST_ID.fullmatch(text) is not None


def parse_request_id(text: str) -> str | None:
    """The request id in upper case, or None if the text is not a request id."""
    upper = text.upper()
    return upper if is_request_id(upper) else None


def parse_group_id(text: str) -> str | None:
    """The task group id (a UUID) in lower case, or None if the text is not a UUID."""
    lower = text.lower()
    return lower if _GROUP_ID.fullmatch(lower) else None


def is_link(word: str) -> bool:
    return _LINK.fullmatch(word) is not None


def parse_typed_group_id(word: str) -> str | None:
    """The task group id in one typed word: a UUID, or a link to the console with one UUID in it. None otherwise."""
    link = _LINK.fullmatch(word)
    if link is None:
        return parse_group_id(html.unescape(word).strip(_PUNCTUATION))
    return _group_id_in_url(link[1] or link[2])


def parse_typed_group_ids(word: str) -> tuple[str, ...]:
    """The task group ids in one typed word: one id, or several joined by commas.

    Returns an empty tuple if `parse_typed_group_id` does not accept every part.
    """
    group_id = parse_typed_group_id(word)
    if group_id or is_link(word):
        found = [group_id]
    else:
        found = [parse_typed_group_id(part) for part in word.split(",") if part]
    ids = tuple(part for part in found if part is not None)
    return ids if len(ids) == len(found) else ()


def _group_id_in_url(url: str) -> str | None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    found = set(_GROUP_ID.findall(url.lower()))
    # UUIDs in other links, such as links to tickets and chats, are not task group ids.
    return found.pop() if len(found) == 1 and f".{host}".endswith(f".{_CONSOLE_DOMAIN}") else None

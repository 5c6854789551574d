"""The ids that people read out to each other: a request's own, and what a task group's may look like when typed.

Making one takes randomness from the caller, so that nothing here is hidden.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit

# Crockford's base 32: no I, L, O or U, so that nobody misreads one over the telephone.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REQUEST_ID = re.compile(r"R-[0-9A-HJKMNP-TV-Z]{8}", re.ASCII)
_GROUP_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
# As somebody typed it, and as Slack passes it on.
_LINK = re.compile(r"<(https?://[^|>\s]+)(?:\|[^>]*)?>|(https?://\S+)")
# What people put around an id: it is none of it.
_AROUND = "`,;:.<>"
_CONSOLE_DOMAIN = "huaweicloud.com"


def new_request_id(random_bytes: bytes) -> str:
    """A request id such as `R-7K3F2QAB` from five random bytes."""
    number = int.from_bytes(random_bytes[:5], "big")
    return "R-" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(35, -1, -5))


def is_request_id(text: str) -> bool:
    return _REQUEST_ID.fullmatch(text) is not None


def parse_request_id(text: str) -> str | None:
    """The request id that somebody meant, whatever case they typed it in, or None."""
    upper = text.upper()
    return upper if is_request_id(upper) else None


def parse_group_id(text: str) -> str | None:
    """The task group id (a UUID) that somebody meant, in lower case, or None."""
    lower = text.lower()
    return lower if _GROUP_ID.fullmatch(lower) else None


def is_link(word: str) -> bool:
    return _LINK.fullmatch(word) is not None


def parse_typed_group_id(word: str) -> str | None:
    """The task group id in one word that somebody typed: a UUID, or a link to the console that holds one; or None."""
    link = _LINK.fullmatch(word)
    if link is None:
        return parse_group_id(html.unescape(word).strip(_AROUND))
    return _group_id_in_url(link[1] or link[2])


def parse_typed_group_ids(word: str) -> tuple[str, ...]:
    """As `typed_group_id`, of a word that may be several joined by commas; none where anything else is among them."""
    one = parse_typed_group_id(word)
    parts = [one] if one or is_link(word) else [parse_typed_group_id(part) for part in word.split(",") if part]
    ids = tuple(part for part in parts if part is not None)
    return ids if len(ids) == len(parts) else ()


def _group_id_in_url(url: str) -> str | None:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    found = set(_GROUP_ID.findall(url.lower()))
    # Links to tickets and chats hold UUIDs as well, and theirs are no groups.
    return found.pop() if len(found) == 1 and f".{host}".endswith(f".{_CONSOLE_DOMAIN}") else None

"""Finds parts of the keys that the bot sent in the text of an answer, in any encoding. Pure.

The bot knows which keys it sent with START and RETRY, so their answers are compared with these keys.
`bot.redaction.scrub`, which recognizes keys by their format, is for the answers to calls without keys.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from bot.redaction import Secret

# A text repeats a key if it has this many characters of it in a row. In a random key of 40 characters and an answer of
# 600, they occur by chance once in 100,000 answers.
WINDOW_CHARACTERS = 6
# An encoded text can be encoded again, such as the base64 of a URL.
_MAX_ENCODINGS = 3
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/]{8,}")
_HEX_RUN = re.compile(r"[0-9A-Fa-f]{12,}")
_BETWEEN_HEX_DIGITS = re.compile(r"\\x|0x|[\s:,;_-]")
_ESCAPED_CHARACTER = re.compile(r"\\u\{?([0-9A-Fa-f]{2,6})\}?|\\x([0-9A-Fa-f]{2})")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
# The first and last line of a PEM file are not secret.
_PEM_LINES = re.compile(r"-----[A-Z ]+-----")
# The secret parts of an Azure connection string. Its other parts are in every connection string, or public.
_CONNECTION_STRING_KEYS = re.compile(r"(?i)(?:AccountKey=|[?&]?sig=)([^;&]+)")
# The secret fields of a Google service account file. Its other fields are names and public addresses.
_SERVICE_ACCOUNT_KEYS = ("private_key", "private_key_id")


def repeats_part_of(text: str, secrets: Iterable[Secret]) -> bool:
    """Whether a text contains six characters in a row of one of these secrets.

    Ignores case, and all characters but letters and digits. Also reads the text as base64, hexadecimal digits, a URL,
    HTML, and JSON with escaped characters, up to three encodings deep.
    """
    windows = {window for secret in secrets for part in _secret_parts(secret) for window in _windows(_folded(part))}
    if not windows:
        return False
    lengths = {len(window) for window in windows}
    for reading in _readings(text):
        folded = _folded(reading)
        for length in lengths:
            if not windows.isdisjoint(folded[at : at + length] for at in range(len(folded) - length + 1)):
                return True
    return False


def _secret_parts(secret: Secret) -> Iterator[str]:
    """The parts of a secret that only its owner knows: all of it, or the keys in a file or connection string."""
    value = secret.reveal()
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        parts = [fields[name] for name in _SERVICE_ACCOUNT_KEYS if isinstance(fields.get(name), str)]
    else:
        parts = _CONNECTION_STRING_KEYS.findall(value)
    for part in parts or [value]:
        yield _PEM_LINES.sub("", part)


def _windows(folded: str) -> Iterator[str]:
    """All parts of a key of WINDOW_CHARACTERS characters; the whole key if it is shorter."""
    if folded:
        length = min(WINDOW_CHARACTERS, len(folded))
        yield from (folded[at : at + length] for at in range(len(folded) - length + 1))


def _folded(text: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", text).casefold()


def _readings(text: str) -> set[str]:
    """The text, and what it says if it is read as encoded, and what that says, up to _MAX_ENCODINGS deep."""
    found, newest = {text}, {text}
    for _ in range(_MAX_ENCODINGS):
        newest = {decoded for reading in newest for decoded in _decoded(reading)} - found
        found |= newest
    return found


def _decoded(text: str) -> Iterator[str]:
    yield html.unescape(unquote(text, "latin-1"))
    yield _ESCAPED_CHARACTER.sub(_character, text)
    yield from _from_base64(re.sub(r"\\[nr]|\s", "", text).translate(str.maketrans("-_", "+/")))
    yield from _from_hex(_BETWEEN_HEX_DIGITS.sub("", text))


def _character(escaped: re.Match[str]) -> str:
    code = int(escaped[1] or escaped[2], 16)
    return chr(code) if code <= 0x10FFFF else ""


def _from_base64(text: str) -> Iterator[str]:
    """The texts in the runs of base64. A run may begin with other letters, so it is read from each of four places."""
    runs = _BASE64_RUN.findall(text)
    for start in range(4) if runs else ():
        cut = (run[start : start + (len(run) - start) // 4 * 4] for run in runs)
        rest = (run[start + (len(run) - start) // 4 * 4 :] for run in runs)
        yield " ".join(
            base64.b64decode(whole + (end + "=" * (4 - len(end)) if len(end) > 1 else "")).decode("latin-1")
            for whole, end in zip(cut, rest, strict=True)
        )


def _from_hex(text: str) -> Iterator[str]:
    """The texts in the runs of hexadecimal digits, read from the first and from the second digit."""
    runs = _HEX_RUN.findall(text)
    for start in range(2) if runs else ():
        yield " ".join(
            binascii.unhexlify(run[start : start + (len(run) - start) // 2 * 2]).decode("latin-1") for run in runs
        )

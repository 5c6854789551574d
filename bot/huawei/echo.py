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
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from bot.redaction import Secret

# A text repeats a key if it has this many characters of it in a row, forward or backward. In a random key of 40
# characters and an answer of 600, they occur by chance once in 50,000 answers.
WINDOW_CHARACTERS = 6
# An encoded text can be encoded again, such as the base64 of a URL.
_MAX_ENCODINGS = 3
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/]{8,}")
_BASE32_RUN = re.compile(r"[A-Z2-7]{10,}")
_HEX_RUN = re.compile(r"[0-9A-Fa-f]{12,}")
_DECIMAL_RUN = re.compile(r"(?<!\d)\d{2,3}(?:[^\w\x80-\xff]+\d{2,3}(?!\d)){5,}")
# What may be written between the pieces of an encoded key. Control characters and letters such as `ü` are not: a text
# that was decoded in a wrong way has many of them, and its pieces are not joined.
_SEPARATOR = r"[^\w\x00-\x08\x0e-\x1f\x7f-\xff]"
_BETWEEN_BASE64 = re.compile(rf"\\[nr]|(?![+/-]){_SEPARATOR}")
_BETWEEN_LETTERS = re.compile(rf"\\[nr]|{_SEPARATOR}|_")
_BETWEEN_HEX_DIGITS = re.compile(rf"\\x|0x|{_SEPARATOR}|_")
# `\u006b`, `%u006b`, `\u{6b}`, `\U0000006b`, `U+006B`, `\x6b`, `=6B`, and in octal digits `\153`.
_ESCAPED_CHARACTER = re.compile(
    r"(?:[\\%]u|U\+)([0-9A-Fa-f]{4})|\\u\{?([0-9A-Fa-f]{2,6})\}?|\\U([0-9A-Fa-f]{8})"
    r"|(?:\\x|=)([0-9A-Fa-f]{2})|\\0?([0-7]{3})"
)
_OCTAL_GROUP = 5
_NOT_ASCII_TEXT = re.compile(r"[^\w\x20-\x7e]")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
# The first and last line of a PEM file are not secret.
_PEM_LINES = re.compile(r"-----[A-Z ]+-----")
# The secret parts of an Azure connection string. Its other parts are in every connection string, or public.
_CONNECTION_STRING_KEYS = re.compile(r"(?i)(?:AccountKey=|[?&]?sig=)([^;&]+)")
# The secret fields of a Google service account file. Its other fields are names and public addresses.
_SERVICE_ACCOUNT_KEYS = ("private_key", "private_key_id")


def repeats_part_of(text: str, secrets: Iterable[Secret]) -> bool:
    """Whether a text contains six characters in a row of one of these secrets.

    Ignores case, the width of letters, and all characters but letters and digits. Also reads the text backward, and as
    base64, base32, hexadecimal digits, decimal numbers, a URL, HTML, and escaped characters of JSON, Python and e-mail,
    up to three encodings deep.
    """
    folded_parts = [_folded(part) for secret in secrets for part in _secret_parts(secret)]
    windows = {window for part in folded_parts for window in (*_windows(part), *_windows(part[::-1]))}
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
    return _NOT_ALPHANUMERIC.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _readings(text: str) -> set[str]:
    """The text, and what it says if it is read as encoded, and what that says, up to _MAX_ENCODINGS deep."""
    text = unicodedata.normalize("NFKC", text)
    found = newest = {text, _NOT_ASCII_TEXT.sub(" ", text)}
    for _ in range(_MAX_ENCODINGS):
        newest = {decoded for reading in newest for decoded in _decoded(reading)} - found
        found = found | newest
    return found


def _decoded(text: str) -> Iterator[str]:
    yield html.unescape(unquote(text, "latin-1"))
    yield _ESCAPED_CHARACTER.sub(_character, text)
    yield from _from_base64(_BETWEEN_BASE64.sub("", text).translate(str.maketrans("-_", "+/")))
    letters = _BETWEEN_LETTERS.sub("", text)
    yield from _from_base64(letters)
    yield from _from_base32(letters)
    yield from _from_hex(_BETWEEN_HEX_DIGITS.sub("", text))
    if runs := _DECIMAL_RUN.findall(text):
        yield " ".join("".join(chr(int(number)) for number in re.findall(r"\d+", run)) for run in runs)


def _character(escaped: re.Match[str]) -> str:
    octal = escaped[_OCTAL_GROUP]
    code = int(octal, 8) if octal else int(escaped[escaped.lastindex or 0], 16)
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


def _from_base32(text: str) -> Iterator[str]:
    """The texts in the runs of base32. A run may begin with other letters, so it is read from each of eight places."""
    runs = _BASE32_RUN.findall(text)
    for start in range(8) if runs else ():
        yield " ".join(base64.b32decode(run[start:] + "A" * (-len(run[start:]) % 8)).decode("latin-1") for run in runs)


def _from_hex(text: str) -> Iterator[str]:
    """The texts in the runs of hexadecimal digits, read from the first and from the second digit."""
    runs = _HEX_RUN.findall(text)
    for start in range(2) if runs else ():
        yield " ".join(
            binascii.unhexlify(run[start : start + (len(run) - start) // 2 * 2]).decode("latin-1") for run in runs
        )

"""Keeps secret values out of everything that is written down or shown.

`Secret` holds one value and gives it only to whoever asks by name; `scrub` and `visible` are the second line, for text
that came from elsewhere.
"""

from __future__ import annotations

import hmac
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn
from urllib.parse import quote

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

MASK = "[hidden]"
# What is shorter is in every other word.
SHORTEST = 4
_LONG_WORD = re.compile(r"[A-Za-z0-9+/_\-]{16,}")

# The gateway echoes the access key inside .0301 messages: "Get secretKey failed,ak:HST3…,err:ak not exist". Others
# echo a field of what they were sent, or name it as another cloud does: "dst_sk":"…", srcAk=…, <AWSAccessKeyId>…,
# InvalidAccessKeyId: …. A short name counts alone, behind an underscore or as a hump; not inside a task or an oak.
_KEY_NAME = (
    r"(?:(?i:access[ _-]?key(?:[ _-]?id)?|(?:secret|account|private|authentication)(?:[ _-]?access)?[ _-]?key"
    r"|secret[ _-]?id|(?:security|session|auth)[ _-]?token|(?:(?<![a-z])|(?<=src)|(?<=dst))(?:ak(?:[ _-]?id)?|sk))"
    r"|(?<=[a-z0-9])(?:A[Kk](?:Id|ID)?|S[Kk]))(?![A-Za-z])"
)
# Blanks, quotes, colons, brackets, and how JSON, a URL or HTML writes them. Not what joins the words of a bucket's
# name.
_BETWEEN = (
    r"(?![+./_~-]+[A-Za-z0-9])(?:\s++|[^A-Za-z0-9\s&%]|%[0-9A-Fa-f]{2}|&(?:quot|[lg]t|amp|#\w{1,4});){1,16}"
    r"(?:(?i:is|was|id|value)\b[\s:='\"]{1,4})?"
)
_NAMED = re.compile(
    rf"{_KEY_NAME}(?P<between>{_BETWEEN})(?P<value>(?:[A-Za-z0-9+/_~-]|%[0-9A-Fa-f]{{2}}|\\/){{8,}}={{0,2}})"
)
_ASSIGNS = re.compile(r"[:=>]|%3[ADEade]|&gt;")
# Behind a key's name alone, as in "access key authentication failed", only what is so long may be a key.
_SHORTEST_UNASSIGNED = 16
# Words of people and of error codes: `authentication`, `SignatureDoesNotMatch`, `not-found`, `UNKNOWN`, a time.
_WORDS = re.compile(r"(?:(?:[A-Z]?[a-z]+(?:[A-Z][a-z]+)*|[A-Z]{1,19}|\d{1,15})(?:[+/_~-]+|$))+")
_LONGEST_WORDS = 31
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# An access key by its looks alone: of Huawei Cloud and AWS, of Alibaba Cloud, of Tencent Cloud.
_ACCESS_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:(?=[A-Z]*[0-9])(?=[0-9]*[A-Z])[A-Z0-9]{20}|LTAI[A-Za-z0-9]{12,20}|AKID[A-Za-z0-9]{28,36})"
    r"(?![A-Za-z0-9])"
)
_TOKENS = re.compile(
    r"\b(?:xox[a-z]-|xapp-|hvs\.|hvb\.|hvr\.|s\.|b\.)[A-Za-z0-9_\-]{12,}"
    r"|(?<=hooks\.slack\.com/)[A-Za-z0-9/]+"
    r"|(?i:(?<=Signature=)[0-9a-f]{16,})"
    r"|-----BEGIN [A-Z ]+-----(?s:.*?)(?:-----END [A-Z ]+-----|$)"
)


class Secret:
    """A string that `str`, `repr`, `format`, pickle, copy and JSON do not give away. Opened by `reveal` alone."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The value itself. Call it where the value leaves the process, and nowhere else."""
        return self.__value

    def stripped(self, characters: str | None = None) -> Secret:
        """The same without white space around it, or without these characters, as `str.strip`."""
        return Secret(self.__value.strip(characters))

    @property
    def is_one_word(self) -> bool:
        """Whether it is visible ASCII without blanks, as every access key and every token is."""
        return re.fullmatch(r"[\x21-\x7e]+", self.__value) is not None

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __len__(self) -> int:
        return len(self.__value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not written down")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda value: value if isinstance(value, cls) else cls(value),
            core_schema.union_schema([core_schema.is_instance_schema(cls), core_schema.str_schema()]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: MASK),
        )


def scrub(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` without the given values, without access keys and secret keys that somebody echoed, without tokens.

    A value is found as it is, as JSON, a URL or HTML would write it, and by each long piece of it: half a connection
    string gives away as much as the whole. Of keys that are not given, those are found that a field name stands before,
    and those that look like nothing else.
    """
    values = [secret.reveal() for secret in secrets]
    for shape in sorted({shape for value in values for shape in _shapes(value)}, key=len, reverse=True):
        text = text.replace(shape, MASK)
    text = _LONG_WORD.sub(lambda found: MASK if any(found[0] in value for value in values) else found[0], text)
    return _TOKENS.sub(MASK, _ACCESS_KEY.sub(MASK, _without_named(text)))


def visible(text: str) -> str:
    """Without what nobody can see, and no database takes: control characters, and half a surrogate pair."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def _without_named(text: str) -> str:
    """The text without keys that a name stands before."""
    kept: list[str] = []
    begin = position = 0
    while found := _NAMED.search(text, position):
        # What is no key may be the name of one.
        position = found.start("value")
        if _is_key(found["between"], found["value"]):
            kept += text[begin:position], MASK
            begin = position = found.end()
    return "".join((*kept, text[begin:]))


def _is_key(between: str, value: str) -> bool:
    if _UUID.fullmatch(value) or (len(value) <= _LONGEST_WORDS and _WORDS.fullmatch(value)):
        return False
    is_alone = len(value) >= _SHORTEST_UNASSIGNED and not re.search(r"[.,;]", between)
    return is_alone or _ASSIGNS.search(between) is not None


def _shapes(value: str) -> Iterator[str]:
    """How a value may stand in a text."""
    for piece in (value, *_pieces(value)):
        if len(piece) >= SHORTEST:
            written = json.dumps(piece)[1:-1]
            encoded = quote(piece, safe="")
            yield from (piece, written, json.dumps(piece, ensure_ascii=False)[1:-1], written.replace("/", "\\/"))
            yield from (encoded, re.sub("%..", lambda found: found[0].lower(), encoded), html.escape(piece))


def _pieces(value: str) -> Iterator[str]:
    """The long words of a connection string, or of a file that is JSON, such as the lines of its private key."""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = value
    texts = parsed.values() if isinstance(parsed, dict) else (parsed,)
    for text in texts:
        yield from _LONG_WORD.findall(text if isinstance(text, str) else value)

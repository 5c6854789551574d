"""Keeps secret values out of everything that is written down or shown.

`Secret` holds one value and gives it only to whoever asks by name; `scrub` and `LogFilter` are the
second line, for text that came from elsewhere.
"""

from __future__ import annotations

import hmac
import json
import logging
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
# quote it, as JSON does, or only put it behind the word.
_ECHOED_ACCESS_KEY = re.compile(
    r"(?i:\b(?P<name>access(?:[_ ]?key(?:[_ ]?id)?)?|ak))"
    r"(?P<between>[\s\"'\\]*[:=][\s\"'\\]*(?=[A-Za-z0-9]{8})|\s+(?=[A-Z0-9]{16}))[A-Za-z0-9]+"
)
_TOKENS = re.compile(
    r"\b(?:xox[a-z]-|xapp-|hvs\.|hvb\.|hvr\.|s\.|b\.)[A-Za-z0-9_\-]{12,}"
    r"|(?<=hooks\.slack\.com/)[A-Za-z0-9/]+"
    r"|(?i:(?<=Signature=)[0-9a-f]{16,})"
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
    """`text` without the given values, without access keys that a gateway echoed, without anybody's tokens.

    A value is found as it is, as JSON or a URL would write it, and by each long piece of it: half a connection string
    gives away as much as the whole.
    """
    values = [secret.reveal() for secret in secrets]
    for shape in sorted({shape for value in values for shape in _shapes(value)}, key=len, reverse=True):
        text = text.replace(shape, MASK)
    text = _LONG_WORD.sub(lambda found: MASK if any(found[0] in value for value in values) else found[0], text)
    text = _ECHOED_ACCESS_KEY.sub(lambda found: f"{found['name']}{found['between']}{MASK}", text)
    return _TOKENS.sub(MASK, text)


def _shapes(value: str) -> Iterator[str]:
    """How a value may stand in a text."""
    for piece in (value, *_pieces(value)):
        if len(piece) >= SHORTEST:
            encoded = quote(piece, safe="")
            yield from (piece, json.dumps(piece)[1:-1], json.dumps(piece, ensure_ascii=False)[1:-1])
            yield from (encoded, re.sub("%..", lambda found: found[0].lower(), encoded))


def _pieces(value: str) -> Iterator[str]:
    """The long words of a connection string, or of a file that is JSON, such as the lines of its private key."""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = value
    texts = parsed.values() if isinstance(parsed, dict) else (parsed,)
    for text in texts:
        yield from _LONG_WORD.findall(text if isinstance(text, str) else value)


class LogFilter(logging.Filter):
    """Scrubs every record once, at the handler, its traceback included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = scrub(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = scrub(logging.Formatter().formatException(record.exc_info))
        elif record.exc_text:
            record.exc_text = scrub(record.exc_text)
        return True
